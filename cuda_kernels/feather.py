"""Masks with soft edges.

The stages of the processor draw theirs softly to begin with, around outlines, over which they may
grow, or fitted to a surface, whose outermost pixel must stay empty: none is cut first and then
feathered.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Array, Stream, dense, expect_shape, row_step

MAX_RADIUS_PX = 64


def feather(
    mask: NDArray[np.uint8],
    radius_px: int,
    *,
    scratch: NDArray[np.int32],
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Lets a mask fade to nothing at its edge; it grows nowhere.

    The mask is blurred with a tent of this radius, beyond the picture it counts as empty; then
    what is above half is stretched to the whole range. Behind a straight edge the mask rises to
    all of its strength within the radius.

    Args:
        mask: ``(H, W) u8``.
        radius_px: width of the soft edge, 1..``MAX_RADIUS_PX``.
        scratch: ``(H, W) i32`` C-contiguous; the processor leaves it alone.
        out: ``(H, W) u8`` is written; not ``mask``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or the radius is out of its range.
    """
    height, width = mask.shape
    dense("feather: scratch", scratch, (height, width))
    expect_shape("feather: out", out, (height, width))
    if not 1 <= radius_px <= MAX_RADIUS_PX:
        raise ValueError(
            f"feather: radius_px must be in 1..{MAX_RADIUS_PX}, got {radius_px}. Shrink the mask."
        )
    if stream is None:
        _on_processor(mask, radius_px, out)
        return
    size, radius = [np.int32(width), np.int32(height)], np.int32(radius_px)
    extent = (width, height, 1)
    step = row_step("feather: mask", mask, np.uint8, 2)
    stream.launch("feather", "feather_rows", [mask, step, *size, radius, scratch], extent=extent)
    step = row_step("feather: out", out, np.uint8, 2)
    stream.launch("feather", "feather_columns", [scratch, *size, radius, out, step], extent=extent)


def _on_processor(mask: Array, radius_px: int, out: Array) -> None:
    side = radius_px + 1
    whole = side**4
    border = (radius_px,) * 4
    padded = cv2.copyMakeBorder(mask, *border, cv2.BORDER_CONSTANT, value=(0.0,))
    # A box that looks back and one that looks ahead make a tent in the middle; whole numbers of
    # this size are exact in floating point.
    corner = (side - 1, side - 1)
    sums = cv2.boxFilter(padded, cv2.CV_32F, (side, side), anchor=corner, normalize=False)
    sums = cv2.boxFilter(sums, cv2.CV_64F, (side, side), anchor=(0, 0), normalize=False)
    inner = sums[radius_px : radius_px + mask.shape[0], radius_px : radius_px + mask.shape[1]]
    levels = np.floor((4.0 * inner + whole) / (2.0 * whole)) - 255.0
    out[...] = np.maximum(levels, 0.0)
