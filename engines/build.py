"""From a network as it was published to a plan in the cache, in a process of its own.

The process keeps a build of minutes, with gigabytes of memory and native code that can fail hard,
away from the running engine, and it can be stopped.
"""

import io
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from engines.cache import PlanCache, PlanKey
from engines.errors import ModelError
from engines.models.cache_files import disk_errors, sha256_of, temporary_folder
from engines.own_process import environment
from engines.plan import PORTABLE, check_target
from engines.profiles import USUAL_RANGES, Extents, Limits, Range
from engines.session import Array
from engines.tensorrt import ModuleName, load_module

Precision = Literal["fp16", "fp32"]

_LAST_LINES = 20
_ASK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a plan is to be built.

    Attributes:
        module: what builds and runs it.
        targets: the GPUs to build for, a plan each, see ``engines.plan.build_plan``.
        precision: fp16 where that passes its check, or fp32.
        limits: bounds for dimensions that may vary.
        pixels: what the network takes black and white as, for the checks; all that come into
            question, where it is not known.
        threads: CPU threads for the checks.
    """

    module: ModuleName = "tensorrt_rtx"
    targets: tuple[str, ...] = (PORTABLE,)
    precision: Precision = "fp16"
    limits: Limits = field(default_factory=Limits)
    pixels: tuple[Range, ...] = USUAL_RANGES
    threads: int = 1

    def as_json(self) -> str:
        """The recipe for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """The recipe that ``as_json`` wrote."""
        values = json.loads(text)
        limits = {name: Extents(**extents) for name, extents in values.pop("limits").items()}
        values["targets"] = tuple(values["targets"])
        values["pixels"] = tuple((low, high) for low, high in values["pixels"])
        return cls(**values, limits=Limits(**limits))


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        name: of the network.
        phase: ``simplify``, ``batch``, ``fp16``, ``build``, ``done`` or ``failed``.
        fraction: 0..1 of the whole.
        eta_s: seconds still to go, as far as can be said; None at the start.
    """

    name: str
    phase: str
    fraction: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Built:
    """A plan that is ready.

    Attributes:
        data: the serialised engine.
        key: under which it lies in the cache.
        path: where it lies.
        facts: how it was made: ``precision`` that it really has, ``fault`` that kept it from
            16 bits, ``fp16_error``, ``simplify_error``, ``seconds``, ``profile``.
        was_cached: whether it was there already.
        reference: what it must compute, see ``engines.reference``.
    """

    data: bytes
    key: PlanKey
    path: Path
    facts: Mapping[str, Any]
    was_cached: bool
    reference: bytes = b""


OnProgress = Callable[[BuildProgress], None]
IsWanted = Callable[[], bool]


def build(
    model: bytes,
    crops: Sequence[Array],
    recipe: Recipe,
    cache: PlanCache,
    *,
    name: str = "model",
    on_progress: OnProgress = lambda _: None,
    is_wanted: IsWanted = lambda: True,
) -> tuple[Built, ...]:
    """The plans of a network: from the cache, or built now.

    Args:
        model: a serialised ONNX model as it was published.
        crops: ``(h, w, 3) u8``, pictures of faces to check the 16-bit form with; at least one.
        recipe: how to build.
        cache: where plans are kept.
        name: what messages call the network.
        on_progress: told how far it is, on the calling thread.
        is_wanted: asked several times a second; False stops the build.

    Returns:
        A plan for each of the recipe's targets.

    Raises:
        ModelError: the network cannot be built here, the disk is full, or the build was stopped.
    """
    # Before minutes of work that would be of no use.
    for target in recipe.targets:
        check_target(recipe.module, target, name=name)
    keys = [key_of(model, recipe, target) for target in recipe.targets]
    cached = {key: data for key in keys if (data := cache.load(key)) is not None}
    missing = tuple(key for key in dict.fromkeys(keys) if key not in cached)
    fresh: dict[PlanKey, bytes] = {}
    if missing:
        with temporary_folder(cache.folder) as folder:
            left = replace(recipe, targets=tuple(key.target for key in missing))
            kernels = [cache.load_kernels(key) for key in missing]
            with disk_errors(cache.folder):
                _write_job(folder, model, crops, left, kernels)
            facts = _run(folder, name, on_progress, is_wanted)
            for index, key in enumerate(missing):
                fresh[key] = _take_plan(folder, index, key, facts, cache)
    on_progress(BuildProgress(name, "done", 1.0, 0.0))
    plans = cached | fresh
    return tuple(
        Built(
            plans[key],
            key,
            cache.path(key),
            cache.note(key) or {},
            key in cached,
            cache.load_reference(key) or b"",
        )
        for key in keys
    )


def key_of(model: bytes, recipe: Recipe, target: str) -> PlanKey:
    """Under which key the plan of a network for one target lies in the cache.

    Raises:
        ModelError: the recipe's module is not installed.
    """
    return PlanKey(
        model_sha256=sha256_of(model),
        module=recipe.module,
        version=load_module(recipe.module).__version__,
        target=target,
        limits=recipe.limits,
        flags=(recipe.precision, *(f"pixels {low}..{high}" for low, high in recipe.pixels)),
    )


def _write_job(
    folder: Path,
    model: bytes,
    crops: Sequence[Array],
    recipe: Recipe,
    kernels: Sequence[bytes],
) -> None:
    """Puts what the building process needs into its folder."""
    (folder / "model.onnx").write_bytes(model)
    (folder / "recipe.json").write_text(recipe.as_json())
    for index, crop in enumerate(crops):
        # NumPy's own way into a file does not say that a disk is full.
        saved = io.BytesIO()
        np.save(saved, crop)
        (folder / f"crop{index}.npy").write_bytes(saved.getvalue())
    for index, data in enumerate(kernels):
        (folder / f"kernels{index}").write_bytes(data)


def _take_plan(
    folder: Path, index: int, key: PlanKey, facts: Mapping[str, Any], cache: PlanCache
) -> bytes:
    """Moves one plan from the building process into the cache."""
    data = (folder / f"plan{index}").read_bytes()
    cache.store(key, data, facts, (folder / "reference").read_bytes())
    kernels = (folder / f"kernels{index}").read_bytes()
    if kernels:
        cache.store_kernels(key, kernels)
    return data


def _run(folder: Path, name: str, on_progress: OnProgress, is_wanted: IsWanted) -> dict[str, Any]:
    """Runs the building process and returns the facts it ends with."""
    command = [sys.executable, "-m", "engines.build_worker", str(folder), name]
    began_s = time.monotonic()
    with (
        (folder / "said").open("w+") as said,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=said,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment(),
        ) as process,
    ):
        try:
            facts = _follow(process, name, began_s, on_progress, is_wanted)
            process.wait()
        finally:
            # However this ends, by Ctrl-C too, nothing goes on building for nobody.
            process.terminate()
        if facts is not None and process.returncode == 0:
            return facts | {"seconds": round(time.monotonic() - began_s, 2)}
        raise ModelError(_why(said, name, process.returncode))


def _follow(
    process: "subprocess.Popen[str]",
    name: str,
    began_s: float,
    on_progress: OnProgress,
    is_wanted: IsWanted,
) -> dict[str, Any] | None:
    """Reads what the process tells, until it ends or is not wanted any more."""
    lines: queue.Queue[str | None] = queue.Queue()
    # Reading blocks for as long as nothing is told, which may be minutes.
    threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
    facts: dict[str, Any] | None = None
    while True:
        if not is_wanted():
            raise ModelError(f"{name}: the build must finish, got stopped. Build it again.")
        try:
            line = lines.get(timeout=_ASK_EVERY_S)
        except queue.Empty:
            continue
        if line is None:
            return facts
        told = _told(line)
        if "facts" in told:
            facts = told["facts"]
        if "fraction" not in told:
            continue
        passed_s, fraction = time.monotonic() - began_s, float(told["fraction"])
        eta_s = passed_s / fraction - passed_s if fraction > 0 else None
        on_progress(BuildProgress(name, str(told["phase"]), fraction, eta_s))


def _pass_on(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _told(line: str) -> dict[str, Any]:
    """One message of the process; empty for what a library printed in between."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _why(said: IO[str], name: str, returncode: int) -> str:
    """What the process said last; its own one-line error, or that it died."""
    said.seek(0)
    lines = [line.strip() for line in said.readlines()[-_LAST_LINES:] if line.strip()]
    if returncode == ModelError.exit_code and lines:
        return lines[-1]
    last = lines[-1] if lines else "nothing said"
    return (
        f"{name}: the building process must end well, got exit code {returncode}: {last}. "
        "Use another way to run the network."
    )
