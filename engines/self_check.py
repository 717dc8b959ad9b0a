"""Whether a faster form of a network still computes what the network does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.session import Array

MAX_ERROR = 0.02
"""Largest tolerable error of a 16-bit network, as a part of what it computes.

On a picture it is about half a grey level of 255 where that is grey: below what can be seen.
"""

Outputs = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a candidate's outputs are from those of the reference.

    Attributes:
        error: Euclidean length of the difference over that of the reference, over all samples
            together so that one with hardly anything in it does not decide; of the worst output.
            Infinite where the candidate is not finite.
        fault: what makes the candidate unusable, in a few words; empty for nothing.
    """

    error: float
    fault: str

    @property
    def is_good(self) -> bool:
        """Whether the candidate may stand in for the reference."""
        return not self.fault


def compare(
    reference: Sequence[Outputs], candidate: Sequence[Outputs], *, max_error: float = MAX_ERROR
) -> Comparison:
    """Compares the outputs for the same samples.

    Args:
        reference: outputs by name for each sample.
        candidate: the same of the faster form.
        max_error: largest error that is no fault.

    Returns:
        The worst of all outputs; a fault is NaN or infinity, a blank output (all one value where
        the reference shows something), or too large an error.

    Raises:
        ValueError: there are more samples of one than of the other.
    """
    pairs = list(zip(reference, candidate, strict=True))
    worst = Comparison(0.0, "")
    for name in reference[0] if pairs else ():
        arrays = [(wanted[name], got[name]) for wanted, got in pairs]
        found = _compare_one(name, arrays, max_error)
        if (bool(found.fault), found.error) > (bool(worst.fault), worst.error):
            worst = found
    return worst


def _compare_one(name: str, pairs: Sequence[tuple[Array, Array]], max_error: float) -> Comparison:
    if not all(np.isfinite(got).all() for _, got in pairs):
        return Comparison(float("inf"), f"{name} holds NaN or infinity")
    length = math.hypot(*(_length(wanted) for wanted, _ in pairs))
    difference = math.hypot(*(_length(wanted, got) for wanted, got in pairs))
    error = difference / length if length else difference
    if any(_is_blank(got) and not _is_blank(wanted) for wanted, got in pairs):
        return Comparison(error, f"{name} is blank")
    if error > max_error:
        return Comparison(error, f"{name} is off by {error:.2g}, more than {max_error:g}")
    return Comparison(error, "")


def _length(array: Array, other: Array | float = 0.0) -> float:
    return float(np.linalg.norm(array.astype(np.float64) - other))


def _is_blank(array: Array) -> bool:
    return array.size > 1 and bool(np.ptp(array.astype(np.float64)) == 0)
