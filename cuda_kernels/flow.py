"""Dense optical flow between two crops, from coarse to fine.

Lucas and Kanade, "An iterative image registration technique" (1981), for every pixel, on the
pyramid of Bouguet (2000): a window of 7 x 7 pixels, the picture before looked up where the flow so
far says. The slopes are those of the new picture, which stays where it is.

A GPU does well with it, as no pixel waits for another. On a processor the dense inverse search that
OpenCV has takes a quarter of the time, so that is what the engine measures motion with there.
"""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Array, Stream, dense, expect_scratch, row_step

_NUM_LEVELS, _SMALLEST_PX = 4, 12
"""Of the pyramid at most, and the smaller side down to which a level is still worth having."""

_NUM_STEPS, _SMOOTH_PX = 2, 5
"""Of each level; after each of them the flow is averaged over such a window."""

_WINDOW_PX = 7
_STIFFNESS = 200.0
"""Added to the squared slopes of a window: one of camera noise alone hardly moves."""

_LIMIT_PX = 2.0
"""No step is longer along either axis; what needs a longer one is no small motion."""

Size = tuple[int, int]
"""Rows and columns."""


def grey_pyramid_size(height: int, width: int) -> int:
    """Bytes of the pyramid that ``grey_pyramid`` makes of a size."""
    return sum(rows * columns for rows, columns in _sizes(height, width))


def flow_scratch_size(height: int, width: int) -> int:
    """Elements of the scratch that ``measure_flow`` needs for a size."""
    return 2 * height * width


def grey_pyramid(
    image: NDArray[np.uint8], *, out: NDArray[np.uint8], stream: Stream | None = None
) -> None:
    """Makes the grey pictures of falling size that motion is measured on.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        out: ``(grey_pyramid_size(H, W),) u8`` is written, the largest first: luma of ITU-R BT.601
            in 256ths, then means of two by two pixels.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = image.shape[:2]
    dense("grey_pyramid: out", out, (grey_pyramid_size(height, width),))
    step = row_step("grey_pyramid: image", image, np.uint8, 3)
    levels = list(_levels(out, height, width))
    if stream is None:
        luma = image @ np.array([29, 150, 77], np.int32) + 128 >> 8
        levels[0][...] = luma
    else:
        arguments: list[Argument] = [image, step, np.int32(width), np.int32(height), levels[0]]
        stream.launch("flow", "grey_from_bgr", arguments, extent=(width, height, 1))
    for larger, level in pairwise(levels):
        rows, columns = level.shape
        if stream is None:
            blocks = larger[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
            level[...] = blocks.sum(axis=(1, 3), dtype=np.int32) + 2 >> 2
            continue
        size = [np.int32(columns), np.int32(rows)]
        arguments = [larger, np.int32(larger.shape[1]), level, *size]
        stream.launch("flow", "halve_grey", arguments, extent=(columns, rows, 1))


def measure_flow(
    before: NDArray[np.uint8],
    now: NDArray[np.uint8],
    *,
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Measures how one crop became the next.

    Args:
        before, now: pyramids of crops of one size, from ``grey_pyramid``.
        scratch: ``(flow_scratch_size(H, W),) f32`` or more.
        out: ``(H, W, 2) f32`` C-contiguous is written, pixels; what is at ``p`` in ``now`` was at
            ``p + out[p]`` in ``before``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = out.shape[:2]
    size = grey_pyramid_size(height, width)
    dense("measure_flow: before", before, (size,))
    dense("measure_flow: now", now, (size,))
    dense("measure_flow: out", out, (height, width, 2))
    expect_scratch("measure_flow", scratch, flow_scratch_size(height, width))
    levels = list(zip(_levels(before, height, width), _levels(now, height, width), strict=True))
    flow: Array | None = None
    for old, new in reversed(levels):
        rows, columns = new.shape
        rough, smooth = (
            room.reshape(-1)[: 2 * new.size].reshape(rows, columns, 2) for room in (scratch, out)
        )
        for _ in range(_NUM_STEPS):
            if stream is None:
                _step_on_processor(old, new, flow, rough)
                window = (_SMOOTH_PX, _SMOOTH_PX)
                smooth[...] = cv2.blur(rough, window, borderType=cv2.BORDER_REPLICATE)
            else:
                _step_on_gpu(old, new, flow, rough, stream)
                arguments: list[Argument] = [rough, np.int32(columns), np.int32(rows), smooth]
                stream.launch("flow", "smooth_flow", arguments, extent=(columns, rows, 1))
            flow = smooth


def places_from_flow(
    flow: NDArray[np.float32], *, out: NDArray[np.float32], stream: Stream | None = None
) -> None:
    """Where in the crop before each pixel was.

    Args:
        flow: ``(H, W, 2) f32`` C-contiguous, from ``measure_flow``.
        out: the same shape and kind, is written; not ``flow``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = flow.shape[:2]
    dense("places_from_flow: flow", flow, (height, width, 2))
    dense("places_from_flow: out", out, (height, width, 2))
    if stream is None:
        np.add(flow[..., 0], np.arange(width, dtype=np.float32), out=out[..., 0])
        np.add(flow[..., 1], np.arange(height, dtype=np.float32)[:, None], out=out[..., 1])
        return
    size = [np.int32(width), np.int32(height)]
    stream.launch("flow", "places_from_flow", [flow, *size, out], extent=(width, height, 1))


def _sizes(height: int, width: int) -> list[Size]:
    """Rows and columns of the pyramid's levels, the crop's own first."""
    sizes = [(height, width)]
    while len(sizes) < _NUM_LEVELS and min(sizes[-1]) >= 2 * _SMALLEST_PX:
        rows, columns = sizes[-1]
        sizes.append((rows // 2, columns // 2))
    return sizes


def _levels(pyramid: Array, height: int, width: int) -> Iterator[Array]:
    start = 0
    for rows, columns in _sizes(height, width):
        yield pyramid[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns


def _step_on_gpu(before: Array, now: Array, flow: Array | None, out: Array, stream: Stream) -> None:
    height, width = now.shape
    rows, columns = (0, 0) if flow is None else flow.shape[:2]
    stream.launch(
        "flow",
        "flow_step",
        [
            before,
            now,
            np.int32(width),
            np.int32(height),
            # Nothing is read of a flow without rows; the pointer must be one all the same.
            out if flow is None else flow,
            np.int32(columns),
            np.int32(rows),
            np.float32(_STIFFNESS),
            np.float32(_LIMIT_PX),
            out,
        ],
        extent=(width, height, 1),
    )


def _step_on_processor(before: Array, now: Array, flow: Array | None, out: Array) -> None:
    height, width = now.shape
    if flow is None:
        known = np.zeros((height, width, 2), np.float32)
    elif flow.shape[:2] == (height, width):
        known = flow
    else:
        grown = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        known = np.asarray(cv2.resize(flow, (width, height)), np.float32) * grown
    columns = known[..., 0] + np.arange(width, dtype=np.float32)
    rows = known[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    level = before.astype(np.float32)
    seen = cv2.remap(level, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    own = now.astype(np.float32)
    padded = cv2.copyMakeBorder(own, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    across = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
    down = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
    change = seen - own
    xx, xy, yy, right_x, right_y = (
        _window_sum(product)
        for product in (across * across, across * down, down * down, across * change, down * change)
    )
    xx, yy = xx + np.float32(_STIFFNESS), yy + np.float32(_STIFFNESS)
    determinant = xx * yy - xy * xy
    limit = np.float32(_LIMIT_PX)
    step_x = np.clip((xy * right_y - yy * right_x) / determinant, -limit, limit)
    step_y = np.clip((xy * right_x - xx * right_y) / determinant, -limit, limit)
    out[..., 0], out[..., 1] = known[..., 0] + step_x, known[..., 1] + step_y


def _window_sum(product: Array) -> Array:
    window = (_WINDOW_PX, _WINDOW_PX)
    summed = cv2.boxFilter(product, -1, window, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(summed, np.float32)
