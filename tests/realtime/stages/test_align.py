from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from engines.errors import ModelError
from realtime.flow import DisFlow
from realtime.frame import Face, FaceState, Frame, PictureSpec, Pose
from realtime.geometry import apply, bounding_box, compose, fit_head, head_pose, invert
from realtime.memory import Memory
from realtime.stages.align import Align, AlignConfig
from realtime.steady import SteadyConfig

pytestmark = pytest.mark.models

SIDE_PX = 320
PERIOD_NS = 33_333_333
SPEC = PictureSpec(SIDE_PX, SIDE_PX, Fraction(30), live=False)
LIVE = PictureSpec(SIDE_PX, SIDE_PX, Fraction(30), live=True)
FACE_PX = 120.0


def pattern(seed=6):
    """``(640, 640, 3)`` smooth and coloured, larger than a picture on all sides."""
    noise = np.random.default_rng(seed).normal(0, 1, (640, 640, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return 128 + 45 * blurred / blurred.std()


WORLD, OTHER_WORLD = pattern(), pattern(seed=7)
WORLD_FROM_START = np.float64([[1, 0, 160], [0, 1, 160]])


def shifted(dx, dy):
    return np.float64([[1, 0, dx], [0, 1, dy]])


def turned(degrees, scale=1.0):
    return cv2.getRotationMatrix2D((160.0, 160.0), degrees, scale)


STILL = shifted(0, 0)


class Closing(DisFlow):
    """Says when it was closed."""

    def __init__(self):
        super().__init__()
        self.num_closed = 0

    def close(self):
        self.num_closed += 1


class Leaning(DisFlow):
    """Is off to the same side there and back."""

    def measure(self, before, now):
        off = np.float32([0.8, -0.4])
        backward, forward = super().measure(before, now)
        return backward + off, forward + off


@pytest.fixture
def opened(mesh):
    """Gives a function that opens a stage with settings."""

    def open_stage(spec=SPEC, **settings):
        stage = Align(AlignConfig(**settings), mesh.neutral, DisFlow)
        stage.open(spec, Memory())
        return stage

    return open_stage


@pytest.fixture
def start(sitter):
    """Landmarks before anything has moved."""
    return sitter.landmarks(width_px=FACE_PX, centre=(160.3, 160.4))


def moved(landmarks, matrix):
    """Landmarks taken along by a similarity of the plane."""
    out = landmarks.copy()
    out[:, :2] = apply(matrix, landmarks[:, :2])
    out[:, 2] *= np.linalg.norm(matrix[:, 0])
    return out


def picture(matrix, world=WORLD):
    """What is seen after everything has moved."""
    seen = cv2.warpAffine(
        world, compose(matrix, invert(WORLD_FROM_START)), (SIDE_PX, SIDE_PX), flags=cv2.INTER_CUBIC
    )
    return np.clip(np.round(seen), 0, 255).astype(np.uint8)


def face_at(landmarks, track_id=1, state=FaceState.SEEN):
    return Face(
        track_id=track_id,
        box=bounding_box(landmarks),
        landmarks=landmarks.copy(),
        score=0.99,
        pose=Pose(0, 0, 0),
        state=state,
        lost_ns=0 if state is FaceState.SEEN else PERIOD_NS,
    )


def show(stage, number, image, *faces, period_ns=PERIOD_NS):
    """One frame through the stage."""
    frame = Frame(image, seq=number, media_ns=number * period_ns, faces=list(faces))
    stage.process(frame)
    return frame.faces


def follow(stage, start, path, *, measured=None):
    """Shows a face along a path of matrices; what is measured is the truth unless given.

    Returns:
        The face in each frame.
    """
    faces = []
    for number, matrix in enumerate(path):
        landmarks = moved(start, matrix) if measured is None else measured[number]
        faces += show(stage, number, picture(matrix), face_at(landmarks))
    return faces


def follow_ahead(stage, start, path):
    """As ``follow``, the stage being told of each picture before its face is found."""
    faces = []
    for number, matrix in enumerate(path):
        image = picture(matrix)
        face = face_at(moved(start, matrix))
        stage.look_ahead(Frame(image, seq=number, media_ns=number * PERIOD_NS))
        faces += show(stage, number, image, face)
    return faces


def misses_px(motion, before, now):
    """How far from the truth a motion takes each pixel of the inner half of its crop."""
    side = len(motion.flow)
    inner = slice(side // 4, -(side // 4))
    rows, columns = (axis[inner, inner].ravel() for axis in np.indices((side, side)))
    pixels = np.stack([columns, rows], axis=-1)
    came_from = apply(invert(motion.before_from_image), pixels + motion.flow[rows, columns])
    truth = apply(compose(before, invert(now)), apply(invert(motion.crop_from_image), pixels))
    return np.linalg.norm(came_from - truth, axis=-1)


def test_motion_is_known_from_the_second_frame_on(opened, start):
    first, second = follow(opened(), start, [STILL, shifted(2, 1)])
    assert first.motion is None
    assert second.motion is not None
    np.testing.assert_array_equal(first.landmarks, start)


def test_a_face_that_goes_on_as_it_did_is_measured_where_it_was_expected(opened, start):
    stage = opened()
    path = [shifted(4 * n, -3 * n) for n in range(4)]
    *_, last = follow_ahead(stage, start, path)
    assert misses_px(last.motion, path[-2], path[-1]).mean() < 0.1
    # The view is cut around the place to which the last step leads.
    wanted = follow(opened(), start, path)[-1].motion
    np.testing.assert_allclose(last.motion.crop_from_image, wanted.crop_from_image, atol=1.001)
    np.testing.assert_allclose(last.landmarks, moved(start, path[-1]), atol=0.3)


@pytest.mark.parametrize("step", [shifted(38, 21), turned(3, 1.5)], ids=["leap", "near"])
def test_a_face_that_is_not_where_it_was_expected_is_looked_at_again(opened, start, step):
    *_, last = follow_ahead(opened(), start, [STILL, STILL, step])
    *_, wanted = follow(opened(), start, [STILL, STILL, step])
    np.testing.assert_array_equal(last.motion.crop_from_image, wanted.motion.crop_from_image)
    np.testing.assert_array_equal(last.landmarks, wanted.landmarks)


def test_flow_that_is_read_off_landmarks_waits_for_them(opened, start):
    *_, last = follow_ahead(opened(flow="mesh"), start, [STILL, shifted(3, 1)])
    *_, wanted = follow(opened(flow="mesh"), start, [STILL, shifted(3, 1)])
    np.testing.assert_array_equal(last.motion.crop_from_image, wanted.motion.crop_from_image)


@pytest.mark.parametrize(
    "step",
    [shifted(3.3, -1.6), shifted(-11, 7), turned(3), turned(-2, 1.03)],
    ids=["shift", "leap", "turn", "near"],
)
@pytest.mark.parametrize("view_px", [224, 96])
def test_motion_says_where_each_pixel_was(opened, start, step, view_px):
    _, face = follow(opened(view_px=view_px), start, [STILL, step])
    away = misses_px(face.motion, STILL, step)
    assert np.median(away) < 0.4
    assert np.percentile(away, 95) < 1.0
    assert np.median(face.motion.confidence) > 0.6


def test_what_the_flow_is_off_alike_there_and_back_is_no_motion(mesh, start):
    stage = Align(AlignConfig(), mesh.neutral, Leaning)
    stage.open(SPEC, Memory())
    step = shifted(3.3, -1.6)
    _, face = follow(stage, start, [STILL, step])
    assert np.median(misses_px(face.motion, STILL, step)) < 0.2


def test_motion_is_right_where_the_view_changes_its_scale(opened, start):
    path = [turned(0, 1.0 + 0.04 * number) for number in range(12)]
    faces = follow(opened(view_px=96), start, path)
    scales = []
    for before, now, face in zip(path, path[1:], faces[1:], strict=False):
        assert face.motion.before_from_image[0, 0] == face.motion.crop_from_image[0, 0]
        assert np.median(misses_px(face.motion, before, now)) < 0.6
        scales.append(face.motion.crop_from_image[0, 0])
    assert len(set(scales)) == 2
    assert scales[-1] < scales[0]


def test_what_has_come_into_view_is_not_trusted(opened, start):
    stage = opened()
    show(stage, 0, picture(STILL), face_at(start))
    image = picture(STILL)
    image[150:180, 150:180] = 255
    (face,) = show(stage, 1, image, face_at(start))
    confidence = cv2.warpAffine(
        face.motion.confidence,
        face.motion.crop_from_image,
        (SIDE_PX, SIDE_PX),
        flags=cv2.WARP_INVERSE_MAP,
    )
    assert confidence[155:175, 155:175].max() < 0.1
    assert confidence[90:130, 100:220].mean() > 0.9


def test_across_a_cut_nothing_is_trusted(opened, start):
    stage = opened()
    show(stage, 0, picture(STILL), face_at(start))
    (face,) = show(stage, 1, picture(STILL, OTHER_WORLD), face_at(start))
    assert face.motion.confidence.mean() < 0.1


def test_landmarks_stop_trembling_on_a_moving_face(opened, start):
    path = [shifted(9 * np.sin(0.4 * number), 0.5 * number) for number in range(30)]
    truth = np.array([moved(start, matrix) for matrix in path])
    measured = truth + np.random.default_rng(1).normal(0, 1, truth.shape).astype(np.float32)
    measured[0] = truth[0]
    faces = follow(opened(), start, path, measured=measured)
    off = (np.array([face.landmarks for face in faces]) - truth)[5:]
    tremble = np.diff(off, axis=0)[..., :2].std()
    assert tremble < 0.35 * np.diff(measured - truth, axis=0)[..., :2].std()
    assert np.abs(off.mean(axis=1))[:, :2].max() < 0.5


def test_landmarks_go_with_the_picture_without_delay(opened, start):
    path = [shifted(12 * np.sin(0.63 * number), 0) for number in range(12)]
    late = [moved(start, path[max(number - 1, 0)]) for number in range(12)]
    faces = follow(opened(), start, path, measured=late)
    middles = np.array([face.landmarks[:, 0].mean() for face in faces]) - start[:, 0].mean()
    truth, trailing = (np.array([m[0, 2] for m in p]) for p in (path, [STILL, *path[:-1]]))
    assert np.abs(middles - truth).mean() < 0.6 * np.abs(trailing - truth).mean()


def test_box_and_pose_are_those_of_the_steady_landmarks(opened, start):
    stage = opened()
    show(stage, 0, picture(STILL), face_at(start))
    (face,) = show(stage, 1, picture(STILL), face_at(start + np.float32([4, 0, 3])))
    assert np.abs(face.landmarks - start).max() < 3.7
    np.testing.assert_array_equal(face.box, bounding_box(face.landmarks))
    assert face.pose == head_pose(fit_head(face.landmarks))


def test_landmarks_may_be_left_as_measured(opened, start):
    measured = [start, start + np.float32([2, 1, 0])]
    stage = opened(steady=SteadyConfig(enabled=False))
    _, face = follow(stage, start, [STILL, STILL], measured=measured)
    np.testing.assert_array_equal(face.landmarks, measured[1])
    assert face.motion is not None


def test_a_lost_face_is_carried_on_with_the_picture(opened, start):
    stage = opened()
    path = [compose(shifted(4 * n, -2.5 * n), turned(1.0 * n, 1 + 0.01 * n)) for n in range(12)]
    follow(stage, start, path[:3])
    lost_at = moved(start, path[2])
    for number in range(3, 12):
        lost = face_at(lost_at, state=FaceState.LOST)
        (face,) = show(stage, number, picture(path[number]), lost)
        assert face.motion is not None
    truth = moved(start, path[11])
    assert np.abs(face.landmarks - truth).max() < 2.0
    assert np.linalg.norm(lost_at - truth, axis=1).min() > 15
    np.testing.assert_array_equal(face.box, bounding_box(face.landmarks))


def test_a_face_found_again_goes_on_from_where_it_was_carried(opened, start):
    stage = opened()
    path = [shifted(4 * number, 0) for number in range(6)]
    follow(stage, start, path[:3])
    for number in (3, 4):
        lost = face_at(moved(start, path[2]), state=FaceState.LOST)
        show(stage, number, picture(path[number]), lost)
    trembling = moved(start, path[5]) + np.float32([1.5, 0, 0])
    (face,) = show(stage, 5, picture(path[5]), face_at(trembling))
    assert np.median(misses_px(face.motion, path[4], path[5])) < 0.4
    assert np.abs(face.landmarks - moved(start, path[5]))[:, 0].mean() < 0.9


def test_a_lost_face_that_cannot_be_followed_is_let_go(opened, start):
    stage = opened()
    follow(stage, start, [STILL, STILL])
    lost = face_at(start, state=FaceState.LOST)
    for number in (2, 3):
        (face,) = show(stage, number, picture(STILL, OTHER_WORLD), lost)
        assert face.motion is None
        np.testing.assert_array_equal(face.landmarks, start)
    found, again = (
        show(stage, number, picture(STILL, OTHER_WORLD), face_at(start))[0] for number in (4, 5)
    )
    assert found.motion is None
    assert again.motion is not None


def test_a_face_that_was_never_seen_is_left_alone(opened, start):
    (face,) = show(opened(), 0, picture(STILL), face_at(start, state=FaceState.LOST))
    assert face.motion is None
    np.testing.assert_array_equal(face.landmarks, start)


@pytest.mark.parametrize(
    ("period_ns", "goes_on"), [(499_000_000, True), (501_000_000, False), (0, False)]
)
def test_a_face_that_was_away_too_long_starts_afresh(opened, start, period_ns, goes_on):
    stage = opened()
    show(stage, 1, picture(STILL), face_at(start), period_ns=period_ns)
    measured = start + np.float32([2, 0, 0])
    (face,) = show(stage, 2, picture(STILL), face_at(measured), period_ns=period_ns)
    assert (face.motion is not None) == goes_on
    assert np.array_equal(face.landmarks, measured) != goes_on


def test_a_time_that_runs_back_starts_afresh(opened, start):
    stage = opened()
    follow(stage, start, [STILL] * 3)
    (face,) = show(stage, 0, picture(STILL), face_at(start))
    assert face.motion is None
    (face,) = show(stage, 1, picture(STILL), face_at(start))
    assert face.motion is not None


def test_another_person_in_the_same_place_starts_afresh(opened, start):
    stage = opened()
    follow(stage, start, [STILL] * 2)
    measured = start + np.float32([2, 0, 0])
    (face,) = show(stage, 2, picture(STILL), face_at(measured, track_id=2))
    assert face.motion is None
    np.testing.assert_array_equal(face.landmarks, measured)


def test_a_face_that_is_gone_for_a_frame_is_forgotten(opened, start):
    stage = opened()
    follow(stage, start, [STILL] * 2)
    show(stage, 2, picture(STILL))
    (face,) = show(stage, 3, picture(STILL), face_at(start))
    assert face.motion is None


def test_two_faces_each_have_their_own_motion(opened, sitter):
    stage = opened(view_px=96)
    left, right = (sitter.landmarks(width_px=60, centre=(x, 160)) for x in (80.2, 240.3))

    def image_at(step):
        image = picture(shifted(step, 0))
        image[:, SIDE_PX // 2 :] = picture(shifted(0, step))[:, SIDE_PX // 2 :]
        return image

    show(stage, 0, image_at(0), face_at(left, 1), face_at(right, 2))
    # Faces may change places in the list; the largest comes first.
    two, one = show(
        stage,
        1,
        image_at(3),
        face_at(moved(right, shifted(0, 3)), 2),
        face_at(moved(left, shifted(3, 0)), 1),
    )
    assert np.median(misses_px(one.motion, STILL, shifted(3, 0))) < 0.3
    assert np.median(misses_px(two.motion, STILL, shifted(0, 3))) < 0.3


def test_what_a_face_holds_is_not_what_the_stage_goes_on_with(opened, start):
    stages = opened(), opened()
    for stage in stages:
        _, face = follow(stage, start, [STILL, STILL])
        if stage is stages[0]:
            face.landmarks += 50
    last = [show(stage, 2, picture(STILL), face_at(start))[0] for stage in stages]
    np.testing.assert_array_equal(last[0].landmarks, last[1].landmarks)


def test_the_stage_opens_and_closes_its_flow_and_forgets(mesh, start):
    flows = []

    def open_flow():
        flows.append(Closing())
        return flows[-1]

    stage = Align(AlignConfig(), mesh.neutral, open_flow)
    assert stage.name == "align"
    assert not flows
    for _ in range(2):
        stage.open(SPEC, Memory())
        first, second = follow(stage, start, [STILL, STILL])
        assert first.motion is None
        assert second.motion is not None
        stage.close()
        stage.close()
    assert [flow.num_closed for flow in flows] == [1, 1]


def test_a_closed_stage_does_not_work(mesh, start):
    stage = Align(AlignConfig(), mesh.neutral, DisFlow)
    with pytest.raises(RuntimeError, match="must be open"):
        show(stage, 0, picture(STILL), face_at(start))


def test_a_network_that_is_unusable_is_said_when_the_stage_is_opened(mesh):
    def refuse():
        raise ModelError("flow.onnx: must be there.")

    stage = Align(AlignConfig(), mesh.neutral, refuse)
    with pytest.raises(ModelError, match=r"flow\.onnx"):
        stage.open(SPEC, Memory())


def test_a_network_must_be_named_where_one_is_asked_for():
    with pytest.raises(ValidationError, match=r"fuse\.align\.network"):
        AlignConfig(flow="network")
    assert AlignConfig(flow="network", network=Path("flow.onnx")).network == Path("flow.onnx")


def test_far_faces_are_measured_on_smaller_views(opened, sitter):
    sides = {}
    for width_px in (40.0, 80.0, 160.0):
        start = sitter.landmarks(width_px=width_px, centre=(160.3, 160.4))
        _, face = follow(opened(), start, [STILL, shifted(1.3, -0.6)])
        sides[width_px] = len(face.motion.flow)
        assert np.median(misses_px(face.motion, STILL, shifted(1.3, -0.6))) < 0.2
    assert sides[40.0] < sides[80.0] < sides[160.0] == AlignConfig().view_px


def test_motion_is_right_where_a_face_comes_near_and_its_view_grows(opened, sitter):
    start = sitter.landmarks(width_px=30, centre=(160.3, 160.4))
    path = [turned(0, 1.05**number) for number in range(16)]
    faces = follow(opened(), start, path)
    sides = [len(face.motion.flow) for face in faces[1:]]
    assert len(set(sides)) > 1
    assert sides == sorted(sides)
    for before, now, face in zip(path, path[1:], faces[1:], strict=False):
        assert np.median(misses_px(face.motion, before, now)) < 0.4


def test_with_a_flow_network_views_keep_their_one_size(mesh):
    config = AlignConfig(flow="network", network=Path("flow.onnx"))
    assert Align(config, mesh.neutral, DisFlow)._sizes_px == (config.view_px,)


def late(stage, start, seconds):
    """A camera two of three of whose pictures are passed over, before a moving face."""
    sides = []
    for number in range(10 * seconds):
        step = shifted(0.7 * number, 0)
        frame = Frame(picture(step), seq=3 * number, media_ns=number * 100_000_000)
        frame.captured_ns = frame.media_ns
        frame.faces = [face_at(moved(start, step))]
        stage.process(frame)
        if number:
            motion = frame.faces[0].motion
            sides.append(len(motion.flow))
            assert np.median(misses_px(motion, shifted(0.7 * (number - 1), 0), step)) < 0.4
    return sides


def test_with_a_camera_views_become_smaller_while_the_machine_is_late(opened, start):
    sides = late(opened(spec=LIVE), start, 4)
    assert list(dict.fromkeys(sides)) == [AlignConfig().view_px, 96, 64]


@pytest.mark.parametrize(("spec", "ladder"), [(SPEC, True), (LIVE, False)])
def test_views_keep_their_size_with_a_file_or_where_that_is_wanted(opened, start, spec, ladder):
    assert set(late(opened(spec=spec, ladder=ladder), start, 4)) == {AlignConfig().view_px}
