import cv2
import numpy as np
import pytest

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OPENINGS, RIGHT_EYE
from realtime.face_openings import draw_openings, may_be_hidden, opening_zone
from realtime.face_zones import MAP_PX
from realtime.head_motion import HeadState
from realtime.puppet_rig import rotation

pytestmark = pytest.mark.models

SIZE = (200, 240)


def head(mesh, lift_px=0.0, lean=0.0, **state):
    """The neutral head in a pose, its upper lids raised, leaning in the plane of the picture."""
    points = mesh.neutral * 80.0
    for eye in (RIGHT_EYE, LEFT_EYE):
        points[list(eye[:8:-1]), 1] -= lift_px
    points = points @ rotation(HeadState(**state)).T
    points = points @ rotation(HeadState(roll=lean)).T
    points[:, :2] += (100, 120)
    return points.astype(np.float32)


def drawn(points):
    """The openings in a picture of the whole crop."""
    openings = draw_openings(SIZE, points, 150.0)
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[openings.rows, openings.columns] = openings.mask
    return mask


def inside(points, ring):
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(points[list(ring), :2]).astype(np.int32)], 255)
    return mask > 0


def test_eyes_that_are_open_are_open_and_shut_lips_are_not(mesh):
    points = head(mesh, lift_px=8.0)
    mask = drawn(points)
    for eye in (RIGHT_EYE, LEFT_EYE):
        middle = cv2.erode(inside(points, eye).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert mask[middle].min() > 200
        # The upper rim stays covered.
        assert mask[inside(points, eye)].mean() < 200
    assert mask[inside(points, INNER_LIPS)].max() < 140
    outside = ~np.logical_or.reduce([inside(points, ring) for ring in OPENINGS])
    assert mask[outside].mean() < 1


def test_lashes_of_the_upper_lid_are_drawn_and_the_white_above_the_lower_one_is_not(mesh):
    points = head(mesh, lift_px=8.0)
    mask = drawn(points)
    for eye in (RIGHT_EYE, LEFT_EYE):
        across, top, bottom = (
            int(v) for v in (points[eye[12], 0], points[eye[12], 1], points[eye[4], 1])
        )
        column = mask[top:bottom, across] > 127
        above = int(np.argmax(column))
        below = int(np.argmax(column[::-1]))
        assert column.any()
        assert above >= below + 1


def test_lids_that_are_all_but_shut_are_shut(mesh):
    points = head(mesh)
    lids = (list(RIGHT_EYE), list(LEFT_EYE))
    for eye in lids:
        points[eye, 1] = points[eye, 1].mean()
    assert drawn(points)[:130].max() < 60


@pytest.mark.parametrize("shift", [(0, 0), (-90, 0), (60, -100), (75, 60)])
def test_they_are_the_same_wherever_the_edge_of_the_crop_is(mesh, shift):
    points = head(mesh, lift_px=8.0)
    points[list(INNER_LIPS[11:])] -= (0, 6, 0)
    whole = drawn(points)
    moved = points + np.array((*shift, 0), np.float32)
    across, down = shift
    expected = np.zeros_like(whole)
    rows = slice(max(down, 0), SIZE[1] + min(down, 0))
    columns = slice(max(across, 0), SIZE[0] + min(across, 0))
    from_rows = slice(max(-down, 0), SIZE[1] - max(down, 0))
    from_columns = slice(max(-across, 0), SIZE[0] - max(across, 0))
    expected[rows, columns] = whole[from_rows, from_columns]
    # What is cut off there ends a little otherwise.
    inner = (slice(6, -6), slice(6, -6))
    np.testing.assert_array_equal(drawn(moved)[inner], expected[inner])


def test_beside_the_crop_there_are_none(mesh):
    for shift in ((-500, 0), (500, 0), (0, -500), (0, 500)):
        points = head(mesh, lift_px=8.0) + np.array((*shift, 0), np.float32)
        assert draw_openings(SIZE, points, 150.0) is None


def test_on_the_map_openings_and_what_is_close_to_them_are_marked(mesh):
    zone = opening_zone(mesh)
    assert zone.shape == (MAP_PX, MAP_PX)
    for ring in OPENINGS:
        x, y = np.round(mesh.layout[list(ring)] * MAP_PX - 0.5).astype(int).T
        assert zone[y, x].min() == 255
    nose_x, nose_y = np.round(mesh.layout[[1, 6, 168]] * MAP_PX).astype(int).T
    assert zone[nose_y, nose_x].max() == 0
    assert (zone > 0).mean() < 0.1


@pytest.mark.parametrize("lean", [0.0, 90.0, 180.0])
@pytest.mark.parametrize("pitch", [-20.0, 0.0, 20.0])
def test_only_a_turn_to_the_side_hides_an_eye(mesh, pitch, lean):
    for yaw, hidden in ((0.0, False), (18.0, False), (-18.0, False), (35.0, True), (-50.0, True)):
        assert may_be_hidden(head(mesh, lean=lean, yaw=yaw, pitch=pitch)) == hidden
