"""The few calls of the Linux video interface (V4L2) that cameras and virtual cameras need; no copy.

Structures and numbers are those of ``<linux/videodev2.h>``, documented at
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

BUF_CAPTURE = 1
BUF_OUTPUT = 2

LOOPBACK_DRIVER = "v4l2 loopback"
"""What v4l2loopback calls itself."""

_CAP_CAPTURE = 0x00000001
_CAP_OUTPUT = 0x00000002
_CAP_DEVICE_CAPS = 0x80000000
_FIELD_NONE = 1
_DISCRETE = 1
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_MAX_ENTRIES = 64
"""No driver lists more formats, sizes or rates; one that never stops is left after so many."""

_u32 = ctypes.c_uint32

Ioctl = Callable[[int, int, ctypes.Structure], object]
"""``(descriptor, request, structure)``; fills the structure in, raises OSError."""


class CapabilityStruct(ctypes.Structure):
    """``struct v4l2_capability``."""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _u32),
        ("capabilities", _u32),
        ("device_caps", _u32),
        ("reserved", _u32 * 3),
    )


class PixStruct(ctypes.Structure):
    """``struct v4l2_pix_format``."""

    _fields_ = tuple(
        (name, _u32)
        for name in (
            "width",
            "height",
            "pixelformat",
            "field",
            "bytesperline",
            "sizeimage",
            "colorspace",
            "priv",
            "flags",
            "ycbcr_enc",
            "quantization",
            "xfer_func",
        )
    )


class _FormatUnion(ctypes.Union):
    # The largest member holds pointers, which sets how the union is aligned.
    _fields_ = (
        ("pix", PixStruct),
        ("raw", ctypes.c_uint8 * 200),
        ("align", ctypes.c_void_p * (200 // _POINTER_BYTES)),
    )


class FormatStruct(ctypes.Structure):
    """``struct v4l2_format``."""

    _fields_ = (("type", _u32), ("fmt", _FormatUnion))


class StreamParmStruct(ctypes.Structure):
    """``struct v4l2_streamparm`` of an output; the rest of the union is reserved."""

    _fields_ = (
        ("type", _u32),
        ("capability", _u32),
        ("mode", _u32),
        ("numerator", _u32),
        ("denominator", _u32),
        ("rest", ctypes.c_uint8 * 184),
    )


class StreamTypeStruct(ctypes.Structure):
    """The ``int`` that ``VIDIOC_STREAMON`` takes."""

    _fields_ = (("type", ctypes.c_int),)


class FormatEntryStruct(ctypes.Structure):
    """``struct v4l2_fmtdesc``."""

    _fields_ = (
        ("index", _u32),
        ("type", _u32),
        ("flags", _u32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _u32),
        ("mbus_code", _u32),
        ("reserved", _u32 * 3),
    )


class SizeEntryStruct(ctypes.Structure):
    """``struct v4l2_frmsizeenum``; ``values`` begins with the width and height of a fixed size."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("type", _u32),
        ("values", _u32 * 6),
        ("reserved", _u32 * 2),
    )


class RateEntryStruct(ctypes.Structure):
    """``struct v4l2_frmivalenum``; ``values`` begins with the shortest interval, in seconds."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("width", _u32),
        ("height", _u32),
        ("type", _u32),
        ("values", _u32 * 6),
        ("reserved", _u32 * 2),
    )


def _request(direction: int, number: int, struct: type[ctypes.Structure]) -> int:
    """The number of an ioctl, as ``<asm-generic/ioctl.h>`` makes it."""
    return direction << 30 | ctypes.sizeof(struct) << 16 | ord("V") << 8 | number


_WRITE, _READ, _BOTH = 1, 2, 3
QUERYCAP = _request(_READ, 0, CapabilityStruct)
ENUM_FMT = _request(_BOTH, 2, FormatEntryStruct)
S_FMT = _request(_BOTH, 5, FormatStruct)
STREAMON = _request(_WRITE, 18, StreamTypeStruct)
S_PARM = _request(_BOTH, 22, StreamParmStruct)
ENUM_FRAMESIZES = _request(_BOTH, 74, SizeEntryStruct)
ENUM_FRAMEINTERVALS = _request(_BOTH, 75, RateEntryStruct)


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
