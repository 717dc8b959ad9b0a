"""Figures made of stamps: when each picture left the source, and when it came out; pure."""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from realtime.bench.stamp import NUM_BITS

Json = dict[str, Any]

TICK_NEIGHBOURS = 15
"""Arrivals to either side of one that say where its tick is: about a second in all, long against
jitter and short against the drift of two clocks."""

_PARTS = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

NS_IN_MS = 1_000_000
WARM_UP_NS = 1_000_000_000
"""What comes in the first second after the first picture is left out: caches are cold."""

FREEZE_FACTOR = 3
FREEZE_EXTRA_NS = 150_000_000
FREEZE_WINDOW = 30
"""WebRTC's rule (``freezeCount`` of the W3C's webrtc-stats): a gap between two new pictures is a
freeze from three times the mean of the last 30 gaps on, or 150 ms more than it, whichever is
longer."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One picture at the far end.

    Attributes:
        arrived_ns: on the clock of the stamps.
        stamp: read from it; None where it could not be read (a slate, a damaged picture).
    """

    arrived_ns: int
    stamp: int | None


@dataclass(frozen=True, slots=True)
class Passage:
    """One picture's way, from its stamp to its first arrival.

    Attributes:
        arrived_ns: when it came out first.
        latency_ns: how long it took.
    """

    arrived_ns: int
    latency_ns: int


def passages(arrivals: Sequence[Arrival]) -> list[Passage]:
    """The first arrival of each picture, in the order in which they came."""
    seen: set[int] = set()
    found = []
    for arrival in arrivals:
        if arrival.stamp is not None and arrival.stamp not in seen:
            seen.add(arrival.stamp)
            sent_us = _on_same_lap(arrival.stamp, arrival.arrived_ns)
            found.append(Passage(arrival.arrived_ns, arrival.arrived_ns - sent_us * 1_000))
    return found


def figures(
    emitted: Sequence[int],
    arrivals: Sequence[Arrival],
    *,
    period_ns: int,
    ended_ns: int | None = None,
) -> Json:
    """Everything that can be said of one run.

    Args:
        emitted: stamps in the order in which they were drawn.
        arrivals: in the order in which they came.
        period_ns: nominal time between two pictures of the output.
        ended_ns: until when pictures were to come; None: until the last that came.

    Returns:
        ``latency_ms, pictures, freezes, fps, cadence_ms, interval_ms, timeline_ms``, ready for
        JSON; empty latencies where nothing came. ``cadence_ms`` is how far pictures, new or not,
        come from their ticks, ``interval_ms`` how far the time between two is from the period,
        which counts a late one twice.
    """
    in_time = [one for one in arrivals if ended_ns is None or one.arrived_ns <= ended_ns]
    warm = _after_warm_up(in_time)
    ways = passages(warm)
    until_ns = ended_ns if ended_ns is not None else max((w.arrived_ns for w in warm), default=0)
    return {
        "latency_ms": _spread([way.latency_ns / NS_IN_MS for way in ways]),
        "pictures": _count(emitted, warm),
        "freezes": freezes(ways, until_ns),
        "fps": round(_rate_hz(ways, until_ns), 2),
        "cadence_ms": _without_p99(_spread(_off_tick_ms(warm, period_ns))),
        "interval_ms": _without_p99(_spread(_deviations_ms(warm, period_ns))),
        "timeline_ms": [
            [
                round((way.arrived_ns - ways[0].arrived_ns) / NS_IN_MS, 2),
                round(way.latency_ns / NS_IN_MS, 2),
            ]
            for way in ways
        ],
    }


def freezes(ways: Sequence[Passage], until_ns: int = 0) -> Json:
    """How often and how long the picture stood still, by WebRTC's rule.

    Args:
        ways: of the new pictures, in the order in which they came.
        until_ns: when no more were waited for; a picture that stood still until then is a freeze
            too, though none came after it.
    """
    recent: deque[int] = deque(maxlen=FREEZE_WINDOW)
    count, total_ns = 0, 0
    times = [way.arrived_ns for way in ways]
    if times and until_ns > times[-1]:
        times.append(until_ns)
    for before_ns, after_ns in pairwise(times):
        gap_ns = after_ns - before_ns
        if recent:
            mean_ns = statistics.fmean(recent)
            if gap_ns >= max(FREEZE_FACTOR * mean_ns, mean_ns + FREEZE_EXTRA_NS):
                count += 1
                total_ns += gap_ns
        recent.append(gap_ns)
    return {"count": count, "total_ms": round(total_ns / NS_IN_MS, 1)}


def _after_warm_up(arrivals: Sequence[Arrival]) -> list[Arrival]:
    first = next((one.arrived_ns for one in arrivals if one.stamp is not None), None)
    if first is None:
        return list(arrivals)
    return [one for one in arrivals if one.arrived_ns - first >= WARM_UP_NS]


def _count(emitted: Sequence[int], arrivals: Sequence[Arrival]) -> Json:
    """Where the pictures between the first and the last that came are."""
    order = {stamp: index for index, stamp in enumerate(emitted)}
    places = [order[one.stamp] for one in arrivals if one.stamp in order]
    unknown = sum(one.stamp is not None and one.stamp not in order for one in arrivals)
    new, repeated, reordered, newest = 0, 0, 0, -1
    seen: set[int] = set()
    for place in places:
        if place in seen:
            repeated += 1
        else:
            new += 1
            reordered += place < newest
        seen.add(place)
        newest = max(newest, place)
    expected = max(places) - min(places) + 1 if places else 0
    return {
        "emitted": expected,
        "seen": new,
        "dropped": expected - new,
        "repeated": repeated,
        "reordered": reordered,
        "unreadable": sum(one.stamp is None for one in arrivals),
        "foreign": unknown,
    }


def _spread(values: Sequence[float]) -> Json:
    """Quantiles by nearest rank; None of no values."""
    ranked = sorted(values)
    if not ranked:
        return {"p50": None, "p95": None, "p99": None, "max": None}
    picked = {name: ranked[math.ceil(part * len(ranked)) - 1] for name, part in _PARTS}
    return {name: round(value, 3) for name, value in {**picked, "max": ranked[-1]}.items()}


def _rate_hz(ways: Sequence[Passage], until_ns: int) -> float:
    """New pictures a second, from the first one to the end."""
    span_ns = max(until_ns, ways[-1].arrived_ns) - ways[0].arrived_ns if ways else 0
    return (len(ways) - 1) * 1e9 / span_ns if span_ns else 0.0


def _without_p99(spread: Json) -> Json:
    return {key: value for key, value in spread.items() if key != "p99"}


def _off_tick_ms(arrivals: Sequence[Arrival], period_ns: int) -> list[float]:
    """How far each picture, new or not, is from the tick of a regular grid.

    The grid goes where most of the pictures around are, so that it may drift as clocks do.
    """
    half_ns = period_ns // 2
    found = []
    for index, one in enumerate(arrivals):
        first = max(0, index - TICK_NEIGHBOURS)
        offsets_ns = [
            (near.arrived_ns - one.arrived_ns + half_ns) % period_ns - half_ns
            for near in arrivals[first : index + TICK_NEIGHBOURS + 1]
        ]
        found.append(abs(statistics.median(offsets_ns)) / NS_IN_MS)
    return found


def _deviations_ms(arrivals: Sequence[Arrival], period_ns: int) -> list[float]:
    """How far the time between two pictures, new or not, is from the period."""
    return [
        abs(after.arrived_ns - before.arrived_ns - period_ns) / NS_IN_MS
        for before, after in pairwise(arrivals)
    ]


def _on_same_lap(stamp_us: int, arrived_ns: int) -> int:
    """The stamp in microseconds of the clock, which counts on where 48 bits end."""
    arrived_us = arrived_ns // 1_000
    lap = 1 << NUM_BITS
    return arrived_us - (arrived_us - stamp_us) % lap
