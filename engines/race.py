"""Sessions that take turns at the same work, until it is known how long each of them takes."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engines.self_check import compare
from engines.session import Array, Session

Clock = Callable[[], int]
"""Monotonic nanoseconds."""

_LEAST_ROUNDS = 3
_MOST_ROUNDS = 1000
_JUDGED_AFTER_ROUNDS = 20
_JUDGED_AFTER_NS = 250_000_000
"""Sooner, something else that the machine does for a moment could be all that was seen."""

_STABLE = 0.01
"""Standard error of a median that is settled, as a part of it."""

_ERROR_OF_QUARTILES = 0.93
"""Standard error of the median of one value, over the distance of the quartiles: 1.253 standard
deviations over 1.349, both of normally distributed times."""


class Entrant:
    """One open session with its buffers and the times of its runs.

    Attributes:
        session: what runs.
        times_ns: how long each run took.
    """

    def __init__(
        self, session: Session, sample: Mapping[str, Array], reference: Mapping[str, Array]
    ) -> None:
        """Runs the network once, untimed: that is when runtimes make ready what they need.

        Args:
            session: what runs; its owner closes it.
            sample: arrays by input name.
            reference: what it must compute, arrays by output name.

        Raises:
            ModelError: it does not run.
        """
        self.session = session
        self.times_ns: list[int] = []
        self._sample = sample
        self._reference = reference
        self._out = {name: np.empty_like(array) for name, array in reference.items()}
        session.enqueue(sample, out=self._out, stream=0)

    def run(self, clock: Clock) -> None:
        """Runs the network once more and notes how long it took."""
        began_ns = clock()
        self.session.enqueue(self._sample, out=self._out, stream=0)
        self.times_ns.append(clock() - began_ns)

    @property
    def error(self) -> float:
        """How far the last run's outputs are from the reference, see ``engines.self_check``."""
        return compare([self._reference], [self._out]).error

    @property
    def is_stable(self) -> bool:
        """Whether more runs would hardly move the median."""
        low, middle, high = statistics.quantiles(self.times_ns, n=4)
        uncertainty = _ERROR_OF_QUARTILES * (high - low) / math.sqrt(len(self.times_ns))
        return uncertainty <= _STABLE * middle


def race(entrants: Sequence[Entrant], clock: Clock, *, longest_ns: int, until_ns: int) -> None:
    """Runs all of them in turn until their medians are stable, or time is up.

    Run by run, so that whatever else the machine does meets all alike: ratios hold where times do
    not.

    Args:
        entrants: each runs at least once, whatever time it is.
        clock: of the times.
        longest_ns: how long at most, once there were three rounds.
        until_ns: when it must end, however few rounds there were.
    """
    began_ns = clock()
    judged_at = _JUDGED_AFTER_ROUNDS
    for num_rounds in range(1, _MOST_ROUNDS + 1):
        for entrant in entrants:
            entrant.run(clock)
        now_ns = clock()
        took_ns = now_ns - began_ns
        if now_ns >= until_ns or (num_rounds >= _LEAST_ROUNDS and took_ns >= longest_ns):
            return
        # Looked at only as often as the rounds double: who looks all the time sees every lull.
        if num_rounds != judged_at:
            continue
        judged_at *= 2
        if took_ns >= _JUDGED_AFTER_NS and all(entrant.is_stable for entrant in entrants):
            return
