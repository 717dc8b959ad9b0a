"""From an ONNX network to a plan for one kind of NVIDIA GPU, with either TensorRT module.

Types come from the network itself (strongly typed networks): whoever wants 16 bits converts it
before. ``tensorrt_rtx`` builds without a GPU, for any it names; ``tensorrt`` builds for the one in
the machine.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.errors import ModelError
from engines.profiles import Profile
from engines.tensorrt import ModuleName, load_module, new_logger

PORTABLE = "portable"
"""A plan for every GPU that the module's portable form covers, from Ampere on."""

WORKSPACE_BYTES = 2 << 30

Report = Callable[[float], bool]
"""Told how far the work is, 0..1; answers whether to go on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A built network.

    Attributes:
        data: the serialised engine.
        timing_cache: measured kernels for the next build; empty for ``tensorrt_rtx``.
    """

    data: bytes
    timing_cache: bytes


def build_plan(
    model: bytes,
    profile: Profile,
    *,
    module: ModuleName = "tensorrt_rtx",
    target: str = PORTABLE,
    timing_cache: bytes = b"",
    name: str = "model",
    report: Report = lambda _: True,
) -> Plan:
    """Builds a plan; from a second to many minutes.

    Args:
        model: a serialised ONNX model of the types to compute in.
        profile: for each input that varies its least, usual and greatest shape.
        module: what builds, and must run, the plan.
        target: ``sm_86`` and the like for ``tensorrt_rtx``; ``portable`` for either, which with
            ``tensorrt`` means the GPU here and all from Ampere on.
        timing_cache: of an earlier build.
        name: what error messages call the network.
        report: told about the progress from TensorRT's threads; False ends the build.

    Raises:
        ModelError: the module is missing, does not know the target, or cannot build the network.
    """
    check_target(module, target, name=name)
    trt = load_module(module)
    log = new_logger(trt)
    builder = trt.Builder(log)
    if builder is None:
        raise ModelError(f"{name}: {module} must start, got {log.last_error}.")
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    _parse(trt, network, log, model, name)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.progress_monitor = _new_monitor(trt, report)
    _add_profile(builder, config, profile)
    if module == "tensorrt_rtx":
        if target != PORTABLE:
            config.num_compute_capabilities = 1
            config.set_compute_capability(targets(trt)[target], 0)
    else:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.set_timing_cache(config.create_timing_cache(timing_cache), False)
    data = builder.build_serialized_network(network, config)
    if data is None:
        raise ModelError(
            f"{name}: {module} must be able to build the network, got "
            f"{log.last_error or 'a build that was stopped'}. Use another way to run it."
        )
    if module == "tensorrt_rtx":
        return Plan(bytes(data), b"")
    return Plan(bytes(data), bytes(config.get_timing_cache().serialize()))


def check_target(module: ModuleName, target: str, *, name: str) -> None:
    """Sees whether a module can build for a GPU, which needs nothing of the network.

    Args:
        module: what is to build.
        target: as for ``build_plan``.
        name: what error messages call the network.

    Raises:
        ModelError: it cannot, or the module is missing.
    """
    trt = load_module(module)
    if target == PORTABLE:
        return
    if module == "tensorrt":
        raise ModelError(
            f"{name}: tensorrt must build for the GPU in this machine, got the target {target}. "
            "Leave --target out, or install tensorrt-rtx."
        )
    known = targets(trt)
    if target not in known:
        raise ModelError(
            f"{name}: the target must be one of {', '.join([PORTABLE, *known])}, got {target!r}. "
            "Correct --target."
        )


def targets(trt: Any) -> dict[str, Any]:
    """The GPUs that ``tensorrt_rtx`` builds for, as ``sm_86``, with its names for them."""
    return {
        f"sm_{member[2:]}": value
        for member, value in trt.ComputeCapability.__members__.items()
        if re.fullmatch(r"SM\d+", member)
    }


def _parse(trt: Any, network: Any, log: Any, model: bytes, name: str) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(model):
        return
    errors: Sequence[Any] = [parser.get_error(index) for index in range(parser.num_errors)]
    told = "; ".join(f"{error.node_name()}: {error.desc()}" for error in errors) or log.last_error
    raise ModelError(
        f"{name}: must be a network that TensorRT can read, got {' '.join(told.split())[:300]}. "
        "Use another way to run it."
    )


def _add_profile(builder: Any, config: Any, profile: Profile) -> None:
    if not profile:
        return
    shapes = builder.create_optimization_profile()
    for tensor, (least, usual, most) in profile.items():
        shapes.set_shape(tensor, least, usual, most)
    config.add_optimization_profile(shapes)


def _new_monitor(trt: Any, report: Report) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Turns TensorRT's nested phases into one number that only grows."""

        def __init__(self) -> None:
            super().__init__()
            self._phases = Phases()

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            """Called when a phase begins; a phase within another knows its parent."""
            self._phases.start(phase, parent, num_steps)

        def step_complete(self, phase: str, step: int) -> bool:
            """Called after each step of a phase; False ends the build."""
            self._phases.step(phase, step)
            return report(self._phases.fraction)

        def phase_finish(self, phase: str) -> None:
            """Called when a phase ends."""
            self._phases.finish(phase)

    return Monitor()


class Phases:
    """How far a work is whose steps have steps of their own."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str | None, int, int]] = {}
        self._fraction = 0.0

    @property
    def fraction(self) -> float:
        """How much is done, 0..1; never less than before."""
        return self._fraction

    def start(self, phase: str, parent: str | None, num_steps: int) -> None:
        """Opens a phase inside another, or the whole."""
        self._open[phase] = (parent, max(1, num_steps), 0)

    def step(self, phase: str, step: int) -> None:
        """Notes that the step of this number, from 0, is done."""
        if phase not in self._open:
            return
        parent, num_steps, _ = self._open[phase]
        self._open[phase] = (parent, num_steps, min(num_steps, step + 1))
        self._fraction = max(self._fraction, self._done(phase))

    def finish(self, phase: str) -> None:
        """Closes a phase; its parent counts it once its own step is done."""
        self._open.pop(phase, None)

    def _done(self, phase: str) -> float:
        """How much of the whole is done, as this phase and those around it see it."""
        inner, current, seen = 0.0, phase, set[str]()
        while current in self._open and current not in seen:
            seen.add(current)
            parent, num_steps, done = self._open[current]
            inner = min(1.0, (done + inner) / num_steps)
            if parent is None:
                break
            current = parent
        return inner
