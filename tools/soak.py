"""Whether a process stays as it is over a long run: ``python -m tools.soak --minutes 30``.

The whole engine runs from the synthetic camera to nowhere, as fast as it goes. Memory, open files
and threads are read with every tick of the engine, beside the number of frames done; a line
through what comes after the warm-up says how much memory grows. ``--starts 100`` builds, runs and
closes the engine so often instead, and reads them after each; there the memory that is judged is
what is in use (``tools.memory_in_use``), for what the allocator keeps beyond that differs by more
than a leak would take. Resident memory stands beside it. Returns 1 where something grows.
"""

import argparse
import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import Config, load_config
from realtime.device import limit_threads
from realtime.errors import RtSwapError, UsageError
from realtime.job import synthetic_job
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.machine import num_threads, open_descriptors, resident_bytes
from realtime.memory import give_back_freed
from realtime.metrics import Json, Snapshot
from realtime.pipeline import Pipeline, Report
from tools.json_file import write_json
from tools.memory_in_use import settle_names, used_bytes

WARM_UP_SHARE = 0.2
"""The first part of a run, in which buffers and code are touched for the first time."""

MB_BYTES = 1_000_000
MIN_SAMPLES = 3
MIN_FRAMES = 100
MIN_STARTS = 5

FRAMES_EACH = 20
"""Frames between a start and the stop after it."""

MOST_MB = 1.0
"""Growth that counts as none, in ten minutes or in a hundred starts."""

TEN_MINUTES_S = 600.0
MIN_JUDGED_S = TEN_MINUTES_S / 2
"""Shorter runs are not judged by their memory: what the allocator does at random would decide."""

ENDLESS_FRAMES = 10**9

THREAD_END_S = 5.0
"""How long a thread may take to end after the stop."""


@dataclass(slots=True)
class Samples:
    """What the process uses over the course of a run.

    Attributes:
        num_done: what had been done, one entry for each sample: frames, or starts.
        memory_mb: resident memory at that moment.
        seconds: since the first sample.
        descriptors: open files, sockets and devices.
        threads: of the process.
    """

    num_done: list[int] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def add(
        self,
        num_done: int,
        resident_bytes: int,
        *,
        seconds: float = 0.0,
        descriptors: int = 0,
        threads: int = 0,
    ) -> None:
        """Notes one reading."""
        self.num_done.append(num_done)
        self.memory_mb.append(resident_bytes / MB_BYTES)
        self.seconds.append(seconds)
        self.descriptors.append(descriptors)
        self.threads.append(threads)

    def after(self, num_done: float) -> "Samples":
        """The readings from this number on."""
        first = next((n for n, done in enumerate(self.num_done) if done >= num_done), None)
        if first is None:
            return Samples()
        return Samples(
            self.num_done[first:],
            self.memory_mb[first:],
            self.seconds[first:],
            self.descriptors[first:],
            self.threads[first:],
        )

    def slope_mb(self) -> float:
        """Growth for each 1000 frames or starts in MB: the straight line with the least squares.

        Raises:
            UsageError: there are too few readings.
        """
        return 1000 * self._slope_mb(self.num_done)

    def slope_mb_in_ten_minutes(self) -> float:
        """The same for ten minutes.

        Raises:
            UsageError: there are too few readings.
        """
        return TEN_MINUTES_S * self._slope_mb(self.seconds)

    def _slope_mb(self, over: Sequence[float]) -> float:
        if len(self.num_done) < MIN_SAMPLES:
            raise UsageError(
                f"--frames: the run must last long enough for {MIN_SAMPLES} readings after its "
                f"warm-up, got {len(self.num_done)}. Ask for more frames."
            )
        slope, _ = np.polyfit(np.array(over, np.float64), np.array(self.memory_mb), 1)
        return float(slope)


class Meter:
    """Reads what the process uses."""

    def __init__(self) -> None:
        self.samples = Samples()
        self._began_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the meter was made."""
        return time.monotonic() - self._began_s

    def read(self, num_done: int, memory_bytes: int | None = None) -> None:
        """Notes what it is now.

        Args:
            num_done: what had been done.
            memory_bytes: None: what is resident.
        """
        self.samples.add(
            num_done,
            resident_bytes() if memory_bytes is None else memory_bytes,
            seconds=self.seconds,
            descriptors=open_descriptors(),
            threads=num_threads(),
        )


def soak(config: Config, library: ModelLibrary, num_frames: int, seconds: float | None) -> Json:
    """Runs the engine over so many frames, or so long.

    Args:
        config: of the engine.
        library: has everything the synthetic camera and the finder need.
        num_frames: pictures of the synthetic camera.
        seconds: end after this time; None: after the pictures.

    Returns:
        ``memory_mb {first, last, peak, growth_per_1000_frames, growth_in_ten_minutes}``,
        ``descriptors`` and ``threads {first, last, peak}`` of the time after the warm-up, ``flat``
        and the statistics of the run.

    Raises:
        UsageError: the run was too short.
        EngineError, ModelError: the run failed.
    """
    meter, stop = Meter(), threading.Event()

    def look(snapshot: Snapshot) -> None:
        meter.read(snapshot.frames.captured - snapshot.frames.in_flight)
        if seconds is not None and meter.seconds >= seconds:
            stop.set()

    report = _run(config, library, num_frames, stop, look)
    steady = meter.samples.after(WARM_UP_SHARE * meter.samples.num_done[-1])
    figures = _figures(steady)
    figures["memory_mb"]["growth_per_1000_frames"] = round(steady.slope_mb(), 3)
    growth_mb = steady.slope_mb_in_ten_minutes()
    figures["memory_mb"]["growth_in_ten_minutes"] = round(growth_mb, 3)
    spans_enough = steady.seconds[-1] - steady.seconds[0] >= MIN_JUDGED_S
    is_flat = keeps_handles(steady) and not (spans_enough and growth_mb >= MOST_MB)
    return {**report.stats, **figures, "seconds": round(meter.seconds, 1), "flat": is_flat}


def start_often(config: Config, library: ModelLibrary, num_starts: int) -> Json:
    """Builds, runs and closes the engine so often.

    Args:
        config: of the engine.
        library: has everything the synthetic camera and the finder need.
        num_starts: how often.

    Returns:
        As ``soak``, without the statistics; ``memory_mb`` is what is in use, with
        ``growth_per_100_starts``, and ``resident_mb`` what is resident.

    Raises:
        EngineError, ModelError: a run failed.
    """
    settle_names()
    meter, resident = Meter(), Meter()
    for number in range(num_starts):
        _run(config, library, FRAMES_EACH, threading.Event(), None)
        _wait_for_threads()
        gc.collect()
        # As the program does when a run is over; what stays resident is what a host is left with.
        give_back_freed()
        resident.read(number + 1)
        meter.read(number + 1, used_bytes())
    steady = meter.samples.after(WARM_UP_SHARE * num_starts)
    figures = _figures(steady)
    figures["resident_mb"] = _course(resident.samples.after(steady.num_done[0]).memory_mb)
    growth_mb = steady.slope_mb() / 10
    figures["memory_mb"]["growth_per_100_starts"] = round(growth_mb, 3)
    is_flat = keeps_handles(steady) and growth_mb < MOST_MB
    return {**figures, "starts": num_starts, "seconds": round(meter.seconds, 1), "flat": is_flat}


def _run(
    config: Config,
    library: ModelLibrary,
    num_frames: int,
    stop: threading.Event,
    look: Callable[[Snapshot], None] | None,
) -> Report:
    job = synthetic_job(float(num_frames / config.camera.rate_hz))
    return Pipeline(build_plan(job, config, library)).run(stop=stop, on_tick=look)


def _wait_for_threads() -> None:
    """Gives threads that were told to end the time to do so: on their way out they are no leak."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(THREAD_END_S)


def _figures(steady: Samples) -> Json:
    return {
        "memory_mb": _course(steady.memory_mb),
        "descriptors": _course(steady.descriptors),
        "threads": _course(steady.threads),
    }


def _course(values: Sequence[float]) -> Json:
    return {
        "first": round(values[0], 1),
        "last": round(values[-1], 1),
        "peak": round(max(values), 1),
    }


def keeps_handles(steady: Samples) -> bool:
    """Whether files and threads at the end are no more than after the warm-up."""
    middle = len(steady.num_done) // 2
    return all(
        max(values[middle:]) <= max(values[: middle + 1])
        for values in (steady.descriptors, steady.threads)
    )


def describe(result: Json) -> str:
    """The figures that matter, in a few lines."""
    if "frames" in result:
        frames = result["frames"]
        names = ("delivered", "dropped_stale", "dropped_overrun", "failed")
        ends = sum(frames[end] for end in names)
        done = (
            f"{frames['captured']} frames captured, {ends} accounted for, "
            f"{frames['failed']} failed, {result['fps']:.1f} fps"
        )
    else:
        done = f"{result['starts']} starts and stops"
    memory = result["memory_mb"]
    growth = ", ".join(
        f"{memory[key]:+.3f} MB {key.removeprefix('growth_').replace('_', ' ')}"
        for key in memory
        if key.startswith("growth_")
    )
    lines = [
        f"{done}, {result['seconds']:.0f} s",
        f"memory {memory['first']:.1f} MB after the warm-up, {memory['last']:.1f} MB at the end, "
        f"peak {memory['peak']:.1f} MB, {growth}",
    ]
    if "resident_mb" in result:
        resident = result["resident_mb"]
        lines.append(
            f"resident {resident['first']:.1f} MB after the warm-up, {resident['last']:.1f} MB at "
            f"the end, peak {resident['peak']:.1f} MB"
        )
    lines += [
        f"{name} {result[name]['first']} after the warm-up, {result[name]['last']} at the end, "
        f"peak {result[name]['peak']}"
        for name in ("descriptors", "threads")
    ]
    return "\n".join([*lines, "flat" if result["flat"] else "NOT FLAT"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="Whether a process stays as it is.")
    parser.add_argument("--frames", type=int, default=10_000, help="length of the run")
    parser.add_argument("--minutes", type=float, help="length of the run instead of --frames")
    parser.add_argument("--starts", type=int, help="start and stop so often instead")
    parser.add_argument("--size", default="640x360", help="of the pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    try:
        if options.frames < MIN_FRAMES:
            raise UsageError(f"--frames: must be at least {MIN_FRAMES}, got {options.frames}.")
        if options.starts is not None and options.starts < MIN_STARTS:
            raise UsageError(f"--starts: must be at least {MIN_STARTS}, got {options.starts}.")
        config = load_config(settings=[f"camera.size={options.size}"])
        limit_threads(config.device.threads)
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        if options.starts is not None:
            result = start_often(config, library, options.starts)
        elif options.minutes is not None:
            result = soak(config, library, ENDLESS_FRAMES, 60 * options.minutes)
        else:
            result = soak(config, library, options.frames, None)
        result = {"size": options.size, **result}
        print(describe(result))
        if options.json is not None:
            write_json(result, options.json)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if result["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
