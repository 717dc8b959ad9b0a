import errno
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime import v4l2
from realtime.sinks.v4l2_output import V4l2Output, open_v4l2
from realtime.v4l2 import Capability, PixelLayout

WANTED = PixelLayout("YU12", 64, 48)
PICTURE = np.full((72, 64), 7, np.uint8)


class Device:
    """A loopback device behind an ordinary file.

    Args:
        path: of the file.
        returns: the layout it takes; None: what is asked for.
        driver, caps: as ``VIDIOC_QUERYCAP`` tells.
        refuses: the error of ``VIDIOC_S_FMT``.
    """

    def __init__(
        self, path, *, returns=None, driver=b"v4l2 loopback", caps=2, refuses=None, starts=True
    ):
        self.path = path
        path.touch()
        self.returns, self.driver, self.caps = returns, driver, caps
        self.refuses, self.starts = refuses, starts
        self.requests = []

    def ioctl(self, descriptor, request, struct):
        self.requests.append(request)
        if request == v4l2.QUERYCAP:
            struct.driver, struct.capabilities = self.driver, self.caps
        elif request == v4l2.S_FMT:
            if self.refuses is not None:
                raise self.refuses
            self.answer(struct.fmt.pix)
        elif request == v4l2.STREAMON and not self.starts:
            raise OSError(errno.EINVAL, "no buffers")

    def answer(self, pix):
        taken = self.returns
        if taken is not None:
            pix.width, pix.height = taken.width, taken.height
            pix.pixelformat = v4l2.code_of(taken.fourcc)
            pix.bytesperline, pix.sizeimage = taken.stride_bytes, taken.size_bytes

    def open(self, **options):
        return V4l2Output(
            self.path, WANTED, Fraction(30), opener=self.opener, ioctl=self.ioctl, **options
        )

    def opener(self, path):
        self.descriptor = os.open(path, os.O_WRONLY)
        return self.descriptor

    @property
    def is_let_go(self):
        try:
            os.fstat(self.descriptor)
        except OSError:
            return True
        return False


@pytest.fixture
def path(tmp_path):
    return tmp_path / "video9"


@pytest.mark.parametrize("starts", [True, False], ids=["0.12", "0.15"])
def test_a_picture_is_written_whole_and_the_device_let_go(path, starts):
    device = Device(path, starts=starts)
    output = device.open()
    output.send(PICTURE)
    output.send(PICTURE)
    assert not device.is_let_go
    output.close()
    assert device.is_let_go
    output.close()
    assert path.read_bytes() == PICTURE.tobytes() * 2
    assert output.layout == WANTED
    assert device.requests == [v4l2.QUERYCAP, v4l2.S_FMT, v4l2.S_PARM, v4l2.STREAMON]
    with pytest.raises(OSError, match="closed"):
        output.send(PICTURE)


def test_the_layout_that_the_driver_returns_is_obeyed(path):
    returned = PixelLayout("YUYV", 32, 24, 64, 1536)
    assert Device(path, returns=returned).open().layout == returned


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (PixelLayout("MJPG", 64, 48), "takes only MJPG 64x48"),
        (PixelLayout("YU12", 63, 48), "takes only YU12 63x48"),
        (PixelLayout("YU12", 64, 48, 128), "rows of 128 bytes for 64 pixels"),
    ],
)
def test_a_layout_that_cannot_be_made_is_refused_and_the_device_let_go(path, returned, message):
    device = Device(path, returns=returned)
    with pytest.raises(OSError, match=message):
        device.open()
    assert device.is_let_go


@pytest.mark.parametrize(
    ("driver", "caps", "code"),
    [
        (b"v4l2 loopback", 1, errno.EBUSY),
        (b"uvcvideo", 1, errno.ENODEV),
    ],
)
def test_a_device_that_somebody_writes_to_and_a_real_camera_are_told_apart(
    path, driver, caps, code
):
    with pytest.raises(OSError, match="video9") as error:
        Device(path, driver=driver, caps=caps).open()
    assert error.value.errno == code


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="has no such device")
def test_a_device_of_another_kind_is_no_virtual_camera():
    with pytest.raises(OSError, match="no v4l2loopback device") as error:
        open_v4l2(64, 48, Fraction(30), device="/dev/null")
    assert error.value.errno == errno.ENODEV


def test_a_device_left_behind_by_a_writer_of_the_old_kind_is_tried_all_the_same(path):
    assert Device(path, caps=0).open().layout == WANTED


def test_a_refused_format_lets_the_device_go(path):
    device = Device(path, refuses=OSError(errno.EBUSY, "busy"))
    with pytest.raises(OSError, match="busy"):
        device.open()
    assert device.is_let_go


def test_a_picture_that_is_not_taken_whole_is_an_error(path):
    output = Device(path).open(write=lambda descriptor, picture: picture.nbytes - 1)
    with pytest.raises(OSError, match="4607 of 4608 bytes"):
        output.send(PICTURE)


class Devices:
    """Several devices, some of which cannot be used."""

    def __init__(self, folder, **kinds):
        self.folder = folder
        for name in kinds:
            (folder / name).touch()
        self.kinds = kinds
        self.tried = []

    def query(self, path):
        kind = self.kinds[path.name]
        if kind == "nothing":
            return None
        driver = "uvcvideo" if kind == "camera" else v4l2.LOOPBACK_DRIVER
        return Capability(driver, path.name, captures=False, outputs=True)

    def open_output(self, path, wanted, rate_hz):
        self.tried.append(path.name)
        if self.kinds.get(path.name) == "busy":
            raise OSError(errno.EBUSY, "Device or resource busy", str(path))
        return (path.name, wanted, rate_hz)

    def open(self, device=None):
        return open_v4l2(
            64,
            48,
            Fraction(30),
            device=device,
            dev=self.folder,
            open_output=self.open_output,
            query=self.query,
        )


def test_the_first_free_loopback_device_is_taken(tmp_path):
    kinds = {"video10": "free", "video2": "busy", "video0": "camera", "video1": "nothing"}
    devices = Devices(tmp_path, **kinds)
    assert devices.open() == ("video10", WANTED, 30)
    assert devices.tried == ["video2", "video10"]


def test_a_device_that_is_named_is_the_only_one_tried(tmp_path):
    devices = Devices(tmp_path, video2="busy", video10="free")
    with pytest.raises(OSError, match="busy"):
        devices.open(str(tmp_path / "video2"))
    assert devices.tried == ["video2"]


@pytest.mark.parametrize(("kinds", "message"), [({}, "no v4l2loopback"), ({"video1": "busy"}, "b")])
def test_without_a_free_device_the_reason_is_told(tmp_path, kinds, message):
    with pytest.raises(OSError, match=message):
        Devices(tmp_path, **kinds).open()
