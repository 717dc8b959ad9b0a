import numpy as np

from realtime.feature_flow import feature_flow
from realtime.frame import Motion
from realtime.geometry import compose

SIDE, VIEW_PX = 64, 80
AT = np.float64([[0.8, 0.2, -20], [-0.2, 0.8, 9]])
SCALE = VIEW_PX / SIDE
VIEW_FROM_CROP = np.float64([[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2]])


def motion(flow=(0.0, 0.0), *, confidence=1.0, now=AT, before=AT):
    """One flow everywhere, in pixels of the crop, on a view that shows what the crop does."""
    size = (VIEW_PX, VIEW_PX)
    views = (compose(VIEW_FROM_CROP, crop) for crop in (now, before))
    pixels = np.float32(flow) * np.float32(SCALE)
    return Motion(*views, np.full((*size, 2), pixels, np.float32), np.full(size, confidence, "f4"))


def test_a_flow_on_a_map_is_a_part_of_that_in_the_crop():
    moved, trust = feature_flow(motion((4.0, 2.0), confidence=0.5), AT, AT, SIDE, (16, 16))
    np.testing.assert_allclose(moved[..., 0], 1.0, atol=1e-5)
    np.testing.assert_allclose(moved[..., 1], 0.5, atol=1e-5)
    np.testing.assert_allclose(trust[:-1, :-1], 0.5, atol=1e-6)
    assert not trust[-1].any()
    assert not trust[:, -1].any()


def test_a_map_may_be_wider_than_high():
    moved, trust = feature_flow(motion((4.0, 2.0)), AT, AT, SIDE, (8, 16))
    assert moved.shape == (8, 16, 2)
    assert trust.shape == (8, 16)
    np.testing.assert_allclose(moved[2, 3], (1.0, 0.25), atol=1e-5)


def test_a_crop_that_goes_with_the_head_finds_it_at_its_old_place():
    """The head went 8 px of the crop to the right, and view and crop with it."""
    went = compose(np.float64([[1, 0, -8.0], [0, 1, 0]]), AT)
    moved, trust = feature_flow(motion(now=went, before=AT), went, AT, SIDE, (16, 16))
    np.testing.assert_allclose(moved, 0.0, atol=1e-5)
    assert (trust == 1.0).all()
