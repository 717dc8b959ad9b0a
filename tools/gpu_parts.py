"""One part of the GPU report in a process of its own: ``python -m tools.gpu_parts PART --to FILE``.

A GPU that a kernel has broken stays broken for the process that did it, and a library can take the
process with it. What was measured until then lies in the file.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice, Device
from cuda_kernels.errors import GpuError
from engines.errors import ModelError, one_line
from engines.gpu import compute_capability
from tools.gpu_kernels import measure_kernels
from tools.gpu_networks import SMALL, Runtime, Sizes
from tools.gpu_peers import PeersWay, measure_peers
from tools.gpu_pipeline import measure_networks, measure_pipeline

Json = dict[str, Any]
Keep = Callable[[Json], None]
"""Takes what has been found so far."""

MACHINE, BANDWIDTH, NETWORKS = "machine", "bandwidth", "networks"
PIPELINE, PEERS = "pipeline", "peers"
ENLARGED = "enlarged"

NO_GPU = 5
"""Exit code where there is none."""

_GPU_TESTS = ("tests/cuda_kernels", "tests/gpu")
_SANITIZER = "compute-sanitizer"
_MOST_WORKERS = 6
"""Processes that share the GPU for its tests."""

_ROOT = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when all of the part was measured."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "part", help="machine, bandwidth, networks, or pipeline or peers and a size"
    )
    parser.add_argument("--to", type=Path, required=True, help="file for what is found")
    parser.add_argument("--models", type=Path, required=True, help="folder for networks")
    parser.add_argument("--cpu", action="store_true", help="on the processor, in small")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--runtime", default="", help="the only one that is tried")
    options = parser.parse_args(arguments)
    runtime = Runtime(
        "cpu" if options.cpu else "cuda", chosen=options.runtime, folder=options.models
    )

    def keep(found: Json) -> None:
        runtimes = {"chosen": runtime.chosen, "not_taken": runtime.faults}
        text = json.dumps({**found, "runtime": runtimes})
        # In one step, so that what is read while the process is ended is never half of it.
        whole = options.to.with_suffix(".new")
        whole.write_text(text, encoding="utf-8")
        whole.replace(options.to)

    try:
        with closing(CpuDevice() if options.cpu else CudaDevice()) as device:
            measure(options.part, device, runtime, options.seconds, keep)
    except GpuError as error:
        sys.stderr.write(f"{one_line(error)}\n")
        return NO_GPU
    except ModelError as error:
        keep({})
        sys.stderr.write(f"{one_line(error)}\n")
        return 1
    return 0


def measure(part: str, device: Device, runtime: Runtime, seconds: float, keep: Keep) -> None:
    """Measures one part.

    Args:
        part: its name; of frames ``pipeline 1920x1080`` or ``peers 1920x1080 enlarged``.
        device: a GPU, or the processor, on which all is smaller.
        runtime: opens networks.
        seconds: of each measurement.
        keep: handed what has been found, whenever there is more.

    Raises:
        ModelError: no runtime takes a network.
        ValueError: there is no such part.
    """
    is_gpu = device.place == "cuda"
    sizes = Sizes() if is_gpu else SMALL
    if part == MACHINE:
        keep({MACHINE: machine(device)})
    elif part == BANDWIDTH:
        large, face = ((2160, 3840), (512, 512)) if is_gpu else ((180, 320), (96, 96))
        keep({BANDWIDTH: measure_kernels(device, large, face, 20 if is_gpu else 2)})
    elif part == NETWORKS:
        keep({NETWORKS: measure_networks(device, runtime, sizes, 50 if is_gpu else 1)})
    else:
        _measure_frames(part, device, runtime, sizes, seconds if is_gpu else 0.0, keep)


def _measure_frames(
    part: str, device: Device, runtime: Runtime, sizes: Sizes, seconds: float, keep: Keep
) -> None:
    kind, *given = part.split() or [""]
    size = re.fullmatch(r"(\d+)x(\d+)", given[0] if given else "")
    if kind not in (PIPELINE, PEERS) or size is None or given[1:] not in ([], [ENLARGED]):
        raise ValueError(
            f"gpu_parts: a part must be {MACHINE}, {BANDWIDTH}, {NETWORKS}, or {PIPELINE} or "
            f"{PEERS} with a size, got {part!r}."
        )
    width, height, enlarge = int(size[1]), int(size[2]), len(given) == 2
    if kind == PIPELINE:

        def keep_figures(figures: Json, spans: Any) -> None:
            keep({PIPELINE: [figures], "spans": [asdict(span) for span in spans]})

        measure_pipeline(
            device, runtime, sizes, (width, height), seconds, keep_figures, enlarge=enlarge
        )
        return
    with ExitStack() as stack:
        way = PeersWay(runtime, device, sizes, stack, enlarge=enlarge)
        least = 20 if device.place == "cuda" else 2
        measured = measure_peers(way, (width, height), seconds, least)
    keep({PEERS: [{"size": [width, height], "enlarge": enlarge, **measured}]})


def machine(device: Device) -> Json:
    """What it was measured on."""
    facts: Json = {
        "device": device.place,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "card": None,
    }
    if device.place == "cuda":
        import cupy

        properties = cupy.cuda.runtime.getDeviceProperties(0)
        capability = compute_capability() or (0, 0)
        facts |= {
            "card": properties["name"].decode(),
            "compute_capability": f"{capability[0]}.{capability[1]}",
            "memory_mb": properties["totalGlobalMem"] // 1_000_000,
            "driver_cuda": cupy.cuda.runtime.driverGetVersion(),
            "cupy": cupy.__version__,
        }
    return facts


def run_tests(limit_s: float) -> Json:
    """The kernels against their definitions on the GPU, in a process of its own.

    Args:
        limit_s: time they may take; what has failed by then is told.
    """
    # What other versions of other packages warn of is no failure of a kernel.
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-k", "gpu", *_GPU_TESTS]
    if find_spec("xdist") is not None:
        # The definitions are slow loops on the processor.
        options += ["-n", str(min(os.cpu_count() or 1, _MOST_WORKERS))]
    code, said = _ended([sys.executable, "-m", "pytest", *options], limit_s)
    words = re.findall(r"(\d+) (passed|failed|skipped|errors?)", said[-600:])
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return {
        "command": f"REQUIRE_GPU=1 python -m pytest -q -k gpu {' '.join(_GPU_TESTS)}",
        "exit_code": code,
        **{word.rstrip("s"): int(number) for number, word in words},
        "failures": failed[:50],
        "tail": said[-3000:] if code else "",
    }


def run_sanitizer(limit_s: float) -> Json | None:
    """The same under NVIDIA's memory checker, the last case of each test; None where it is missing.

    Args:
        limit_s: time it may take.
    """
    tool = shutil.which(_SANITIZER)
    if tool is None:
        return None
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-k", "gpu", _GPU_TESTS[0]]
    command = [tool, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-m", "pytest"]
    code, said = _ended([*command, *options], limit_s, {"CUDA_KERNELS_SANITIZE": "gpu"})
    found = re.search(r"ERROR SUMMARY: (\d+) error", said)
    return {
        "command": f"{_SANITIZER} --tool memcheck python -m pytest -k gpu {_GPU_TESTS[0]}",
        "exit_code": code,
        "errors": None if found is None else int(found[1]),
        "tail": said[-3000:] if code else "",
    }


def _ended(
    command: list[str], limit_s: float, more: Mapping[str, str] | None = None
) -> tuple[int | None, str]:
    """Exit code and output of a command; None for one that had to be stopped."""
    environment = {**os.environ, "REQUIRE_GPU": "1", "PYTHONPATH": str(_ROOT), **(more or {})}
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return None, said
    return process.returncode, said


if __name__ == "__main__":
    raise SystemExit(main())
