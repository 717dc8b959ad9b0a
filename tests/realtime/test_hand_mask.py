from importlib import util
from pathlib import Path

import numpy as np
import pytest

from realtime.hand_mask import draw_hand, palm_length

_SPEC = util.spec_from_file_location("hands", Path(__file__).with_name("hands.py"))
hands_of = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hands_of)
flat_hand = hands_of.flat_hand

IDENTITY = np.eye(2, 3)


def drawn(points, size=200, matrix=IDENTITY):
    mask = np.zeros((size, size), np.uint8)
    draw_hand(points, matrix, out=mask)
    return mask


def test_palm_fingers_and_a_piece_of_arm_are_covered_and_the_gaps_are_not():
    points = flat_hand(100.0, 150.0, 50.0)
    mask = drawn(points)
    for x, y in points[:, :2]:
        assert mask[round(float(y)), round(float(x))] == 255
    assert mask[165, 100] == 255
    between = (points[8, :2] + points[20, :2]) / 2 + (0, -20)
    assert mask[round(float(between[1])), round(float(between[0]))] == 0
    assert mask[:30].sum() == 0
    assert mask[190:].sum() == 0


@pytest.mark.parametrize("angle_deg", [30, 90, 200])
def test_a_turned_hand_covers_as_much(angle_deg):
    upright = drawn(flat_hand(100.0, 100.0, 40.0)).mean()
    turned = drawn(flat_hand(100.0, 100.0, 40.0, np.radians(angle_deg))).mean()
    assert turned == pytest.approx(upright, rel=0.03)


def test_a_hand_of_twice_the_size_covers_four_times_as_much():
    small = drawn(flat_hand(100.0, 120.0, 25.0)).mean()
    large = drawn(flat_hand(100.0, 150.0, 50.0)).mean()
    assert large == pytest.approx(4 * small, rel=0.15)


def test_the_mask_has_pixels_of_its_own():
    points = flat_hand(100.0, 150.0, 50.0)
    half = drawn(points, 100, np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    whole = drawn(points)
    # Whole pixels of line width make the smaller one a little plumper.
    assert half.mean() == pytest.approx(whole.mean(), rel=0.12)


def test_a_palm_seen_from_the_side_keeps_its_length():
    points = flat_hand(0.0, 0.0, 50.0)
    points[:, 1] *= 0.2
    assert palm_length(points) > 40
