"""From the picture of a source to the picture that a program at the far end sees."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from realtime.bench.arrivals import Arrival, Json, figures
from realtime.bench.far_end import parse_notes
from realtime.bench.pipe import PipeSink
from realtime.bench.stamped import StampedSource, StampReader
from realtime.errors import SinkError, UsageError
from realtime.pipeline import Pipeline, Plan
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.stage import Sink, Source

START_S = 60.0
"""How long the reader may take to load its libraries."""

END_S = 5.0
"""How long a process may take to end once it is asked to."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is measured.

    Attributes:
        plan: the engine's; its source and sinks are replaced or added to.
        size: width and height of the output's pictures.
        period_ns: nominal time between two pictures of the output.
        seconds: how long, from the first picture.
    """

    plan: Plan
    size: tuple[int, int]
    period_ns: int
    seconds: float


def measure_pipeline(course: Course) -> Json:
    """Stamped source, the engine, a reader in the place of the sink."""
    source, sink = StampedSource(course.plan.source), StampReader()
    stats, usage = _run(course, source, sink)
    return _result("pipeline", source.emitted, sink.arrivals, course, stats, usage)


def measure_glass(course: Course, device: str | None) -> Json:
    """Stamped source, the engine, a virtual camera or a pipe, a reader in another process.

    Args:
        course: what is measured.
        device: of the virtual camera; None: a pipe in its place.

    Raises:
        UsageError: the device is none of Linux.
        SinkError: it cannot be opened.
    """
    source = StampedSource(course.plan.source)
    with far_end(device, course.size) as end:
        sink: Sink = VirtualCamera(device) if device else PipeSink(os.dup(end.descriptor))
        stats, usage = _run(course, source, sink)
    name = f"glass, {device or 'pipe'}"
    return _result(name, source.emitted, end.arrivals, course, stats, usage)


@dataclass(slots=True)
class FarEnd:
    """The reader at the far end.

    Attributes:
        descriptor: of its standard input.
        out: the file that it notes every picture in.
        arrivals: what it noted; known once the reader has ended.
    """

    descriptor: int
    out: Path
    arrivals: list[Arrival] = field(default_factory=list)

    def sees_pictures(self) -> bool:
        """Whether a picture has come."""
        return self.out.stat().st_size > 0


@contextlib.contextmanager
def far_end(device: str | None, size: tuple[int, int]) -> Iterator[FarEnd]:
    """Runs the reader in a process of its own for as long as the block lasts.

    Args:
        device: that it reads; None: its standard input.
        size: of the pictures in a pipe.

    Yields:
        The reader, whose arrivals are known after the block.

    Raises:
        UsageError: the device has no number.
    """
    arguments = ["--size", f"{size[0]}x{size[1]}"]
    if device is not None:
        arguments += ["--device", str(device_number(device))]
    with tempfile.TemporaryDirectory(prefix="rt-swap-") as folder:
        out = Path(folder) / "arrivals.txt"
        command = [sys.executable, "-m", "realtime.bench.far_end", "--out", str(out), *arguments]
        # In a session of its own, so that Ctrl-C is ours to handle.
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            if reader.stdin is None:
                raise SinkError("far end: must have a pipe, got none.")
            _wait_ready(reader, out)
            end = FarEnd(reader.stdin.fileno(), out)
            yield end
            reader.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                reader.wait(END_S)
        finally:
            reader.kill()
            reader.wait()
        end.arrivals += parse_notes(out.read_text("ascii"))


def _wait_ready(reader: "subprocess.Popen[bytes]", out: Path) -> None:
    """Waits until the reader has begun its notes, and so can take pictures."""
    deadline_s = time.monotonic() + START_S
    while not out.exists():
        if reader.poll() is not None or time.monotonic() > deadline_s:
            raise SinkError(
                f"far end: must start within {START_S:g} s, got exit {reader.poll()}. "
                "Look above for why."
            )
        time.sleep(0.02)


def device_number(device: str) -> int:
    """The number of a device file.

    Raises:
        UsageError: it is not ``/dev/videoN``.
    """
    digits = Path(device).name.removeprefix("video")
    if not digits.isdecimal():
        raise UsageError(f"--device {device}: must be like /dev/video10.")
    return int(digits)


def title(name: str, size: tuple[int, int], period_ns: int) -> str:
    """What a measurement is called: its way, the size of its pictures and their rate."""
    return f"{name}, {size[0]}x{size[1]} at {1_000_000_000 / period_ns:.4g} Hz"


def _run(course: Course, source: Source, sink: Sink) -> tuple[Json, Json]:
    """Runs the engine; its statistics, and what it took of the machine."""
    plan = replace(course.plan, source=source, sinks=(sink,))
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    report = Pipeline(plan).run(
        stop=threading.Event(), for_ns=round(course.seconds * 1_000_000_000)
    )
    passed_s = time.monotonic() - began_s
    usage = {
        "cpu_percent": round(100 * (time.process_time() - began_cpu_s) / passed_s, 1),
        "memory_mb": report.stats["memory_mb"]["peak"],
    }
    return report.stats, usage


def _result(
    name: str,
    emitted: list[int],
    arrivals: list[Arrival],
    course: Course,
    stats: Json,
    usage: Json,
) -> Json:
    return {
        "bench": title(name, course.size, course.period_ns),
        **figures(emitted, arrivals, period_ns=course.period_ns),
        "usage": usage,
        "engine": {key: stats[key] for key in ("frames", "latency_ms", "stages", "states")},
        "machine": stats["machine"],
    }
