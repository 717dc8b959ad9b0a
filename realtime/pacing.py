"""When the next picture is due: a regular grid of ticks that may lean towards the input's own.

Pure logic; every time is an argument, in nanoseconds of one monotonic clock.
"""

from collections import deque
from fractions import Fraction

SECOND_NS = 1_000_000_000

MAX_SLEW_NS = 300_000
"""How far one tick may lean; a hundredth of a 30 Hz period cannot be seen as judder."""

MAX_RATE_DIFFERENCE = 0.02
"""Inputs further from the output's rate than this part of it are not followed."""

USUAL_PERCENT = 70
"""So many of the arrivals are to have their margin; the sender waits a moment for the others."""

NEARLY_ALL_PERCENT = 95
LATENESS_NS = 2_000_000
"""So many of the arrivals are to be no later than this after their tick: what is off by less is
seen by nobody, nor measured as a fault of the rate."""

MOST_EXTRA_NS = 5_000_000
"""How much later than the usual arrivals ask for a tick may be for the sake of the latest ones:
beyond that every picture would be older so that a few come on their tick."""

MOST_SPREAD = 0.75
"""Of a period: arrivals spread over more of it say nothing about where ticks are best."""

NUM_OBSERVED = 32
"""Arrivals remembered: about a second, long against jitter and short against a clock's drift."""

MIN_OBSERVED = 8

NUM_COLD = 3
"""Frames at the start that say little of the others: all is done for the first time."""

SETTLES_AT = (MIN_OBSERVED, MIN_OBSERVED + NUM_OBSERVED)
"""Warm frames after which the ticks go at once to where they should be. The first of them are
often slower than those to come, and leaning alone takes seconds to make up for that."""

MOMENT_PART, LONGEST_PART = 6, 2
"""By which part of a period any tick may be late for a frame's sake, and by which a few."""

LONG_WAIT_SHARE, MOST_LONG_WAITS = 0.03, 2.0
"""Share of the ticks that are those few, and how many of them may follow each other."""


class Pacer:
    """Ticks at ``start + n / rate`` that never drift, and skip what a stall has missed.

    With ``observe`` the whole grid leans slowly, so that frames of an input of nearly the same rate
    are ready a short margin before a tick: they then wait that margin instead of half a period.

    Args:
        rate_hz: ticks per second; positive.
        start_ns: the first tick.
        margin_ns: how long before its tick a frame should be ready.

    Raises:
        ValueError: the rate is not positive.
    """

    def __init__(self, rate_hz: Fraction, *, start_ns: int, margin_ns: int = 0) -> None:
        if rate_hz <= 0:
            raise ValueError(f"Pacer: the rate must be positive, got {rate_hz}.")
        self._rate_hz = rate_hz
        self._period_ns = round(SECOND_NS / rate_hz)
        self._origin_ns = start_ns
        self._margin_ns = margin_ns
        self._tick = 0
        self._observed: deque[tuple[int, int]] = deque(maxlen=NUM_OBSERVED)
        self._num_cold = 0
        self._num_warm = 0
        self._settles_at = deque(SETTLES_AT)

    @property
    def deadline_ns(self) -> int:
        """When the current tick is due."""
        return self._origin_ns + self.media_ns

    @property
    def media_ns(self) -> int:
        """The current tick's place on the output's own timeline, from 0, without any leaning."""
        return self._tick * SECOND_NS * self._rate_hz.denominator // self._rate_hz.numerator

    def advance(self, now_ns: int) -> int:
        """Goes on to the next tick, or after a stall to the newest one that is already due.

        Args:
            now_ns: the time after the current tick's work.

        Returns:
            How many ticks were missed and are skipped.
        """
        due = self._tick + 1
        passed = (now_ns - self._origin_ns) * self._rate_hz // SECOND_NS
        self._tick = max(due, int(passed))
        return self._tick - due

    def observe(self, ready_ns: int, *, seq: int) -> None:
        """Tells when a frame was ready, at most once for each tick; leans the ticks to come.

        The first frame sets the phase at once, the first that are warm set it anew, and those of
        the second second once more; all others pull on it gently.

        Args:
            ready_ns: when the frame could have been sent; not later than now.
            seq: the frame's place in the order of capture, higher than the one before.
        """
        if self._num_cold < NUM_COLD:
            self._num_cold += 1
            if self._num_cold == 1:
                # The next tick comes earlier, never later: a second frame would be passed over.
                lag_ns = self._lag_ns(ready_ns)
                self._origin_ns += lag_ns if lag_ns <= 0 else lag_ns - self._period_ns
            return
        self._num_warm += 1
        self._observed.append((seq, ready_ns))
        if len(self._observed) >= MIN_OBSERVED and self._follows():
            self._lean()

    def _lean(self) -> None:
        """Moves the ticks a little to where usual arrivals have their margin and few are late."""
        first_ns, offsets = self._unrolled()
        latest = offsets[len(offsets) * NEARLY_ALL_PERCENT // 100]
        usual = offsets[len(offsets) * USUAL_PERCENT // 100]
        if latest - offsets[len(offsets) * 5 // 100] < MOST_SPREAD * self._period_ns:
            extra_ns = latest - LATENESS_NS - (usual + self._margin_ns)
            usual += max(0, min(MOST_EXTRA_NS, extra_ns))
            lag_ns = self._lag_ns(first_ns + usual)
            settles = bool(self._settles_at) and self._num_warm >= self._settles_at[0]
            if settles:
                self._settles_at.popleft()
            most_ns = self._period_ns if settles else MAX_SLEW_NS
            self._origin_ns += max(-most_ns, min(most_ns, lag_ns))

    def _unrolled(self) -> tuple[int, list[int]]:
        """One arrival, and how much later than it within a period each one comes, rising.

        It is the first after the longest part of a period in which none comes, so that arrivals
        around a tick stay together, and late ones are told from early ones.
        """
        phases = sorted((ready - self._origin_ns) % self._period_ns for _, ready in self._observed)
        before = [phases[-1] - self._period_ns, *phases[:-1]]
        gaps = [phase - last for phase, last in zip(phases, before, strict=True)]
        first = phases[gaps.index(max(gaps))]
        offsets = sorted((phase - first) % self._period_ns for phase in phases)
        return self._origin_ns + first, offsets

    def _lag_ns(self, ready_ns: int) -> int:
        """How much later a tick would have to be for this frame to have its margin before it.

        Taken to the nearest tick, so within half a period to either side.
        """
        return self._wrapped_ns(ready_ns + self._margin_ns - self.deadline_ns)

    def _wrapped_ns(self, offset_ns: int) -> int:
        """The offset from the nearest of the moments one period apart."""
        half = self._period_ns // 2
        return (offset_ns + half) % self._period_ns - half

    def _follows(self) -> bool:
        """Whether frames come nearly at the output's rate, those passed over among them."""
        (first_seq, first_ns), (last_seq, last_ns) = self._observed[0], self._observed[-1]
        input_period_ns = (last_ns - first_ns) / (last_seq - first_seq)
        return abs(input_period_ns - self._period_ns) <= MAX_RATE_DIFFERENCE * self._period_ns


class Patience:
    """How long a tick waits for a frame that is all but ready.

    A tick that comes a moment late is seen by nobody, while repeating one frame and then dropping
    another is. A moment is always waited, and longer only now and then, so that the rate stays
    even on a machine where many frames are late.

    Args:
        period_ns: from tick to tick.
    """

    def __init__(self, period_ns: int) -> None:
        self._most_ns = period_ns // LONGEST_PART
        self._usual_ns = period_ns // MOMENT_PART
        self._savings = 1.0
        self._spends = False

    def begin(self, *, generous: bool = False) -> None:
        """Begins with another tick.

        Args:
            generous: it may be waited long for, and that is not counted.
        """
        self._spends = generous
        self._savings = min(MOST_LONG_WAITS, self._savings + LONG_WAIT_SHARE)

    def allows(self, late_ns: int) -> bool:
        """Whether the tick may wait on.

        Args:
            late_ns: how much time has passed since it was due.
        """
        if late_ns >= self._most_ns:
            return False
        if late_ns < self._usual_ns or self._spends:
            return True
        if self._savings < 1:
            return False
        self._savings -= 1
        self._spends = True
        return True
