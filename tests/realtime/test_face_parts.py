from importlib import util
from pathlib import Path

import numpy as np
import pytest

from realtime.face_mesh import INNER_LIPS, LEFT_BROW, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from realtime.face_parts import (
    face_outline,
    face_width_px,
    kept_eyes,
    kept_mouth,
    openings,
    without_skin,
)

_SPEC = util.spec_from_file_location("portrait", Path(__file__).with_name("portrait.py"))
_PORTRAIT = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PORTRAIT)

SIZE = (320, 300)
POINTS = _PORTRAIT.neutral_landmarks()


def at(mask, ring):
    """The mask in the middle of a ring of points."""
    x, y = POINTS[list(ring), :2].mean(axis=0).round().astype(int)
    return int(mask[y, x])


def test_eyes_teeth_and_brows_are_no_skin():
    mask = without_skin(POINTS, SIZE)
    assert mask.shape == (300, 320)
    assert at(mask, LEFT_BROW) == 255
    assert at(openings(POINTS, SIZE), LEFT_BROW) == 0
    for ring in (RIGHT_EYE, LEFT_EYE):
        assert at(mask, ring) > 200
    nose, cheek = POINTS[4, :2].astype(int), POINTS[50, :2].astype(int)
    assert mask[nose[1], nose[0]] == mask[cheek[1], cheek[0]] == 0


def test_kept_eyes_reach_beyond_the_lids_and_leave_the_mouth():
    mask = kept_eyes(POINTS, SIZE)
    ring = POINTS[list(RIGHT_EYE), :2]
    lids = ring[:, 1].min() - 3, ring[:, 1].max() + 3
    x = round(float(ring[:, 0].mean()))
    assert all(mask[round(float(y)), x] > 200 for y in lids)
    assert at(mask, INNER_LIPS) == 0
    assert 0.01 < (mask > 127).mean() < 0.06


def test_a_kept_mouth_has_its_lips_and_leaves_the_eyes():
    mask = kept_mouth(POINTS, SIZE)
    for x, y in POINTS[list(OUTER_LIPS), :2].round().astype(int):
        assert mask[y, x] > 150
    assert at(mask, LEFT_EYE) == 0
    nose = POINTS[4, :2].astype(int)
    assert mask[nose[1], nose[0]] == 0


@pytest.mark.parametrize("draw", [kept_eyes, kept_mouth, without_skin])
def test_masks_are_soft_and_move_smoothly(draw):
    mask = draw(POINTS, SIZE).astype(int)
    assert ((mask > 0) & (mask < 255)).any()
    moved = POINTS + np.float32([0.25, 0.1, 0])
    assert np.abs(draw(moved, SIZE).astype(int) - mask).max() <= 80


def test_parts_beside_the_picture_draw_nothing():
    for draw in (kept_eyes, kept_mouth, without_skin):
        assert not draw(POINTS + np.float32([2000, 0, 0]), SIZE).any()
    assert not kept_eyes(np.zeros((468, 3), np.float32), SIZE)[5:].any()


def test_the_outline_reaches_from_beyond_the_chin_to_the_hair():
    mask = face_outline(POINTS, SIZE)
    for x, y in POINTS[:, :2]:
        assert mask[round(float(y)), round(float(x))] > 120
    chin, top = POINTS[152, :2], POINTS[10, :2]
    x = round(float(chin[0]))
    rows = np.flatnonzero(mask[:, x] > 127)
    assert 0.02 * 150 < rows[-1] - chin[1] < 0.1 * 150
    assert 0.12 * 150 < top[1] - rows[0] < 0.3 * 150
    assert mask[:, 0].max() == mask[0].max() == 0


def test_the_outline_turns_with_the_face():
    quarter = POINTS.copy()
    quarter[:, 0], quarter[:, 1] = POINTS[:, 1], 300 - POINTS[:, 0]
    turned = face_outline(quarter, (300, 301)).astype(int)
    upright = face_outline(POINTS, (301, 300)).astype(int)
    assert np.abs(np.rot90(upright) - turned).mean() < 1.0


def test_the_width_of_a_face_is_its_larger_side():
    assert face_width_px(POINTS) == pytest.approx(150, abs=0.1)
