"""The synthetic camera before the real networks, and its pace on a clock made here."""

import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.errors import CameraError
from realtime.frame import FaceState, Frame
from realtime.head_motion import HeadState, Steps, Swing, Talk
from realtime.memory import Memory
from realtime.puppet import inner_box
from realtime.sources.synthetic import SyntheticCamera
from realtime.stage import Source
from realtime.stages.track import Track, TrackConfig

pytestmark = pytest.mark.models

SECOND_NS = 1_000_000_000
SIZE = (1280, 720)
EYES, LIPS = (33, 263), (13, 14)
LIDS = ((159, 145), (386, 374))


class Clock:
    """Stands still but for sleeping, drawing and what a test adds."""

    def __init__(self) -> None:
        self.now_ns = 7_000_000_000
        self.slept_s: list[float] = []

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_ns += round(seconds * SECOND_NS)


@pytest.fixture(scope="module")
def library():
    return ModelLibrary()


@pytest.fixture(scope="module")
def make(library):
    def camera(size=SIZE, rate_hz=30, portrait=None, **options):
        return SyntheticCamera(
            size,
            rate_hz,
            portrait or library.path("portrait_astronaut"),
            library.path("face_mesh_connections"),
            library.session,
            **options,
        )

    return camera


def spread(points, pairs):
    """Mean distance of pairs of landmarks, in distances of the outer corners of the eyes."""
    eyes = np.linalg.norm(points[EYES[0], :2] - points[EYES[1], :2])
    return np.mean([np.linalg.norm(points[a, :2] - points[b, :2]) for a, b in pairs]) / eyes


def watch(camera, library, times_ns):
    """What the tracking stage sees and what is true, for each moment; all must be seen."""
    spec = camera.open()
    stage, frame = Track(TrackConfig(), library.session), Frame.blank(spec)
    stage.open(spec, Memory())
    seen = []
    for media_ns in times_ns:
        truth = camera.frame_at(media_ns, out=frame.image)
        frame.media_ns = media_ns
        stage.process(frame)
        assert [face.state for face in frame.faces] == [FaceState.SEEN], media_ns
        seen.append((frame.faces[0], truth))
    stage.close()
    return seen


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def test_the_networks_see_what_is_true_over_ten_seconds_of_talk(make, library):
    seen = watch(make(), library, range(0, 10 * SECOND_NS, SECOND_NS // 6))
    for face, truth in seen:
        error = np.linalg.norm(face.landmarks[:, :2] - truth.landmarks[:, :2], axis=1)
        eyes = np.linalg.norm(truth.landmarks[EYES[0], :2] - truth.landmarks[EYES[1], :2])
        assert np.median(error) <= 0.04 * eyes
    yaws = [(face.pose.yaw, truth.pose.yaw) for face, truth in seen]
    assert np.ptp(yaws, axis=0)[1] > 20
    assert correlation(*zip(*yaws, strict=True)) > 0.97
    rolls = [(face.pose.roll, truth.pose.roll) for face, truth in seen]
    assert correlation(*zip(*rolls, strict=True)) > 0.95
    mouths = [(spread(face.landmarks, [LIPS]), truth.mouth_open) for face, truth in seen]
    assert correlation(*zip(*mouths, strict=True)) > 0.85


def test_blinks_and_an_opening_mouth_are_seen_as_asked_for(make, library):
    times_ns = range(0, SECOND_NS, SECOND_NS // 30)
    blinking = watch(make(motion=Swing(1.0, eyes_closed=1.0)), library, times_ns)
    lids = [(spread(face.landmarks, LIDS), truth.eyes_closed) for face, truth in blinking]
    assert correlation(*zip(*lids, strict=True)) < -0.9
    opening = watch(make(motion=Swing(1.0, mouth_open=1.0)), library, times_ns)
    lips = [(spread(face.landmarks, [LIPS]), truth.mouth_open) for face, truth in opening]
    assert correlation(*zip(*lips, strict=True)) > 0.95
    assert max(gap for gap, _ in lips) > 0.25


def test_a_fast_swing_reaches_the_picture_as_it_was_asked_for(make):
    camera = make((320, 240), motion=Swing(3.0, yaw=18.0, roll=4.0))
    camera.open()
    image = np.empty((240, 320, 3), np.uint8)
    rest = camera.frame_at(0, out=image).pose
    for media_ns in range(0, SECOND_NS, 41_000_000):
        pose = camera.frame_at(media_ns, out=image).pose
        swing = np.sin(2 * np.pi * 3.0 * media_ns / SECOND_NS)
        assert pose.yaw - rest.yaw == pytest.approx(18.0 * swing, abs=0.5)
        assert pose.pitch - rest.pitch == pytest.approx(0.0, abs=1.5)


def test_steps_of_the_head_are_seen_at_once(make, library):
    steps = Steps((HeadState(yaw=-10.0), HeadState(yaw=10.0)), hold_ns=500_000_000)
    seen = watch(make(motion=steps), library, range(0, 2 * SECOND_NS, 250_000_000))
    yaws = [face.pose.yaw for face, _ in seen]
    assert all(yaw < -4 for yaw in yaws[0:2] + yaws[4:6])
    assert all(yaw > 4 for yaw in yaws[2:4] + yaws[6:8])


@pytest.mark.parametrize("size", [(1280, 720), (321, 243), (243, 431), (201, 401), (701, 203)])
def test_every_pixel_is_written_and_bars_are_black(make, size):
    camera = make(size)
    spec = camera.open()
    assert (spec.width, spec.height, spec.live) == (*size, True)
    shape = (size[1], size[0], 3)
    dark, light = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    truth = camera.frame_at(2_345_678_901, out=dark)
    camera.frame_at(2_345_678_901, out=light)
    assert (dark == light).all()
    left, top, width, height = inner_box(size)
    assert dark[top : top + height, left : left + width].mean() > 60
    bars = np.ones(shape[:2], np.bool_)
    bars[top : top + height, left : left + width] = False
    assert not dark[bars].any()
    inside = (truth.landmarks[:, :2] > (left, top)) & (
        truth.landmarks[:, :2] < (left + width, top + height)
    )
    assert inside.all()


def test_the_same_moment_is_the_same_picture_in_any_order_and_in_any_camera(make):
    first, second = make((320, 240)), make((320, 240), motion=Talk())
    first.open()
    second.open()
    image, again = np.empty((240, 320, 3), np.uint8), np.empty((240, 320, 3), np.uint8)
    truth = first.frame_at(4_200_000_000, out=image)
    for media_ns in (9_000_000_000, 0, 4_200_000_000):
        repeated = second.frame_at(media_ns, out=again)
    assert (image == again).all()
    assert (truth.landmarks == repeated.landmarks).all()


def test_the_background_stays_but_for_the_noise_of_a_sensor(make):
    camera = make(motion=Swing(1.0, yaw=18.0, pitch=8.0))
    camera.open()
    image, turned = np.empty((720, 1280, 3), np.uint8), np.empty((720, 1280, 3), np.uint8)
    camera.frame_at(0, out=image)
    camera.frame_at(SECOND_NS // 4, out=turned)
    difference = image[:, 1000:].astype(int) - turned[:, 1000:]
    assert 0.8 < difference.std() < 3.0
    assert abs(difference.mean()) < 0.05
    assert np.abs(image[250:450, 450:700].astype(int) - turned[250:450, 450:700]).mean() > 6


def test_pictures_come_on_an_absolute_grid_that_does_not_drift(make):
    clock = Clock()
    camera = make((64, 48), Fraction(30000, 1001), clock=clock, sleep=clock.sleep)
    assert isinstance(camera, Source)
    spec = camera.open()
    assert spec.rate_hz == Fraction(30000, 1001)
    image = np.empty((48, 64, 3), np.uint8)
    start_ns = clock.now_ns
    for seq in range(100):
        media_ns = camera.fill(image)
        assert media_ns == round(seq * SECOND_NS * Fraction(1001, 30000))
        assert abs(clock.now_ns - start_ns - media_ns) <= 1
        clock.now_ns += 5_000_000
    assert len(clock.slept_s) >= 99


def test_who_comes_late_gets_the_newest_picture_at_once(make):
    clock = Clock()
    camera = make((64, 48), 50, clock=clock, sleep=clock.sleep)
    camera.open()
    image = np.empty((48, 64, 3), np.uint8)
    assert camera.fill(image) == 0
    clock.now_ns += 115_000_000
    assert camera.fill(image) == 100_000_000
    assert clock.slept_s == []
    assert camera.fill(image) == 120_000_000
    assert clock.slept_s == [pytest.approx(0.005)]


def test_a_closed_camera_gives_no_more_pictures_even_to_who_is_waiting(make):
    clock = Clock()
    camera = make((64, 48), clock=clock, sleep=lambda seconds: camera.close())
    camera.open()
    image = np.zeros((48, 64, 3), np.uint8)
    assert camera.fill(image) == 0
    drawn = image.copy()
    assert camera.fill(image) is None
    assert (image == drawn).all()
    assert camera.fill(image) is None


def test_a_number_of_pictures_come_at_once_in_order_and_no_more(make):
    clock = Clock()
    camera = make((64, 48), Fraction(30000, 1001), num_frames=5, clock=clock, sleep=clock.sleep)
    spec = camera.open()
    assert (spec.live, spec.num_frames) == (False, 5)
    image, again = np.empty((48, 64, 3), np.uint8), np.empty((48, 64, 3), np.uint8)
    for seq in range(5):
        media_ns = camera.fill(image)
        assert media_ns == round(seq * SECOND_NS * Fraction(1001, 30000))
        camera.frame_at(media_ns, out=again)
        assert (image == again).all()
        clock.now_ns += SECOND_NS
    assert camera.fill(image) is None
    assert clock.slept_s == []


def test_a_portrait_without_a_face_is_refused(make, tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((256, 256, 3), 128, np.uint8))
    with pytest.raises(CameraError, match=r"grey\.png must show a face, got none"):
        make(portrait=path).open()


def test_a_picture_is_drawn_in_a_small_part_of_its_period(make):
    camera = make()
    camera.open()
    image = np.empty((720, 1280, 3), np.uint8)
    spent_s = []
    for seq in range(20):
        started = time.thread_time()
        camera.frame_at(seq * SECOND_NS // 30, out=image)
        spent_s.append(time.thread_time() - started)
    assert sorted(spent_s)[5] < 0.030
