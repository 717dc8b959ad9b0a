import numpy as np
import pytest

from realtime.texture_fill import mend, without_eyeballs

SIDE = 128


@pytest.fixture
def factor():
    """Plain skin, with a mark on its left side."""
    texture = np.ones((SIDE, SIDE, 3), np.float32)
    texture[60:68, 20:28] = 0.8
    return texture


def missing(rows, columns):
    unusable = np.zeros((SIDE, SIDE), np.float32)
    unusable[rows, columns] = 1.0
    return unusable


def test_what_is_there_stays(factor):
    unusable = missing(slice(40, 90), slice(90, 120))
    mended = mend(factor, unusable)
    known = unusable == 0
    np.testing.assert_allclose(mended[known], factor[known], rtol=1e-5)


def test_what_is_missing_comes_from_the_other_side(factor):
    mended = mend(factor, missing(slice(40, 90), slice(90, 120)))
    mirrored = factor[:, ::-1]
    np.testing.assert_allclose(mended[60:68, 100:108], mirrored[60:68, 100:108], rtol=0.02)


def test_what_both_sides_lack_becomes_plain_skin_of_the_tone_around():
    factor = np.full((SIDE, SIDE, 3), 1.1, np.float32)
    unusable = missing(slice(40, 90), slice(8, 40)) + missing(slice(40, 90), slice(88, 120))
    factor[unusable > 0] = 3.0
    np.testing.assert_allclose(mend(factor, unusable), 1.1, rtol=0.02)


def test_hair_at_the_edge_of_what_is_missing_does_not_colour_it():
    factor = np.ones((SIDE, SIDE, 3), np.float32)
    factor[38:40, 8:40] = factor[38:40, 88:120] = 0.2
    unusable = missing(slice(40, 90), slice(8, 40)) + missing(slice(40, 90), slice(88, 120))
    mended = mend(factor, unusable)
    assert mended[45:85, 12:36].min() > 0.9


def test_lids_go_on_over_the_eyes_and_how_bright_these_were_is_kept():
    factor = np.ones((SIDE, SIDE, 3), np.float32)
    eyeballs = missing(slice(59, 71), slice(19, 51)) + missing(slice(59, 71), slice(79, 111))
    factor[60:70, 20:50] = 0.5
    factor[60:70, 80:110] = 2.0
    lids, gains = without_eyeballs(factor, eyeballs)
    np.testing.assert_allclose(lids[62:68, 22:108], 1.0, rtol=0.02)
    # The eyeballs are grown by a pixel, as those of the map are.
    assert gains == pytest.approx((0.61, 1.78), abs=0.03)


def test_skin_beside_the_eyes_stays(factor):
    eyeballs = missing(slice(60, 70), slice(70, 80)) + missing(slice(60, 70), slice(90, 100))
    lids, _ = without_eyeballs(factor, eyeballs)
    np.testing.assert_allclose(lids[:, :68], factor[:, :68], rtol=1e-5)
