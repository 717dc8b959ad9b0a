"""``rt-swap build`` and ``rt-swap bench``: networks made ready for a GPU, and their times here."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realtime.errors import UsageError
from realtime.plain_text import printable

if TYPE_CHECKING:
    from engines.bench import Skipped, Timing
    from engines.build import Built
    from engines.profiles import Range

bench_app = typer.Typer(
    no_args_is_help=False,
    help="Measures what this machine does.",
)

TWINS_NAME = "twins"


class TensorRt(StrEnum):
    """The Python modules of TensorRT."""

    RTX = "tensorrt_rtx"
    PROPER = "tensorrt"


def build_models(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…",
            help="ONNX files, names from 'rt-swap models list', or 'twins': networks with the "
            "shapes of public ones and random weights.",
        ),
    ],
    half: Annotated[
        bool, typer.Option("--fp16/--fp32", help="Numbers of 16 bits where that is good enough.")
    ] = True,
    target: Annotated[
        str,
        typer.Option(
            metavar="SM,…", help="GPUs to build for, like sm_86,sm_89; 'portable' for most."
        ),
    ] = "portable",
    pixels: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="What the networks take black and white as, like 0,255; not given: as their "
            "family says, else 0,1 and -1,1.",
        ),
    ] = None,
    module: Annotated[TensorRt, typer.Option(help="What builds the plan, and will run it.")] = (
        TensorRt.RTX
    ),
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="Processor threads for the checks.")
    ] = 2,
) -> int:
    """Builds networks for an NVIDIA GPU ahead of time; none needs to be in this machine."""
    from engines.build import Recipe, build
    from engines.cache import PlanCache
    from realtime.face_crops import face_crops
    from realtime.terminal import Terminal

    terminal, cache, crops = Terminal(), PlanCache(), face_crops()
    targets = tuple(dict.fromkeys(target.split(",")))
    recipe = Recipe(
        module=module.value,
        targets=targets,
        precision="fp16" if half else "fp32",
        threads=threads,
    )
    given = None if pixels is None else (parse_range(pixels),)
    for name in _expanded(models):
        model = load_network(name)
        own = replace(recipe, pixels=given or pixels_of(name))
        with terminal.building() as show:
            plans = build(model, crops, own, cache, name=name, on_progress=show)
        for built in plans:
            terminal.line(describe_plan(name, built))
    return 0


@bench_app.command("engines")
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
        float, typer.Option(metavar="N", min=0.0, help="Time for each network and number.")
    ] = 1.0,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="Measure 8-bit forms, which are made first.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Times networks in every runtime of the processor, with the error of each."""
    from engines.bench import measure
    from realtime.face_crops import face_crops
    from realtime.machine import machine_facts
    from realtime.terminal import Terminal

    counts = parse_counts(threads)
    crops, terminal = face_crops(), Terminal()
    timings: list[Timing] = []
    skipped: list[Skipped] = []
    names = networks or _networks_here()
    for number, name in enumerate(names, start=1):
        data = load_network(name)
        terminal.line(f"measuring {name}, {number} of {len(names)}")
        done, left_out = measure(name, data, crops, threads=counts, seconds=seconds, with_int8=int8)
        timings += done
        skipped += left_out
        if not as_json:
            print("\n".join(printable(describe_timing(one)) for one in done), flush=True)
    if as_json:
        result = {
            "timings": [asdict(one) for one in timings],
            "skipped": [asdict(one) for one in skipped],
            "machine": machine_facts(),
        }
        print(json.dumps(result, indent=2))
        return 0
    for one in skipped:
        print(printable(f"left out: {one.network}, {one.runtime}: {one.reason}"))
    return 0


def load_network(name: str) -> bytes:
    """An ONNX file, a twin or a model of the catalogue.

    Raises:
        UsageError: the file cannot be read.
        ModelError: it is none of these, no ONNX file, or cannot be fetched.
    """
    from engines.models.examination import read_model_file
    from engines.models.inspection import inspect_model
    from engines.models.library import ModelLibrary
    from engines.twins import TWINS

    path = Path(name)
    if path.suffix == ".onnx":
        if not path.exists():
            raise UsageError(f"{name}: must be a readable file, got none. Check its name.")
        # With what it keeps in other files taken in, so that its hash covers all of it.
        return inspect_model(read_model_file(path), where=name, folder=path.parent).model
    if name in TWINS:
        return TWINS[name].make()
    return ModelLibrary().load(name)


def pixels_of(name: str) -> "tuple[Range, ...]":
    """What a network that ``load_network`` takes may want black and white as.

    Raises:
        ModelError: there is no such network.
    """
    from engines.models.library import ModelLibrary
    from engines.profiles import USUAL_RANGES
    from engines.twins import TWINS

    is_listed = Path(name).suffix != ".onnx" and name not in TWINS
    return ModelLibrary().pixels(name) if is_listed else USUAL_RANGES


def parse_counts(text: str) -> tuple[int, ...]:
    """Numbers of threads, as ``1,2``.

    Raises:
        UsageError: they are not whole numbers of at least 1.
    """
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"--threads: must be whole numbers like 1,2, got {text}.")
    return tuple(int(part) for part in parts)


def parse_range(text: str) -> tuple[float, float]:
    """Two numbers, as ``0,255``.

    Raises:
        UsageError: they are not two, or not the lower one first.
    """
    low, comma, high = text.partition(",")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (0.0, 0.0)
    if not comma or not found[0] < found[1]:
        raise UsageError(f"--pixels: must be two numbers like 0,255, got {text}.")
    return found


def describe_plan(name: str, built: "Built") -> str:
    """What became of a network, in one line."""
    facts = built.facts
    size = f"{len(built.data) / 1e6:.1f} MB"
    parts = [f"{name} for {built.key.target}: {facts.get('precision', 'fp16')}", size]
    if facts.get("fault"):
        parts.append(f"not fp16, as {facts['fault']}")
    elif "fp16_error" in facts:
        parts.append(f"error {facts['fp16_error']:.1g}")
    parts.append("was there already" if built.was_cached else f"{facts.get('seconds', 0)} s")
    return f"{', '.join(parts)}, {built.path}"


def describe_timing(timing: "Timing") -> str:
    """One measurement as a line of a table."""
    return (
        f"{timing.network:28} {timing.runtime:18} {timing.threads} threads "
        f"{timing.median_ms:10.2f} ms  error {timing.error:.1e}"
    )


def _expanded(models: Iterable[str]) -> list[str]:
    from engines.twins import TWINS

    return [name for model in models for name in (TWINS if model == TWINS_NAME else [model])]


def _networks_here() -> list[str]:
    from engines.models.library import ModelLibrary
    from engines.twins import TWINS

    here = [one.name for one in ModelLibrary().list() if one.is_cached and one.entry.is_model]
    return [*TWINS, *here]
