"""The CPU twin of the Poisson blend: the same multigrid in whole-picture operations of OpenCV."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from cuda_kernels.launch import Array
from cuda_kernels.poisson_levels import COARSEST_STEP, NUM_COARSEST_STEPS, STEPS, Level

_AROUND = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def solve(
    front: Array,
    back: Array,
    mask: Array,
    levels: Sequence[Level],
    *,
    is_warm: bool,
    num_cycles: int,
    out: Array,
) -> None:
    """Blends on the processor; see ``poisson_blend``."""
    free = np.asarray(cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)
    free[[0, -1]] = 0
    free[:, [0, -1]] = 0
    _prepare(front, back, free, levels, is_warm=is_warm)
    # Where a level has no free pixel at all nothing is corrected.
    masks = [free, *((level.share > 0).astype(np.uint8) for level in levels[1:])]
    for _ in range(num_cycles):
        _cycle(levels, masks, 0)
    blended = cv2.add(front, levels[0].value, dtype=cv2.CV_8U)
    if out is not back:
        out[...] = back
    cv2.copyTo(blended, free, out)


def _prepare(
    front: Array, back: Array, free: Array, levels: Sequence[Level], *, is_warm: bool
) -> None:
    first = levels[0]
    given = first.residual
    cv2.subtract(back, front, dst=given, dtype=cv2.CV_32F)
    if not is_warm:
        first.value.fill(0.0)
    np.multiply(free, np.float32(1 / 255), out=first.share)
    cv2.merge([first.share] * 3, dst=first.factor)
    for level, smaller in pairwise(levels):
        _halve(level.share, out=smaller.share)
        cv2.pow(smaller.share, 3.0, smaller.share)
        cv2.merge([smaller.share] * 3, dst=smaller.factor)
    if len(levels) > 1:
        cv2.subtract(given, first.value, dst=first.work)
        _spread_change(levels, free)
    cv2.copyTo(given, cv2.bitwise_not(free), first.value)


def _spread_change(levels: Sequence[Level], free: Array) -> None:
    """Adds to free pixels how far what is given around them has changed, near values first.

    Args:
        levels: the first one's work is the change.
        free: ``(H, W) u8``.
    """
    first, last = levels[0], levels[-1]
    touching = cv2.subtract(cv2.dilate(free, np.ones((3, 3), np.uint8)), free)
    sums, nums = _known(first)
    np.multiply(touching, np.float32(1 / 255), out=nums)
    sums.fill(0.0)
    cv2.copyTo(first.work, touching, sums)
    for level, smaller in pairwise(levels):
        for values, halved in zip(_known(level), _known(smaller), strict=True):
            _halve(values, out=halved)
            np.multiply(halved, np.float32(4), out=halved)
    sums, nums = _known(last)
    last.value[...] = sums.sum(axis=(0, 1)) / max(nums.sum(), 1.0)
    _keep_known(last)
    for smaller, level in pairwise(reversed(levels[1:])):
        level.value[...] = _enlarged(smaller.value, level)
        _keep_known(level)
    cv2.add(first.value, _enlarged(levels[1].value, first), dst=first.value, mask=free)


def _keep_known(level: Level) -> None:
    """Overwrites values with the mean of what is given in their pixel."""
    sums, nums = _known(level)
    cv2.merge([nums] * 3, dst=level.work)
    cv2.divide(sums, level.work, dst=level.work)
    cv2.copyTo(level.work, (nums > 0).astype(np.uint8), level.value)


def _known(level: Level) -> tuple[Array, Array]:
    """Sums of given values and their numbers."""
    num = level.share.size
    sums, nums = level.known[: 3 * num], level.known[3 * num :]
    return sums.reshape(level.value.shape), nums.reshape(level.share.shape)


def _cycle(levels: Sequence[Level], masks: Sequence[Array], index: int) -> None:
    """One V-cycle from a level on; below the first it starts from nothing."""
    level, is_last = levels[index], index == len(levels) - 1
    weights = (COARSEST_STEP,) * NUM_COARSEST_STEPS if is_last else STEPS
    if index == 0:
        for weight in weights:
            _step_first(level, masks[0], weight)
    else:
        cv2.multiply(level.residual, level.factor, dst=level.value, scale=weights[0])
        for weight in weights[1:]:
            _step(level, weight)
    if is_last:
        return
    _residual(level, is_first=index == 0)
    _halve(level.work, out=levels[index + 1].residual)
    _cycle(levels, masks, index + 1)
    correction = _enlarged(levels[index + 1].value, level)
    cv2.add(level.value, correction, dst=level.value, mask=masks[index])
    for weight in weights:
        if index == 0:
            _step_first(level, masks[0], weight)
        else:
            _step(level, weight)


def _step_first(level: Level, free: Array, weight: float) -> None:
    """A damped Jacobi step where values outside are given."""
    _around(level)
    cv2.addWeighted(level.value, 1.0 - weight, level.work, weight, 0.0, dst=level.work)
    cv2.copyTo(level.work, free, level.value)


def _step(level: Level, weight: float) -> None:
    """The same on a coarser level, which has no values outside."""
    _around(level)
    cv2.add(level.work, level.residual, dst=level.work)
    cv2.multiply(level.work, level.factor, dst=level.work)
    cv2.addWeighted(level.value, 1.0 - weight, level.work, weight, 0.0, dst=level.value)


def _residual(level: Level, *, is_first: bool) -> None:
    """Four times what is missing, so that its mean over two by two pixels is their sum."""
    _around(level)
    if is_first:
        cv2.subtract(level.work, level.value, dst=level.work)
        cv2.multiply(level.work, level.factor, dst=level.work, scale=4.0)
    else:
        cv2.add(level.work, level.residual, dst=level.work)
        cv2.multiply(level.work, level.factor, dst=level.work)
        cv2.addWeighted(level.work, 4.0, level.value, -4.0, 0.0, dst=level.work)


def _around(level: Level) -> None:
    """The mean of the four around, nothing beyond the edge."""
    cv2.filter2D(level.value, cv2.CV_32F, _AROUND, dst=level.work, borderType=cv2.BORDER_CONSTANT)


def _halve(values: Array, *, out: Array) -> None:
    """The mean of two by two pixels, nothing beyond the edge."""
    odd = values.shape[0] % 2, values.shape[1] % 2
    if any(odd):
        values = cv2.copyMakeBorder(values, 0, odd[0], 0, odd[1], cv2.BORDER_CONSTANT)
    cv2.resize(values, out.shape[1::-1], dst=out, interpolation=cv2.INTER_AREA)


def _enlarged(smaller: Array, level: Level) -> Array:
    """A level's values linear between pixels at the size of the next finer one, in its work."""
    height, width = level.share.shape
    even = (2 * smaller.shape[1], 2 * smaller.shape[0])
    if even == (width, height):
        return np.asarray(cv2.resize(smaller, even, dst=level.work))
    level.work[...] = cv2.resize(smaller, even)[:height, :width]
    return level.work
