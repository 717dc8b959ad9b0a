import builtins
import errno
import sys
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from realtime.errors import SinkError
from realtime.frame import PictureSpec
from realtime.sinks import virtual_camera as module
from realtime.sinks.v4l2_output import open_v4l2
from realtime.sinks.virtual_camera import PyvirtualcamOutput, VirtualCamera
from realtime.stage import Sink
from realtime.v4l2 import PixelLayout


class FakeOutput:
    """A device that keeps what it is sent; it may take another layout than it is asked for."""

    def __init__(self, fails: Exception | None = None, layout: PixelLayout | None = None) -> None:
        self.shown: list[np.ndarray] = []
        self.closed = 0
        self.fails = fails
        self.fixed = layout

    def __call__(self, width, height, rate_hz, *, device) -> "FakeOutput":
        self.asked = (width, height, rate_hz, device)
        self.layout = self.fixed or PixelLayout("YU12", width, height)
        return self

    def send(self, picture: np.ndarray) -> None:
        if self.fails is not None:
            raise self.fails
        assert picture.flags.c_contiguous
        self.shown.append(picture.copy())

    def close(self) -> None:
        self.closed += 1


def spec(width: int = 64, height: int = 48) -> PictureSpec:
    return PictureSpec(width, height, Fraction(30000, 1001), live=True)


def refusal(text: str | OSError, device: str | None = None, platform: str = "linux") -> str:
    def cannot(*_args: object, **_options: object) -> FakeOutput:
        raise text if isinstance(text, OSError) else RuntimeError(text)

    with pytest.raises(SinkError) as error:
        VirtualCamera(device, camera=cannot, platform=platform).open(spec())
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("virtual camera")
    assert message.endswith((".", ")."))
    return message


def test_a_virtual_camera_is_a_sink() -> None:
    assert isinstance(VirtualCamera(), Sink)


def test_a_device_is_sent_i420_of_the_right_colours() -> None:
    output = FakeOutput()
    sink = VirtualCamera("/dev/video10", camera=output)
    sink.open(spec())
    assert output.asked == (64, 48, Fraction(30000, 1001), "/dev/video10")
    image = np.zeros((48, 64, 3), np.uint8)
    image[:] = (0, 0, 255)
    sink.send(image, 0)
    sink.close()
    (sent,) = output.shown
    assert sent.shape == (72, 64)
    luma, blue, red = sent[:48], sent[48:60], sent[60:]
    # ITU-R BT.601 limited range: Y, Cb and Cr of pure red.
    for plane, expected in ((luma, 81.5), (blue, 90.2), (red, 240)):
        assert np.abs(plane.astype(float) - expected).max() <= 1.5


@pytest.mark.parametrize(
    ("platform", "backend", "opener"),
    [
        ("linux", "auto", open_v4l2),
        ("linux", "pyvirtualcam", PyvirtualcamOutput),
        ("win32", "auto", PyvirtualcamOutput),
        ("darwin", "auto", PyvirtualcamOutput),
        ("win32", "v4l2", open_v4l2),
    ],
)
def test_our_own_writer_serves_linux_and_pyvirtualcam_the_others(platform, backend, opener) -> None:
    assert module._opener(backend, platform) is opener


def test_a_device_of_another_size_gets_bars_and_is_not_opened_again() -> None:
    output = FakeOutput(layout=PixelLayout("BGR3", 96, 48))
    sink = VirtualCamera(camera=output)
    sink.open(spec())
    for _ in range(2):
        sink.send(np.full((48, 64, 3), 200, np.uint8), 0)
    shown = output.shown[-1]
    assert shown.shape == (48, 96, 3)
    assert (shown[:, 16:80] == 200).all()
    assert not shown[:, :16].any()
    assert not shown[:, 80:].any()


def test_an_odd_last_column_and_row_are_left_out() -> None:
    output = FakeOutput()
    sink = VirtualCamera(camera=output)
    sink.open(spec(65, 49))
    sink.send(np.full((49, 65, 3), 128, np.uint8), 0)
    assert output.asked[:2] == (64, 48)
    assert output.shown[0].size == 64 * 48 * 3 // 2


class Pyvirtualcam:
    """The package, as far as it is used."""

    class PixelFormat:
        I420, BGR = "I420", "BGR"

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []

    def Camera(self, width, height, fps, *, fmt, device):  # noqa: N802
        self.asked = (width, height, fps, fmt, device)
        return SimpleNamespace(send=self.sent.append, close=lambda: self.sent.append(None))


@pytest.mark.parametrize(("platform", "fmt"), [("linux", "I420"), ("win32", "BGR")])
def test_pyvirtualcam_gets_what_the_system_is_quickest_with(monkeypatch, platform, fmt) -> None:
    package = Pyvirtualcam()
    monkeypatch.setitem(sys.modules, "pyvirtualcam", package)
    sink = VirtualCamera("cam", camera=partial(PyvirtualcamOutput, platform=platform))
    sink.open(spec())
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    sink.send(image, 0)
    sink.close()
    assert package.asked == (64, 48, 30000 / 1001, fmt, "cam")
    assert package.sent[0].size == (64 * 48 * 3 // 2 if fmt == "I420" else image.size)
    assert fmt == "I420" or (package.sent[0] == image).all()
    assert package.sent[1] is None


def test_a_picture_too_small_for_a_camera_is_refused() -> None:
    with pytest.raises(SinkError, match="2×2"):
        VirtualCamera(camera=FakeOutput()).open(spec(1, 48))


def test_without_the_package_the_command_to_install_it_is_given(monkeypatch) -> None:
    real_import = builtins.__import__

    def no_pyvirtualcam(name, *rest, **options):
        if name == "pyvirtualcam":
            raise ImportError(name)
        return real_import(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", no_pyvirtualcam)
    with pytest.raises(SinkError, match=r"pip install 'rt-swap\[vcam\]'"):
        VirtualCamera(camera=PyvirtualcamOutput).open(spec())


@pytest.mark.parametrize(
    ("platform", "device", "cure"),
    [
        ("linux", None, "modprobe v4l2loopback video_nr=10 exclusive_caps=1"),
        ("linux", "/dev/video3", "modprobe v4l2loopback video_nr=3 exclusive_caps=1"),
        ("win32", None, "Install OBS 28"),
        ("darwin", None, "Install OBS 30"),
    ],
)
def test_a_missing_device_comes_with_the_cure_for_the_system(platform, device, cure) -> None:
    assert cure in refusal("No device found.\nTry again", device, platform)


@pytest.mark.parametrize("text", ["could not be opened: Device or resource busy", "already in use"])
def test_a_busy_device_is_called_busy(text) -> None:
    assert "must be free, got it in use" in refusal(text)


def test_the_program_that_holds_the_device_is_named(monkeypatch) -> None:
    monkeypatch.setattr(module, "holders", lambda path: ["obs (77)"])
    assert "in use by obs (77)" in refusal("could not be opened", "/dev/video10")


def test_a_reader_of_a_device_that_cannot_be_used_is_not_blamed(monkeypatch) -> None:
    monkeypatch.setattr(module, "holders", lambda path: ["zoom (77)"])
    said = refusal(
        OSError(errno.ENODEV, "it is no v4l2loopback device", "/dev/video3"), "/dev/video3"
    )
    assert "must exist, got: it is no v4l2loopback device. Run:" in said
    assert "zoom" not in said
    busy = OSError(errno.EBUSY, "Device or resource busy", "/dev/video3")
    assert "in use by zoom (77)" in refusal(busy, "/dev/video3")


def test_missing_permission_is_told_apart() -> None:
    assert "usermod" in refusal("could not be opened due to missing permissions")
    assert "usermod" in refusal(OSError(errno.EACCES, "Permission denied", "/dev/video3"))


def test_a_device_that_vanishes_ends_in_a_sink_error() -> None:
    sink = VirtualCamera(camera=FakeOutput(fails=OSError("No such device")))
    sink.open(spec())
    with pytest.raises(SinkError, match="must stay connected, got: No such device"):
        sink.send(np.zeros((48, 64, 3), np.uint8), 0)


def test_a_closed_device_is_closed_once_and_takes_no_pictures() -> None:
    output = FakeOutput()
    sink = VirtualCamera(camera=output)
    sink.open(spec())
    sink.close()
    sink.close()
    assert output.closed == 1
    with pytest.raises(SinkError, match="must be open"):
        sink.send(np.zeros((48, 64, 3), np.uint8), 0)
