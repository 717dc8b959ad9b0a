"""Affine maps between pictures, and how far a picture is averaged before it is shrunk by one."""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""``(2, 3) f64``; the centre of the first pixel is (0, 0)."""

MAX_SHIFT = 4

_SMALLEST_DETERMINANT = 1e-12


def inverse(matrix: Matrix) -> Matrix:
    """The way back.

    Raises:
        ValueError: there is none, because the map leads everything onto a line.
    """
    area = _expect_invertible(matrix)
    (a, b, across), (c, d, down) = matrix.tolist()
    a, b, c, d = d / area, -b / area, -c / area, a / area
    # Written out: a general solver takes ten times as long for so small a matrix.
    return np.array([[a, b, -a * across - b * down], [c, d, -c * across - d * down]])


def halvings(reach_px: float, width: int, height: int) -> int:
    """How often a picture is halved before it is sampled.

    Sampled once for every two of its pixels or farther apart, a picture would lose some of them,
    and the result would tremble as the map moves.

    Args:
        reach_px: distance of neighbouring samples in the picture.
        width, height: of the picture; at least one block stays.

    Returns:
        0..``MAX_SHIFT``: after that many, samples are 0.71..1.41 pixels apart.
    """
    wanted = max(round(math.log2(max(reach_px, 1.0))), 0)
    return min(wanted, MAX_SHIFT, int(math.log2(min(width, height))))


def spacing(matrix: Matrix) -> float:
    """How far apart neighbouring pixels come to lie under a map, the mean over directions.

    Raises:
        ValueError: the map cannot be inverted.
    """
    return math.sqrt(abs(_expect_invertible(matrix)))


def to_blocks(matrix: Matrix, shift: int) -> Matrix:
    """A map that leads to the blocks of 2**shift pixels of where ``matrix`` leads to."""
    size = 2.0**shift
    blocks = matrix / size
    blocks[:, 2] -= (size - 1) / (2 * size)
    return blocks


def numbers(matrix: Matrix) -> list[np.float32]:
    """The six numbers of a map as a kernel takes them, row by row."""
    return [np.float32(value) for value in matrix.flat]


def _expect_invertible(matrix: Matrix) -> float:
    """The determinant of a map.

    Raises:
        ValueError: it has no inverse.
    """
    (a, b, across), (c, d, down) = matrix.tolist()
    area: float = a * d - b * c
    if not math.isfinite(area + across + down) or abs(area) < _SMALLEST_DETERMINANT:
        raise ValueError(
            f"affine map: must be finite and invertible, got {matrix.tolist()}. "
            "Leave such a face out."
        )
    return area
