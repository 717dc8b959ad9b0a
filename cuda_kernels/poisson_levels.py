"""The grid of a Poisson blend: its levels in one piece of scratch, and how they are smoothed."""

from collections.abc import Iterator
from dataclasses import dataclass

from cuda_kernels.launch import Array

STEPS = (1.0, 0.6)
"""Weights of the two Jacobi steps; the second takes back what the first stirs up."""

COARSEST_STEP, NUM_COARSEST_STEPS = 0.9, 10

_FLOATS = 17
"""For each pixel of a level: value, residual, work and factor of three each, known, share."""

_SMALLEST_PX = 4


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the grid, in pieces of scratch.

    Attributes:
        value: ``(h, w, 3) f32``; the first level's is the membrane itself.
        residual, work: ``(h, w, 3) f32``.
        factor: ``(h, w, 3) f32``, three times the share; for the processor.
        known: ``(4 * h * w,) f32``, given values and their number.
        share: ``(h, w) f32``, how far a pixel is free, 0..1.
    """

    value: Array
    residual: Array
    work: Array
    factor: Array
    known: Array
    share: Array


def scratch_size(height: int, width: int) -> int:
    """Elements of the scratch for pictures of a size."""
    return sum(_FLOATS * rows * columns for rows, columns in _sizes(height, width))


def levels_in(scratch: Array, membrane: Array) -> Iterator[Level]:
    """The levels for pictures of the membrane's size, the finest first."""
    start = 0
    for rows, columns in _sizes(*membrane.shape[:2]):
        num = rows * columns
        part = scratch[start : start + _FLOATS * num]
        value, residual, work, factor = (
            part[3 * n * num : 3 * (n + 1) * num].reshape(rows, columns, 3) for n in range(4)
        )
        yield Level(
            value=value if start else membrane,
            residual=residual,
            work=work,
            factor=factor,
            known=part[12 * num : 16 * num],
            share=part[16 * num :].reshape(rows, columns),
        )
        start += _FLOATS * num


def _sizes(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of each level."""
    yield height, width
    while min(height, width) > _SMALLEST_PX:
        height, width = (height + 1) // 2, (width + 1) // 2
        yield height, width
