import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, NUM_POINTS, OVAL, RIGHT_EYE, load_face_mesh
from realtime.geometry import fit_head, fit_similarity, head_pose
from realtime.head_motion import HeadState
from realtime.puppet_rig import build_rig, rotation

pytestmark = pytest.mark.models

AS_PICTURED = HeadState(mouth_open=0.3)


@pytest.fixture(scope="module")
def mesh():
    path = ModelLibrary().path("face_mesh_connections")
    return load_face_mesh(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rig(mesh):
    # A face 200 px wide in a picture, its lips a little apart.
    landmarks = (200 * mesh.neutral + (320, 240, 0)).astype(np.float32)
    lower = list(INNER_LIPS[1:10])
    landmarks[lower, 1] += 6
    return build_rig(mesh, landmarks)


def heights(points, ring, lower_length):
    lower = list(ring[1:lower_length])
    upper = list(ring[:lower_length:-1])
    return points[lower, 1] - points[upper, 1]


def test_the_portraits_own_state_leaves_every_point_where_it_was(rig):
    assert rig.pose(AS_PICTURED) == pytest.approx(rig.rest, abs=1e-6)


def test_landmarks_of_a_leaning_portrait_stay_where_they_were_found(mesh):
    landmarks = 200 * mesh.neutral @ rotation(HeadState(8, -9, 5)).T + (320, 240, 0)
    leaning = build_rig(mesh, landmarks.astype(np.float32))
    assert leaning.rest[:NUM_POINTS, :2] == pytest.approx(landmarks[:, :2], abs=1e-3)


def test_every_triangle_has_points_that_exist_and_none_is_flat(rig):
    for triangles in (rig.face, rig.around):
        assert 0 <= triangles.min() <= triangles.max() < len(rig.rest)
        assert (np.sort(triangles, axis=1)[:, :2] != np.sort(triangles, axis=1)[:, 1:]).all()
    assert set(np.unique(rig.around)) >= set(OVAL) | set(
        range(len(rig.carried) - 36, len(rig.rest))
    )


@pytest.mark.parametrize(
    "state", [HeadState(yaw=15, mouth_open=0.3), HeadState(-10, 6, 4, 0.1, -0.05, 0.1, 0.3)]
)
def test_the_head_moves_as_a_rigid_body_by_the_turn_asked_for(rig, state):
    moved, rest = rig.pose(state)[:NUM_POINTS], rig.rest[:NUM_POINTS]
    fit = fit_similarity(rest, moved)
    assert fit.rotation == pytest.approx(rotation(state), abs=1e-6)
    assert fit.scale == pytest.approx(1 + state.nearer)
    assert fit.scale * rest @ fit.rotation.T + fit.shift == pytest.approx(moved, abs=1e-6)


def test_the_signs_of_a_turn_are_those_of_a_pose():
    for state in (HeadState(yaw=20.0), HeadState(pitch=10.0), HeadState(roll=15.0)):
        head = np.zeros((NUM_POINTS, 3), np.float32)
        head[:] = np.random.default_rng(0).normal(size=head.shape)
        turned = (head @ rotation(state).T).astype(np.float32)
        fit = fit_similarity(head, turned)
        pose = head_pose(fit)
        expected = (state.yaw, state.pitch, state.roll)
        assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(expected, abs=0.01)


def test_what_lies_around_the_head_follows_less_and_less_and_then_stands_still(rig):
    rings = rig.carried[-9 * len(OVAL) :].reshape(9, len(OVAL))
    assert (np.diff(rings, axis=0) <= 0).all()
    assert (rings[0] == 1).all()
    assert (rings[-1] == 0).all()
    moved = rig.pose(HeadState(yaw=18, roll=6, shift_x=0.1, mouth_open=1.0))
    still = slice(len(rig.rest) - len(OVAL), None)
    assert moved[still] == pytest.approx(rig.rest[still], abs=1e-6)


def test_rings_do_not_cross_when_the_head_turns(rig):
    first = len(rig.rest) - 9 * len(OVAL)
    for state in (HeadState(yaw=18), HeadState(yaw=-18), HeadState(pitch=8), HeadState(roll=-6)):
        points = rig.pose(state)
        centre = rig.rest[list(OVAL), :2].mean(axis=0)
        rings = points[first:, :2].reshape(9, len(OVAL), 2) - centre
        # From the silhouette of the head outwards; within it surfaces may hide each other.
        assert (np.diff(np.linalg.norm(rings[3:], axis=-1), axis=0) > 0).all(), state


def test_lids_meet_and_lips_meet(rig):
    shut = rig.pose(HeadState(mouth_open=0.0, eyes_closed=1.0))
    for ring in (RIGHT_EYE, LEFT_EYE):
        before, after = heights(rig.rest, ring, 8), heights(shut, ring, 8)
        assert before.max() > 5
        assert np.abs(after).max() < 0.05 * before.max()
    assert (
        np.abs(heights(shut, INNER_LIPS, 10)).max()
        < 0.05 * heights(rig.rest, INNER_LIPS, 10).max() + 0.2
    )


def test_an_opening_mouth_lowers_the_chin_and_leaves_nose_and_upper_lip(rig):
    opened, rest = rig.pose(HeadState(mouth_open=1.0)), rig.rest
    chin, lower_lip, upper_lip, nose = 152, 14, 13, 4
    fall = (opened - rest)[:, 1] / rig.unit_px
    assert fall[chin] > 0.35
    assert fall[lower_lip] > 0.35
    assert abs(fall[upper_lip]) < 0.02
    assert abs(fall[nose]) < 0.001
    # The teeth hang from the upper jaw.
    assert np.abs(fall[rig.mouth_rows]).max() < 0.001


def test_rounding_narrows_the_mouth_and_spreading_widens_it(rig):
    def width(roundness):
        points = rig.pose(HeadState(mouth_open=0.3, mouth_round=roundness))
        return np.ptp(points[list(INNER_LIPS), 0])

    assert width(1.0) < 0.85 * width(0.0) < width(0.0) < width(-1.0)


def test_brows_rise_and_the_eyes_stay(rig):
    fall = (rig.pose(HeadState(mouth_open=0.3, brows_up=1.0)) - rig.rest)[:, 1] / rig.unit_px
    assert fall[105] < -0.08
    assert abs(fall[159]) < 0.06
    assert abs(fall[145]) < abs(fall[159])


def test_the_pose_of_a_turned_portrait_grows_by_the_turn(rig):
    landmarks = [
        rig.pose(HeadState(yaw=yaw, mouth_open=0.3))[:NUM_POINTS].astype(np.float32)
        for yaw in (0, 12)
    ]
    before, after = (head_pose(fit_head(points)) for points in landmarks)
    assert after.yaw - before.yaw == pytest.approx(12, abs=0.1)
