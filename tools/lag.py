"""How far something trails behind the truth, and whether short movements keep their height."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FULL_EXTENT = 0.9
"""Share of a movement's extent from which on it counts as done."""


def phasors(values: ArrayLike, cycles: ArrayLike) -> NDArray[np.complex128]:
    """The sine of one rate that lies in signals, with the least squared error.

    Args:
        values: ``(T, N)`` samples of N signals.
        cycles: ``(T,)`` phase of each sample in whole turns.

    Returns:
        ``(N,)`` amplitude and phase: a signal is ``Re(phasor * exp(2 pi i cycles))`` plus a
        constant.
    """
    turns = 2.0 * np.pi * np.asarray(cycles, np.float64)
    waves = np.column_stack([np.cos(turns), -np.sin(turns), np.ones_like(turns)])
    solution, *_ = np.linalg.lstsq(waves, np.asarray(values, np.float64), rcond=None)
    found: NDArray[np.complex128] = solution[0] + 1j * solution[1]
    return found


def phase_lag(truth: ArrayLike, seen: ArrayLike, cycles: ArrayLike) -> tuple[float, float]:
    """How far a swinging signal trails behind the truth, and how much of its height is left.

    Args:
        truth, seen: ``(T, N)`` samples; signals weigh as much as they move.
        cycles: ``(T,)`` phase of each sample in whole turns.

    Returns:
        The lag in turns, -0.5..0.5, positive where ``seen`` comes late; and the amplitude of
        ``seen`` over that of the truth.
    """
    real, found = phasors(truth, cycles), phasors(seen, cycles)
    product = np.vdot(real, found)
    lag = -float(np.angle(product)) / (2.0 * np.pi)
    return lag, float(np.abs(product)) / float(np.vdot(real, real).real)


def first_reach(values: Sequence[float], level: float) -> int | None:
    """The first index at which a rising signal is at a level or above; None where it never is."""
    return next((index for index, value in enumerate(values) if value >= level), None)


def step_delay(truth: ArrayLike, seen: ArrayLike, start: int, stop: int) -> int | None:
    """Frames from a jump of the truth until a signal has followed it to ``FULL_EXTENT``.

    Args:
        truth, seen: ``(T, N)``; the truth jumps at ``start`` and then holds until ``stop``.
        start, stop: the first index after the jump and the one behind the last.

    Returns:
        0 where the signal follows in the very frame; None where it does not follow at all. What
        the signal was before the jump and is at the end are its own rest positions, so that a
        constant error of it does not count.
    """
    real, found = np.asarray(truth, np.float64), np.asarray(seen, np.float64)
    way = real[stop - 1] - real[start - 1]
    along = (found[start - 1 : stop] - found[start - 1]) @ way
    return first_reach((along[1:] / max(along[-1], 1e-9)).tolist(), FULL_EXTENT)
