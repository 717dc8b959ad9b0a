"""``rt-swap build``: networks made ready for a GPU."""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realtime.errors import UsageError

if TYPE_CHECKING:
    from engines.build import Built
    from engines.profiles import Range

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
    # A name that means nothing is said before the minutes that others take.
    ranges = {name: pixels_of(name) for name in _expanded(models)}
    for name, usual in ranges.items():
        model = load_network(name)
        own = replace(recipe, pixels=given or usual)
        with terminal.building() as show:
            plans = build(model, crops, own, cache, name=name, on_progress=show)
        for built in plans:
            terminal.line(describe_plan(name, built))
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

    path = _file_of(name)
    if path is not None:
        # With what it keeps in other files taken in, so that its hash covers all of it.
        return inspect_model(read_model_file(path), where=name, folder=path.parent).model
    if name in TWINS:
        return TWINS[name].make()
    return ModelLibrary().load(name)


def pixels_of(name: str) -> "tuple[Range, ...]":
    """What a network that ``load_network`` takes may want black and white as.

    Raises:
        UsageError: there is no such file.
        ModelError: there is no such network.
    """
    from engines.models.library import ModelLibrary
    from engines.profiles import USUAL_RANGES
    from engines.twins import TWINS

    is_listed = _file_of(name) is None and name not in TWINS
    return ModelLibrary().pixels(name) if is_listed else USUAL_RANGES


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


def _file_of(name: str) -> Path | None:
    """The ONNX file that is meant; None for the name of a network."""
    path = Path(name)
    if path.suffix != ".onnx":
        return None
    if not path.exists():
        raise UsageError(f"{name}: must be a readable file, got none. Check its name.")
    return path


def _expanded(models: Iterable[str]) -> list[str]:
    from engines.twins import TWINS

    return [name for model in models for name in (TWINS if model == TWINS_NAME else [model])]
