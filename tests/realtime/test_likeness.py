import numpy as np
import pytest

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OVAL, RIGHT_EYE
from realtime.likeness import Likeness, ShapeMemory

pytestmark = pytest.mark.models

# Pairs of points above and below each other, between the corners of each opening.
GAPS = {
    "mouth": (INNER_LIPS[1:10], INNER_LIPS[:10:-1]),
    "right eye": (RIGHT_EYE[1:8], RIGHT_EYE[:8:-1]),
    "left eye": (LEFT_EYE[1:8], LEFT_EYE[:8:-1]),
}
CORNERS = [33, 133, 362, 263, 78, 308]


@pytest.fixture(scope="module")
def source(mesh):
    """A narrower face with a longer nose, a wider mouth that is open, and eyes set apart."""
    shape = mesh.neutral.astype(np.float64)
    shape[:, 0] *= 0.9
    shape[4] += (0.0, 0.06, -0.05)
    shape[list(INNER_LIPS), 0] *= 1.2
    shape[list(INNER_LIPS[1:10]), 1] += 0.08
    shape[list(RIGHT_EYE), 0] -= 0.05
    shape[list(LEFT_EYE), 0] += 0.05
    return shape.astype(np.float32)


@pytest.fixture
def likeness(mesh, zones):
    return Likeness(mesh, zones, 0.9)


def place(likeness, landmarks, source):
    """One frame on its own: the target's shape at rest is that of the frame."""
    rest = likeness.rest(landmarks)
    return likeness.place(landmarks, rest.fit, rest.shape, source)


def test_the_shape_at_rest_is_free_of_pose_size_and_place(likeness, mesh, sitter):
    landmarks = sitter.landmarks(width_px=77, centre=(500, -20), yaw=30, pitch=12, roll=-50)
    rest = likeness.rest(landmarks).shape
    assert rest.shape == (468, 3)
    np.testing.assert_allclose(rest, mesh.neutral, atol=1e-5)


def test_without_strength_the_targets_shape_stays(mesh, zones, sitter, source):
    landmarks = sitter.landmarks(yaw=20, mouth_open=0.1)
    drawn = place(Likeness(mesh, zones, 0.0), landmarks, source)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, landmarks, atol=1e-4)


def test_a_person_with_the_same_shape_changes_nothing(likeness, mesh, sitter):
    landmarks = sitter.landmarks(pitch=-10)
    np.testing.assert_allclose(place(likeness, landmarks, mesh.neutral), landmarks, atol=1e-2)


def test_the_outline_of_the_face_stays(likeness, sitter, source):
    landmarks = sitter.landmarks(yaw=-15)
    drawn = place(likeness, landmarks, source)
    np.testing.assert_allclose(drawn[list(OVAL)], landmarks[list(OVAL)], atol=0.5)
    assert np.abs(drawn - landmarks)[CORNERS].max() > 3


def test_the_middle_of_the_face_takes_the_sources_shape(mesh, zones, sitter, source):
    landmarks = sitter.landmarks(width_px=200)
    scale_px = 200 / np.ptp(mesh.neutral[:, 0])
    drawn = place(Likeness(mesh, zones, 1.0), landmarks, source)
    # The landmarks are taken to show 0.83 of what two faces differ by; all of it is drawn.
    wanted = scale_px * (source - mesh.neutral)[4] / 0.83
    np.testing.assert_allclose((drawn - landmarks)[4], wanted, atol=0.05)
    half = place(Likeness(mesh, zones, 0.5), landmarks, source)
    np.testing.assert_allclose(half - landmarks, (drawn - landmarks) / 2, atol=1e-3)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mouth_open", [0.0, 0.2])
@pytest.mark.parametrize("opening", GAPS)
def test_eyes_and_mouth_open_as_far_as_the_targets(
    mesh, zones, sitter, source, strength, mouth_open, opening
):
    landmarks = sitter.landmarks(mouth_open=mouth_open)
    drawn = place(Likeness(mesh, zones, strength), landmarks, source)
    below, above = (list(points) for points in GAPS[opening])
    gaps = landmarks[below, 1] - landmarks[above, 1]
    assert gaps.max() > 1
    np.testing.assert_allclose(drawn[below, 1] - drawn[above, 1], gaps, atol=0.02)


def test_a_shut_eye_is_drawn_shut(likeness, sitter, source):
    landmarks = sitter.landmarks()
    below, above = (list(points) for points in GAPS["left eye"])
    landmarks[above] = landmarks[below]
    drawn = place(likeness, landmarks, source)
    np.testing.assert_allclose(drawn[below, 1], drawn[above, 1], atol=0.02)


def test_a_turn_and_a_shift_of_the_target_turn_and_shift_the_result(likeness, mesh, sitter, source):
    straight = sitter.landmarks(centre=(0.0, 0.0))
    turned = sitter.landmarks(width_px=270, centre=(300.0, 100.0), yaw=25, pitch=-10, roll=40)
    # The same rigid motion, read off the target itself, must take one result to the other.
    one, other = (points - points.mean(axis=0) for points in (straight, turned))
    left, _, right = np.linalg.svd(other.T @ one)
    rotation = left @ right
    np.testing.assert_allclose(1.5 * one @ rotation.T, other, atol=1e-2)
    drawn = place(likeness, straight, source) - straight.mean(axis=0)
    expected = 1.5 * drawn @ rotation.T + turned.mean(axis=0)
    np.testing.assert_allclose(place(likeness, turned, source), expected, atol=0.05)


def test_an_expression_is_carried_over_when_the_shape_at_rest_is_known(
    likeness, sitter, source, mesh
):
    rest = likeness.rest(sitter.landmarks())
    still, speaking = sitter.landmarks(), sitter.landmarks(mouth_open=0.15)
    at_rest = likeness.place(still, likeness.rest(still).fit, rest.shape, source)
    at_speech = likeness.place(speaking, likeness.rest(speaking).fit, rest.shape, source)
    moved = speaking - still
    chin = [152, 17, 14]
    np.testing.assert_allclose((at_speech - at_rest)[chin], moved[chin], atol=1.0)


def test_nothing_given_is_changed(likeness, sitter, source):
    landmarks = sitter.landmarks()
    rest = likeness.rest(landmarks)
    before = landmarks.copy(), rest.shape.copy(), source.copy()
    likeness.place(landmarks, rest.fit, rest.shape, source)
    for given, copy in zip((landmarks, rest.shape, source), before, strict=True):
        np.testing.assert_array_equal(given, copy)


def shape_of(value):
    return np.full((468, 3), value, np.float64)


def test_the_first_frames_count_alike():
    memory = ShapeMemory()
    means = [memory.learn(shape_of(value), 1 / 30)[0, 0] for value in (3.0, 6.0, 0.0, 7.0)]
    assert means == pytest.approx([3, 4.5, 3, 4])


def test_half_of_the_memory_is_renewed_in_three_seconds():
    memory = ShapeMemory()
    for _ in range(1000):
        memory.learn(shape_of(0.02), 0.1)
    for _ in range(30):
        mean = memory.learn(shape_of(0.0), 0.1)
    assert mean[0, 0] == pytest.approx(0.01, abs=0.0002)


def test_after_a_long_gap_the_present_counts_most():
    memory = ShapeMemory()
    for _ in range(50):
        memory.learn(shape_of(0.02), 0.1)
    assert memory.learn(shape_of(0.0), 30.0)[0, 0] < 0.0002


def test_what_is_learnt_is_a_copy():
    memory = ShapeMemory()
    first = shape_of(1.0)
    memory.learn(first, 0.0)
    memory.learn(shape_of(3.0), 0.0)
    assert (first == 1.0).all()


def test_a_shape_is_trusted_less_the_farther_the_head_is_turned(likeness, sitter):
    trusts = [likeness.rest(sitter.landmarks(yaw=yaw)).trust for yaw in (0, 15, 25, 35, -35, 60)]
    assert trusts[:2] == pytest.approx([1.0, 1.0])
    assert 0.3 < trusts[2] < 1.0
    assert trusts[3] == pytest.approx(trusts[4], abs=0.02)
    assert 0.1 < trusts[3] < trusts[2] - 0.3
    assert trusts[5] == pytest.approx(0.02)


def test_a_second_in_profile_hardly_changes_what_is_known_of_a_face():
    memory = ShapeMemory()
    for _ in range(90):
        memory.learn(shape_of(1.0), 1 / 30)
    for _ in range(30):
        mean = memory.learn(shape_of(0.0), 1 / 30, trust=0.02)
    assert mean[0, 0] > 0.99


def test_an_expression_of_half_a_second_is_hardly_taken_for_the_persons_shape():
    memory = ShapeMemory()
    for _ in range(10):
        memory.learn(shape_of(0.0), 1 / 30)
    for _ in range(15):
        mean = memory.learn(shape_of(0.3), 1 / 30)
    moved = np.linalg.norm(mean, axis=1)
    assert moved == pytest.approx(0.03 * 15 / 30, abs=1e-6)


def test_frames_of_little_trust_do_not_make_a_shape_known():
    memory = ShapeMemory()
    for _ in range(200):
        memory.learn(shape_of(0.3), 1 / 30, trust=0.02)
    assert memory.learn(shape_of(0.0), 1 / 30)[0, 0] < 0.8 * 0.3 + 0.001


def test_an_open_mouth_says_little_of_how_lips_and_chin_rest(likeness, mesh):
    trusts = []
    for open_by in (0.0, 0.05, 0.1, 0.4):
        landmarks = mesh.neutral.astype(np.float64) * 100
        landmarks[list(INNER_LIPS[1:10]), 1] += 100 * open_by
        trusts.append(likeness.rest(landmarks.astype(np.float32)).trust)
    assert trusts[0] == pytest.approx(1.0)
    assert trusts == sorted(trusts, reverse=True)
    assert trusts[3] == pytest.approx(0.02)


def test_what_was_seen_in_profile_alone_makes_way_for_the_front():
    memory = ShapeMemory()
    for _ in range(60):
        profile = memory.learn(shape_of(0.0), 1 / 30, trust=0.02)[0, 0]
    for _ in range(10):
        front = memory.learn(shape_of(0.02), 1 / 30)[0, 0]
    assert profile == 0.0
    assert front > 0.85 * 0.02
