"""Whether a faster form of a network still computes what the network does."""

from collections.abc import Iterable, Mapping
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
        error: Euclidean length of the difference over that of the reference; the worst output of
            the worst sample. Infinite where the candidate is not finite.
        fault: what makes the candidate unusable, in a few words; empty for nothing.
    """

    error: float
    fault: str

    @property
    def is_good(self) -> bool:
        """Whether the candidate may stand in for the reference."""
        return not self.fault


def compare(
    reference: Iterable[Outputs], candidate: Iterable[Outputs], *, max_error: float = MAX_ERROR
) -> Comparison:
    """Compares the outputs for the same samples.

    Args:
        reference: outputs by name for each sample.
        candidate: the same of the faster form.
        max_error: largest error that is no fault.

    Returns:
        The worst of all; a fault is NaN or infinity, a blank output (all one value where the
        reference shows something), or too large an error.
    """
    worst = Comparison(0.0, "")
    for wanted, got in zip(reference, candidate, strict=True):
        for name, array in wanted.items():
            found = _compare_one(name, array, got[name], max_error)
            if (bool(found.fault), found.error) > (bool(worst.fault), worst.error):
                worst = found
    return worst


def _compare_one(name: str, wanted: Array, got: Array, max_error: float) -> Comparison:
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    if not np.isfinite(got).all():
        return Comparison(float("inf"), f"{name} holds NaN or infinity")
    length = float(np.linalg.norm(wanted))
    difference = float(np.linalg.norm(wanted - got))
    error = difference / length if length else difference
    if wanted.size > 1 and np.ptp(got) == 0 and np.ptp(wanted) > 0:
        return Comparison(error, f"{name} is blank")
    if error > max_error:
        return Comparison(error, f"{name} is off by {error:.2g}, more than {max_error:g}")
    return Comparison(error, "")
