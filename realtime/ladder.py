"""When costly work is lessened because the machine cannot keep up, and when it is tried again.

Pure logic; every time is an argument, in nanoseconds of one clock.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from realtime.frame import PictureSpec
from realtime.metrics import Json

SECOND_NS = 1_000_000_000

PERIOD_NS = SECOND_NS
"""Verdicts are given on so much time at once: short against patience, long against a hiccup."""

LATE_SHARE = 0.1
"""Where more than this part of the pictures was passed over, the machine is late."""

CALM_SHARE = 0.02
"""Only where fewer than this were, it has time to spare."""

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

    A machine that is late passes pictures over, which shows in their numbers. Then the work goes
    one rung down, and is tried one rung up after two calm seconds; each time that fails the rest
    is doubled, so that a machine that is too slow for good does not go up and down all the time.
    The first second of a run says nothing: caches are cold and networks are still being warmed.
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
        self._is_warm = False
        self._began_ns = 0
        self._num_seen = 0
        self._num_skipped = 0
        self._since_ns = 0
        self._rest_ns = FIRST_REST_NS

    @property
    def is_on(self) -> bool:
        """Whether all of the work is done at present."""
        return self._rung == 0

    def allows(self, *, seq: int, now_ns: int) -> bool:
        """Whether this picture gets all of the work; the arguments are those of ``follow``."""
        return self.follow(seq=seq, now_ns=now_ns) == 0

    def follow(self, *, seq: int, now_ns: int) -> int:
        """How much work this picture gets.

        Args:
            seq: the picture's place in the order of capture, higher than the one before.
            now_ns: when it was captured.

        Returns:
            The rung, from 0 for all of the work up to the number of rungs less one.
        """
        if self._last_seq is None:
            self._begin(now_ns)
            self._since_ns = now_ns
        else:
            self._num_skipped += max(0, seq - self._last_seq - 1)
        self._num_seen += 1
        self._last_seq = seq
        if now_ns - self._began_ns >= PERIOD_NS:
            if self._is_warm:
                self._judge(now_ns)
            self._is_warm = True
            self._begin(now_ns)
        self.counts.rested += self._rung > 0
        return self._rung

    def _begin(self, now_ns: int) -> None:
        self._began_ns = now_ns
        self._num_seen = self._num_skipped = 0

    def _judge(self, now_ns: int) -> None:
        """Ends a period."""
        share = self._num_skipped / (self._num_skipped + self._num_seen)
        spent_ns = now_ns - self._since_ns
        if self._rung == 0 and spent_ns >= PROVEN_NS:
            self._rest_ns = FIRST_REST_NS
        if share > LATE_SHARE and self._rung < self._lowest:
            self._step(1, now_ns)
            self.counts.switched_off += 1
        elif self._rung == 0:
            return
        elif share > CALM_SHARE:
            # The rest is counted in calm time only.
            self._since_ns = now_ns
        elif spent_ns >= self._rest_ns:
            self._step(-1, now_ns)
            self.counts.switched_on += 1
            self._rest_ns = min(2 * self._rest_ns, LONGEST_REST_NS)

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
