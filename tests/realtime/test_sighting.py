from dataclasses import replace

import numpy as np
import pytest

from engines.models.face_finder import LocatedFace
from engines.models.face_landmark import square_from_landmarks
from realtime import geometry
from realtime.sighting import (
    believable,
    can_be_same,
    distance_px,
    is_same_place,
    is_steady,
    likelier,
    right_way_up,
    sighting_in,
)


def landmarks(x=320.0, y=240.0, scale=60.0):
    table = np.array(geometry._RIGID_POINTS)
    points = np.zeros((468, 3))
    points[table[:, 0].astype(int)] = table[:, 1:]
    return (scale * points + (x, y, 0)).astype(np.float32)


def sighting(x=320.0, y=240.0, scale=60.0):
    found = believable(landmarks(x, y, scale), 1.0, width_px=640, height_px=480)
    assert found is not None
    return found


def test_a_head_in_view_is_believed_and_measured():
    found = believable(landmarks(), 0.75, width_px=640, height_px=480)
    assert found is not None
    assert found.score == 0.75
    assert found.box == pytest.approx(geometry.bounding_box(landmarks()))
    assert found.side_px == pytest.approx(found.box[2] - found.box[0])
    assert (found.pose.yaw, found.pose.pitch, found.pose.roll) == pytest.approx((0, 0, 0), abs=0.01)
    assert found.misfit == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_landmarks_that_are_no_numbers_are_not_believed(bad):
    points = landmarks()
    points[200, 2] = bad
    assert believable(points, 1.0, width_px=640, height_px=480) is None


@pytest.mark.parametrize(
    "points",
    [
        landmarks(scale=4.0),
        landmarks(x=-60),
        landmarks(y=5000),
        np.full((468, 3), 100.0, np.float32),
        landmarks() + np.random.default_rng(0).normal(0, 40, (468, 3)).astype(np.float32),
        landmarks() * np.array([1, 0.05, 1], np.float32),
    ],
    ids=["tiny", "mostly out at the side", "far below", "one point", "scattered", "flattened"],
)
def test_what_cannot_be_a_face_in_view_is_not_believed(points):
    assert believable(points, 1.0, width_px=640, height_px=480) is None


def test_a_face_may_be_the_same_after_a_step_and_not_after_a_leap_or_a_change_of_size():
    here = sighting()
    assert can_be_same(sighting(x=320 + here.side_px), here)
    assert not can_be_same(sighting(x=320 + 1.3 * here.side_px), here)
    assert can_be_same(sighting(scale=85), here)
    assert can_be_same(here, sighting(scale=85))
    assert not can_be_same(sighting(scale=95), here)
    assert not can_be_same(here, sighting(scale=95))


def test_a_face_is_steady_while_it_keeps_place_size_and_shape():
    here = sighting()
    assert is_steady(sighting(x=325), here)
    assert not is_steady(sighting(x=320 + 0.3 * here.side_px), here)
    assert not is_steady(sighting(scale=75), here)
    assert not is_steady(replace(here, misfit=0.1), replace(here, misfit=0.05))
    assert is_steady(replace(here, misfit=0.1), replace(here, misfit=0.09))


def test_a_head_turned_far_may_be_as_far_from_its_shape_again(sitter):
    points = sitter.landmarks(width_px=180.0, centre=(320.3, 240.4), yaw=50.0)
    profile = replace(sighting_of(points), misfit=0.05)
    assert is_steady(replace(profile, misfit=0.11), profile)
    assert not is_steady(replace(profile, misfit=0.13), profile)


def test_a_face_within_another_is_at_the_same_place_and_a_neighbour_is_not():
    here = sighting()
    assert is_same_place(sighting(scale=30), here)
    assert is_same_place(here, sighting(scale=30))
    assert not is_same_place(sighting(x=320 + 0.6 * here.side_px), here)
    assert distance_px(sighting(x=323, y=244), here) == pytest.approx(5)


@pytest.mark.parametrize(
    ("score", "misfit", "is_turned"),
    [(0.99, 0.05, True), (0.99, 0.15, False), (0.9, 0.05, False), (0.95, 0.1, False)],
)
def test_a_face_is_turned_over_only_if_all_speaks_for_it(score, misfit, is_turned):
    found = replace(sighting(), score=0.95, misfit=0.1)
    over = replace(sighting(), score=score, misfit=misfit)
    assert right_way_up(found, over) is (over if is_turned else found)
    assert right_way_up(found, None) is found


def sighting_of(points):
    found = believable(points, 1.0, width_px=640, height_px=480)
    assert found is not None
    return found


def test_a_face_that_looks_ahead_is_looked_for_in_the_square_around_it(sitter):
    points = sitter.landmarks(width_px=180.0, centre=(320.3, 240.4), roll=8.0)
    assert sighting_of(points).square == square_from_landmarks(points)


@pytest.mark.parametrize("yaw", [-50.0, 50.0])
def test_the_square_around_a_turned_head_whose_points_are_drawn_together_does_not_shrink(
    sitter, yaw
):
    points = sitter.landmarks(width_px=180.0, centre=(320.3, 240.4), yaw=yaw)
    together = points.copy()
    together[:, 1] += 0.3 * (points[:, 1].mean() - points[:, 1])
    found = sighting_of(together)
    around = square_from_landmarks(together)
    assert found.square.side_px == pytest.approx(4.6 * found.head_px)
    assert found.square.side_px > 1.05 * around.side_px
    assert (found.square.x_px, found.square.y_px) == (around.x_px, around.y_px)


def test_eye_corners_that_lean_alone_hardly_lean_the_square_of_a_turned_head(sitter):
    points = sitter.landmarks(width_px=180.0, centre=(320.3, 240.4), yaw=50.0)
    leaning = points.copy()
    leaning[33, 1] += 10.0
    by_eyes = [square_from_landmarks(p).angle_rad for p in (points, leaning)]
    by_head = [sighting_of(p).square.angle_rad for p in (points, leaning)]
    assert by_head[0] == pytest.approx(by_eyes[0], abs=0.01)
    assert abs(by_head[1] - by_head[0]) < 0.25 * abs(by_eyes[1] - by_eyes[0])


@pytest.mark.parametrize(("yaw", "turn"), [(0.0, 0.0), (-10.0, 0.0), (22.5, 0.5), (-50.0, 1.0)])
def test_a_head_counts_as_turned_by_its_yaw_to_either_side(sitter, yaw, turn):
    points = sitter.landmarks(width_px=180.0, centre=(320.3, 240.4), yaw=yaw)
    assert sighting_of(points).turn == pytest.approx(turn, abs=0.03)


def test_nobody_is_sighted_where_nobody_was_located():
    image = np.zeros((480, 640, 3), np.uint8)
    assert sighting_in(image, None) is None
    assert sighting_in(image, LocatedFace(landmarks(x=-60), 1.0)) is None
    found = sighting_in(image, LocatedFace(landmarks(), 0.75))
    assert found is not None
    assert found.score == 0.75


def test_a_detection_that_jumps_to_what_is_less_a_head_confirms_the_face_that_is_followed():
    last = replace(sighting(scale=80), misfit=0.05)
    followed = replace(sighting(x=323, scale=80), misfit=0.06)
    drawn_together = replace(sighting(scale=60), misfit=0.1)
    assert likelier(followed, drawn_together, last) is followed
    too_small = replace(sighting(scale=50), misfit=0.03)
    assert likelier(followed, too_small, last) is followed


@pytest.mark.parametrize(
    ("followed", "recovered"),
    [
        ({"x": 323, "scale": 80}, {"x": 322, "scale": 79, "misfit": 0.06}),
        ({"x": 323, "scale": 80, "misfit": 0.12}, {"scale": 60}),
        ({"x": 323, "scale": 80}, {"scale": 60, "misfit": 0.03}),
        ({"x": 323, "scale": 80}, {"x": 600, "scale": 60}),
        ({"x": 323, "scale": 120}, {"x": 322, "scale": 60}),
    ],
    ids=["no jump", "followed badly", "more like a head", "elsewhere", "followed leaps"],
)
def test_what_a_detector_sees_counts_unless_all_speaks_against_it(followed, recovered):
    def seen(x=320.0, scale=60.0, misfit=0.05):
        return replace(sighting(x=x, scale=scale), misfit=misfit)

    here, there = seen(**followed), seen(**{"misfit": 0.1, **recovered})
    assert likelier(here, there, seen(scale=80)) is there
