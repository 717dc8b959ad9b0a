"""Builds every network for several GPUs, with none in the machine: ``python -m tools.build_ahead``.

The networks are the twins and the models that rt-swap downloads by itself or brings along. The
plans go into a folder that is thrown away: what counts is that each network is read, converted,
checked and built.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from engines.build import Built, Recipe, build
from engines.cache import PlanCache
from engines.errors import ModelError
from engines.models.library import ModelLibrary
from engines.profiles import Range
from engines.twins import TWINS
from realtime.engine_commands import describe_plan, load_network, parse_range, pixels_of
from realtime.face_crops import face_crops


def default_networks() -> list[str]:
    """The twins, the default models of the catalogue and those that come with the program."""
    ours = [
        one.name
        for one in ModelLibrary().list()
        if (one.entry.default or one.entry.packaged) and one.entry.is_model
    ]
    return [*TWINS, *ours]


def build_ahead(
    networks: Iterable[str], recipe: Recipe, folder: Path, pixels: Range | None = None
) -> list[str]:
    """Builds networks and says how it went.

    Args:
        networks: twins, names of the catalogue or ONNX files.
        recipe: for which GPUs and how.
        folder: where the plans go.
        pixels: what they take black and white as; None: as their families say.

    Returns:
        What went wrong, a line each: a network that cannot be built, or whose 16-bit form does not
        pass its check.
    """
    cache, crops, faults = PlanCache(folder), face_crops(), list[str]()
    for name in networks:
        try:
            own = replace(recipe, pixels=pixels_of(name) if pixels is None else (pixels,))
            plans: Sequence[Built] = build(load_network(name), crops, own, cache, name=name)
        except ModelError as error:
            faults.append(str(error))
            continue
        for built in plans:
            print(describe_plan(name, built), flush=True)
            if recipe.precision == "fp16" and built.facts["precision"] != "fp16":
                faults.append(f"{name}: must pass in 16 bits, got: {built.facts['fault']}.")
            built.path.unlink()
    return list(dict.fromkeys(faults))


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds what the command line names, or everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", help="default: twins and default models")
    parser.add_argument("--target", default="sm_86,sm_89", help="GPUs, like sm_86,sm_89")
    parser.add_argument("--pixels", help="what the networks take black and white as, like 0,255")
    parser.add_argument("--threads", type=int, default=2, help="for the checks")
    options = parser.parse_args(arguments)
    recipe = Recipe(
        targets=tuple(options.target.split(",")),
        threads=options.threads,
    )
    with tempfile.TemporaryDirectory(prefix="rt-swap-") as folder:
        networks, pixels = options.networks or default_networks(), options.pixels
        faults = build_ahead(
            networks, recipe, Path(folder), parse_range(pixels) if pixels else None
        )
    for fault in faults:
        print(f"build_ahead: {fault}", file=sys.stderr)
    return ModelError.exit_code if faults else 0


if __name__ == "__main__":
    sys.exit(main())
