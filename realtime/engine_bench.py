"""``rt-swap bench engines``: how long networks take in the runtimes of this machine's processor."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engines.errors import ModelError
from realtime.engine_commands import load_network, pixels_of
from realtime.errors import UsageError
from realtime.job import MAX_SECONDS
from realtime.plain_text import printable

if TYPE_CHECKING:
    from engines.bench import Course, Skipped, Timing
    from engines.profiles import Range
    from realtime.terminal import Terminal

BFLOAT16_AIM = 1.8
"""How many times as fast OpenVINO in bfloat16 is to be as ONNX Runtime on dense networks."""


def bench_engines(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK…",
            help="ONNX files, names from 'rt-swap models list' or of twins; none: all twins and "
            "the networks that are here, which takes several minutes.",
        ),
    ] = None,
    threads: Annotated[str, typer.Option(metavar="N,…", help="Numbers of threads.")] = "1,2",
    seconds: Annotated[
        float,
        typer.Option(
            metavar="N",
            min=0.0,
            max=MAX_SECONDS,
            help="Longest measurement of a network with one number of threads; stable medians "
            "end it sooner.",
        ),
    ] = 5.0,
    budget: Annotated[
        float,
        typer.Option(
            metavar="N",
            min=0.0,
            max=MAX_SECONDS,
            help="Seconds for each network, all in all; what would begin later is left out.",
        ),
    ] = 180.0,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="Measure 8-bit forms, which are made first.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Times networks in every runtime of the processor; Ctrl-C ends it with what it has so far."""
    from engines.bench import Course, Timing
    from realtime.terminal import Terminal

    course = Course(parse_counts(threads), seconds, budget, with_int8=int8)
    names = networks or _networks_here()
    # A name that means nothing must not cost what was measured before its turn came.
    pixels = {name: pixels_of(name) for name in names}
    terminal = Terminal()
    results: list[Timing | Skipped] = []

    def take(found: "Timing | Skipped") -> None:
        results.append(found)
        if isinstance(found, Timing):
            line = printable(describe_timing(found))
            terminal.line(line) if as_json else print(line, flush=True)

    try:
        for number, name in enumerate(names, start=1):
            terminal.line(f"measuring {name}, {number} of {len(names)}")
            _measure_one(name, pixels[name], course, take, terminal, is_only=len(names) == 1)
    except KeyboardInterrupt:
        _tell(results, as_json=as_json, is_whole=False)
        raise
    _tell(results, as_json=as_json, is_whole=True)
    return 0


def _measure_one(
    name: str,
    pixels: "tuple[Range, ...]",
    course: "Course",
    take: "Callable[[Timing | Skipped], None]",
    terminal: "Terminal",
    *,
    is_only: bool,
) -> None:
    """Measures a network; one that does not run is left out where there are others."""
    from engines.bench import Skipped, measure
    from realtime.face_crops import face_crops

    try:
        data = load_network(name)
        with terminal.doing() as show:
            steps = measure(
                name,
                data,
                face_crops(),
                course,
                pixels=pixels,
                report=lambda step: show(f"{name} {step}"),
            )
            for found in steps:
                take(found)
    except ModelError as error:
        if is_only:
            raise
        take(Skipped(name, "every runtime", str(error)))


def parse_counts(text: str) -> tuple[int, ...]:
    """Numbers of threads, as ``1,2``; each once.

    Raises:
        UsageError: they are not whole numbers of at least 1.
    """
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"--threads: must be whole numbers like 1,2, got {text}.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def describe_timing(timing: "Timing") -> str:
    """One measurement as a line of a table."""
    return (
        f"{timing.network:28} {timing.runtime:18} {timing.threads} threads "
        f"{timing.median_ms:10.2f} ms of {timing.num_runs:4} runs  error {timing.error:.1e}"
    )


def aim_of_bfloat16(timings: "Iterable[Timing]") -> dict[str, Any]:
    """How the gain of bfloat16 stands against what is asked of it.

    Returns:
        ``aim``; ``gains`` by network, of dense twins only, see ``engines.bench``; and ``is_met``:
        None where nothing was measured, as on a processor without bfloat16.
    """
    from engines.bench import gains_of_bfloat16
    from engines.twins import TWINS

    gains = {
        name: gain
        for name, gain in gains_of_bfloat16(timings).items()
        if name in TWINS and TWINS[name].is_dense
    }
    is_met = min(gains.values()) >= BFLOAT16_AIM if gains else None
    return {"aim": BFLOAT16_AIM, "gains": gains, "is_met": is_met}


def describe_aim(aim: dict[str, Any]) -> str:
    """The gain of bfloat16 in one line."""
    asked = f"openvino bf16, asked to be {aim['aim']} times as fast as onnxruntime f32"
    if aim["is_met"] is None:
        return f"{asked}: not measured here on any dense twin, so neither met nor missed"
    least, most = min(aim["gains"].values()), max(aim["gains"].values())
    return f"{asked} on dense twins: {'met' if aim['is_met'] else 'missed'}, {least} to {most}"


def _tell(results: "Iterable[Timing | Skipped]", *, as_json: bool, is_whole: bool) -> None:
    """Prints what the lines of the table have not said yet, or all of it as JSON."""
    from engines.bench import Skipped, Timing
    from realtime.machine import machine_facts

    timings = [one for one in results if isinstance(one, Timing)]
    skipped = [one for one in results if isinstance(one, Skipped)]
    aim = aim_of_bfloat16(timings)
    if as_json:
        facts = {
            "timings": [asdict(one) for one in timings],
            "skipped": [asdict(one) for one in skipped],
            "bfloat16": aim,
            "is_whole": is_whole,
            "machine": machine_facts(),
        }
        print(json.dumps(facts, indent=2))
        return
    networks: dict[tuple[str, str], list[str]] = {}
    for one in skipped:
        networks.setdefault((one.runtime, one.reason), []).append(one.network)
    for (runtime, reason), names in networks.items():
        print(printable(f"left out: {runtime} of {', '.join(names)}: {reason}"))
    print(describe_aim(aim))


def _networks_here() -> list[str]:
    from engines.models.library import ModelLibrary
    from engines.twins import TWINS

    here = [one.name for one in ModelLibrary().list() if one.is_cached and one.entry.is_model]
    return [*TWINS, *here]
