"""The process that builds plans: ``python -m engines.build_worker FOLDER NAME``.

The folder holds ``model.onnx``, ``recipe.json``, ``crop0.npy`` and so on, and for each target
``kernels0`` and so on. Written into it are ``plan0`` and so on, new kernels, and ``reference``:
what the plans must compute. Progress goes to stdout, one JSON object on each line; the last one
holds the facts. An error is one line on stderr and exit code 5.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines import self_check
from engines import simplify as simplifying
from engines.batching import with_open_batch
from engines.build import Recipe
from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.half import convert
from engines.models.cache_files import disk_errors
from engines.narrow import narrowed
from engines.plan import build_plan
from engines.profiles import Profile, profile_of, samples_of, within_memory
from engines.reference import Reference
from engines.session import Array

# How much of the whole each phase is, as measured on networks of 1 to 550 MB with tensorrt_rtx.
_BEGINS_AT = {"simplify": 0.0, "batch": 0.2, "fp16": 0.3, "build": 0.7}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network in the form that is built.

    Attributes:
        model: the serialised ONNX model.
        profile: bounds of its inputs that vary.
        facts: how it came about.
        reference: what it computed as it was published.
    """

    model: bytes
    profile: Profile
    facts: Mapping[str, Any]
    reference: Reference


def prepare(model: bytes, crops: Sequence[Array], recipe: Recipe, name: str) -> Prepared:
    """Simplifies a network, opens its batch and converts it, each step checked.

    Raises:
        ModelError: the network cannot be read, or computes something else when simplified.
    """
    tell("simplify", 0)
    model = narrowed(model, name=name)
    published = inputs_of(model, name)
    samples = samples_of(published, crops, recipe.limits, ranges=recipe.pixels)
    known = samples[:1]
    simple = simplifying.simplify(model, known, threads=recipe.threads, name=name)
    tell("batch", 0)
    ready = simple.model
    if recipe.limits.batch.most > 1:
        ready = with_open_batch(ready, samples, threads=recipe.threads, name=name)
    inputs = inputs_of(ready, name)
    facts: dict[str, Any] = {
        "precision": recipe.precision,
        "simplify_error": simple.error,
        "simplify_tolerance": simplifying.MAX_ERROR,
        "num_nodes": simple.num_nodes,
        "batch_is_open": all(spec.shape[:1] == (-1,) for spec in inputs),
    }
    tell("fp16", 0)
    if recipe.precision == "fp16":
        half = convert(ready, samples, threads=recipe.threads, name=name)
        ready = half.model
        facts |= {"fp16_error": half.error, "fp16_tolerance": self_check.MAX_ERROR}
        facts |= {"fault": half.fault, "num_float32": len(half.kept)}
        facts["precision"] = "fp32" if half.fault else "fp16"
    limits = within_memory(recipe.limits, known[0], simple.outputs[0])
    profile = profile_of(inputs, limits)
    reference = Reference(tuple(known), simple.outputs)
    return Prepared(ready, profile, facts | {"profile": profile}, reference)


def tell(phase: str, fraction: float) -> bool:
    """Writes how far a phase is; True, as nobody but the parent ends this process."""
    begin = _BEGINS_AT[phase]
    end = min((at for at in _BEGINS_AT.values() if at > begin), default=1.0)
    whole = round(begin + fraction * (end - begin), 3)
    print(json.dumps({"phase": phase, "fraction": whole}), flush=True)
    return True


def build_one(
    folder: Path, prepared: Prepared, recipe: Recipe, index: int, target: str, name: str
) -> None:
    """Builds the plan for one of the targets.

    Raises:
        ModelError: the module does not know the target or cannot build the network.
    """
    plan = build_plan(
        prepared.model,
        prepared.profile,
        module=recipe.module,
        target=target,
        timing_cache=(folder / f"kernels{index}").read_bytes(),
        name=name,
        report=lambda fraction: tell("build", (index + fraction) / len(recipe.targets)),
    )
    (folder / f"plan{index}").write_bytes(plan.data)
    (folder / f"kernels{index}").write_bytes(plan.timing_cache)


def main(arguments: Sequence[str]) -> int:
    """Builds what lies in the folder."""
    folder, name = Path(arguments[0]), arguments[1]
    recipe = Recipe.from_json((folder / "recipe.json").read_text())
    crops = [np.load(path) for path in sorted(folder.glob("crop*.npy"))]
    try:
        with disk_errors(folder.parent):
            prepared = prepare((folder / "model.onnx").read_bytes(), crops, recipe, name)
            (folder / "reference").write_bytes(prepared.reference.to_bytes())
            for index, target in enumerate(recipe.targets):
                build_one(folder, prepared, recipe, index, target, name)
    except ModelError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps({"facts": dict(prepared.facts)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
