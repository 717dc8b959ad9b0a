"""Writing to a v4l2loopback device without any library: set the format, then write pictures."""

import errno
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from realtime import v4l2
from realtime.sinks.packing import FORMATS, Packed, row_bytes

_DEV = Path("/dev")
_BUSY = "Device or resource busy"
_NO_LOOPBACK = "it is no v4l2loopback device"

OpenDevice = Callable[[Path], int]
"""Opens a device file for writing and returns its descriptor."""

WriteBytes = Callable[[int, Packed], int]
"""Writes one picture to a descriptor and says how many bytes were taken."""


def open_for_writing(path: Path) -> int:
    """Opens a device file for writing.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, os.O_WRONLY)


def write_bytes(descriptor: int, picture: Packed) -> int:
    """Writes one picture; returns how many bytes were taken.

    Raises:
        OSError: the device is gone.
    """
    return os.write(descriptor, picture.data)


class V4l2Output:
    """An open device that pictures are written to. One thread at a time.

    Attributes:
        path: of the device.
        layout: the pictures it takes: what the driver returned, not what was asked for.

    Args:
        path: of a device file.
        wanted: format and size that would be best.
        rate_hz: told to the readers.
        opener: opens the device file.
        ioctl: asks the driver.
        write: writes one picture.

    Raises:
        OSError: the device cannot be opened, is busy, or takes no format that can be made.
    """

    def __init__(
        self,
        path: Path,
        wanted: v4l2.PixelLayout,
        rate_hz: Fraction,
        *,
        opener: OpenDevice = open_for_writing,
        ioctl: v4l2.Ioctl = v4l2.system_ioctl,
        write: WriteBytes = write_bytes,
    ) -> None:
        self.path = path
        self._write = write
        self._ioctl = ioctl
        self._started = False
        self._descriptor: int | None = opener(path)
        try:
            self.layout = _negotiate(self._descriptor, wanted, path, ioctl)
            v4l2.set_output_rate(self._descriptor, rate_hz, ioctl=ioctl)
        except OSError:
            self.close()
            raise

    def send(self, picture: Packed) -> None:
        """Writes one picture in the layout of the device.

        Raises:
            OSError: the device is closed or gone, or did not take the whole picture.
        """
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the device is closed", str(self.path))
        written = self._write(self._descriptor, picture)
        if not self._started:
            self._started = True
            v4l2.start_output(self._descriptor, ioctl=self._ioctl)
        if written != picture.nbytes:
            raise OSError(errno.EIO, f"{written} of {picture.nbytes} bytes taken", str(self.path))

    def close(self) -> None:
        """Lets the device go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _negotiate(
    descriptor: int, wanted: v4l2.PixelLayout, path: Path, ioctl: v4l2.Ioctl
) -> v4l2.PixelLayout:
    try:
        found = v4l2.query(descriptor, ioctl=ioctl)
    except OSError as error:
        raise OSError(errno.ENODEV, _NO_LOOPBACK, str(path)) from error
    if found.is_taken:
        raise OSError(errno.EBUSY, _BUSY, str(path))
    if not (found.is_loopback or found.outputs):
        raise OSError(errno.ENODEV, _NO_LOOPBACK, str(path))
    layout = v4l2.set_output_format(descriptor, wanted, ioctl=ioctl)
    if layout.fourcc not in FORMATS or layout.width % 2 or layout.height % 2:
        raise OSError(
            errno.EINVAL,
            f"it takes only {layout.fourcc} {layout.width}x{layout.height}, which cannot be made",
            str(path),
        )
    _check_stride(layout, path)
    return layout


def _check_stride(layout: v4l2.PixelLayout, path: Path) -> None:
    """Rows with gaps between them are not written; no loopback driver asks for them."""
    if layout.stride_bytes not in (0, row_bytes(layout.fourcc, layout.width)):
        raise OSError(
            errno.EINVAL,
            f"it wants rows of {layout.stride_bytes} bytes for {layout.width} pixels",
            str(path),
        )


def open_v4l2(
    width: int,
    height: int,
    rate_hz: Fraction,
    *,
    device: str | None,
    dev: Path = _DEV,
    open_output: Callable[[Path, v4l2.PixelLayout, Fraction], V4l2Output] = V4l2Output,
    query: Callable[[Path], v4l2.Capability | None] | None = None,
) -> V4l2Output:
    """Opens a virtual camera, I420 if it will take that.

    Args:
        width, height: pixels.
        rate_hz: pictures per second.
        device: path of the device; None for the first that is free.
        dev: folder of the device files.
        open_output: opens one device.
        query: says what a device is; None where it is none.

    Raises:
        OSError: the device, or every one there is, cannot be used.
    """
    wanted = v4l2.PixelLayout("YU12", width, height)
    if device is not None:
        return open_output(Path(device), wanted, rate_hz)
    fault = OSError(errno.ENODEV, "no v4l2loopback device found", str(dev))
    for path in _loopbacks(dev, query or v4l2.query_path):
        try:
            return open_output(path, wanted, rate_hz)
        except OSError as error:
            fault = error
    raise fault


def _loopbacks(dev: Path, query: Callable[[Path], v4l2.Capability | None]) -> Iterator[Path]:
    """The loopback devices, in the order of their numbers."""
    numbered = [path for path in dev.glob("video*") if path.name[5:].isdecimal()]
    for path in sorted(numbered, key=lambda path: int(path.name[5:])):
        found = query(path)
        if found is not None and found.is_loopback:
            yield path
