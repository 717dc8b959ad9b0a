"""The processor, the GPU, what really runs networks, and the networks themselves."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.doctor.finding import Finding, Level
from realtime.doctor.software import PIP

if TYPE_CHECKING:
    from engines.choose import Runtime
    from engines.models.library import ModelLibrary

_X86 = ("x86_64", "AMD64")
_TOLD_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")

# Where the NVIDIA driver tells its version on Linux.
NVIDIA_VERSION = Path("/proc/driver/nvidia/version")


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str] | None:
    """The instruction sets of the processor; None where the system does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return frozenset(value.split())
    return None


def check_processor(
    flags: frozenset[str] | None = None,
    *,
    num_cores: int | None = None,
    machine: str = platform.machine(),
) -> Iterator[Finding]:
    """Whether the processor can keep up.

    Args:
        flags: its instruction sets; None: not known.
        num_cores: None: of this machine.
        machine: as ``platform.machine()``.
    """
    cores = num_cores or os.cpu_count() or 1
    told = tuple(flag for flag in _TOLD_FLAGS if flags and flag in flags)
    text = f"{machine}, {cores} cores"
    if machine in _X86 and flags is not None and "avx2" not in flags:
        cure = "Use --set camera.size=640x360, or a processor made after 2013"
        yield Finding("processor", Level.WARNING, f"{text}, without AVX2: slow", cure, told)
    elif cores < 2:
        cure = "Use --set camera.size=640x360"
        yield Finding("processor", Level.WARNING, f"{text}: two are needed for 720p", cure, told)
    else:
        yield Finding("processor", Level.OK, text, details=told)


def check_gpu(
    runtimes: "Sequence[Runtime]",
    capability: tuple[int, int] | None,
    *,
    driver: Path = NVIDIA_VERSION,
) -> Iterator[Finding]:
    """Which GPU there is and what runs networks on it; none is needed.

    Args:
        runtimes: those that could be, tried.
        capability: compute capability of the GPU; None: none that can be used.
        driver: where the kernel's part of the driver tells its version.
    """
    try:
        version = driver.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        version = ""
    if capability is None and version:
        text = f"the driver is loaded ({version}), got no GPU from it"
        yield Finding("gpu", Level.WARNING, text, "Run: nvidia-smi; if it fails, restart")
    elif capability is None:
        yield Finding("gpu", Level.OK, "no NVIDIA GPU with a driver, and none is needed")
    else:
        major, minor = capability
        yield Finding("gpu", Level.OK, f"compute capability {major}.{minor} {version}".strip())
    for runtime in runtimes:
        said = "can be used" if runtime.is_available else f"cannot be used: {runtime.fault}"
        yield Finding(f"runtime {runtime.name}", Level.OK, said.rstrip("."))


def run_trial() -> tuple[str, list[float]]:
    """Runs a tiny network the way the engine runs its own.

    Returns:
        What really ran it, and the rectified values of -1, 0 and 2.5.

    Raises:
        ModelError: no network can be run.
    """
    import numpy as np

    from engines.graph_writer import GraphWriter
    from engines.onnxruntime import OnnxRuntimeSession

    net = GraphWriter(seed=0)
    model = net.model({"x": (1, 3)}, {"y": (net.op("Relu", "x"), (1, 3))})
    session = OnnxRuntimeSession(model, name="trial")
    try:
        result = np.full((1, 3), np.nan, np.float32)
        values = np.array([[-1, 0, 2.5]], np.float32)
        session.enqueue({"x": values}, out={"y": result}, stream=0)
        return session.provider, [float(value) for value in result[0]]
    finally:
        session.close()


def check_inference(
    trial: Callable[[], tuple[str, list[float]]] = run_trial,
) -> Iterator[Finding]:
    """Whether a network really runs, on what, and whether its result is right."""
    provider, values = trial()
    if values != [0.0, 0.0, 2.5]:
        yield Finding(
            "inference",
            Level.PROBLEM,
            f"{provider} must compute 0, 0, 2.5, got {', '.join(map(str, values))}",
            f"Run: {PIP} install --force-reinstall onnxruntime",
        )
        return
    yield Finding("inference", Level.OK, f"a network runs on {provider}")


def check_models(library: "ModelLibrary", needed: Sequence[str]) -> Iterator[Finding]:
    """Whether the networks in the cache are whole, and all there that are needed.

    Args:
        library: offline.
        needed: names of what the program cannot do without.
    """
    from engines.errors import ModelError

    present = [one for one in library.list() if one.is_cached]
    missing = [name for name in needed if name not in {one.name for one in present}]
    damaged = []
    for one in present:
        try:
            library.sha256(one.name)
        except ModelError:
            damaged.append(one.name)
    for name in damaged:
        needs = name in needed
        cure = f"Run: rt-swap models pull {name}" if needs else f"Run: rt-swap models remove {name}"
        level = Level.PROBLEM if needs else Level.WARNING
        yield Finding("models", level, f"{name} must have the hash it is known by", cure)
    if missing:
        text = f"{', '.join(missing)} must be here, got nothing"
        yield Finding("models", Level.PROBLEM, text, "Run: rt-swap models pull")
    whole = tuple(one.name for one in present if one.name not in damaged)
    if whole:
        yield Finding("models", Level.OK, f"{len(whole)} with the right hash", details=whole)
