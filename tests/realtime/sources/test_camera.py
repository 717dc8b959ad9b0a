import queue
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.errors import CameraError, MediaError
from realtime.sources import camera as camera_module
from realtime.sources.camera import Camera
from realtime.sources.capture import bgr_picture
from realtime.sources.devices import CameraDevice
from realtime.stage import Source, Watched

CHECKOUT = Path(__file__).parents[3]
KNOWN = CameraDevice(0, "Fake Camera", "/dev/video0", cv2.CAP_V4L2)
STOP = object()


class FakeCapture:
    """A capture that delivers what a test puts into its queue, and blocks in between."""

    def __init__(self, opens: bool = True, fps: float = 30.0) -> None:
        self.script: queue.Queue = queue.Queue()
        self.settings: list[tuple[int, float]] = []
        self.released = threading.Event()
        self.opens = opens
        self.fps = fps

    def __call__(self, index: int, backend: int) -> "FakeCapture":
        self.opened_as = (index, backend)
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.settings.append((prop, value))
        return True

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: self.fps}.get(prop, cv2.VideoWriter.fourcc(*"MJPG"))

    def read(self):
        item = self.script.get()
        return (False, None) if item is STOP else (True, item)

    def release(self) -> None:
        self.released.set()
        self.script.put(STOP)


def picture(value: int = 100, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def fake():
    capture = FakeCapture()
    yield capture
    for _ in range(3):
        capture.script.put(STOP)


def camera(capture, **options) -> Camera:
    return Camera(0, (64, 48), capture=capture, cameras=lambda: [KNOWN], **options)


def failure(source: Camera) -> str:
    with pytest.raises(CameraError) as error:
        source.open()
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("camera ")
    assert message.endswith(".")
    return message


def test_a_camera_is_a_source(fake) -> None:
    assert isinstance(camera(fake), Source)
    assert isinstance(camera(fake), Watched)


def test_mjpg_size_rate_and_a_single_buffer_are_asked_for_in_this_order(fake) -> None:
    fake.script.put(picture())
    source = camera(fake, rate_hz=25)
    source.open()
    source.close()
    assert fake.opened_as == (0, cv2.CAP_V4L2)
    assert fake.settings == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 64),
        (cv2.CAP_PROP_FRAME_HEIGHT, 48),
        (cv2.CAP_PROP_FPS, 25.0),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ]


def test_what_the_camera_really_gives_is_reported(caplog) -> None:
    caplog.set_level("INFO")
    capture = FakeCapture(fps=15.0)
    capture.script.put(picture(width=32, height=24))
    source = camera(capture)
    spec = source.open()
    capture.script.put(STOP)
    source.close()
    assert (spec.width, spec.height, spec.rate_hz, spec.live) == (32, 24, 15, True)
    assert "32×24 at 15 Hz, MJPG; it was asked for 64×48 at 30 Hz" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_camera_that_gives_what_was_asked_for_says_so_quietly(caplog, fake) -> None:
    caplog.set_level("INFO")
    fake.script.put(picture())
    source = camera(fake)
    source.open()
    fake.script.put(STOP)
    source.close()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("INFO", "camera 0: 64×48 at 30 Hz, MJPG.")


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 1e9])
def test_a_camera_that_does_not_know_its_rate_is_taken_at_its_word_otherwise(fps) -> None:
    capture = FakeCapture(fps=fps)
    capture.script.put(picture())
    source = camera(capture, rate_hz=24)
    assert source.open().rate_hz == 24
    capture.script.put(STOP)
    source.close()


@pytest.mark.parametrize("code", [0.0, -466162819.0, float("nan"), float("inf"), 1e18])
def test_a_format_the_driver_does_not_know_does_no_harm(code) -> None:
    class Odd(FakeCapture):
        def get(self, prop: int) -> float:
            return code

    capture = Odd()
    capture.script.put(picture())
    source = camera(capture)
    assert source.open().width == 64
    capture.script.put(STOP)
    source.close()


def test_pictures_carry_the_time_since_the_first(fake) -> None:
    times = iter([5_000_000_000, 5_033_000_000, 5_070_000_000])
    source = camera(fake, clock=lambda: next(times, 6_000_000_000))
    fake.script.put(picture(10))
    source.open()
    image = picture(0)
    media_ns, shown = [source.fill(image)], [int(image[0, 0, 0])]
    for value in (20, 30):
        fake.script.put(picture(value))
        media_ns.append(source.fill(image))
        shown.append(int(image[0, 0, 0]))
    assert media_ns == [0, 33_000_000, 70_000_000]
    assert shown == [10, 20, 30]
    fake.script.put(STOP)
    source.close()


def test_a_slow_reader_gets_the_newest_picture(fake) -> None:
    read_all = threading.Event()
    ticks = count()

    def clock() -> int:
        tick = next(ticks)
        if tick == 3:
            read_all.set()
        return tick

    source = camera(fake, clock=clock)
    for value in (10, 20, 30, 40):
        fake.script.put(picture(value))
    source.open()
    assert read_all.wait(5)
    image = picture(0)
    source.fill(image)
    assert image[0, 0, 0] == 40
    fake.script.put(STOP)
    source.close()


@pytest.mark.parametrize(
    ("delivered", "expected"),
    [
        (np.full((48, 64), 90, np.uint8), 90),
        (np.full((48, 64, 1), 90, np.uint8), 90),
        (np.full((48, 64, 4), 90, np.uint8), 90),
        (np.full((48, 64), 90 << 8, np.uint16), 90),
        (np.full((48, 64, 3), 90 << 8, np.uint16), 90),
    ],
)
def test_gray_alpha_and_deep_pictures_become_bgr(delivered, expected) -> None:
    converted = bgr_picture(delivered)
    assert converted.shape == (48, 64, 3)
    assert converted.dtype == np.uint8
    assert (converted == expected).all()


UNUSABLE = [
    None,
    np.empty((0, 0, 3), np.uint8),
    np.empty((0,), np.uint8),
    np.zeros((4, 4, 2), np.uint8),
    np.zeros((4, 4, 3), np.float32),
    np.zeros((2, 4, 4, 3), np.uint8),
    "garbage",
]


@pytest.mark.parametrize("garbage", UNUSABLE, ids=str)
def test_garbage_costs_one_picture_and_not_the_stream(fake, garbage) -> None:
    fake.script.put(picture(10))
    source = camera(fake)
    source.open()
    image = picture(0)
    source.fill(image)
    fake.script.put(garbage)
    with pytest.raises(MediaError) as error:
        source.fill(image)
    assert "\n" not in str(error.value)
    fake.script.put(picture(30))
    source.fill(image)
    assert (image == 30).all()
    fake.script.put(STOP)
    source.close()


def test_a_change_of_size_is_letterboxed(fake) -> None:
    fake.script.put(picture())
    source = camera(fake)
    source.open()
    image = picture(0)
    source.fill(image)
    fake.script.put(picture(200, width=24, height=48))
    source.fill(image)
    assert (image[:, 20:44] == 200).all()
    assert (image[:, :20] == 0).all()
    assert (image[:, 44:] == 0).all()
    fake.script.put(STOP)
    source.close()


def test_a_failed_read_now_and_then_is_forgiven(fake) -> None:
    fake.script.put(picture())
    source = camera(fake)
    source.open()
    image = picture(0)
    source.fill(image)
    for _ in range(3):
        fake.script.put(STOP)
    fake.script.put(picture(77))
    assert source.fill(image) is not None
    assert (image == 77).all()
    fake.script.put(STOP)
    source.close()


def test_a_camera_that_falls_silent_is_gone(fake) -> None:
    fake.script.put(picture())
    source = camera(fake, stall_timeout_s=0.05, reconnect=False)
    source.open()
    image = picture(0)
    source.fill(image)
    with pytest.raises(CameraError, match=r"got none for 0\.\d+ s"):
        source.fill(image)
    fake.script.put(STOP)
    source.close()


def test_closing_from_another_thread_ends_a_waiting_fill_and_frees_the_device(fake) -> None:
    fake.script.put(picture())
    source = camera(fake, stall_timeout_s=30)
    source.open()
    image = picture(0)
    source.fill(image)
    results: list[int | None] = []
    waiting = threading.Thread(target=lambda: results.append(source.fill(image)))
    waiting.start()
    fake.script.put(STOP)
    source.close()
    waiting.join(timeout=5)
    assert results == [None]
    fake.script.put(STOP)
    assert fake.released.wait(5)


def test_a_camera_that_opens_but_shows_nothing_is_said_in_time(fake, tmp_path) -> None:
    started = time.monotonic()
    message = failure(camera(fake, open_timeout_s=0.1))
    assert "0.1 s" in message or "permission" in message
    assert time.monotonic() - started < 2


def test_an_open_that_hangs_is_left_behind() -> None:
    never = threading.Event()

    def hang(index: int, backend: int) -> FakeCapture:
        never.wait(30)
        return FakeCapture(opens=False)

    started = time.monotonic()
    failure(camera(hang, open_timeout_s=0.1))
    assert time.monotonic() - started < 2
    never.set()


def test_the_second_interface_is_tried_where_the_first_fails(monkeypatch) -> None:
    monkeypatch.setattr(camera_module, "candidates", lambda *_: [(0, cv2.CAP_DSHOW), (0, 1400)])
    good = FakeCapture()
    good.script.put(picture())
    tried = []

    def capture(index: int, backend: int) -> FakeCapture:
        tried.append(backend)
        return good if backend == 1400 else FakeCapture(opens=False)

    source = camera(capture)
    source.open()
    assert tried == [cv2.CAP_DSHOW, 1400]
    good.script.put(STOP)
    source.close()


def test_an_opencv_error_in_the_driver_ends_the_camera_and_not_the_program() -> None:
    class Broken(FakeCapture):
        def read(self):
            raise cv2.error("broken driver")

    failure(camera(Broken(), open_timeout_s=5))


def test_a_missing_camera_is_said_at_once_in_one_line_and_opencv_keeps_quiet() -> None:
    script = (
        "import time, realtime.sources.camera as c\n"
        "t = time.monotonic()\n"
        "try:\n"
        "    c.Camera(97).open()\n"
        "except c.CameraError as error:\n"
        "    print(error)\n"
        "print(time.monotonic() - t)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    message, elapsed_s = done.stdout.splitlines()
    assert message.startswith("camera 97: must exist, got no such camera.")
    assert float(elapsed_s) < 5
    assert done.stderr == ""
