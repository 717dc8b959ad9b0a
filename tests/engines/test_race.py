import numpy as np
import pytest

from engines.fake import FakeSession
from engines.race import Entrant, race
from engines.session import TensorSpec

MS = 1_000_000
SAMPLE = {"x": np.ones((1, 2), np.float32)}
FOREVER_NS = 10**15


class Clock:
    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock():
    return Clock()


def entrant_of(clock, takes_ms, order=None, factor=1.0):
    """One whose run number n takes ``takes_ms(n)``; the first one is not timed."""
    number = -1
    spec = (TensorSpec("x", (1, 2), np.dtype(np.float32)),)

    def compute(arrays):
        nonlocal number
        clock.now_ns += round(takes_ms(number) * MS) if number >= 0 else 0
        number += 1
        if order is not None:
            order.append(takes_ms(0))
        return {"x": factor * arrays["x"]}

    return Entrant(FakeSession(spec, spec, compute), SAMPLE, SAMPLE)


def run(entrants, clock, longest_ns=FOREVER_NS, until_ns=FOREVER_NS):
    race(entrants, clock, longest_ns=longest_ns, until_ns=until_ns)
    return [len(entrant.times_ns) for entrant in entrants]


def test_they_take_turns(clock):
    order = []
    entrants = [entrant_of(clock, lambda _, ms=ms: ms, order) for ms in (1, 2)]
    order.clear()
    run(entrants, clock, longest_ns=0)
    assert order == [1, 2] * 3


def test_steady_times_end_it_once_it_has_gone_on_for_a_while(clock):
    assert run([entrant_of(clock, lambda _: 20)], clock) == [20]
    assert run([entrant_of(clock, lambda _: 1)], clock) == [320]


def test_times_that_scatter_are_measured_until_their_median_is_known_to_a_hundredth(clock):
    scattered = entrant_of(clock, lambda n: 100 + 10 * (n % 3 - 1))
    (num_runs,) = run([scattered], clock)
    assert num_runs > 20
    assert 0.93 * 20 / num_runs**0.5 <= 1 < 0.93 * 20 / (num_runs / 2) ** 0.5


def test_one_that_scatters_keeps_the_others_running(clock):
    steady, wild = entrant_of(clock, lambda _: 20), entrant_of(clock, lambda n: 10 + 90 * (n % 2))
    assert run([steady, wild], clock) == [1000, 1000]


def test_it_does_not_go_on_for_longer_than_it_may_but_for_three_rounds(clock):
    assert run([entrant_of(clock, lambda _: 10)], clock, longest_ns=45 * MS) == [5]
    assert run([entrant_of(clock, lambda _: 500)], clock, longest_ns=30 * MS) == [3]


def test_after_the_last_moment_there_is_one_run_each(clock):
    entrants = [entrant_of(clock, lambda _: 500), entrant_of(clock, lambda _: 900)]
    assert run(entrants, clock, until_ns=0) == [1, 1]


def test_the_error_is_that_against_the_reference(clock):
    assert entrant_of(clock, lambda _: 1, factor=1.25).error == pytest.approx(0.25)
