import numpy as np
import pytest

from realtime.cheek_tone import CheekTone, Lit
from realtime.face_texture import TONE_OFFSET
from realtime.skin_light import GRID

pytestmark = pytest.mark.models

NONE = np.zeros((2, 3), np.float32)
SEEN = np.ones((GRID, GRID), np.float32)
DOWN, ACROSS = (np.mgrid[:GRID, :GRID] + 0.5) / GRID
SKIN = (100.0, 120.0, 160.0)
WIDTH_PX = 150.0


@pytest.fixture(scope="module")
def cheeks(mesh):
    return CheekTone(mesh)


@pytest.fixture(scope="module")
def points(sitter):
    return sitter.landmarks()


def evenly(light=SKIN):
    return np.full((GRID, GRID, 3), light, np.float32)


def plain(colour=SKIN, size=320, light=SKIN):
    return Lit(np.full((size, size, 3), colour, np.uint8), evenly(light))


def two_sided(left, right, size=320):
    """A picture of two colours, parted where the face's middle is."""
    face = plain(left, size)
    face.picture[:, size // 2 :] = right
    return face


def test_light_without_a_change_stays_as_it_is(cheeks):
    light = evenly()
    np.testing.assert_allclose(cheeks.lit(light, NONE), light, rtol=1e-6)


def test_what_the_drawn_cheeks_are_off_is_gone_after_one_whole_step(cheeks, points):
    target = plain()
    for drawn in ((90, 110, 150), (112, 126, 168)):
        offsets = cheeks.follow(NONE, plain(drawn), target, points, WIDTH_PX, SEEN, 1.0)
        again = np.exp(offsets) * (np.array(drawn) + TONE_OFFSET) - TONE_OFFSET
        np.testing.assert_allclose(again, [SKIN, SKIN], atol=0.5)


def test_each_side_has_its_own_change(cheeks, points):
    drawn = two_sided((100, 120, 160), (88, 106, 142))
    offsets = cheeks.follow(NONE, drawn, plain(), points, WIDTH_PX, SEEN, 1.0)
    np.testing.assert_allclose(offsets[0], 0.0, atol=0.01)
    assert offsets[1].min() > 0.1
    light = evenly()
    more = cheeks.lit(light, offsets) / light
    assert more[(ACROSS > 0.66) & (ACROSS < 0.7) & (abs(DOWN - 0.49) < 0.03)].min() > 1.08
    assert more[ACROSS < 0.3].max() < 1.02


def test_the_light_changes_smoothly_and_not_far_from_the_cheeks(cheeks):
    light = evenly()
    more = cheeks.lit(light, NONE + 0.25) / light
    assert np.abs(np.diff(more, axis=0)).max() < 0.04
    assert np.abs(np.diff(more, axis=1)).max() < 0.04
    assert more[DOWN < 0.1].max() < 1.02


def test_a_share_of_the_step_follows_slowly(cheeks, points):
    drawn = plain((90, 110, 150))
    whole = cheeks.follow(NONE, drawn, plain(), points, WIDTH_PX, SEEN, 1.0)
    tenth = cheeks.follow(NONE, drawn, plain(), points, WIDTH_PX, SEEN, 0.1)
    np.testing.assert_allclose(tenth, 0.1 * whole, rtol=1e-4)


def test_a_cheek_that_is_not_seen_keeps_its_change(cheeks, points):
    skin = np.where(ACROSS < 0.5, 1.0, 0.0).astype(np.float32)
    before = NONE + np.float32(0.1)
    after = cheeks.follow(before, plain((80, 110, 150)), plain(), points, WIDTH_PX, skin, 1.0)
    assert np.abs(after[0] - before[0]).max() > 0.02
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(before, NONE + np.float32(0.1))


def test_the_change_has_a_limit(cheeks, points):
    offsets = cheeks.follow(
        NONE, plain((0, 0, 0)), plain((255, 255, 255)), points, WIDTH_PX, SEEN, 1.0
    )
    assert 0.1 < offsets.min() == offsets.max() < 0.3


def test_a_face_beside_the_picture_changes_nothing(cheeks, points):
    away = points - np.array([2000.0, 2000.0, 0.0], np.float32)
    offsets = cheeks.follow(NONE, plain((80, 110, 150)), plain(), away, WIDTH_PX, SEEN, 1.0)
    np.testing.assert_array_equal(offsets, NONE)


def test_light_that_lags_behind_on_purpose_is_not_made_up_for(cheeks, points):
    drawn = plain((42, 52, 72), light=(42, 52, 72))
    np.testing.assert_allclose(
        cheeks.follow(NONE, drawn, plain(), points, WIDTH_PX, SEEN, 1.0), NONE, atol=0.01
    )
