"""Whether memory stays flat over a long run: ``python -m tools.soak --frames 10000``.

The whole engine runs from the synthetic camera to nowhere, as fast as it goes. Its memory is read
with every tick of the engine, beside the number of frames done; a line through what comes after
the warm-up says how much it grows.
"""

import argparse
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import load_config
from realtime.device import limit_threads
from realtime.errors import RtSwapError, UsageError
from realtime.job import synthetic_job
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.machine import resident_bytes
from realtime.metrics import Json, Snapshot
from realtime.pipeline import Pipeline
from tools.json_file import write_json

WARM_UP_SHARE = 0.2
"""The first part of a run, in which buffers and code are touched for the first time."""

MB_BYTES = 1_000_000
MIN_SAMPLES = 3
MIN_FRAMES = 100


@dataclass(slots=True)
class Samples:
    """Memory over the course of a run.

    Attributes:
        num_done: frames that had left the engine, one entry for each sample.
        memory_mb: resident memory at that moment.
    """

    num_done: list[int] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def add(self, num_done: int, resident_bytes: int) -> None:
        """Notes one reading."""
        self.num_done.append(num_done)
        self.memory_mb.append(resident_bytes / MB_BYTES)

    def after(self, num_frames: float) -> "Samples":
        """The readings from this number of frames on."""
        first = next((n for n, done in enumerate(self.num_done) if done >= num_frames), None)
        if first is None:
            return Samples()
        return Samples(self.num_done[first:], self.memory_mb[first:])

    def slope_mb(self) -> float:
        """Growth for each 1000 frames in MB: the straight line with the least squares.

        Raises:
            UsageError: there are too few readings.
        """
        if len(self.num_done) < MIN_SAMPLES:
            raise UsageError(
                f"--frames: the run must last long enough for {MIN_SAMPLES} readings after its "
                f"warm-up, got {len(self.num_done)}. Ask for more frames."
            )
        slope, _ = np.polyfit(np.array(self.num_done) / 1000, np.array(self.memory_mb), 1)
        return float(slope)


def soak(num_frames: int, size: str, library: ModelLibrary) -> Json:
    """Runs the engine over so many frames.

    Args:
        num_frames: pictures of the synthetic camera.
        size: of its pictures, ``WIDTHxHEIGHT``.
        library: has everything the synthetic camera and the finder need.

    Returns:
        ``memory_mb {first, last, peak, growth_per_1000_frames}`` of the time after the warm-up,
        and the statistics of the run.

    Raises:
        ConfigError: the size is none.
        UsageError: the run was too short.
        EngineError, ModelError: the run failed.
    """
    config = load_config(settings=[f"camera.size={size}"])
    limit_threads(config.device.threads)
    job = synthetic_job(float(num_frames / config.camera.rate_hz))
    samples = Samples()

    def look(snapshot: Snapshot) -> None:
        samples.add(snapshot.frames.captured - snapshot.frames.in_flight, resident_bytes())

    report = Pipeline(build_plan(job, config, library)).run(stop=threading.Event(), on_tick=look)
    steady = samples.after(WARM_UP_SHARE * num_frames)
    growth_mb = steady.slope_mb()
    memory = {
        "first": round(steady.memory_mb[0], 1),
        "last": round(steady.memory_mb[-1], 1),
        "peak": round(max(samples.memory_mb), 1),
        "growth_per_1000_frames": round(growth_mb, 3),
    }
    return {"size": size, **report.stats, "memory_mb": memory}


def describe(result: Json) -> str:
    """The figures that matter, in two lines."""
    frames, memory = result["frames"], result["memory_mb"]
    ends = sum(frames[end] for end in ("delivered", "dropped_stale", "dropped_overrun", "failed"))
    return (
        f"{frames['captured']} frames captured, {ends} accounted for, {frames['failed']} failed, "
        f"{result['fps']:.1f} fps\n"
        f"memory {memory['first']:.1f} MB after the warm-up, {memory['last']:.1f} MB at the end, "
        f"peak {memory['peak']:.1f} MB, {memory['growth_per_1000_frames']:+.3f} MB for each "
        "1000 frames"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="Whether memory stays flat over a long run.")
    parser.add_argument("--frames", type=int, default=10_000, help="length of the run")
    parser.add_argument("--size", default="640x360", help="of the pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    try:
        if options.frames < MIN_FRAMES:
            raise UsageError(f"--frames: must be at least {MIN_FRAMES}, got {options.frames}.")
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        result = soak(options.frames, options.size, library)
        print(describe(result))
        if options.json is not None:
            write_json(result, options.json)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
