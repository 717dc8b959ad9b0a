"""Which way up a stored picture is to be shown; pure."""

import struct

import cv2
import numpy as np

from realtime.frame import Image

Turn = tuple[int, int, int, int]
"""``(a, b, c, d)``, each −1, 0 or 1: a stored point (x, y) is shown at ``(a·x + c·y, b·x + d·y)``
but for a shift."""

UPRIGHT: Turn = (1, 0, 0, 1)


def display_turn(matrix: bytes | None) -> Turn:
    """Reads a display matrix down to the nearest of the eight turns and mirrorings.

    Args:
        matrix: nine native-endian i32 in row order as FFmpeg's ``AV_PKT_DATA_DISPLAYMATRIX``
            (ISO/IEC 14496-12 §6.2.2), or None where the file has none.

    Returns:
        The turn; ``UPRIGHT`` for a missing matrix.
    """
    if matrix is None or len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if max(abs(a), abs(d)) >= max(abs(b), abs(c)):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


def turned(image: Image, turn: Turn) -> Image:
    """Shows a stored picture upright.

    Args:
        image: ``(H, W, 3) u8``.
        turn: as ``display_turn`` returns it.

    Returns:
        ``(H, W, 3)`` or ``(W, H, 3)``, C-contiguous; the image itself where it is upright.
    """
    a, b, c, d = turn
    if a == 0:
        image = np.asarray(cv2.transpose(image), np.uint8)
        a, d = c, b
    if a < 0 or d < 0:
        axes = -1 if a == d else 1 if a < 0 else 0
        image = np.asarray(cv2.flip(image, axes), np.uint8)
    return image
