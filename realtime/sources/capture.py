"""What a capture device can do, how it is set up, and what its pictures are turned into."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import cv2
import numpy as np

from realtime.errors import MediaError
from realtime.frame import Image


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Whether the device is open."""
        ...

    def set(self, prop: int, value: float) -> bool:
        """Asks for a setting."""
        ...

    def get(self, prop: int) -> float:
        """Reads a setting; 0 where it is unknown."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Waits for the next picture."""
        ...

    def release(self) -> None:
        """Lets the device go."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a camera; it may answer with the nearest it can do.

    Attributes:
        size: width and height in pixels.
        rate_hz: pictures per second.
    """

    size: tuple[int, int]
    rate_hz: Fraction


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a camera says it will give.

    Attributes:
        rate_hz: pictures per second; None where it does not know.
        fourcc: pixel format in four letters; empty where it does not know.
    """

    rate_hz: Fraction | None
    fourcc: str


def configure(capture: Capture, wish: Wish) -> Negotiated:
    """Asks an open device for a size and rate."""
    # Uncompressed 720p does not fit USB 2 at 30 Hz, so MJPG is asked for before the size.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, wish.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wish.size[1])
    capture.set(cv2.CAP_PROP_FPS, float(wish.rate_hz))
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    rate_hz = capture.get(cv2.CAP_PROP_FPS)
    known = 1 <= rate_hz <= 1000
    return Negotiated(
        Fraction(rate_hz).limit_denominator(1001) if known else None,
        _fourcc(capture.get(cv2.CAP_PROP_FOURCC)),
    )


def bgr_picture(array: Any) -> Image:
    """Makes BGR of whatever a camera driver delivers.

    Args:
        array: of one, three or four channels, 8 or 16 bits.

    Returns:
        ``(H, W, 3) u8 BGR``; the array itself where it is that already.

    Raises:
        MediaError: there is no picture in it.
    """
    usable = isinstance(array, np.ndarray) and array.ndim in (2, 3) and array.size > 0
    if not usable or array.dtype not in (np.uint8, np.uint16):
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "nothing"
        raise MediaError(f"camera: must deliver pictures, got {got}. Check cable and driver.")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels == 3:
        return np.asarray(array, np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 4:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_BGRA2BGR), np.uint8)
    raise MediaError(
        f"camera: pictures must have 1, 3 or 4 channels, got {channels}. Choose another format."
    )


def _fourcc(code: float) -> str:
    """The four letters of a pixel format; empty where the driver does not know it."""
    if not math.isfinite(code) or code <= 0:
        return ""
    letters = (int(code) & 0xFFFFFFFF).to_bytes(4, "little").decode("ascii", "replace")
    return letters.strip("\0 ")
