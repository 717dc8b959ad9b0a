import ctypes
import errno
from fractions import Fraction

import pytest

from realtime import v4l2


class Driver:
    """Answers the ioctls of one device."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, descriptor, request, struct):
        self.asked.append((descriptor, request))
        name = type(struct).__name__
        answer = self.answers.get(name)
        if answer is None:
            raise OSError(errno.ENOTTY, "not supported")
        answer(struct)


@pytest.mark.parametrize(
    ("struct", "size"),
    [
        (v4l2.CapabilityStruct, 104),
        (v4l2.FormatStruct, 208),
        (v4l2.StreamParmStruct, 204),
        (v4l2.FormatEntryStruct, 64),
        (v4l2.SizeEntryStruct, 44),
        (v4l2.RateEntryStruct, 52),
    ],
)
@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="sizes of 64-bit systems")
def test_structures_have_the_sizes_of_the_kernel(struct, size) -> None:
    assert ctypes.sizeof(struct) == size


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="numbers of 64-bit systems")
def test_requests_have_the_numbers_of_the_kernel() -> None:
    # As printed by the C macros of <linux/videodev2.h> on x86-64.
    assert v4l2.QUERYCAP == 0x80685600
    assert v4l2.ENUM_FMT == 0xC0405602
    assert v4l2.S_FMT == 0xC0D05605
    assert v4l2.STREAMON == 0x40045612
    assert v4l2.S_PARM == 0xC0CC5616
    assert v4l2.ENUM_FRAMESIZES == 0xC02C564A
    assert v4l2.ENUM_FRAMEINTERVALS == 0xC034564B


def test_a_device_says_what_it_is() -> None:
    def answer(struct):
        struct.driver, struct.card = b"v4l2 loopback", b"rt-swap"
        struct.capabilities, struct.device_caps = 0x80000003, 0x00000002

    driver = Driver(CapabilityStruct=answer)
    assert v4l2.query(7, ioctl=driver) == v4l2.Capability("v4l2 loopback", "rt-swap", False, True)
    assert driver.asked == [(7, v4l2.QUERYCAP)]


def test_an_old_driver_without_device_capabilities_is_taken_by_the_common_ones() -> None:
    def answer(struct):
        struct.capabilities = 0x00000001

    assert v4l2.query(7, ioctl=Driver(CapabilityStruct=answer)).captures


def listed(entries):
    """Answers an enumeration with these, then with EINVAL."""

    def answer(struct):
        if struct.index >= len(entries):
            raise OSError(errno.EINVAL, "end")
        entries[struct.index](struct)

    return answer


def setter(**values):
    def answer(struct):
        for name, value in values.items():
            if name == "values":
                struct.values[:] = (*value, *[0] * (6 - len(value)))
            else:
                setattr(struct, name, value)

    return answer


def test_modes_are_listed_with_their_highest_rate() -> None:
    driver = Driver(
        FormatEntryStruct=listed([setter(pixelformat=v4l2.code_of("MJPG"))]),
        SizeEntryStruct=listed(
            [setter(type=1, values=(640, 480)), setter(type=1, values=(1280, 720))]
        ),
        RateEntryStruct=listed(
            [setter(type=1, values=(1, 5)), setter(type=1, values=(1001, 30000))]
        ),
    )
    rate = Fraction(30000, 1001)
    assert list(v4l2.capture_modes(3, ioctl=driver)) == [
        v4l2.Mode("MJPG", 640, 480, rate),
        v4l2.Mode("MJPG", 1280, 720, rate),
    ]


def test_of_a_range_of_sizes_the_largest_is_told_once() -> None:
    driver = Driver(
        FormatEntryStruct=listed([setter(pixelformat=v4l2.code_of("YU12"))]),
        SizeEntryStruct=setter(type=3, values=(2, 4096, 2, 2, 2160, 2)),
    )
    assert list(v4l2.capture_modes(3, ioctl=driver)) == [v4l2.Mode("YU12", 4096, 2160, None)]


def test_a_list_that_never_ends_is_left() -> None:
    driver = Driver(
        FormatEntryStruct=setter(pixelformat=v4l2.code_of("YUYV")),
        SizeEntryStruct=setter(type=1, values=(2, 2)),
        RateEntryStruct=setter(type=1, values=(1, 30)),
    )
    assert 0 < len(list(v4l2.capture_modes(3, ioctl=driver))) <= 64 * 64


def test_a_driver_that_breaks_while_it_is_asked_is_an_error() -> None:
    def answer(struct):
        raise OSError(errno.ENODEV, "gone")

    with pytest.raises(OSError, match="gone"):
        list(v4l2.capture_modes(3, ioctl=Driver(FormatEntryStruct=answer)))


def test_the_format_that_the_driver_returns_is_what_counts() -> None:
    def answer(struct):
        pix = struct.fmt.pix
        assert (struct.type, pix.width, pix.height) == (2, 1280, 720)
        assert v4l2.letters_of(pix.pixelformat) == "YU12"
        pix.width, pix.height, pix.pixelformat = 640, 480, v4l2.code_of("YUYV")
        pix.bytesperline, pix.sizeimage = 1280, 614400

    wanted = v4l2.PixelLayout("YU12", 1280, 720)
    got = v4l2.set_output_format(3, wanted, ioctl=Driver(FormatStruct=answer))
    assert got == v4l2.PixelLayout("YUYV", 640, 480, 1280, 614400)


def test_a_rate_is_told_as_the_time_between_two_pictures() -> None:
    asked = []

    def answer(struct):
        asked.append((struct.type, struct.numerator, struct.denominator))

    driver = Driver(StreamParmStruct=answer)
    assert v4l2.set_output_rate(3, Fraction(30000, 1001), ioctl=driver) == Fraction(30000, 1001)
    assert asked == [(2, 1001, 30000)]


def test_a_device_without_rates_does_no_harm() -> None:
    assert v4l2.set_output_rate(3, Fraction(30), ioctl=Driver()) is None
