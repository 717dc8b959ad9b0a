"""What the GPU pipeline does on this machine: ``python -m tools.gpu_report --out DIR [--cpu]``.

Writes ``report.json``, ``report.md`` and ``timeline.png``. On a GPU it takes a few minutes: the
kernels' tests with ``REQUIRE_GPU=1``, their speed against a plain copy, each network, the whole
pipeline at three sizes with and without enlargement, and the same work as other programs do it.
With ``--cpu`` all of it goes the same way on the processor, in small, so that it is known to work.
"""

import argparse
import gc
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import cv2

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice, Device
from cuda_kernels.errors import GpuError
from engines.errors import ModelError, one_line
from engines.gpu import compute_capability
from tools.gpu_kernels import measure_kernels
from tools.gpu_markdown import render
from tools.gpu_networks import SMALL, Runtime, Sizes
from tools.gpu_peers import PeersWay, measure_peers
from tools.gpu_pipeline import measure_networks, measure_pipeline
from tools.gpu_timeline import Span, draw_timeline

Json = dict[str, Any]
Save = Callable[[Json, list[Span]], None]

SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
SMALL_SIZES = ((640, 360),)

_GPU_TESTS = ("tests/cuda_kernels", "tests/gpu")
_TESTS_S = 180

FAULTS = (GpuError, ModelError, RuntimeError, MemoryError, ValueError, LookupError)
"""What a part may fail with without taking the others along; CuPy's errors are among them."""

Size = tuple[int, int]

_GOALS = (
    ("fps at 1080p", 300.0, "at least"),
    ("ms p99 at 1080p", 8.0, "at most"),
    ("fps at 1080p, enlarged", 200.0, "at least"),
    ("times the peers' way at 1080p", 6.0, "at least"),
    ("least share of copy of memory-bound kernels", 0.6, "at least"),
    ("GPU busy at 1080p", 0.85, "at least"),
)


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when the report is written, whatever it says of the goals."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--cpu", action="store_true", help="on the processor, in small")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--no-tests", action="store_true", help="leave the kernels' tests out")
    options = parser.parse_args(arguments)
    try:
        device: Device = CpuDevice() if options.cpu else CudaDevice()
        options.out.mkdir(parents=True, exist_ok=True)
        with closing(device):
            make_report(
                device,
                options.seconds,
                with_tests=not (options.cpu or options.no_tests),
                save=partial(write_report, options.out),
            )
    except (GpuError, OSError) as error:
        sys.stderr.write(f"gpu_report: {error} With --cpu it runs without a GPU.\n")
        return 5
    sys.stdout.write((options.out / "report.md").read_text("utf-8"))
    return 0


def make_report(device: Device, seconds: float, *, with_tests: bool, save: Save) -> Json:
    """Measures everything; what fails is written down, and the rest measured all the same.

    Args:
        device: a GPU, or the processor, on which all is smaller.
        seconds: of each measurement.
        with_tests: whether the kernels are tested first.
        save: handed the report and a timeline after each part.

    Returns:
        The report.
    """
    began, is_gpu = time.monotonic(), device.place == "cuda"
    sizes, pictures = (Sizes(), SIZES) if is_gpu else (SMALL, SMALL_SIZES)
    runtime, spans = Runtime(device.place), list[Span]()
    report: Json = {"machine": machine(device), "pipeline": [], "peers": [], "faults": {}}

    def part(name: str, measure: Callable[[], None]) -> None:
        try:
            measure()
        except FAULTS as error:
            report["faults"][name] = f"{type(error).__name__}: {one_line(error)}"
        report["runtime"] = {"chosen": runtime.chosen, "not_taken": runtime.faults}
        report["seconds"] = time.monotonic() - began
        save(report, spans)

    def put(key: str, measure: Callable[[], Any]) -> None:
        part(key, lambda: report.update({key: measure()}))

    if with_tests:
        put("tests", run_tests)
    large, face = ((2160, 3840), (512, 512)) if is_gpu else ((180, 320), (96, 96))
    put("bandwidth", lambda: measure_kernels(device, large, face, 20 if is_gpu else 2))
    put("networks", lambda: measure_networks(device, runtime, sizes, 50 if is_gpu else 1))
    for size, enlarge in product(pictures, (False, True)):

        def frames(size: Size = size, enlarge: bool = enlarge) -> None:
            gc.collect()
            device.unsettle()
            figures, found = measure_pipeline(
                device, runtime, sizes, size, seconds if is_gpu else 0.0, enlarge=enlarge
            )
            report["pipeline"].append(figures)
            if size[1] in (1080, 360) and not enlarge:
                spans.extend(found)

        def peers(size: Size = size, enlarge: bool = enlarge) -> None:
            with ExitStack() as stack:
                way = PeersWay(runtime, device, sizes, stack, enlarge=enlarge)
                measured = measure_peers(way, size, seconds if is_gpu else 0.0, 20 if is_gpu else 2)
            report["peers"].append({"size": list(size), "enlarge": enlarge, **measured})

        name = f"{size[0]}x{size[1]}{' enlarged' if enlarge else ''}"
        part(f"pipeline {name}", frames)
        part(f"peers {name}", peers)
    if is_gpu:
        put("goals", lambda: goals(report))
    return report


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


def run_tests() -> Json:
    """The kernels against their definitions on the GPU, in a process of its own."""
    root = Path(__file__).parents[1]
    # What other versions of other packages warn of is no failure of a kernel.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default"]
    try:
        done = subprocess.run(
            [*command, "-k", "gpu", *_GPU_TESTS],
            cwd=root,
            env={**os.environ, "REQUIRE_GPU": "1", "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TESTS_S,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"the tests must end within {_TESTS_S} s, got no end.") from error
    words = re.findall(r"(\d+) (passed|failed|skipped|errors?)", done.stdout[-600:])
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return {
        "command": f"REQUIRE_GPU=1 python -m pytest -q -k gpu {' '.join(_GPU_TESTS)}",
        "exit_code": done.returncode,
        **{word.rstrip("s"): int(number) for number, word in words},
        "failures": failed[:50],
    }


def goals(report: Json) -> list[Json]:
    """What was wanted, and what came out."""
    at_1080p = [one for one in report["pipeline"] if one["size"][1] == 1080]
    plain, enlarged = sorted(at_1080p, key=lambda one: bool(one["enlarge"]))
    peers = next(one for one in report["peers"] if one["size"][1] == 1080 and not one["enlarge"])
    shares = [
        kernel["share_of_copy"]
        for kernel in report["bandwidth"]["kernels"]
        if kernel["memory_bound"]
    ]
    measured = (
        plain["fps"],
        plain["latency_ms_p99"],
        enlarged["fps"],
        plain["fps"] / peers["fps"],
        min(shares),
        plain["gpu_busy"],
    )
    return [
        {
            "what": what,
            "wanted": f"{bound} {wanted:g}",
            "measured": value,
            "met": value >= wanted if bound == "at least" else value <= wanted,
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


if __name__ == "__main__":
    raise SystemExit(main())
