import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import geometry
from realtime.geometry import (
    apply,
    bounding_box,
    box_area,
    box_overlap,
    compose,
    fit_head,
    fit_similarity,
    head_misfit,
    head_pose,
    invert,
    iou,
)

angles = st.floats(-3.1, 3.1)
shifts = st.floats(-500, 500)


def turn(axis, angle):
    """Right-handed rotation about an axis of space; x right, y down, z away."""
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def head(rotation=None, scale=80.0, shift=(320.0, 240.0, 0.0)):
    """468 landmarks whose rigid points are exactly those of the neutral head, moved."""
    table = np.array(geometry._RIGID_POINTS)
    points = np.zeros((468, 3))
    points[table[:, 0].astype(int)] = table[:, 1:]
    rotation = np.eye(3) if rotation is None else rotation
    return (scale * points @ rotation.T + shift).astype(np.float32)


@given(angles, angles, st.floats(0.05, 20), shifts, st.integers(0, 1000))
def test_a_similarity_of_space_is_recovered_from_its_points(a, b, scale, shift, seed):
    points = np.random.default_rng(seed).normal(size=(6, 3))
    rotation = turn(0, a) @ turn(1, b)
    fitted = fit_similarity(points, scale * points @ rotation.T + shift)
    assert fitted.scale == pytest.approx(scale, rel=1e-6)
    assert fitted.rotation == pytest.approx(rotation, abs=1e-6)
    assert fitted.shift == pytest.approx(np.full(3, shift), abs=1e-5)


@given(angles, st.floats(0.05, 20), shifts, shifts)
def test_the_matrix_of_a_fit_takes_the_points_where_they_belong(angle, scale, x, y):
    a = np.array([[0.0, 0], [10, 0], [3, 7], [-2, 5]])
    b = scale * a @ turn(2, angle)[:2, :2].T + (x, y)
    assert apply(fit_similarity(a, b).b_from_a, a) == pytest.approx(b, abs=1e-6)


def test_no_small_turn_or_stretch_fits_noisy_points_better():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(8, 2))
    b = 2 * a + rng.normal(scale=0.3, size=(8, 2))
    fitted = fit_similarity(a, b)

    def error(scale, angle):
        placed = scale * a @ (turn(2, angle)[:2, :2] @ fitted.rotation).T
        return ((placed - placed.mean(0) - (b - b.mean(0))) ** 2).sum()

    best = error(fitted.scale, 0)
    for step in (-0.01, 0.01):
        assert error(fitted.scale + step, 0) > best
        assert error(fitted.scale, step) > best


def test_mirrored_points_are_fitted_by_a_rotation_and_never_by_a_reflection():
    a = np.random.default_rng(0).normal(size=(9, 3))
    fitted = fit_similarity(a, a * (-1, 1, 1))
    assert np.linalg.det(fitted.rotation) == pytest.approx(1)
    assert fitted.scale < 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones((5, 2)), np.zeros((5, 2))),
        (np.eye(3), np.eye(3)[:2]),
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros(4), np.zeros(4)),
    ],
)
def test_points_that_fix_no_similarity_are_refused(a, b):
    with pytest.raises(ValueError, match="fit_similarity: "):
        fit_similarity(a, b)


def test_maps_are_composed_right_to_left_and_undone_by_their_inverse():
    b_from_a = np.array([[2.0, 0, 5], [0, 3, -1]])
    c_from_b = np.array([[0.0, -1, 7], [1, 0, 2]])
    points = np.array([[1.0, 2], [-3, 4]])
    assert apply(compose(c_from_b, b_from_a), points) == pytest.approx(
        apply(c_from_b, apply(b_from_a, points))
    )
    assert apply(invert(b_from_a), apply(b_from_a, points)) == pytest.approx(points)


def test_overlaps_agree_with_counting_pixels():
    rng = np.random.default_rng(2)
    corners = rng.integers(0, 30, (12, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1).astype(np.float32)
    masks = np.zeros((12, 30, 30), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    shared = (masks[:, None] & masks[None]).sum(axis=(2, 3))
    union = (masks[:, None] | masks[None]).sum(axis=(2, 3))
    assert box_area(boxes) == pytest.approx(masks.sum(axis=(1, 2)))
    assert box_overlap(boxes[:5], boxes) == pytest.approx(shared[:5])
    assert iou(boxes, boxes[:7]) == pytest.approx((shared / np.maximum(union, 1))[:, :7])


def test_the_bounding_box_takes_in_every_point_and_leaves_depth_out():
    points = np.array([[3, 9, -50], [-1, 4, 70], [2, 12, 0]], np.float32)
    assert bounding_box(points) == pytest.approx([-1, 4, 3, 12])


@given(st.floats(-80, 80), st.floats(-60, 60), st.floats(-179, 179))
def test_the_pose_of_a_turned_head_is_recovered(yaw, pitch, roll):
    # Roll about the nose first, then pitch, then yaw. With y down and z away from the camera a
    # positive turn about z is clockwise; a raised nose (at -z) is a negative turn about x and a
    # nose to the right a negative turn about y.
    rotation = turn(1, -np.radians(yaw)) @ turn(0, -np.radians(pitch)) @ turn(2, np.radians(roll))
    pose = head_pose(fit_head(head(rotation)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=0.05)


@pytest.mark.parametrize(
    ("axis", "angle", "name", "moved"),
    [(1, -0.5, "yaw", (1, 0)), (0, -0.5, "pitch", (0, -1)), (2, 0.5, "roll", None)],
)
def test_signs_are_as_seen_in_the_picture(axis, angle, name, moved):
    landmarks = head(turn(axis, angle))
    pose = head_pose(fit_head(landmarks))
    assert getattr(pose, name) == pytest.approx(np.degrees(0.5), abs=0.1)
    if moved is None:
        right_eye, left_eye = landmarks[33], landmarks[263]
        assert left_eye[1] > right_eye[1]  # clockwise: the picture's right end goes down
    else:
        nose = (landmarks[4] - head()[4])[:2]
        assert nose @ moved > 10


def test_a_head_fits_itself_and_scattered_points_do_not():
    landmarks = head(turn(1, 0.4), scale=33)
    assert head_misfit(landmarks, fit_head(landmarks)) == pytest.approx(0, abs=1e-5)
    scattered = landmarks + np.random.default_rng(0).normal(scale=33, size=(468, 3))
    scattered = scattered.astype(np.float32)
    assert head_misfit(scattered, fit_head(scattered)) > 0.5


def test_the_misfit_of_a_head_does_not_depend_on_its_size_or_place():
    rng = np.random.default_rng(3)
    landmarks = head() + rng.normal(scale=5, size=(468, 3)).astype(np.float32)
    misfit = head_misfit(landmarks, fit_head(landmarks))
    moved = 4 * landmarks + np.float32(77)
    assert head_misfit(moved, fit_head(moved)) == pytest.approx(misfit, rel=1e-3)
    assert misfit > 0.05
