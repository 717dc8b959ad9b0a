"""The likeliest face in a detector's outputs, so that not all of them must leave the GPU.

The outputs are those of SCRFD (Guo et al., "Sample and computation redistribution for efficient
face detection", 2021): distances from anchor points in units of the stride.

On a processor the outputs are there already, and the adapter of ``engines`` finds all faces in
them; tests hold its likeliest to this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Array, Stream, dense

FOUND_SIZE = 15
"""Score, box (left, top, right, bottom), and x and y of five points; zeros where nothing was."""

_ONE = (1, 1, 1)


@dataclass(frozen=True, slots=True)
class DetectorLevel:
    """One level of a detector's outputs.

    Attributes:
        scores: ``(N,) f32``; N is ``anchors`` for each cell, row by row.
        boxes: ``(N, 4) f32``, how far the sides are from the cell's corner.
        points: ``(N, 10) f32``, the same for five points.
        stride: pixels of the input from cell to cell.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    stride: int


def pick_face(
    levels: Sequence[DetectorLevel],
    input_px: int,
    least_score: float,
    *,
    key: NDArray[np.uint64],
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Finds the one face with the highest score; of equal ones the first.

    Args:
        levels: all of the detector's outputs, C-contiguous.
        input_px: side of its square input.
        least_score: faces below this probability do not count.
        key: ``(1,) u64`` scratch.
        out: ``(FOUND_SIZE,) f32`` is written, in pixels of the input measured from its edge.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    dense("pick_face: key", key, (1,))
    dense("pick_face: out", out, (FOUND_SIZE,))
    for level in levels:
        num = len(level.scores)
        dense("pick_face: scores", level.scores, (num,))
        dense("pick_face: boxes", level.boxes, (num, 4))
        dense("pick_face: points", level.points, (num, 10))
        if num % (input_px // level.stride) ** 2:
            raise ValueError(
                f"pick_face: there must be as many scores for each cell of {level.stride} pixels, "
                f"got {num} for an input of {input_px}. Give the outputs of one input."
            )
    if stream is None:
        _on_processor(levels, input_px, least_score, out)
    else:
        _on_gpu(levels, input_px, least_score, key, out, stream)


def _on_gpu(
    levels: Sequence[DetectorLevel],
    input_px: int,
    least_score: float,
    key: Array,
    out: Array,
    stream: Stream,
) -> None:
    stream.launch("pick", "clear_key", [key], extent=_ONE, block=_ONE)
    firsts = np.cumsum([0, *(len(level.scores) for level in levels)])
    least, arguments = np.float32(least_score), list[Argument]()
    for level, first in zip(levels, firsts, strict=False):
        num = len(level.scores)
        arguments = [level.scores, np.int32(num), np.int32(first), least, key]
        stream.launch("pick", "find_best", arguments, extent=(num, 1, 1), block=LINE)
    for index, (level, first) in enumerate(zip(levels, firsts, strict=False)):
        columns, num = input_px // level.stride, len(level.scores)
        numbers = (num, first, columns, num // columns**2, level.stride, index == 0)
        whole = [np.int32(number) for number in numbers]
        arguments = [key, level.boxes, level.points, *whole, out]
        stream.launch("pick", "read_best", arguments, extent=_ONE, block=_ONE)


def _on_processor(
    levels: Sequence[DetectorLevel], input_px: int, least_score: float, out: Array
) -> None:
    out.fill(0.0)
    for level in levels:
        scores = np.where(np.isnan(level.scores), -np.inf, level.scores)
        index = int(np.argmax(scores))
        score = scores[index]
        if score < least_score or score <= out[0]:
            continue
        columns = input_px // level.stride
        cell = index // (len(scores) // columns**2)
        corner = np.array([cell % columns, cell // columns], np.float32) * np.float32(level.stride)
        reach = level.boxes[index] * np.float32(level.stride)
        shifts = level.points[index].reshape(5, 2) * np.float32(level.stride)
        out[0], out[1:3], out[3:5] = score, corner - reach[:2], corner + reach[2:]
        out[5:] = (corner + shifts).ravel()
