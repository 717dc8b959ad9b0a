"""One step of an exponential memory over a moving picture."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Array, Stream, dense, expect_scratch

_NUM_PLANES = 6
"""Pictures of the full size that a step needs room for."""


def blend_scratch_size(height: int, width: int, channels: int) -> int:
    """Elements of the scratch that ``memory_blend`` needs for a size."""
    return _NUM_PLANES * height * width * channels


def memory_blend(
    memory: NDArray[np.float32],
    current: NDArray[np.float32],
    where: NDArray[np.float32],
    weight: NDArray[np.float32],
    strengths: tuple[float, float, float],
    *,
    limit: float | None,
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Blends what is remembered, moved to its new place, with what is seen now.

    Each band of detail has its own strength ``w``: ``out = w * warp(memory) + (1 - w) * current``
    on the Laplacian pyramid (Burt and Adelson 1983) of full, half and quarter size. The memory is
    moved once, with bicubic interpolation, so that it stays sharp however often it is moved.

    Args:
        memory: ``(h, w, C) f32``, C from 2 to 4.
        current: ``(H, W, C) f32``.
        where: ``(H, W, 2) f32``, the place in ``memory`` that each pixel comes from.
        weight: ``(H, W) f32`` 0..1, a factor on the strengths; 0 forgets.
        strengths: 0..1 for full, half and quarter size.
        limit: the moved memory may leave the range of the 3 x 3 pixels around in ``current`` by
            no more than this, which keeps ghosts away (Karis, "High-quality temporal
            supersampling", 2014); None lets it.
        scratch: ``(blend_scratch_size(H, W, C),) f32`` or more; fresh memory in every frame
            would cost more than all the arithmetic.
        out: ``(H, W, C) f32`` is written; none of the inputs.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other, on a GPU.
    """
    if stream is not None:
        _blend_on_gpu(memory, current, where, weight, strengths, limit, scratch, out, stream)
        return
    height, width, channels = current.shape
    planes = scratch[: _NUM_PLANES * current.size].reshape(_NUM_PLANES, height, width, channels)
    change, moved, spare = planes[:3]
    memory_warp(memory, where, out=moved)
    cv2.subtract(moved, current, change)
    if limit is not None:
        _hold(moved, current, limit, change)
    fine, middle, coarse = strengths
    smaller = (max(width // 2, 1), max(height // 2, 1))
    smallest = (max(width // 4, 1), max(height // 4, 1))
    halves, quarters = (
        _of_size(planes[index].reshape(-1), *size, channels)
        for index, size in ((3, smaller), (4, smallest))
    )
    _shrink(change, halves)
    _shrink(halves, quarters)
    half_weight = cv2.resize(weight, smaller, interpolation=cv2.INTER_AREA)
    quarter_weight = cv2.resize(half_weight, smallest, interpolation=cv2.INTER_AREA)
    _scale(quarters, quarter_weight, coarse - middle)
    _scale(halves, half_weight, middle - fine)
    cv2.add(halves, cv2.resize(quarters, smaller), halves)
    factor = cv2.merge([weight * np.float32(fine)] * channels, moved)
    cv2.resize(halves, (width, height), spare)
    # Channel by channel: of four together it knows nothing.
    cv2.accumulateProduct(*(plane.reshape(height, -1) for plane in (change, factor, spare)))
    cv2.add(current, spare, out)


def memory_warp(
    memory: NDArray[np.float32],
    where: NDArray[np.float32],
    *,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Moves what is remembered to its new place, with bicubic interpolation.

    Args:
        memory: ``(h, w, C) f32``, C at most 4; its edge goes on beyond it.
        where: ``(H, W, 2) f32``, the place in ``memory`` that each pixel comes from.
        out: ``(H, W, C) f32`` is written.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other, on a GPU.
    """
    if stream is not None:
        height, width = where.shape[:2]
        target = dense("memory_warp: out", out, (height, width, memory.shape[2]))
        size = _numbers(height, width)
        arguments = [*_source("memory_warp", memory, where, (height, width)), *size, target]
        stream.launch("memory_blend", "memory_warp", arguments, extent=(width, height, 1))
        return
    cv2.remap(
        memory,
        where,
        np.empty(0, np.float32),
        cv2.INTER_CUBIC,
        dst=out,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _blend_on_gpu(
    memory: Array,
    current: Array,
    where: Array,
    weight: Array,
    strengths: tuple[float, float, float],
    limit: float | None,
    scratch: Array,
    out: Array,
    stream: Stream,
) -> None:
    height, width, channels = current.shape
    sizes = [(max(height // n, 1), max(width // n, 1)) for n in (1, 2, 4)]
    expect_scratch("memory_blend", scratch, blend_scratch_size(height, width, channels))
    pictures, weights = _pieces(scratch, sizes, channels)
    weights[0] = dense("memory_blend: weight", weight, (height, width))

    def launch(kernel: str, arguments: list[Argument], size: tuple[int, int]) -> None:
        stream.launch("memory_blend", kernel, arguments, extent=(size[1], size[0], 1))

    full, half, quarter = (_numbers(*size) for size in sizes)
    fine, middle, coarse = (np.float32(value) for value in strengths)
    now = dense("memory_blend: current", current, current.shape)
    target = dense("memory_blend: out", out, current.shape)
    held = np.int32(limit is not None), np.float32(limit or 0.0)
    source = _source("memory_blend", memory, where, (height, width))
    count = np.int32(channels)
    launch("find_change", [*source, now, *full, *held, pictures[0]], sizes[0])
    for index, (size, smaller) in enumerate(((full, half), (half, quarter))):
        given: list[Argument] = [pictures[index], weights[index], *size, count]
        made: list[Argument] = [pictures[index + 1], weights[index + 1], *smaller]
        launch("shrink", [*given, *made], sizes[index + 1])
    below: list[Argument] = [pictures[2], weights[2], *quarter, coarse - middle, weights[1]]
    launch("join_half", [*below, middle - fine, count, pictures[1], *half], sizes[1])
    own: list[Argument] = [now, pictures[0], weights[0], fine, pictures[1], *half]
    launch("join_full", [*own, count, target, *full], sizes[0])


def _pieces(
    scratch: Array, sizes: list[tuple[int, int]], channels: int
) -> tuple[list[Array], list[Array]]:
    """Room for a picture and its weight at each size."""
    pictures, weights, start = [], [], 0
    for rows, columns in sizes:
        middle, end = (start + rows * columns * count for count in (channels, channels + 1))
        pictures.append(scratch[start:middle])
        weights.append(scratch[middle:end])
        start = end
    return pictures, weights


def _source(where_from: str, memory: Array, where: Array, size: tuple[int, int]) -> list[Argument]:
    """A memory, its size and the places in it, as kernels take them."""
    height, width, channels = memory.shape
    return [
        dense(f"{where_from}: memory", memory, memory.shape),
        *_numbers(height, width),
        np.int32(channels),
        dense(f"{where_from}: where", where, (*size, 2)),
    ]


def _numbers(height: int, width: int) -> tuple[np.int32, np.int32]:
    """Width and height as kernels take them."""
    return np.int32(width), np.int32(height)


def _hold(
    moved: NDArray[np.float32],
    current: NDArray[np.float32],
    limit: float,
    change: NDArray[np.float32],
) -> None:
    """Takes a change back as far as it leaves the range of the pixels around.

    Whatever differs by no more than the limit lies in that range by itself, which is nearly all of
    a face in nearly all frames; so only the rectangle around the rest is looked at.

    Args:
        moved, current: ``(H, W, C) f32``.
        limit: how far beyond the range it may go.
        change: ``(H, W, C) f32`` C-contiguous, ``moved - current``; is written.
    """
    if cv2.norm(change, cv2.NORM_INF) <= limit:
        return
    height, _, channels = change.shape
    # Channel by channel: of pixels with several OpenCV's loops are the slow ones.
    near = cv2.inRange(change.reshape(height, -1), -limit, limit)
    left, top, across, down = cv2.boundingRect(cv2.bitwise_not(near))
    left, right, bottom = left // channels, (left + across - 1) // channels + 1, top + down
    part = np.s_[top:bottom, left:right]
    # One more on each side, for the windows of those at the rim.
    x, y = max(left - 1, 0), max(top - 1, 0)
    around = np.ascontiguousarray(current[y : bottom + 1, x : right + 1])
    inner = np.s_[top - y : bottom - y, left - x : right - x]
    window = np.ones((3, 3), np.uint8)
    low = cv2.erode(around, window).reshape(around.shape)[inner] - np.float32(limit)
    high = cv2.dilate(around, window).reshape(around.shape)[inner] + np.float32(limit)
    np.subtract(np.clip(moved[part], low, high), current[part], out=change[part])


def _of_size(
    buffer: NDArray[np.float32], width: int, height: int, channels: int
) -> NDArray[np.float32]:
    """A picture in a piece of scratch."""
    return buffer[: height * width * channels].reshape(height, width, channels)


def _shrink(picture: NDArray[np.float32], smaller: NDArray[np.float32]) -> None:
    """Averages what lies under each pixel of a smaller picture, which is written."""
    size = smaller.shape[1::-1]
    # Half way between two pixels is their mean; of three channels that is three times as quick.
    is_half = picture.shape[:2] == (2 * size[1], 2 * size[0])
    how = cv2.INTER_LINEAR if is_half else cv2.INTER_AREA
    cv2.resize(picture, size, smaller, interpolation=how)


def _scale(change: NDArray[np.float32], weight: NDArray[Any], strength: float) -> None:
    """Multiplies every channel in place with weight and strength."""
    factor = cv2.merge([weight] * change.shape[2])
    cv2.multiply(change, factor, change, scale=strength)
