"""The few calls of the Linux video interface (V4L2) that cameras and virtual cameras need.

Documented at
https://www.kernel.org/doc/html/latest/userspace-api/media/v4l/v4l2.html. Every function takes an
open file descriptor and, for tests, the ``ioctl`` to use.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from realtime.v4l2_structs import (
    ENUM_FMT,
    ENUM_FRAMEINTERVALS,
    ENUM_FRAMESIZES,
    QUERYCAP,
    S_FMT,
    S_PARM,
    STREAMON,
    CapabilityStruct,
    FormatEntryStruct,
    FormatStruct,
    RateEntryStruct,
    SizeEntryStruct,
    StreamParmStruct,
    StreamTypeStruct,
)

BUF_CAPTURE = 1
BUF_OUTPUT = 2

LOOPBACK_DRIVER = "v4l2 loopback"
"""What v4l2loopback calls itself."""

_CAP_CAPTURE = 0x00000001
_CAP_OUTPUT = 0x00000002
_CAP_DEVICE_CAPS = 0x80000000
_FIELD_NONE = 1
_DISCRETE = 1
_MAX_ENTRIES = 64
"""No driver lists more formats, sizes or rates; one that never stops is left after so many."""

Ioctl = Callable[[int, int, ctypes.Structure], object]
"""``(descriptor, request, structure)``; fills the structure in, raises OSError."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a device is.

    Attributes:
        driver: name of the kernel's driver.
        card: name of the device.
        captures: pictures can be read from it.
        outputs: pictures can be written to it.
    """

    driver: str
    card: str
    captures: bool
    outputs: bool

    @property
    def is_loopback(self) -> bool:
        """Whether it is a virtual camera of v4l2loopback."""
        return self.driver == LOOPBACK_DRIVER

    @property
    def is_taken(self) -> bool:
        """Whether somebody writes to it; seen only where it was made with ``exclusive_caps=1``."""
        return self.is_loopback and self.captures and not self.outputs


@dataclass(frozen=True, slots=True)
class Mode:
    """One format and size of a camera.

    Attributes:
        fourcc: pixel format in four letters.
        width, height: pixels; the largest where the camera takes any.
        rate_hz: highest rate; None where the driver does not say.
    """

    fourcc: str
    width: int
    height: int
    rate_hz: Fraction | None


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How pictures lie in a buffer.

    Attributes:
        fourcc: pixel format in four letters.
        width, height: pixels.
        stride_bytes: of one row of the first plane; 0 where the driver leaves it open.
        size_bytes: of one picture; 0 where the driver leaves it open.
    """

    fourcc: str
    width: int
    height: int
    stride_bytes: int = 0
    size_bytes: int = 0


def system_ioctl(descriptor: int, request: int, structure: ctypes.Structure) -> object:
    """The kernel's own ``ioctl``.

    Raises:
        OSError: the driver refuses.
    """
    # Linux and macOS only; this module can be imported everywhere.
    import fcntl

    return fcntl.ioctl(descriptor, request, structure)


def query(descriptor: int, *, ioctl: Ioctl = system_ioctl) -> Capability:
    """Says what a device is.

    Raises:
        OSError: it is no video device.
    """
    found = CapabilityStruct()
    ioctl(descriptor, QUERYCAP, found)
    caps = found.device_caps if found.capabilities & _CAP_DEVICE_CAPS else found.capabilities
    return Capability(
        found.driver.decode("ascii", "replace"),
        found.card.decode("utf-8", "replace"),
        captures=bool(caps & _CAP_CAPTURE),
        outputs=bool(caps & _CAP_OUTPUT),
    )


def query_path(path: Path) -> Capability | None:
    """What the device at a path is; None where it cannot be asked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return query(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def capture_modes(descriptor: int, *, ioctl: Ioctl = system_ioctl) -> Iterator[Mode]:
    """Every format and size that a camera says it has; nothing where it does not say."""
    for index in range(_MAX_ENTRIES):
        entry = FormatEntryStruct(index=index, type=BUF_CAPTURE)
        if not _entry(descriptor, ENUM_FMT, entry, ioctl):
            return
        yield from _sizes(descriptor, entry.pixelformat, ioctl)


def set_output_format(
    descriptor: int, wanted: PixelLayout, *, ioctl: Ioctl = system_ioctl
) -> PixelLayout:
    """Asks for the format of the pictures that will be written.

    Returns:
        What the driver takes instead, which must be obeyed.

    Raises:
        OSError: the driver takes none, or somebody else is writing.
    """
    form = FormatStruct(type=BUF_OUTPUT)
    pix = form.fmt.pix
    pix.width, pix.height, pix.field = wanted.width, wanted.height, _FIELD_NONE
    pix.pixelformat = code_of(wanted.fourcc)
    pix.bytesperline, pix.sizeimage = wanted.stride_bytes, wanted.size_bytes
    ioctl(descriptor, S_FMT, form)
    return PixelLayout(
        letters_of(pix.pixelformat), pix.width, pix.height, pix.bytesperline, pix.sizeimage
    )


def set_output_rate(
    descriptor: int, rate_hz: Fraction, *, ioctl: Ioctl = system_ioctl
) -> Fraction | None:
    """Tells the readers of a virtual camera how many pictures a second will come.

    Returns:
        The rate the driver takes; None where it has no rate.
    """
    parm = StreamParmStruct(
        type=BUF_OUTPUT, numerator=rate_hz.denominator, denominator=rate_hz.numerator
    )
    try:
        ioctl(descriptor, S_PARM, parm)
    except OSError:
        # Optional in the standard; the pictures come at their rate all the same.
        return None
    return Fraction(parm.denominator, parm.numerator) if parm.numerator else None


def start_output(descriptor: int, *, ioctl: Ioctl = system_ioctl) -> None:
    """Tells a loopback device that its writer is here to stay; called after the first picture.

    Older ones with ``exclusive_caps=1`` can otherwise not be written to again once the writer has
    gone (seen with 0.12.7); newer ones know it already.
    """
    with suppress(OSError):
        ioctl(descriptor, STREAMON, StreamTypeStruct(type=BUF_OUTPUT))


def code_of(fourcc: str) -> int:
    """The number of a pixel format."""
    return int.from_bytes(fourcc.encode("ascii"), "little")


def letters_of(code: int) -> str:
    """The four letters of a pixel format."""
    return code.to_bytes(4, "little").decode("ascii", "replace")


def _entry(descriptor: int, request: int, entry: ctypes.Structure, ioctl: Ioctl) -> bool:
    """Asks for one entry of a list; False past its end."""
    try:
        ioctl(descriptor, request, entry)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True


def _sizes(descriptor: int, code: int, ioctl: Ioctl) -> Iterator[Mode]:
    for index in range(_MAX_ENTRIES):
        entry = SizeEntryStruct(index=index, pixel_format=code)
        if not _entry(descriptor, ENUM_FRAMESIZES, entry, ioctl):
            return
        fixed = entry.type == _DISCRETE
        # Of a range the largest: min_width, max_width, step_width, min_height, max_height, …
        width, height = (
            (entry.values[0], entry.values[1]) if fixed else (entry.values[1], entry.values[4])
        )
        yield Mode(
            letters_of(code), width, height, _highest_rate(descriptor, code, width, height, ioctl)
        )
        if not fixed:
            return


def _highest_rate(
    descriptor: int, code: int, width: int, height: int, ioctl: Ioctl
) -> Fraction | None:
    found: list[Fraction] = []
    for index in range(_MAX_ENTRIES):
        entry = RateEntryStruct(index=index, pixel_format=code, width=width, height=height)
        if not _entry(descriptor, ENUM_FRAMEINTERVALS, entry, ioctl):
            break
        # Of a range the first interval is the shortest.
        if entry.values[0]:
            found.append(Fraction(entry.values[1], entry.values[0]))
        if entry.type != _DISCRETE:
            break
    return max(found, default=None)
