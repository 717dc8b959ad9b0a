"""Two pictures blended band by band, so that light changes slowly and detail at once.

Burt and Adelson, "A multiresolution spline with application to image mosaics" (1983). Blending is
linear, so one pyramid of the difference between both pictures does for two of the pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Array, Stream, dense, expect_scratch

_FLOATS = 7
"""For each pixel of a level: three differences and the mask, and three blended differences."""

_WORK_FLOATS = 6
"""What the processor needs for each of the pictures' pixels besides: two pictures to work in."""

Size = tuple[int, int]
"""Rows and columns."""


def multiband_scratch_size(height: int, width: int) -> int:
    """Elements of the scratch that ``multiband_blend`` needs for pictures of a size."""
    pyramid = sum(_FLOATS * rows * columns for rows, columns in _sizes(height, width, 32))
    return pyramid + _WORK_FLOATS * height * width


def multiband_blend(
    front: NDArray[np.uint8],
    back: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    num_bands: int = 5,
    scratch: NDArray[np.float32],
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Lays a picture over another; each band of detail fades over its own width.

    Args:
        front, back: ``(H, W, 3) u8``, C-contiguous.
        mask: ``(H, W) u8`` C-contiguous, how far the front covers.
        num_bands: at least 2; pictures too small for so many get fewer.
        scratch: ``(multiband_scratch_size(H, W),) f32`` or more; fresh memory for every call
            would cost the processor more than all the arithmetic.
        out: ``(H, W, 3) u8`` C-contiguous is written; may be ``front`` or ``back``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or there are too few bands.
    """
    height, width = mask.shape
    for name, picture in (("front", front), ("back", back), ("out", out)):
        dense(f"multiband_blend: {name}", picture, (height, width, 3))
    dense("multiband_blend: mask", mask, (height, width))
    if num_bands < 2:
        raise ValueError(
            f"multiband_blend: there must be two bands or more, got {num_bands}. Use paste for one."
        )
    expect_scratch("multiband_blend", scratch, multiband_scratch_size(height, width))
    sizes = _sizes(height, width, num_bands)
    if stream is None:
        _on_processor(front, back, mask, sizes, scratch, out)
    else:
        _on_gpu(front, back, mask, sizes, scratch, out, stream)


def _sizes(height: int, width: int, num_bands: int) -> list[Size]:
    """Rows and columns of the pyramid's levels, the pictures first; at least two levels."""
    sizes = [(height, width)]
    while len(sizes) < num_bands and (len(sizes) < 2 or min(sizes[-1]) > 2):
        rows, columns = sizes[-1]
        sizes.append(((rows + 1) // 2, (columns + 1) // 2))
    return sizes


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of the processor's pyramid, in pieces of scratch.

    Attributes:
        size: rows and columns.
        difference: ``(rows, columns, 3)``, of the front from the back.
        mask: ``(rows, columns)`` 0..1.
        blended: ``(rows, columns, 3)``, what is laid over the back.
    """

    size: tuple[int, int]
    difference: Array
    mask: Array
    blended: Array


def _on_processor(
    front: Array, back: Array, mask: Array, sizes: list[Size], scratch: Array, out: Array
) -> None:
    work = scratch[: _WORK_FLOATS * mask.size].reshape(2, -1)
    levels = [
        _Level(size, part[:-num].reshape(*size, 3), part[-num:].reshape(size), blended)
        for size, num, part, blended in _planes(sizes, scratch[_WORK_FLOATS * mask.size :])
    ]
    cv2.subtract(front, back, dst=levels[0].difference, dtype=cv2.CV_32F)
    np.multiply(mask, np.float32(1 / 255), out=levels[0].mask)
    for larger, level in pairwise(levels):
        dstsize = level.size[::-1]
        cv2.pyrDown(larger.difference, dst=level.difference, dstsize=dstsize)
        cv2.pyrDown(larger.mask, dst=level.mask, dstsize=dstsize)
    _multiply(levels[-1].difference, levels[-1].mask, work[0], out=levels[-1].blended)
    for smaller, level in pairwise(reversed(levels)):
        first, second = (part[: level.difference.size].reshape(*level.size, 3) for part in work)
        dstsize = level.size[::-1]
        cv2.pyrUp(smaller.difference, dst=second, dstsize=dstsize)
        cv2.subtract(level.difference, second, dst=second)
        _multiply(second, level.mask, work[0], out=second)
        cv2.pyrUp(smaller.blended, dst=first, dstsize=dstsize)
        cv2.add(first, second, dst=level.blended)
    cv2.add(back, levels[0].blended, dst=out, dtype=cv2.CV_8U)


def _multiply(values: Array, mask: Array, work: Array, *, out: Array) -> None:
    """Multiplies every channel with the mask."""
    factor = work[: values.size].reshape(values.shape)
    cv2.merge([mask] * 3, dst=factor)
    cv2.multiply(values, factor, dst=out)


def _on_gpu(
    front: Array,
    back: Array,
    mask: Array,
    sizes: list[Size],
    scratch: Array,
    out: Array,
    stream: Stream,
) -> None:
    planes = [(part, blended) for _, _, part, blended in _planes(sizes[1:], scratch)]

    def launch(kernel: str, arguments: list[Argument], size: Size) -> None:
        stream.launch("multiband", kernel, arguments, extent=(size[1], size[0], 1))

    def whole(size: Size) -> list[Argument]:
        return [np.int32(size[1]), np.int32(size[0])]

    pictures: list[Argument] = [front, back, mask, *whole(sizes[0])]
    launch("first_level", [*pictures, planes[0][0]], sizes[1])
    levels = list(zip(planes, sizes[1:], strict=True))
    for ((level, _), size), ((smaller, _), smaller_size) in pairwise(levels):
        launch("next_level", [level, *whole(size), smaller], smaller_size)
    (level, blended), size = levels[-1]
    launch("blend_coarsest", [level, *whole(size), blended], size)
    for (coarser, _), ((level, blended), size) in pairwise(reversed(levels)):
        launch("blend_level", [level, *whole(size), *coarser, blended], size)
    launch("blend_pictures", [*pictures, *planes[0], out], sizes[0])


def _planes(sizes: list[Size], scratch: Array) -> Iterator[tuple[Size, int, Array, Array]]:
    """For each level its size, its number of pixels, room for four floats of each, and for three.

    The latter has the shape of a picture, which only the processor minds.
    """
    start = 0
    for rows, columns in sizes:
        num = rows * columns
        blended = scratch[start + 4 * num : start + _FLOATS * num].reshape(rows, columns, 3)
        yield (rows, columns), num, scratch[start : start + 4 * num], blended
        start += _FLOATS * num
