"""What a run has done, measured in bounded memory: durations, latencies, and where frames ended.

Every number has one writing thread, so nothing is locked; a reader sees each number whole, and the
frame counts in an order that never shows more frames ended than captured.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from realtime.machine import Facts
from realtime.ring import Policy, Ring
from realtime.work_size import step_for

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000

Json = dict[str, Any]


class Histogram:
    """Durations counted in buckets that grow by 2 %, so that quantiles are within 1 %.

    Durations under a microsecond share one bucket, those over six hours the last.
    """

    _NUM_BUCKETS = 1200
    _FIRST_NS = 1_000
    _GROWTH = 1.02

    def __init__(self) -> None:
        self._counts = [0] * self._NUM_BUCKETS
        self._count = 0
        self._max_ns = 0

    @property
    def count(self) -> int:
        """How many durations were added."""
        return self._count

    @property
    def max_ns(self) -> int:
        """The longest duration, exactly; 0 before the first."""
        return self._max_ns

    def add(self, duration_ns: int) -> None:
        """Counts one duration, 0 or more."""
        index = 0
        if duration_ns > self._FIRST_NS:
            index = 1 + int(math.log(duration_ns / self._FIRST_NS) / math.log(self._GROWTH))
        self._counts[min(index, self._NUM_BUCKETS - 1)] += 1
        self._count += 1
        self._max_ns = max(self._max_ns, duration_ns)

    def quantile_ns(self, fraction: float) -> float:
        """The duration that this fraction (0..1) of all did not exceed; 0 before the first."""
        wanted = max(1, math.ceil(fraction * self._count))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                middle: float = self._FIRST_NS * self._GROWTH ** (index - 0.5)
                return min(middle, self._max_ns)
        return float(self._max_ns)

    def quantile_ms(self, fraction: float) -> float:
        """``quantile_ns`` in milliseconds, rounded to a microsecond."""
        return round(self.quantile_ns(fraction) / MS_NS, 3)


@dataclass(slots=True)
class Tally:
    """One thread's own counts of frames, and of faces by the size they were worked on in."""

    captured: int = 0
    delivered: int = 0
    failed: int = 0
    repeated: int = 0
    worked_px: dict[int, int] = field(default_factory=dict)

    def note_worked(self, side_px: int) -> None:
        """Counts one face of one frame under the step that has so many pixels."""
        step = step_for(side_px)
        self.worked_px[step] = self.worked_px.get(step, 0) + 1


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How long a stage worked on each frame, and how long its thread waited before it."""

    worked: Histogram
    waited: Histogram

    def as_dict(self) -> Json:
        """The stage's part of the statistics, in milliseconds."""
        return {"worked_ms": _typical(self.worked), "waited_ms": _typical(self.waited)}


def _typical(durations: Histogram) -> Json:
    return {"p50": durations.quantile_ms(0.5), "p99": durations.quantile_ms(0.99)}


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Where the captured frames are.

    ``captured == delivered + dropped_stale + dropped_overrun + failed + in_flight``.

    Attributes:
        captured: pictures the source has handed over, unusable ones too.
        delivered: shown or written once.
        dropped_stale: passed over for a newer one that was ready, too.
        dropped_overrun: written over by newer ones before anybody looked.
        failed: unusable, or worked on by a stage that failed (then hidden, and shown like that).
        repeated: times an older picture was sent again because no newer one was ready.
        in_flight: still on their way.
    """

    captured: int
    delivered: int
    dropped_stale: int
    dropped_overrun: int
    failed: int
    repeated: int
    in_flight: int

    def as_dict(self) -> Json:
        """The counts of a finished run, in which nothing is on its way."""
        return {
            "captured": self.captured,
            "delivered": self.delivered,
            "dropped_stale": self.dropped_stale,
            "dropped_overrun": self.dropped_overrun,
            "failed": self.failed,
            "repeated": self.repeated,
        }


class RunState(Enum):
    """What a run is doing.

    ``DEGRADED``: it goes on, but nothing new comes out, or the camera shows the same picture again
    and again. ``SOURCE_LOST``: the camera gives nothing; it is waited for.
    """

    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    SOURCE_LOST = "source lost"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a run goes at one moment.

    Attributes:
        state: what it is doing.
        frames: where the frames are.
        fps: new pictures sent per second, over the last second.
        latency_ms: median from capture to sink over the last three seconds; 0 before the first.
        elapsed_ns: time since the run was opened.
        num_frames: how many pictures will come, where that is known.
    """

    state: RunState
    frames: FrameCounts
    fps: float
    latency_ms: float
    elapsed_ns: int
    num_frames: int | None


class Recent:
    """The last few hundred pictures sent: when, and how long after their capture."""

    _NUM_KEPT = 512

    def __init__(self) -> None:
        self._sent: list[tuple[int, int] | None] = [None] * self._NUM_KEPT
        self._next = 0

    def add(self, sent_ns: int, latency_ns: int) -> None:
        """Remembers one picture in the place of the oldest."""
        self._sent[self._next] = (sent_ns, latency_ns)
        self._next = (self._next + 1) % self._NUM_KEPT

    def fps(self, now_ns: int) -> float:
        """Pictures per second over the last second."""
        times = sorted(sent for sent, _ in self._since(now_ns - SECOND_NS))
        if len(times) == self._NUM_KEPT and times[-1] > times[0]:
            return (len(times) - 1) * SECOND_NS / (times[-1] - times[0])
        return float(len(times))

    def latency_ms(self, now_ns: int) -> float:
        """Median latency over the last three seconds; 0 if nothing was sent."""
        latencies = sorted(latency for _, latency in self._since(now_ns - 3 * SECOND_NS))
        return latencies[len(latencies) // 2] / MS_NS if latencies else 0.0

    def _since(self, start_ns: int) -> list[tuple[int, int]]:
        return [entry for entry in tuple(self._sent) if entry is not None and entry[0] > start_ns]


class Metrics:
    """All numbers of one run.

    Args:
        stage_names: unique names, in the order in which the statistics show them.
    """

    def __init__(self, stage_names: Sequence[str]) -> None:
        self.stages: Mapping[str, StageTimes] = {
            name: StageTimes(Histogram(), Histogram()) for name in stage_names
        }
        self.latency = Histogram()
        self.recent = Recent()
        self._tallies: list[Tally] = []
        self._rings: list[Ring[Any]] = []
        self._first_sent_ns: int | None = None
        self._last_sent_ns = 0
        self._num_sent = 0
        self._peak_bytes = 0

    def tally(self) -> Tally:
        """A new set of counts for one more thread; called before the threads start."""
        self._tallies.append(Tally())
        return self._tallies[-1]

    def watch(self, ring: Ring[Any]) -> None:
        """Counts what this ring drops; called before the threads start."""
        self._rings.append(ring)

    def sent(self, *, captured_ns: int, sent_ns: int) -> None:
        """Notes that a new picture has gone to the sinks; the sender's thread only."""
        if self._first_sent_ns is None:
            self._first_sent_ns = sent_ns
        self._last_sent_ns = sent_ns
        self._num_sent += 1
        self.latency.add(sent_ns - captured_ns)
        self.recent.add(sent_ns, sent_ns - captured_ns)

    def sample_memory(self, resident_bytes: int) -> None:
        """Notes how much memory the process occupies now; about once a second."""
        self._peak_bytes = max(self._peak_bytes, resident_bytes)

    def counts(self) -> FrameCounts:
        """Where the frames are now."""
        # Ends before beginnings: a frame captured meanwhile is in flight, not missing.
        delivered = sum(tally.delivered for tally in self._tallies)
        failed = sum(tally.failed for tally in self._tallies)
        repeated = sum(tally.repeated for tally in self._tallies)
        stale = overrun = 0
        for ring in self._rings:
            if ring.policy is Policy.LIVE:
                stale += ring.dropped_stale
                overrun += ring.dropped_overrun
            else:
                # A strict ring never drops; it leaves frames behind only when the run fails.
                failed += ring.dropped_stale
        captured = sum(tally.captured for tally in self._tallies)
        ended = delivered + stale + overrun + failed
        return FrameCounts(
            captured, delivered, stale, overrun, failed, repeated, in_flight=captured - ended
        )

    def fps(self) -> float:
        """New pictures sent per second, from the first to the last one; 0 for fewer than two."""
        if self._first_sent_ns is None or self._last_sent_ns == self._first_sent_ns:
            return 0.0
        return (self._num_sent - 1) * SECOND_NS / (self._last_sent_ns - self._first_sent_ns)

    def worked_px(self) -> dict[int, int]:
        """How many faces were swapped at each step of size, over all frames; rising steps."""
        counts: dict[int, int] = {}
        for tally in self._tallies:
            for step, count in dict(tally.worked_px).items():
                counts[step] = counts.get(step, 0) + count
        return dict(sorted(counts.items()))

    def as_dict(self, machine: Facts) -> Json:
        """The statistics as they are written to a file."""
        worked_px = {str(step): count for step, count in self.worked_px().items()}
        return {
            "frames": self.counts().as_dict(),
            "fps": round(self.fps(), 2),
            "latency_ms": {
                "p50": self.latency.quantile_ms(0.5),
                "p95": self.latency.quantile_ms(0.95),
                "p99": self.latency.quantile_ms(0.99),
                "max": round(self.latency.max_ns / MS_NS, 3),
            },
            "stages": {name: times.as_dict() for name, times in self.stages.items()},
            # A run that swapped nothing has no sizes to tell.
            **({"worked_px": worked_px} if worked_px else {}),
            "memory_mb": {"peak": round(self._peak_bytes / 1_000_000, 1)},
            "machine": machine,
        }
