from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.blazeface import anchor_centres
from engines.session import TensorSpec
from realtime import geometry
from realtime.frame import FaceState, Frame, PictureSpec
from realtime.memory import Memory
from realtime.stages.track import Track, TrackConfig

F32 = np.dtype(np.float32)
WIDTH, HEIGHT = 640, 360
SPEC = PictureSpec(WIDTH, HEIGHT, Fraction(30), live=False)
PERIOD_NS = 33_000_000


def blobs_of(red, threshold):
    """Boxes (left, top, width, height) and brightness of the bright blobs of one channel."""
    mask = (red > threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    return [
        (stats[i, :4].astype(float), float(np.median(red[labels == i]))) for i in range(1, count)
    ]


def detector(input_px):
    """Sees every red square: the redder, the surer. Blind to small ones, as the real one is."""
    anchors = anchor_centres(input_px) * input_px

    def run(inputs):
        boxes = np.zeros((1, len(anchors), 16), np.float32)
        scores = np.full((1, len(anchors), 1), -50, np.float32)
        for (left, top, width, height), red in blobs_of(inputs["in"][0, :, :, 0], -0.7):
            if width < input_px / 16 or red < 0.5:
                continue
            centre = np.array([left + width / 2, top + height / 2])
            index = int(np.abs(anchors - centre).sum(axis=1).argmin())
            eyes = [[-width / 4, 0], [width / 4, 0], *[[0, 0]] * 4]
            boxes[0, index] = np.concatenate(
                [[centre - anchors[index], [width, height]], centre - anchors[index] + eyes]
            ).ravel()
            scores[0, index] = 3.0
        return {"boxes": boxes, "scores": scores}

    num = len(anchors)
    return FakeSession(
        (TensorSpec("in", (1, input_px, input_px, 3), F32),),
        (TensorSpec("boxes", (1, num, 16), F32), TensorSpec("scores", (1, num, 1), F32)),
        run,
    )


def landmark_network(break_with=None):
    """Puts a frontal head onto the red square nearest to the middle of the crop."""
    table = np.array(geometry._RIGID_POINTS)
    neutral = np.zeros((468, 3))
    neutral[table[:, 0].astype(int)] = table[:, 1:]

    def run(inputs):
        crop = inputs["in"][0, :, :, 0]
        blobs = blobs_of(crop, 0.15)
        points, logit = np.full((468, 3), 96.0), -20.0
        if blobs:
            (left, top, width, height), red = min(
                blobs, key=lambda b: np.abs(b[0][:2] + b[0][2:] / 2 - 96).sum()
            )
            points = neutral * (width / np.ptp(neutral[:, 0]))
            points[:, :2] += (left + width / 2, top + height / 2)
            whole = 0.8 < width / height < 1.25
            logit = (8.0 if red > 0.9 else 0.0) if whole else -20.0
        if break_with is not None:
            points = break_with(points)
        return {"p": points.reshape(1, 1404).astype(np.float32), "l": np.full((1, 1), logit, F32)}

    return FakeSession(
        (TensorSpec("in", (1, 192, 192, 3), F32),),
        (TensorSpec("p", (1, 1404), F32), TensorSpec("l", (1, 1), F32)),
        run,
    )


class World:
    """A track stage before pictures of red squares; green is the scene behind them."""

    def __init__(self, spec=SPEC, **settings):
        self.sessions = {
            "face_detection_short_range": detector(128),
            "face_detection_full_range": detector(192),
            "face_landmark": landmark_network(settings.pop("break_with", None)),
        }
        self.stage = Track(TrackConfig(**settings), self.sessions.__getitem__)
        self.stage.open(spec, Memory())
        self.seq = 0
        self.now_ns = 0

    def show(self, *squares, scene=0, after_ns=PERIOD_NS):
        """Shows squares (x, y, side[, red]) and returns the faces found."""
        frame = Frame.blank(SPEC)
        rng = np.random.default_rng(scene)
        coarse = rng.integers(0, 255, (9, 16), np.uint8)
        frame.image[:, :, 1] = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        for x, y, side, *red in squares:
            left, top = max(x - side // 2, 0), max(y - side // 2, 0)
            frame.image[top : y + side // 2, left : x + side // 2, 2] = red[0] if red else 255
        self.seq += 1
        self.now_ns += after_ns
        frame.seq, frame.media_ns = self.seq, self.now_ns
        self.stage.process(frame)
        return frame.faces


def seen(faces):
    return [face.track_id for face in faces if face.state is FaceState.SEEN]


def lost(faces):
    return [face.track_id for face in faces if face.state is FaceState.LOST]


def middle(face):
    return (face.box[:2] + face.box[2:]) / 2


def test_no_face_gives_no_faces():
    world = World()
    for _ in range(3):
        assert world.show() == []


def test_a_face_is_found_in_the_first_frame_and_keeps_its_number_as_it_moves():
    world = World()
    for step in range(20):
        faces = world.show((200 + 8 * step, 150 + 3 * step, 80))
        assert seen(faces) == [0]
        assert faces[0].lost_ns == 0
        assert middle(faces[0])[0] == pytest.approx(199.5 + 8 * step, abs=2)
        assert faces[0].score > 0.9
        assert abs(faces[0].pose.yaw) < 5


def test_a_resting_face_costs_one_run_of_the_landmark_network_and_no_detector():
    world = World()
    world.show((300, 180, 80))
    before = {name: session.calls for name, session in world.sessions.items()}
    world.show((300, 180, 80))
    after = {name: session.calls - before[name] for name, session in world.sessions.items()}
    assert after == {
        "face_detection_short_range": 0,
        "face_detection_full_range": 0,
        "face_landmark": 1,
    }


@pytest.mark.parametrize("leap", [(80, 0), (-60, 60), (0, -85)])
def test_a_leap_by_a_whole_face_costs_no_frame_and_no_number(leap):
    world = World()
    for step in range(8):
        x, y = np.array([320, 180]) + (np.array(leap) * (step % 2))
        assert seen(world.show((int(x), int(y), 80))) == [0]


def test_a_face_that_is_gone_is_reported_lost_where_it_was_and_then_forgotten():
    world = World(lost_ms=500)
    before = world.show((300, 180, 80))[0]
    for count in range(1, 16):
        faces = world.show()
        assert lost(faces) == [0]
        assert faces[0].lost_ns == count * PERIOD_NS
        assert faces[0].box == pytest.approx(before.box)
    assert world.show() == []


def test_a_face_back_in_time_is_the_same_and_one_back_late_is_another():
    world = World(reassociate_ms=300, lost_ms=2000)
    world.show((300, 180, 80))
    for _ in range(8):
        assert lost(world.show()) == [0]
    assert seen(world.show((330, 190, 84))) == [0]
    for _ in range(12):
        assert lost(world.show()) == [0]
    faces = world.show((330, 190, 84))
    assert seen(faces) == [1]
    assert lost(faces) == []


def test_a_face_elsewhere_or_of_another_size_is_another_person():
    world = World()
    world.show((120, 180, 60))
    world.show()
    assert seen(world.show((520, 180, 60))) == [1]
    world.show()
    assert seen(world.show((520, 180, 130))) == [2]


def test_two_faces_are_found_at_once_largest_first():
    world = World()
    for _ in range(5):
        faces = world.show((150, 180, 60), (450, 180, 110))
        assert sorted(seen(faces)) == [0, 1]
        assert middle(faces[0])[0] > 400
        assert middle(faces[1])[0] < 200


def test_numbers_stay_with_faces_that_pass_near_each_other():
    world = World()
    first = world.show((150, 120, 60), (500, 250, 60))
    numbers = {face.track_id: middle(face)[1] < 180 for face in first}
    for step in range(30):
        faces = world.show((150 + 12 * step, 120, 60), (500 - 12 * step, 250, 60))
        assert {face.track_id: middle(face)[1] < 180 for face in faces} == numbers
        assert len(seen(faces)) == 2


def test_a_newcomer_is_reported_when_it_is_found_and_chosen_at_the_third_sighting():
    world = World(redetect_interval_ms=500)
    world.show((150, 180, 80))
    shown = [world.show((150, 180, 80), (450, 180, 80)) for _ in range(20)]
    # Searched at the first multiple of the period past 500 ms, then confirmed twice.
    assert [len(faces) for faces in shown] == [1] * 15 + [2] * 5
    assert [sum(face.chosen for face in faces) for faces in shown] == [1] * 17 + [2] * 3


def test_what_looks_like_a_face_for_one_frame_beside_a_known_one_is_never_chosen():
    world = World(redetect_interval_ms=100)
    for step in range(30):
        extra = [(450, 180, 80)] if step % 2 else []
        faces = world.show((150, 180, 80), *extra)
        assert [face.track_id for face in faces if face.chosen] == [0]


def test_only_the_largest_faces_are_chosen_and_the_others_reported_to_be_hidden():
    world = World(max_faces=2)
    for _ in range(5):
        faces = world.show((100, 180, 50), (300, 180, 70), (500, 180, 90))
    assert [(middle(face)[0] > 200, face.chosen) for face in faces] == [
        (True, True),
        (True, True),
        (False, False),
    ]


def test_a_lost_face_that_comes_back_late_is_never_out_of_sight_of_the_guard():
    world = World(redetect_interval_ms=100)
    for _ in range(5):
        world.show((150, 180, 80), (450, 180, 80))
    for _ in range(45):
        assert len(world.show((150, 180, 80))) == 2
    for _ in range(10):
        assert len(world.show((150, 180, 80), (450, 180, 80))) == 2


def test_of_two_tracks_that_come_to_lie_on_one_face_the_elder_keeps_it():
    world = World()
    world.show((200, 180, 80), (440, 180, 80))
    for step in range(1, 13):
        world.show((200 + 9 * step, 180, 80), (440 - 9 * step, 180, 80))
    for _ in range(3):
        assert seen(world.show((320, 180, 80))) == [0]


def test_a_cut_forgets_everybody():
    world = World()
    world.show((300, 180, 80), scene=1)
    world.show((300, 180, 80), scene=1)
    faces = world.show((310, 180, 80), scene=2)
    assert seen(faces) == [1]
    assert lost(faces) == []
    assert world.show(scene=3) == []


def test_time_that_runs_backwards_is_a_new_beginning():
    world = World()
    world.show((300, 180, 80), after_ns=10**10)
    assert seen(world.show((300, 180, 80), after_ns=-(10**9))) == [1]
    assert seen(world.show((300, 180, 80))) == [1]


def test_a_face_is_not_seen_in_a_frame_of_the_same_time_that_does_not_show_it():
    world = World()
    world.show((300, 180, 80))
    assert lost(world.show(after_ns=0)) == [0]


def test_a_known_face_that_grows_doubtful_is_kept_while_nothing_speaks_against_it():
    world = World()
    for _ in range(3):
        world.show((300, 180, 80))
    for _ in range(3):
        faces = world.show((300, 180, 80, 150))
        assert seen(faces) == [0]
        assert faces[0].score == pytest.approx(0.5)
    assert seen(World().show((300, 180, 80, 150))) == []


def test_a_doubtful_trace_gives_way_to_the_face_itself():
    world = World()
    world.show((150, 180, 80))
    faces = world.show((150, 180, 80, 150), (480, 180, 80))
    assert len(seen(faces)) == 1
    assert middle(next(f for f in faces if f.state is FaceState.SEEN))[0] > 400


@pytest.mark.parametrize(
    "break_with",
    [
        lambda points: points * np.nan,
        lambda points: points * 0 + 96,
        lambda points: points + np.random.default_rng(0).normal(0, 30, points.shape),
        lambda points: points + np.array([4000, 0, 0]),
    ],
    ids=["no numbers", "one point", "scattered", "far outside"],
)
def test_landmarks_that_cannot_be_a_face_are_not_one_however_sure_the_network_is(break_with):
    assert World(break_with=break_with).show((300, 180, 80)) == []


def test_results_belong_to_the_frame():
    world = World()
    first = world.show((300, 180, 80))[0]
    box, landmarks = first.box.copy(), first.landmarks.copy()
    second = world.show((340, 180, 80))[0]
    first.box[:] = first.landmarks[:] = 0
    third = world.show((380, 180, 80))[0]
    assert middle(second)[0] - (box[0] + box[2]) / 2 == pytest.approx(40, abs=2)
    assert third.landmarks[:, 0].mean() - landmarks[:, 0].mean() == pytest.approx(80, abs=4)


def test_the_networks_are_let_go_when_the_stage_closes():
    world = World()
    world.stage.close()
    for session in world.sessions.values():
        with pytest.raises(ModelError):
            session.enqueue({}, out={}, stream=0)
    with pytest.raises(RuntimeError, match=r"track: open must be called"):
        world.show()


def test_a_network_that_is_missing_leaves_none_open():
    opened = []

    def open_session(name):
        if name == "face_landmark":
            raise ModelError("face_landmark: not there.")
        opened.append(detector(128 if "short" in name else 192))
        return opened[-1]

    with pytest.raises(ModelError, match="not there"):
        Track(TrackConfig(), open_session).open(SPEC, Memory())
    assert len(opened) == 2
    for session in opened:
        with pytest.raises(ModelError):
            session.enqueue({}, out={}, stream=0)


def test_numbers_are_not_used_again_after_the_stage_was_opened_anew():
    world = World()
    assert seen(world.show((300, 180, 80))) == [0]
    world.stage.open(SPEC, Memory())
    assert seen(world.show((300, 180, 80))) == [1]


def test_far_faces_of_a_picture_that_comes_alone_are_found_in_its_parts():
    far = ((130, 90, 24), (500, 250, 22))
    assert World().show(*far) == []
    faces = World(spec=replace(SPEC, num_frames=1)).show(*far)
    assert [tuple(np.round(middle(face), -1)) for face in faces] == [(130, 90), (500, 250)]
