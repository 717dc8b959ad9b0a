"""When costly work is lessened because the machine cannot keep up, and when it is tried again.

Pure logic; every time is an argument, in nanoseconds of one clock.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from realtime.frame import Frame, PictureSpec
from realtime.metrics import Json

SECOND_NS = 1_000_000_000

PERIOD_NS = SECOND_NS
"""Verdicts are given on so much time at once: short against patience, long against a hiccup."""

LATE_SHARE = 0.1
"""Where more than this part of the pictures was passed over, the machine is late."""

MOST_BUSY = 0.75
"""So is one that would be at work for more than this part of the time if it worked on every
picture: those that take a little longer than usual then make many after them wait."""

CALM_SHARE = 0.02
"""Only where fewer pictures than this were passed over, it has time to spare."""

ROOM_BUSY = 0.65
"""More work is expected to go well where it would keep the machine busy for less than this."""

FIRST_REST_NS = 2 * SECOND_NS
LONGEST_REST_NS = 60 * SECOND_NS

PROVEN_NS = 10 * SECOND_NS
"""Work that went well for so long had its last failure from something else."""


@dataclass(slots=True)
class LadderCounts:
    """What became of the work.

    Attributes:
        switched_off, switched_on: how often it was lessened, and tried again.
        rested: pictures that went without all or some of it.
    """

    switched_off: int = 0
    switched_on: int = 0
    rested: int = 0


class QualityLadder:
    """Decides picture by picture how much of the costly work there is time for.

    A machine that is late passes pictures over, which shows in their numbers; one that is all but
    late has no rest between them. Then the work goes one rung down. What that spares is remembered,
    and where there is room for it again the work is tried one rung up after two calm seconds; where
    there seems to be none, after a minute, for what was measured may have had another reason. Each
    time that fails the rest is doubled, so that a machine that is too slow for good does not go up
    and down all the time. The first second of a run says nothing: caches are cold and networks are
    still being warmed.
    """

    def __init__(self, num_rungs: int = 2) -> None:
        """Begins at the top, with all of the work.

        Args:
            num_rungs: at least 2, so many amounts of work; 2 for all and none.
        """
        self.counts = LadderCounts()
        self._lowest = num_rungs - 1
        self._rung = 0
        self._last_seq: int | None = None
        self._last_ns = 0
        self._is_warm = False
        self._began_ns = 0
        self._num_seen = 0
        self._num_skipped = 0
        self._idle_ns = 0
        self._since_ns = 0
        self._rest_ns = FIRST_REST_NS
        self._busy_above: float | None = None
        # By rung: how many times as busy the machine was one rung up.
        self._growth = [1.0] * num_rungs

    @property
    def is_on(self) -> bool:
        """Whether all of the work is done at present."""
        return self._rung == 0

    def allows(self, frame: Frame) -> bool:
        """Whether this picture gets all of the work; of frames as in ``follow``."""
        return self.follow(frame) == 0

    def follow(self, frame: Frame) -> int:
        """How much work this picture gets.

        Args:
            frame: asked about once, in the order of capture; its place in that order, when it was
                captured and how long its lane was idle before it are looked at.

        Returns:
            The rung, from 0 for all of the work up to the number of rungs less one.
        """
        now_ns = frame.captured_ns
        if self._last_seq is None:
            self._begin(now_ns)
            self._since_ns = self._last_ns = now_ns
        else:
            self._num_skipped += max(0, frame.seq - self._last_seq - 1)
        self._num_seen += 1
        # Where nobody says how busy it is, only pictures passed over count.
        self._idle_ns += now_ns - self._last_ns if frame.idle_ns is None else frame.idle_ns
        self._last_seq, self._last_ns = frame.seq, now_ns
        if now_ns - self._began_ns >= PERIOD_NS:
            if self._is_warm:
                self._judge(now_ns)
            self._is_warm = True
            self._begin(now_ns)
        self.counts.rested += self._rung > 0
        return self._rung

    def _begin(self, now_ns: int) -> None:
        self._began_ns = now_ns
        self._num_seen = self._num_skipped = self._idle_ns = 0

    def _judge(self, now_ns: int) -> None:
        """Ends a period."""
        skipped = self._num_skipped / (self._num_skipped + self._num_seen)
        busy = self._busy(now_ns - self._began_ns)
        if self._busy_above is not None:
            self._growth[self._rung] = self._busy_above / max(busy, 1e-3)
            self._busy_above = None
        is_late = skipped > LATE_SHARE or busy > MOST_BUSY
        spent_ns = now_ns - self._since_ns
        if self._rung == 0 and spent_ns >= PROVEN_NS:
            self._rest_ns = FIRST_REST_NS
        if is_late and self._rung < self._lowest:
            self._busy_above = busy
            self._step(1, now_ns)
            self.counts.switched_off += 1
        elif self._rung == 0:
            return
        elif is_late or skipped > CALM_SHARE:
            # The rest is counted in calm time only.
            self._since_ns = now_ns
        elif spent_ns >= self._needed_ns(busy):
            self._step(-1, now_ns)
            self.counts.switched_on += 1
            self._rest_ns = min(2 * self._rest_ns, LONGEST_REST_NS)

    def _busy(self, elapsed_ns: int) -> float:
        """Work for every picture of the period, as a part of it; more than 1 is too much."""
        worked = 1 - min(1.0, self._idle_ns / elapsed_ns)
        return worked * (self._num_seen + self._num_skipped) / self._num_seen

    def _needed_ns(self, busy: float) -> int:
        """How long it has to be calm before the work is tried one rung up."""
        fits = busy * self._growth[self._rung] < ROOM_BUSY
        return self._rest_ns if fits else LONGEST_REST_NS

    def _step(self, down: int, now_ns: int) -> None:
        self._rung += down
        self._since_ns = now_ns


def ladder_for(spec: PictureSpec, *, allowed: bool, num_rungs: int = 2) -> QualityLadder | None:
    """The ladder of a stage for these pictures; None where it never rests.

    Only live pictures do not wait until all of the work is done.

    Args:
        spec: of the pictures.
        allowed: by the settings.
        num_rungs: so many amounts of work.
    """
    return QualityLadder(num_rungs) if spec.live and allowed else None


def work_counts(faces: Mapping[str, int], ladder: QualityLadder | None) -> Json:
    """What a stage with costly work tells in the statistics.

    Args:
        faces: how many were worked on and how.
        ladder: what it asks; None where it never rests.
    """
    found: Json = {"faces": {what: number for what, number in faces.items() if number}}
    if ladder is not None:
        found["ladder"] = asdict(ladder.counts)
    return found
