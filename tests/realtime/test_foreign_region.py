import numpy as np
import pytest

from realtime.face_plate import Comparison
from realtime.foreign_region import foreign_cells
from realtime.skin_light import GRID

FACE = np.zeros((GRID, GRID), bool)
FACE[6:42, 8:40] = True


def compared(foreign=(), strength=2.0, hands=(), unjudged=(), look=0.0):
    """A look at a face with rectangles (top, bottom, left, right) on it."""

    def cells(boxes):
        found = np.zeros((GRID, GRID), bool)
        for top, bottom, left, right in boxes:
            found[top:bottom, left:right] = True
        return found

    covered, blind, hidden = cells(foreign), cells(unjudged), cells(hands)
    looks = np.where((covered | blind)[..., None], 1.0 + look, 0.0) * np.ones(3)
    judged = FACE & ~blind
    return Comparison(
        (strength * (covered & judged)).astype(np.float32),
        looks.astype(np.float32),
        FACE,
        judged,
        hidden,
    )


def found_in(comparison, settled=None):
    return foreign_cells(comparison, comparison.strength if settled is None else settled)


def test_a_region_that_reaches_in_from_outside_is_found_whole():
    comparison = compared([(20, 26, 8, 30)])
    assert (found_in(comparison) == (comparison.strength > 0)).all()


@pytest.mark.parametrize(
    "box",
    [(20, 26, 15, 30), (20, 24, 8, 12), (0, 5, 0, 48)],
    ids=["an island", "a few cells", "beside the face"],
)
def test_other_regions_are_chance(box):
    assert not found_in(compared([box])).any()


def test_what_has_not_stayed_for_a_moment_does_not_count_without_a_hand():
    comparison = compared([(20, 26, 8, 30)])
    assert not found_in(comparison, settled=0.5 * comparison.strength * 0.9).any()


def test_what_a_hand_holds_counts_at_once_and_only_around_the_hand():
    held = compared([(6, 30, 20, 26)], hands=[(31, 42, 18, 28)])
    found = found_in(held, settled=np.zeros((GRID, GRID), np.float32))
    assert found[20:30, 20:26].all()
    assert not found[6:11].any()
    assert not found[held.hands].any()
    far = compared([(8, 18, 20, 26)], hands=[(31, 42, 18, 28)])
    assert not found_in(far, settled=np.zeros((GRID, GRID), np.float32)).any()


def test_lips_and_eyes_go_with_a_thing_of_their_colour_only():
    same = compared([(20, 30, 8, 24)], unjudged=[(22, 28, 24, 28)])
    assert found_in(same)[22:28, 24:28].all()
    other = compared([(20, 30, 8, 24)])
    other.judged[22:28, 24:28] = False
    assert not found_in(other)[22:28, 25:28].any()


def test_an_unjudged_hole_is_filled_and_a_hole_of_own_skin_is_not():
    ring = [(16, 34, 8, 14), (16, 34, 26, 32), (16, 22, 8, 32), (28, 34, 8, 32)]
    blind = compared(ring)
    blind.judged[22:28, 14:26] = False
    assert found_in(blind)[22:28, 14:26].all()
    assert not found_in(compared(ring))[24:26, 17:23].any()
