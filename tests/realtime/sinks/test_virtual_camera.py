import builtins
from fractions import Fraction

import numpy as np
import pytest

from realtime.errors import SinkError
from realtime.frame import PictureSpec
from realtime.sinks import virtual_camera as module
from realtime.sinks.virtual_camera import VirtualCamera, open_pyvirtualcam
from realtime.stage import Sink


class FakeOutput:
    """A device that keeps what it is sent."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.shown: list[np.ndarray] = []
        self.closed = 0
        self.fails = fails

    def __call__(self, width, height, fps, *, fmt, device, backend) -> "FakeOutput":
        self.asked = (width, height, fps, fmt, device, backend)
        return self

    def send(self, frame: np.ndarray) -> None:
        if self.fails is not None:
            raise self.fails
        assert frame.flags.c_contiguous
        self.shown.append(frame.copy())

    def close(self) -> None:
        self.closed += 1


def spec(width: int = 64, height: int = 48) -> PictureSpec:
    return PictureSpec(width, height, Fraction(30000, 1001), live=True)


def refusal(text: str, device: str | None = None, platform: str = "linux") -> str:
    def cannot(*_args: object, **_options: object) -> FakeOutput:
        raise RuntimeError(text)

    with pytest.raises(SinkError) as error:
        VirtualCamera(device, camera=cannot, platform=platform).open(spec())
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("virtual camera")
    assert message.endswith((".", ")."))
    return message


def test_a_virtual_camera_is_a_sink() -> None:
    assert isinstance(VirtualCamera(), Sink)


def test_linux_is_sent_i420_of_the_right_colours() -> None:
    output = FakeOutput()
    sink = VirtualCamera("/dev/video10", camera=output, platform="linux")
    sink.open(spec())
    assert output.asked == (64, 48, 30000 / 1001, "I420", "/dev/video10", None)
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


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_sent_the_picture_as_it_is(platform) -> None:
    output = FakeOutput()
    sink = VirtualCamera(camera=output, backend="obs", platform=platform)
    sink.open(spec())
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    sink.send(image, 0)
    assert output.asked[3:] == ("BGR", None, "obs")
    assert (output.shown[0] == image).all()


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_an_odd_last_column_and_row_are_left_out(platform) -> None:
    output = FakeOutput()
    sink = VirtualCamera(camera=output, platform=platform)
    sink.open(spec(65, 49))
    sink.send(np.full((49, 65, 3), 128, np.uint8), 0)
    assert output.asked[:2] == (64, 48)
    assert output.shown[0].size == (64 * 48 * 3 // 2 if platform == "linux" else 64 * 48 * 3)


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
        VirtualCamera(camera=open_pyvirtualcam).open(spec())


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


def test_missing_permission_is_told_apart() -> None:
    assert "usermod" in refusal("could not be opened due to missing permissions")


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
