"""A time stamp that is part of the picture: drawn into the source, read at the far end; pure.

Forty-eight bits and a checksum (CRC-16/CCITT) lie in the top left corner as two rows of 32 black
and white cells, each row followed by its complement, so that reading needs no threshold: a bit is
one where its cell is brighter than the cell below. It survives compression, scaling, colour
conversion, another brightness, a watermark, and a mirrored picture.
"""

import binascii

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

NUM_BITS = 48
_COLUMNS = 32
_ROWS = 4
_MARGIN_CELLS = 2
_CELLS_IN_HEIGHT = 90
_SAMPLES = 4
"""Each cell is looked at in so many places along each side; the outer ones are left out."""

_MIN_CONTRAST = 12.0
"""Grey levels between a cell and its complement; less is a picture without a stamp."""


def stamp_of(now_ns: int) -> int:
    """The stamp of a moment: whole microseconds in 48 bits, which last nine years."""
    return now_ns // 1_000 % (1 << NUM_BITS)


def has_room(width: int, height: int) -> bool:
    """Whether a picture is large enough for a stamp."""
    return height >= 2 * _CELLS_IN_HEIGHT and _place(height)[1] <= width


def draw_stamp(stamp: int, *, out: Image) -> None:
    """Draws a stamp over the top left corner of a picture.

    Args:
        stamp: 0 up to 2⁴⁸ - 1.
        out: ``(H, W, 3) u8 BGR``, at least 180 rows, and 0.4 times as wide as high.

    Raises:
        ValueError: the stamp or the picture will not do.
    """
    height, width = out.shape[:2]
    left, right, top, bottom = _place(height)
    if not (0 <= stamp < 1 << NUM_BITS and has_room(width, height)):
        raise ValueError(
            f"draw_stamp: the stamp must have {NUM_BITS} bits and the picture room for it, got "
            f"{stamp} and {width}×{height}."
        )
    bits = _bits_of(stamp)
    cells = np.stack([bits[0], 1 - bits[0], bits[1], 1 - bits[1]]) * np.uint8(255)
    drawn = cv2.resize(cells, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    out[top:bottom, left:right] = drawn[..., None]


def read_stamp(image: NDArray[np.uint8]) -> int | None:
    """Reads the stamp of a picture, mirrored or not.

    Args:
        image: ``(H, W, 3) u8 BGR`` or ``(H, W) u8`` luma, of the shape it was stamped in, any size.

    Returns:
        The stamp; None where there is none or its checksum is wrong.
    """
    found = _read(image)
    return _read(image[:, ::-1]) if found is None else found


def _read(image: NDArray[np.uint8]) -> int | None:
    left, right, top, bottom = _place(image.shape[0])
    if right > image.shape[1]:
        return None
    region = np.ascontiguousarray(image[top:bottom, left:right])
    if region.ndim == 3:
        region = np.asarray(cv2.cvtColor(region, cv2.COLOR_BGR2GRAY), np.uint8)
    size = (_COLUMNS * _SAMPLES, _ROWS * _SAMPLES)
    looked = cv2.resize(region, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    inner = looked.reshape(_ROWS, _SAMPLES, _COLUMNS, _SAMPLES)[:, 1:-1, :, 1:-1]
    cells = inner.mean(axis=(1, 3))
    contrast = np.concatenate([cells[0] - cells[1], cells[2] - cells[3]])
    if np.abs(contrast).mean() < _MIN_CONTRAST:
        return None
    data = np.packbits(contrast > 0).tobytes()
    if binascii.crc_hqx(data[:6], 0xFFFF) != int.from_bytes(data[6:], "big"):
        return None
    return int.from_bytes(data[:6], "big")


def _bits_of(stamp: int) -> NDArray[np.uint8]:
    """The cells of the two rows, ``(2, 32) u8`` of 0 and 1."""
    data = stamp.to_bytes(6, "big")
    checked = data + binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")
    return np.unpackbits(np.frombuffer(checked, np.uint8)).reshape(2, _COLUMNS)


def _place(height: int) -> tuple[int, int, int, int]:
    """Left, right, top and bottom edge in pixels; cells grow with the height of the picture."""
    cell = height / _CELLS_IN_HEIGHT
    left = round(_MARGIN_CELLS * cell)
    return (
        left,
        round((_MARGIN_CELLS + _COLUMNS) * cell),
        left,
        round((_MARGIN_CELLS + _ROWS) * cell),
    )
