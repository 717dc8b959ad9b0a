"""The figures of a measurement as lines of a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_TELLING = ("cpu", "cores", "platform", "python")
"""What must be alike of two machines for their figures to say something of the program."""


UNREAD = "no stamp could be read: the pictures must come out whole and in their own shape"


def bench_lines(result: Json) -> list[str]:
    """What a run from stamp to stamp gave."""
    pictures, freezes, usage = result["pictures"], result["freezes"], result["usage"]
    counts = ", ".join(f"{value} {name}" for name, value in pictures.items())
    unread = pictures["unreadable"] and not pictures["seen"]
    return [
        str(result["bench"]),
        f"  latency   {_quantiles(result['latency_ms'])}",
        f"  pictures  {counts}",
        *((f"            {UNREAD}",) if unread else ()),
        f"  freezes   {freezes['count']}, {freezes['total_ms']:.0f} ms in all",
        f"  output    {result['fps']:.1f} new pictures a second; off its ticks by "
        f"{_quantiles(result['cadence_ms'])}",
        f"  machine   {usage['cpu_percent']:.0f} % of a core, {usage['memory_mb']:.0f} MB; "
        f"{result['machine']['cpu']}, {result['machine']['cores']} cores",
    ]


def stage_lines(stages: Mapping[str, Json]) -> list[str]:
    """How long each part of the engine worked on a picture and waited for one."""
    return [
        f"{'':10} {'worked p50':>11} {'p99':>9} {'waited p50':>12} {'p99':>9}   ms",
        *(
            f"{name:10} {times['worked_ms']['p50']:11.3f} {times['worked_ms']['p99']:9.3f} "
            f"{times['waited_ms']['p50']:12.3f} {times['waited_ms']['p99']:9.3f}"
            for name, times in stages.items()
        ),
    ]


def ring_lines(results: Mapping[str, Json]) -> list[str]:
    """How long handing a frame over took."""
    return [
        f"{name:15} p50 {figures['p50_us']:8.1f} µs   p99 {figures['p99_us']:8.1f} µs   "
        f"max {figures['max_us']:8.1f} µs   ({figures['frames']} frames)"
        for name, figures in results.items()
    ]


def compare_lines(before: Json, after: Json) -> list[str]:
    """Every figure that two measurements share, how it has changed, and what else differs.

    Args:
        before: read from the JSON of an earlier measurement.
        after: from that of a later one.

    Returns:
        Nothing where they have no figure in common.
    """
    first, second = dict(_leaves(before)), dict(_leaves(after))
    shared = [name for name in first if name in second]
    if not shared:
        return []
    width = max(map(len, shared))
    return [
        *_differences(before, after),
        *(
            f"{name:{width}} {first[name]:12.3f} {second[name]:12.3f}  {_change(*pair)}"
            for name in shared
            for pair in [(first[name], second[name])]
        ),
        *_lone("before", first, second),
        *_lone("after", second, first),
    ]


def _differences(before: Json, after: Json) -> Iterator[str]:
    """What makes two measurements hard to compare."""
    names = [one.get("bench", "no name") for one in (before, after)]
    if names[0] != names[1]:
        yield f"not the same was measured: {names[0]} / {names[1]}"
    first, second = (one.get("machine") for one in (before, after))
    if not (isinstance(first, dict) and isinstance(second, dict)):
        yield "not known on which machines"
        return
    for key in _TELLING:
        if first.get(key) != second.get(key):
            yield f"not on the same machine: {key} {first.get(key)} / {second.get(key)}"


def _lone(which: str, own: Mapping[str, float], other: Mapping[str, float]) -> Iterator[str]:
    known = {_group(name) for name in other}
    names = [name if _group(name) in known else _group(name) for name in own if name not in other]
    if names:
        yield f"only {which}: {', '.join(dict.fromkeys(names))}"


def _group(name: str) -> str:
    return name.partition(".")[0]


def _change(before: float, after: float) -> str:
    if before == after:
        return "same"
    return f"{100 * (after / before - 1):+.1f} %" if before else "new"


def _leaves(result: Json, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a measurement by dotted name, without machine and timeline."""
    for key, value in result.items():
        if key in ("machine", "timeline_ms"):
            continue
        if key == "timings" and isinstance(value, list):
            yield from _timings(value)
        elif isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


def _timings(timings: Sequence[Any]) -> Iterator[tuple[str, float]]:
    """The time of each network, by its name and what ran it."""
    for one in timings:
        if isinstance(one, dict) and isinstance(one.get("median_ms"), int | float):
            names = [str(one.get(key)) for key in ("network", "runtime", "threads")]
            yield " ".join((*names, "threads")), float(one["median_ms"])


def _quantiles(values: Mapping[str, float | None]) -> str:
    return "  ".join(
        f"{name} {'-' if value is None else f'{value:.1f} ms'}" for name, value in values.items()
    )
