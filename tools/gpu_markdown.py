"""The GPU report as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]


def render(report: Json) -> str:
    """The report in tables.

    Args:
        report: what ``gpu_report.make_report`` gives.
    """
    machine, runtime = report["machine"], report["runtime"]
    name = machine["card"] or f"no card: the processor ({machine['cores']} cores)"
    parts = [
        f"# GPU report: {name}",
        f"Networks in {runtime['chosen']}. Measured in {report['seconds']:.0f} s, Python "
        f"{machine['python']}.",
        *(f"Not {way}: {fault}" for way, fault in runtime["not_taken"].items()),
    ]
    if not machine["card"]:
        parts.append("**Nothing here says anything of a GPU; it shows that the report works.**")
    parts += [f"**{name} failed:** {fault}" for name, fault in report["faults"].items()]
    if "goals" in report:
        rows = ((g["what"], g["wanted"], g["measured"], _yes(g["met"])) for g in report["goals"])
        parts += ["## Goals", _table(("goal", "wanted", "measured", "met"), rows)]
    parts += ["## Whole frames", _frames(report)]
    parts += ["![When each stage worked on each frame](timeline.png)"]
    rows = (
        (one["name"], one["provider"], one["ms_eager"], one["ms_graph"])
        for one in report.get("networks", ())
    )
    parts += ["## Networks", _table(("twin", "runtime", "ms eager", "ms graph"), rows)]
    if "bandwidth" in report:
        parts += ["## Kernels", _kernels(report["bandwidth"])]
    parts.append(_tests(report.get("tests")))
    if report.get("sanitizer"):
        parts.append(_sanitizer(report["sanitizer"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _frames(report: Json) -> str:
    theirs = {(*one["size"], one["enlarge"]): one for one in report["peers"]}
    rows = []
    for ours in report["pipeline"]:
        alone = ours.get("one_in_flight", {})
        peers = theirs.get((*ours["size"], ours["enlarge"]))
        rows.append(
            (
                "x".join(map(str, ours["size"])) + (", enlarged" if ours["enlarge"] else ""),
                ours["fps"],
                ours["latency_ms_p50"],
                ours["latency_ms_p99"],
                alone.get("latency_ms_p50"),
                alone.get("latency_ms_p99"),
                ours["enqueue_ms"],
                _percent(ours.get("gpu_busy")),
                _percent(ours.get("frames_overlap")),
                ours["device_mb"],
                peers and peers["fps"],
                peers and peers["latency_ms_p99"],
                peers and ours["fps"] / peers["fps"],
            )
        )
    head = (
        "pictures",
        "fps",
        "ms p50",
        "ms p99",
        "alone p50",
        "alone p99",
        "to queue",
        "busy",
        "overlap",
        "device MB",
        "peers' fps",
        "peers' p99",
        "times",
    )
    return _table(head, rows)


def _kernels(bandwidth: Json) -> str:
    rows, columns = bandwidth["picture"]
    text = (
        f"Pictures of {columns}x{rows}, faces of {bandwidth['face'][1]}; a copy of a picture on "
        f"the device moves {bandwidth['copy_gb_s']:.0f} GB/s. A kernel's bytes are those it must "
        "touch at least once."
    )
    body = (
        (
            one["name"],
            1e3 * one["ms"],
            one["gb_s"],
            f"{100 * one['share_of_copy']:.0f} %",
            _yes(one["memory_bound"]),
        )
        for one in bandwidth["kernels"]
    )
    return f"{text}\n\n{_table(('kernel', 'us', 'GB/s', 'of a copy', 'memory-bound'), body)}"


def _tests(tests: Json | None) -> str:
    if tests is None:
        return "The kernels' tests were not run."
    counts = ", ".join(
        f"{tests[word]} {word}"
        for word in ("passed", "failed", "error", "skipped")
        if word in tests
    )
    failures = "".join(f"\n- {name}" for name in tests["failures"])
    return f"`{tests['command']}`: exit code {tests['exit_code']}, {counts}{failures}"


def _sanitizer(found: Json) -> str:
    errors = "no count" if found["errors"] is None else f"{found['errors']} errors"
    return f"`{found['command']}`: exit code {found['exit_code']}, {errors}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.0f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_shown(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def _yes(value: bool | None) -> str:
    if value is None:
        return "not measured"
    return "yes" if value else "no"
