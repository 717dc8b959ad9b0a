"""Structures and requests of the Linux video interface, laid out as in ``<linux/videodev2.h>``."""

import ctypes

_u32 = ctypes.c_uint32
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)


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
