import cv2
import numpy as np
import pytest

from realtime.memory import Memory
from realtime.seam_fit import (
    NEUTRAL,
    SMALL_PX,
    Membrane,
    SeamFit,
    carried_on,
    enlarge_into,
    halved,
    num_halvings_of,
    rim_trust,
)

SIZE = (90, 74)
BOTH = pytest.mark.parametrize("how", ["multiband", "poisson"])


def oval(shift=(0.0, 0.0), size=SIZE):
    mask = np.zeros(size, np.uint8)
    centre = (round((size[1] / 2 + shift[0]) * 16), round((size[0] / 2 + shift[1]) * 16))
    axes = (round(size[1] * 0.38 * 16), round(size[0] * 0.4 * 16))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    return mask


def plain(value, size=SIZE):
    return np.full((*size, 3), value, np.float32)


def found(how, difference, trust=None, covered=None, membrane=None):
    """The correction in levels."""
    size = difference.shape[:2]
    covered = oval(size=size) if covered is None else covered
    trust = np.ones(size, np.float32) if trust is None else trust
    fit = SeamFit(Memory())
    correction = fit.find(difference, trust, covered, how, membrane or Membrane())
    return correction.astype(int) - NEUTRAL


def rim(reach=3):
    inner = cv2.erode(oval(), np.ones((2 * reach + 1, 2 * reach + 1)))
    return (oval() > 250) & (inner < 250)


@pytest.mark.parametrize(("how", "least"), [("multiband", 16), ("poisson", 23)])
def test_at_the_rim_the_face_becomes_the_picture(how, least):
    correction = found(how, plain(24.0))
    assert correction[rim(1)].min() >= least
    assert correction.max() <= 24
    assert correction[rim(1)].mean() >= 21


def test_a_membrane_carries_the_light_of_the_rim_to_the_middle():
    assert np.abs(found("poisson", plain(24.0))[oval() > 250] - 24).max() <= 1


def test_bands_leave_the_middle_as_it_was_drawn():
    difference = plain(24.0)
    assert np.abs(found("multiband", difference)[35:55, 28:46]).max() <= 2


@BOTH
def test_nothing_changes_where_face_and_picture_agree(how):
    assert not found(how, plain(0.0)).any()


@BOTH
def test_where_nothing_is_trusted_nothing_is_changed(how):
    assert not found(how, plain(90.0), trust=np.zeros(SIZE, np.float32)).any()


@BOTH
def test_hair_over_a_part_of_the_rim_does_not_bleed_into_the_face(how):
    difference = plain(10.0)
    difference[:25] = -110.0
    trust = rim_trust(difference, oval(), None)
    assert trust[:20].max() < 0.1
    correction = found(how, difference, trust)
    assert correction[rim()].min() >= 1
    assert correction.max() <= 12


@BOTH
def test_what_stands_in_front_does_not_bleed_into_the_face(how):
    difference = plain(10.0)
    difference[40:, :40] = 45.0
    hidden = np.zeros(SIZE, np.uint8)
    hidden[40:, :40] = 255
    open_trust, trust = (rim_trust(difference, oval(), what) for what in (None, hidden))
    assert not trust[42:88, 2:38].any()
    correction = found(how, difference, trust)
    assert correction[rim(1)].min() >= 6
    assert correction.max() <= 11
    assert found(how, difference, open_trust)[rim()].max() > 20


@BOTH
@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, -0.5), (0.35, 0.35)])
def test_a_mask_that_moves_by_half_a_pixel_changes_little(how, shift):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    light = np.stack([0.4 * rows - 20, 25 * np.sin(columns / 11), 0.3 * columns - 15], axis=-1)
    one, other = (found(how, light, covered=oval(at)) for at in ((0.0, 0.0), shift))
    # Up to 25 levels fade over about four pixels of the small copy; a half of one is an eighth.
    assert np.abs(one - other).max() <= 4
    assert np.abs(one - other).mean() < 0.4


def test_a_membrane_that_goes_on_ends_where_a_new_one_does():
    rows = np.mgrid[: SIZE[0], : SIZE[1]][0].astype(np.float32)
    membrane = Membrane()
    for step in range(6):
        light = np.repeat((0.3 * rows + 2 * step - 15)[..., None], 3, axis=2)
        warm = found("poisson", light, membrane=membrane)
    assert np.abs(warm - found("poisson", light)).max() <= 1


def test_a_membrane_goes_on_when_the_face_grows():
    membrane = Membrane()
    found("poisson", plain(20.0), membrane=membrane)
    larger = found("poisson", plain(20.0, (96, 80)), membrane=membrane)
    assert membrane.values.shape == (96, 80, 3)
    assert np.abs(larger[oval(size=(96, 80)) > 250] - 20).max() <= 1


def test_the_difference_is_carried_on_from_the_nearest_that_is_trusted():
    difference = plain(0.0)
    difference[:, :37], difference[:, 37:] = 8.0, 30.0
    trust = np.zeros(SIZE, np.float32)
    trust[:, 20:25] = trust[:, 50:55] = 1.0
    given = carried_on(difference, trust)
    np.testing.assert_allclose(given[:, 20:25], 8.0, atol=1e-3)
    np.testing.assert_allclose(given[10:80, 15:19], 8.0, atol=1.0)
    np.testing.assert_allclose(given[10:80, 56:60], 30.0, atol=2.5)


def test_a_layer_is_halved_until_it_is_small():
    assert [num_halvings_of(*size) for size in ((60, 90), (104, 104), (105, 20), (512, 512))] == [
        0,
        0,
        1,
        3,
    ]
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    small = halved(picture, 2)
    blocks = picture.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    assert small.shape == (16, 24, 3)
    assert np.abs(small - blocks).max() <= 1.01
    assert max(halved(np.zeros((384, 384), np.uint8), num_halvings_of(384, 384)).shape) <= SMALL_PX


def test_a_neutral_correction_keeps_every_bit():
    face = np.random.default_rng(2).integers(0, 256, (80, 64, 3), np.uint8)
    neutral = np.full((20, 16, 3), NEUTRAL, np.uint8)
    np.testing.assert_array_equal(enlarge_into(face, neutral), face)
    brighter = enlarge_into(np.full_like(face, 100), neutral + np.uint8(7))
    assert (brighter == 107).all()
