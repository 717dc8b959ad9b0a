import numpy as np
import pytest

from realtime.slate import draw_slate


def drawn(height, width, text="No face in view", before=0):
    out = np.full((height, width, 3), before, np.uint8)
    draw_slate(text, out=out)
    return out


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1081, 1919), (241, 67), (1, 1)])
def test_a_slate_covers_every_pixel_of_any_size(height, width):
    assert np.array_equal(drawn(height, width, before=0), drawn(height, width, before=255))


def test_a_slate_is_dark_with_light_text_in_the_middle():
    slate = drawn(720, 1280).max(axis=2)
    lit = np.argwhere(slate > 150)
    assert np.mean(slate > 150) < 0.05
    assert np.median(slate) < 60
    assert lit.mean(axis=0) == pytest.approx((360, 640), abs=20)
    assert lit.min(axis=0)[1] > 200
    assert lit.max(axis=0)[1] < 1080


def test_two_texts_look_different():
    assert not np.array_equal(drawn(90, 160, "Camera lost"), drawn(90, 160, "Starting"))
