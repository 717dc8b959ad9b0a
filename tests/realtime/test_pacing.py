import random
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.pacing import (
    LATENESS_NS,
    LONG_WAIT_SHARE,
    MAX_SLEW_NS,
    MIN_OBSERVED,
    MOMENT_PART,
    MOST_EXTRA_NS,
    NUM_COLD,
    SETTLES_AT,
    Pacer,
    Patience,
)

RATE_HZ = Fraction(30)
PERIOD_NS = 33_333_333
MS_NS = 1_000_000
MARGIN_NS = 2 * MS_NS


def test_ticks_stay_on_the_grid_and_never_drift():
    pacer = Pacer(Fraction(30000, 1001), start_ns=7)
    for _ in range(30000):
        pacer.advance(pacer.deadline_ns)
    assert pacer.deadline_ns == 7 + 1001 * 1_000_000_000
    assert pacer.media_ns == 1001 * 1_000_000_000


def test_a_late_tick_is_not_skipped_and_the_next_one_is_on_time_again():
    pacer = Pacer(RATE_HZ, start_ns=0)
    assert pacer.advance(PERIOD_NS + 5 * MS_NS) == 0
    assert pacer.deadline_ns == PERIOD_NS
    assert pacer.advance(PERIOD_NS + 6 * MS_NS) == 0
    assert pacer.deadline_ns == pytest.approx(2 * PERIOD_NS, abs=1)


def test_a_stall_skips_what_it_missed_instead_of_bursting():
    pacer = Pacer(RATE_HZ, start_ns=0)
    now_ns = 10 * PERIOD_NS + 12 * MS_NS
    assert pacer.advance(now_ns) == 9
    assert now_ns - PERIOD_NS < pacer.deadline_ns <= now_ns
    assert pacer.advance(now_ns) == 0
    assert pacer.deadline_ns > now_ns


@given(st.lists(st.integers(0, 200 * MS_NS), max_size=40))
def test_ticks_only_go_forward_whatever_the_work_takes(durations):
    pacer = Pacer(RATE_HZ, start_ns=0)
    now_ns = 0
    for duration_ns in durations:
        now_ns = max(now_ns, pacer.deadline_ns) + duration_ns
        before = pacer.deadline_ns
        pacer.advance(now_ns)
        assert pacer.deadline_ns > before
        assert pacer.deadline_ns > now_ns - PERIOD_NS - 1


class Simulation:
    """A camera, some work, and a sender, on one virtual clock."""

    def __init__(self, *, input_hz, work_ns, jitter_ns=0, camera_phase_ns=0, patience_ns=0, seed=1):
        self.patience_ns = patience_ns
        self.pacer = Pacer(RATE_HZ, start_ns=0, margin_ns=MARGIN_NS)
        self.sent_ns = []
        self.latencies_ns = []
        self.num_repeated = 0
        self.num_passed_over = 0
        dice = random.Random(seed)
        self._frames = []
        for seq in range(3000):
            captured_ns = camera_phase_ns + round(seq * 1_000_000_000 / input_hz)
            ready_ns = captured_ns + work_ns + dice.randint(0, jitter_ns)
            self._frames.append((seq, captured_ns, ready_ns))

    def run(self, num_ticks):
        for _ in range(num_ticks):
            now_ns = self.pacer.deadline_ns
            ready = 0
            while self._frames[ready][2] <= now_ns:
                ready += 1
            if not ready and self._frames[0][2] <= now_ns + self.patience_ns:
                now_ns, ready = self._frames[0][2], 1
            if ready:
                seq, captured_ns, ready_ns = self._frames[ready - 1]
                self.pacer.observe(ready_ns, seq=seq)
                self.latencies_ns.append(now_ns - captured_ns)
                self.num_passed_over += ready - 1
                del self._frames[:ready]
            elif self.latencies_ns:
                self.num_repeated += 1
            self.sent_ns.append(now_ns)
            self.pacer.advance(now_ns)
        return self

    def intervals_ns(self):
        return [b - a for a, b in pairwise(self.sent_ns)]


@pytest.mark.parametrize("camera_phase_ns", [0, 5 * MS_NS, 17 * MS_NS, 30 * MS_NS])
def test_the_first_frame_sets_the_phase_so_that_steady_frames_wait_only_the_margin(
    camera_phase_ns,
):
    run = Simulation(input_hz=30, work_ns=9 * MS_NS, camera_phase_ns=camera_phase_ns).run(100)
    # The first frame still meets the grid as it was.
    assert all(
        latency == pytest.approx(9 * MS_NS + MARGIN_NS, abs=MS_NS)
        for latency in run.latencies_ns[1:]
    )
    assert run.num_repeated <= 1
    assert run.num_passed_over == 0


def test_a_phase_set_by_a_slow_first_frame_is_corrected_by_the_first_warm_ones():
    run = Simulation(input_hz=30, work_ns=9 * MS_NS)
    run._frames[0] = (0, 0, 24 * MS_NS)
    run.run(120)
    warm = NUM_COLD + MIN_OBSERVED
    assert max(run.latencies_ns[2:]) == pytest.approx(26 * MS_NS, abs=MS_NS)
    assert max(run.latencies_ns[warm + 1 :]) == pytest.approx(11 * MS_NS, abs=MS_NS)
    off = [abs(interval - PERIOD_NS) > MAX_SLEW_NS + 1 for interval in run.intervals_ns()[3:]]
    assert off.count(True) == 1


def test_a_phase_set_by_a_slow_start_is_corrected_at_once_when_frames_have_become_quick():
    run = Simulation(input_hz=30, work_ns=9 * MS_NS)
    for seq in range(NUM_COLD + MIN_OBSERVED):
        run._frames[seq] = (seq, run._frames[seq][1], run._frames[seq][1] + 24 * MS_NS)
    run.run(120)
    settled = NUM_COLD + SETTLES_AT[-1]
    assert max(run.latencies_ns[settled + 1 :]) == pytest.approx(11 * MS_NS, abs=MS_NS)


@pytest.mark.parametrize("first_ready_ns", [20 * MS_NS, 25 * MS_NS, 26 * MS_NS, 30 * MS_NS])
def test_the_phase_finds_home_from_anywhere_under_jitter(first_ready_ns):
    run = Simulation(input_hz=30, work_ns=8 * MS_NS, jitter_ns=4 * MS_NS)
    run._frames[0] = (0, 0, first_ready_ns)
    run.run(300)
    assert max(run.latencies_ns[200:]) <= 8 * MS_NS + 4 * MS_NS + 2 * MARGIN_NS


def test_jitter_is_kept_out_of_the_cadence_and_costs_few_frames():
    run = Simulation(
        input_hz=30, work_ns=8 * MS_NS, jitter_ns=6 * MS_NS, patience_ns=PERIOD_NS // 3
    ).run(60)
    settling = len(run.latencies_ns), run.num_repeated
    run.run(900)
    assert max(run.latencies_ns[settling[0] :]) <= 8 * MS_NS + 6 * MS_NS + 2 * MARGIN_NS
    assert run.num_repeated == settling[1] <= 6
    off = sorted(abs(step - PERIOD_NS) for step in run.intervals_ns()[settling[0] :])
    assert off[len(off) * 95 // 100] <= MS_NS
    assert off[-1] <= 2 * MS_NS


@pytest.mark.parametrize("first_ready_ns", [1 * MS_NS, 9 * MS_NS, 17 * MS_NS, 25 * MS_NS])
def test_frames_spread_over_more_than_half_a_period_are_met_where_none_of_them_come(
    first_ready_ns,
):
    run = Simulation(
        input_hz=30, work_ns=8 * MS_NS, jitter_ns=23 * MS_NS, patience_ns=PERIOD_NS // MOMENT_PART
    )
    run._frames[0] = (0, 0, first_ready_ns)
    run.run(100)
    settling = run.num_repeated, run.num_passed_over
    run.run(900)
    assert (run.num_repeated, run.num_passed_over) == settling


@pytest.mark.parametrize("input_hz", [29.97, 30.03, 29.9, 30.1])
def test_a_camera_of_nearly_the_same_rate_is_followed_without_repeats_or_drops(input_hz):
    run = Simulation(input_hz=input_hz, work_ns=9 * MS_NS).run(1500)
    assert run.num_repeated <= 1
    assert run.num_passed_over <= 1
    assert max(run.latencies_ns[60:]) <= 20 * MS_NS


@pytest.mark.parametrize("input_hz", [15, 24, 25, 45])
def test_a_camera_of_another_rate_leaves_the_cadence_alone(input_hz):
    run = Simulation(input_hz=input_hz, work_ns=9 * MS_NS).run(300)
    assert all(abs(interval - PERIOD_NS) <= 1 for interval in run.intervals_ns()[5:])


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        Pacer(Fraction(0), start_ns=0)


def lean_on(works_ns):
    """How long after the capture the ticks come to be, where making frames takes these times."""
    pacer = Pacer(RATE_HZ, start_ns=0, margin_ns=MARGIN_NS)
    for seq, work_ns in enumerate(works_ns):
        captured_ns = seq * 1_000_000_000 // 30
        pacer.observe(captured_ns + work_ns, seq=seq)
        pacer.advance(captured_ns + work_ns)
    period_ns = 1_000_000_000 / 30
    return pacer.deadline_ns % period_ns


@pytest.mark.parametrize("late_ms", [3, 8, 14])
def test_ticks_come_later_for_the_sake_of_every_tenth_frame_within_bounds(late_ms):
    late_ns = late_ms * MS_NS
    works_ns = [9 * MS_NS + (late_ns if n % 10 == 5 else 0) for n in range(300)]
    extra_ns = min(max(0, late_ns - LATENESS_NS - MARGIN_NS), MOST_EXTRA_NS)
    wanted_ns = 9 * MS_NS + MARGIN_NS + extra_ns
    assert lean_on(works_ns) == pytest.approx(wanted_ns, abs=2 * MAX_SLEW_NS)


def test_one_late_frame_in_fifty_moves_no_tick():
    works_ns = [9 * MS_NS + (14 * MS_NS if n % 50 == 5 else 0) for n in range(300)]
    assert lean_on(works_ns) == pytest.approx(9 * MS_NS + MARGIN_NS, abs=2 * MAX_SLEW_NS)


def longest_wait_ns(patience):
    """How late a tick gets whose frame does not come."""
    patience.begin()
    return next(late for late in range(0, PERIOD_NS, MS_NS // 3) if not patience.allows(late))


def test_a_tick_always_waits_a_moment_and_seldom_half_a_period():
    patience = Patience(30 * MS_NS)
    waits_ns = [round(longest_wait_ns(patience) / MS_NS) for _ in range(400)]
    assert set(waits_ns) == {30 // MOMENT_PART, 15}
    assert waits_ns.count(15) == pytest.approx(400 * LONG_WAIT_SHARE, abs=1)


def test_a_generous_tick_waits_half_a_period_and_is_not_counted():
    patience = Patience(30 * MS_NS)
    for _ in range(100):
        patience.begin(generous=True)
        assert patience.allows(15 * MS_NS - 1)
        assert not patience.allows(15 * MS_NS)
    waits_ns = [round(longest_wait_ns(patience) / MS_NS) for _ in range(3)]
    assert waits_ns == [15, 15, 30 // MOMENT_PART]


def test_a_frame_that_seldom_is_late_is_waited_for_half_a_period():
    patience = Patience(30 * MS_NS)
    for _ in range(10):
        for _ in range(49):
            patience.begin()
        assert longest_wait_ns(patience) == pytest.approx(15 * MS_NS, abs=MS_NS // 3)
