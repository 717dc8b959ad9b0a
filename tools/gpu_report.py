"""What the GPU pipeline does on this machine: ``python -m tools.gpu_report --out DIR [--cpu]``.

Writes ``report.json``, ``report.md`` and ``timeline.png``, anew after each part. On a GPU it takes
a few minutes: the kernels' tests with ``REQUIRE_GPU=1``, their speed against a plain copy, each
network, the whole pipeline at three sizes with and without enlargement, and the same work as other
programs do it. Each part is a process of its own, so that one that fails takes no other along.
With ``--cpu`` all of it goes the same way on the processor, in small, so that it is known to work.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2

from engines.errors import ModelError, one_line
from tools.gpu_markdown import render
from tools.gpu_parts import (
    BANDWIDTH,
    ENLARGED,
    MACHINE,
    NETWORKS,
    NO_GPU,
    PEERS,
    PIPELINE,
    run_sanitizer,
    run_tests,
)
from tools.gpu_timeline import Span, draw_timeline

Json = dict[str, Any]
Save = Callable[[Json, list[Span]], None]

SIZES = ((1920, 1080), (1280, 720), (3840, 2160))
SMALL_SIZES = ((640, 360),)

_ROOT = Path(__file__).parents[1]
_PART_S = 120.0
"""A part that takes longer hangs."""

_TESTS_S = 180.0
_LEAST_S = 5.0
"""With less time than this no other part is begun."""

_GOALS = (
    ("fps at 1080p", 300.0, "at least"),
    ("ms p99 at 1080p", 8.0, "at most"),
    ("fps at 1080p, enlarged", 200.0, "at least"),
    ("times the peers' way at 1080p", 6.0, "at least"),
    ("least share of copy of memory-bound kernels", 0.6, "at least"),
    ("GPU busy at 1080p", 0.85, "at least"),
)

_LISTS = (PIPELINE, PEERS)
"""What several parts add to."""


@dataclass(frozen=True, slots=True)
class Order:
    """How the parts are to be measured.

    Attributes:
        is_cpu: on the processor, in small.
        seconds: of each measurement.
        with_tests: whether the kernels are tested too.
        limit_s: time for all of it; parts that do not fit are left out.
    """

    is_cpu: bool
    seconds: float
    with_tests: bool
    limit_s: float


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when the report is written, whatever it says of the goals."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--cpu", action="store_true", help="on the processor, in small")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--minutes", type=float, default=7.5, help="for all of it")
    parser.add_argument("--no-tests", action="store_true", help="leave the kernels' tests out")
    options = parser.parse_args(arguments)
    order = Order(
        options.cpu, options.seconds, not (options.cpu or options.no_tests), 60.0 * options.minutes
    )

    def save(report: Json, spans: list[Span]) -> None:
        write_report(options.out, report, spans)

    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="gpu-report-") as folder:
            make_report(order, Path(folder), save)
    except (ModelError, OSError) as error:
        sys.stderr.write(f"gpu_report: {error} With --cpu it runs without a GPU.\n")
        return NO_GPU
    sys.stdout.write((options.out / "report.md").read_text("utf-8"))
    return 0


def parts(order: Order) -> Iterator[str]:
    """The names of all parts, those first that matter most."""
    sizes = SMALL_SIZES if order.is_cpu else SIZES
    frames = [
        f"{kind} {width}x{height}{enlarged}"
        for (width, height), enlarged, kind in product(
            sizes, ("", f" {ENLARGED}"), (PIPELINE, PEERS)
        )
    ]
    yield from frames[:4]
    yield BANDWIDTH
    if order.with_tests:
        yield "tests"
    yield NETWORKS
    yield from frames[4:]
    if order.with_tests:
        yield "sanitizer"


def make_report(order: Order, folder: Path, save: Save) -> Json:
    """Measures everything; what fails is written down, and the rest measured all the same.

    Args:
        order: what is to be measured, and how.
        folder: for what the parts leave.
        save: handed the report and a timeline after each part.

    Returns:
        The report.

    Raises:
        ModelError: there is no GPU that can be used.
    """
    began, spans = time.monotonic(), list[Span]()
    report: Json = {"pipeline": [], "peers": [], "faults": {}, "seconds": 0.0}
    report["runtime"] = {"chosen": "", "not_taken": {}}
    code, fault = run_part(MACHINE, order, folder, report, spans, _PART_S)
    if MACHINE not in report:
        raise ModelError(fault if code == NO_GPU else f"the machine must tell what it is: {fault}")
    for name in parts(order):
        left_s = order.limit_s - (time.monotonic() - began)
        if left_s < _LEAST_S:
            report["faults"][name] = f"left out: {order.limit_s / 60:g} minutes were over"
            continue
        if name == "tests":
            report[name] = run_tests(min(left_s, _TESTS_S))
        elif name == "sanitizer":
            report[name] = run_sanitizer(left_s)
        else:
            code, fault = run_part(name, order, folder, report, spans, min(left_s, _PART_S))
            if code:
                report["faults"][name] = fault
        if not order.is_cpu:
            report["goals"] = goals(report)
        report["seconds"] = time.monotonic() - began
        save(report, spans)
    return report


def run_part(
    name: str, order: Order, folder: Path, report: Json, spans: list[Span], limit_s: float
) -> tuple[int, str]:
    """Measures one part in a process of its own, and adds what it found to the report.

    Args:
        name: of the part.
        order: how it is measured.
        folder: for networks and results.
        report: what it found is added here, also where it failed later.
        spans: so are those of the first part that has any.
        limit_s: time it may take.

    Returns:
        Its exit code, and why it did not measure everything.
    """
    found = folder / f"{name.replace(' ', '-')}.json"
    command = [sys.executable, "-X", "faulthandler", "-m", "tools.gpu_parts", name]
    command += ["--to", str(found), "--models", str(folder), "--seconds", str(order.seconds)]
    command += ["--runtime", report["runtime"]["chosen"]] + (["--cpu"] if order.is_cpu else [])
    code, fault = 0, ""
    with (folder / "said").open("w+", encoding="utf-8", errors="replace") as said:
        try:
            code = subprocess.run(
                command,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
                timeout=limit_s,
            ).returncode
        except subprocess.TimeoutExpired:
            code, fault = 1, f"it must end within {limit_s:.0f} s, got no end"
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.strip()]
    if code and not fault:
        fault = one_line(RuntimeError(_last_words(lines) or f"exit code {code}"))
    if found.exists():
        _add(json.loads(found.read_text("utf-8")), report, spans)
    return code, fault


def goals(report: Json) -> list[Json]:
    """What was wanted, and what came out; None where it could not be measured."""
    ours, theirs = (
        {one["enlarge"]: one for one in report[kind] if one["size"][1] == 1080} for kind in _LISTS
    )
    plain, enlarged, peers = ours.get(False, {}), ours.get(True, {}), theirs.get(False, {})
    shares = [
        kernel["share_of_copy"]
        for kernel in report.get(BANDWIDTH, {}).get("kernels", ())
        if kernel["memory_bound"]
    ]
    times = plain["fps"] / peers["fps"] if plain and peers else None
    measured = (
        plain.get("fps"),
        plain.get("latency_ms_p99"),
        enlarged.get("fps"),
        times,
        min(shares, default=None),
        plain.get("gpu_busy"),
    )
    return [
        {
            "what": what,
            "wanted": f"{bound} {wanted:g}",
            "measured": value,
            "met": None
            if value is None
            else (value >= wanted if bound == "at least" else value <= wanted),
        }
        for (what, wanted, bound), value in zip(_GOALS, measured, strict=True)
    ]


def write_report(folder: Path, report: Json, spans: list[Span]) -> None:
    """Writes the three files.

    Raises:
        OSError: one cannot be written.
    """
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(render(report), encoding="utf-8")
    last = max((span.frame for span in spans), default=0)
    few = [span for span in spans if last - 6 <= span.frame <= last - 1] or spans
    stages = tuple(dict.fromkeys(span.stage for span in spans))
    where = report["machine"]["card"] or "processor"
    title = f"{where}, {report['runtime']['chosen']}: one colour a frame"
    encoded = cv2.imencode(".png", draw_timeline(few, stages, title))[1]
    (folder / "timeline.png").write_bytes(encoded.tobytes())


def _add(found: Json, report: Json, spans: list[Span]) -> None:
    runtime = found.pop("runtime")
    if not report["runtime"]["chosen"]:
        report["runtime"] = runtime
    traced = [Span(**span) for span in found.pop("spans", ())]
    if not spans:
        spans.extend(traced)
    for key, value in found.items():
        if key in _LISTS:
            report[key] += value
        else:
            report[key] = value


def _last_words(lines: Sequence[str]) -> str:
    """The line that says what went wrong: the last, but of a crash the first of its trace."""
    crash = next((line for line in lines if line.startswith("Fatal Python error")), None)
    return crash or (lines[-1] if lines else "")


if __name__ == "__main__":
    raise SystemExit(main())
