"""A picture laid into another so that its gradients stay and its light fits at the edge.

Pérez, Gangnet and Blake, "Poisson image editing" (2003). With the front's gradients the equation is
that of a membrane: what must be added to the front is given around the mask and harmonic inside.
Multigrid solves it (Brandt 1977): V-cycles over averaged residuals, two damped Jacobi steps before
and after each correction. It starts from the membrane before and how far the given values have
changed since, pulled and pushed through the levels (Gortler et al., "The lumigraph", 1996).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Array, Stream, dense, expect_scratch
from cuda_kernels.poisson_levels import (
    COARSEST_STEP,
    NUM_COARSEST_STEPS,
    STEPS,
    Level,
    levels_in,
    scratch_size,
)
from cuda_kernels.poisson_twin import solve

COLD_CYCLES, WARM_CYCLES = 3, 1
"""Cycles that are enough: without a membrane of the picture before, and with one."""


def poisson_scratch_size(height: int, width: int) -> int:
    """Elements of the scratch that ``poisson_blend`` needs for pictures of a size."""
    return scratch_size(height, width)


def poisson_blend(
    front: NDArray[np.uint8],
    back: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    is_warm: bool = False,
    num_cycles: int = COLD_CYCLES,
    scratch: NDArray[np.float32],
    membrane: NDArray[np.float32],
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Lays a picture into another with its own gradients and the other's light at the edge.

    Three cycles from a cold start come within about half a level of the solution for a face's
    mask; each divides the error by about three. A warm start needs one: the membrane is linear in
    what is given around it, so only the change must be solved for.

    Args:
        front, back: ``(H, W, 3) u8``, C-contiguous.
        mask: ``(H, W) u8`` C-contiguous; the front is laid where it is 128 or more, but never on
            the picture's outermost pixels.
        is_warm: the membrane is that of the picture before; else it may hold anything.
        num_cycles: at least 1.
        scratch: ``(poisson_scratch_size(H, W),) f32`` or more.
        membrane: ``(H, W, 3) f32`` C-contiguous is written; what is added to the front.
        out: ``(H, W, 3) u8`` C-contiguous is written; may be ``front`` or ``back``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or there is no cycle.
    """
    height, width = mask.shape
    arrays = (("front", front), ("back", back), ("membrane", membrane), ("out", out))
    for name, array in arrays:
        dense(f"poisson_blend: {name}", array, (height, width, 3))
    dense("poisson_blend: mask", mask, (height, width))
    expect_scratch("poisson_blend", scratch, poisson_scratch_size(height, width))
    if num_cycles < 1:
        raise ValueError(
            f"poisson_blend: there must be one cycle or more, got {num_cycles}. Use paste instead."
        )
    levels = list(levels_in(scratch, membrane))
    if stream is None:
        solve(front, back, mask, levels, is_warm=is_warm, num_cycles=num_cycles, out=out)
        return
    grid = _Grid(levels, stream)
    grid.prepare(front, back, mask, is_warm=is_warm)
    for _ in range(num_cycles):
        grid.cycle(0)
    grid.finish(front, back, out=out)


class _Grid:
    """The levels on a GPU, and the kernels that work on them."""

    def __init__(self, levels: Sequence[Level], stream: Stream) -> None:
        self._levels = levels
        self._stream = stream

    def prepare(self, front: Array, back: Array, mask: Array, *, is_warm: bool) -> None:
        """Sets up shares and given values, and takes their change along into the mask."""
        first = self._levels[0]
        given: list[Argument] = [
            *_size(first),
            np.int32(is_warm),
            first.value,
            first.share,
            first.known,
        ]
        self._launch("prepare", [front, back, mask, *given], first)
        for level, smaller in pairwise(self._levels):
            self._launch("shrink_share", [level.share, *_size(level), smaller.share], smaller)
        if len(self._levels) == 1:
            return
        for level, smaller in pairwise(self._levels):
            self._launch("pull_known", [level.known, *_size(level), smaller.known], smaller)
        last = self._levels[-1]
        self._list("fill_coarsest", [last.known, np.int32(last.share.size), last.value], last)
        for smaller, level in pairwise(reversed(self._levels[1:])):
            known: list[Argument] = [level.known, *_size(level), smaller.value, level.value]
            self._launch("push_known", known, level)
        self._correct(first, self._levels[1])

    def cycle(self, index: int) -> None:
        """One V-cycle from a level on; below the first it starts from nothing."""
        level, is_first = self._levels[index], index == 0
        if index == len(self._levels) - 1:
            self._solve_last(level, is_first=is_first)
            return
        if is_first:
            self._smooth(level, STEPS, is_first=True)
        else:
            num, weight = np.int32(level.share.size), np.float32(STEPS[0])
            self._list(
                "smooth_nothing", [level.residual, level.share, num, weight, level.work], level
            )
            self._step(level, level.work, STEPS[1], is_first=False, out=level.value)
        smaller = self._levels[index + 1]
        has_residual = np.int32(not is_first)
        given: list[Argument] = [
            level.value,
            level.residual,
            has_residual,
            level.share,
            *_size(level),
        ]
        self._launch("restrict_residual", [*given, smaller.residual], smaller)
        self.cycle(index + 1)
        self._correct(level, smaller)
        self._smooth(level, STEPS, is_first=is_first)

    def finish(self, front: Array, back: Array, *, out: Array) -> None:
        """Adds the membrane to the front."""
        first = self._levels[0]
        num = np.int32(first.share.size)
        self._list("add_membrane", [front, back, first.value, first.share, num, out], first)

    def _correct(self, level: Level, smaller: Level) -> None:
        given: list[Argument] = [smaller.value, level.share, *_size(level), level.value]
        self._launch("correct", given, level)

    def _solve_last(self, level: Level, *, is_first: bool) -> None:
        if is_first:
            self._smooth(level, (COARSEST_STEP,) * NUM_COARSEST_STEPS, is_first=True)
            return
        steps = [np.float32(COARSEST_STEP), np.int32(NUM_COARSEST_STEPS)]
        given: list[Argument] = [level.residual, level.share, *_size(level), *steps]
        block = (LINE[0], 1, 1)
        self._stream.launch(
            "poisson",
            "solve_coarsest",
            [*given, level.value, level.work],
            extent=block,
            block=block,
        )

    def _smooth(self, level: Level, weights: Sequence[float], *, is_first: bool) -> None:
        """An even number of steps, so that the last one ends in the value."""
        for index, weight in enumerate(weights):
            here, there = (level.value, level.work)[:: -1 if index % 2 else 1]
            self._step(level, here, weight, is_first=is_first, out=there)

    def _step(
        self, level: Level, value: Array, weight: float, *, is_first: bool, out: Array
    ) -> None:
        has_residual = np.int32(not is_first)
        given: list[Argument] = [value, level.residual, has_residual, level.share, *_size(level)]
        self._launch("smooth", [*given, np.float32(weight), out], level)

    def _launch(self, kernel: str, arguments: Sequence[Argument], level: Level) -> None:
        height, width = level.share.shape
        self._stream.launch("poisson", kernel, arguments, extent=(width, height, 1))

    def _list(self, kernel: str, arguments: Sequence[Argument], level: Level) -> None:
        self._stream.launch(
            "poisson", kernel, arguments, extent=(level.share.size, 1, 1), block=LINE
        )


def _size(level: Level) -> tuple[np.int32, np.int32]:
    """Width and height as kernels take them."""
    return np.int32(level.share.shape[1]), np.int32(level.share.shape[0])
