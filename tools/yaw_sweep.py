"""Whether a swap holds while the head turns from side to side: ``python -m tools.yaw_sweep``.

The built-in camera's head turns from the camera to one side, to the other and back. Held against
each other are how much the output changes from picture to picture and how much the input does, and
where landmarks are found in both. The target's landmarks are those that the network finds in the
input, for that is all a judge has who knows no truth; it looks at the output in the same square.
Their mean distance counts in distances between the eyes of the head at rest, and no picture up to
60 degrees may exceed the bar. Pictures are of ``camera.size``. Exits with 1 if a bar is missed.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.contact_sheet import Pair, draw_sheet, write_picture
from realtime.device import limit_threads
from realtime.errors import RtSwapError
from realtime.job import FaceChoice
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.metrics import Json
from tools.film_run import Recording
from tools.json_file import write_json
from tools.sweep_run import Band, SweepFrame, YawSweep, band, run_sweep
from tools.synthetic_film import ScriptedFilm
from tools.tally import mean
from tools.verdict import Bar, bar_line, without_nan

BAR_MISSED = 1
MAX_CHANGE_RATIO = 1.5
MAX_ERROR = 0.06
MAX_ERROR_YAW = 60.0
"""Degrees up to which the landmarks are held to that."""

EDGES = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
"""Degrees between which pictures are taken together."""

_SHEET_YAWS = (0.0, 20.0, 35.0, 50.0, 60.0, 70.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (0.0 < options.most < 90.0 and options.speed > 0.0):
        parser.error("--most must lie between 0 and 90 degrees, --speed above 0")
    faces = tuple(FaceChoice(path) for path in options.face)
    try:
        config = load_config(options.config, options.set)
        limit_threads(config.device.threads)
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        sweep = YawSweep(options.most, options.speed)
        frames, scripted, run = run_sweep(sweep, faces, config, library)
        if options.sheet is not None:
            write_picture(draw_sheet(_moments(frames, scripted, run)), options.sheet)
        bars = sweep_bars(frames)
        print("\n".join([describe(bands(frames)), "", *(bar_line(bar) for bar in bars)]))
        if options.json is not None:
            write_json(as_json(frames), options.json)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if all(bar.passed for bar in bars) else BAR_MISSED


def bands(frames: Sequence[SweepFrame]) -> list[Band]:
    """The pictures by how far the head is turned; bands without any are left out."""
    found = [band(frames, low, high) for low, high in pairwise(EDGES)]
    return [one for one in found if one.frames]


def sweep_bars(frames: Sequence[SweepFrame]) -> tuple[Bar, ...]:
    """No picture may change too much, none be without its face, and no face be out of shape."""
    held = [frame for frame in frames if abs(frame.yaw) <= MAX_ERROR_YAW]
    errors = [frame.landmark_error for frame in held]
    known = [error for error in errors if not math.isnan(error)]
    return (
        Bar(
            "change of the output over the input's, worst picture",
            max((frame.change_ratio for frame in frames), default=math.nan),
            MAX_CHANGE_RATIO,
            True,
        ),
        Bar("pictures without the face", float(sum(not f.seen for f in frames)), 0.0, True),
        Bar(f"landmarks lost up to {MAX_ERROR_YAW:g}°", len(errors) - len(known), 0.0, True),
        Bar(f"landmark error up to {MAX_ERROR_YAW:g}°, mean", mean(known), MAX_ERROR, True),
        Bar(
            f"landmark error up to {MAX_ERROR_YAW:g}°, worst picture",
            max(known, default=math.nan),
            MAX_ERROR,
            True,
        ),
    )


def describe(found: Sequence[Band]) -> str:
    """One line for each band."""
    head = ("yaw", "frames", "unseen", "input", "ratio", "worst", "error", "worst", "as seen")
    lines = [" ".join(f"{name:>8}" for name in head)]
    for one in found:
        cells = (
            f"{one.low:g}-{one.high:g}",
            str(one.frames),
            str(one.unseen),
            f"{one.input_change:.2f}",
            f"{one.ratio:.2f}",
            f"{one.worst_ratio:.2f}",
            f"{one.error:.3f}",
            f"{one.worst_error:.3f}",
            f"{one.worst_seen:.3f}",
        )
        lines.append(" ".join(f"{cell:>8}" for cell in cells))
    return "\n".join(lines)


def as_json(frames: Sequence[SweepFrame]) -> Json:
    """The figures of every picture, and the bars; null where none could be got."""
    found = sweep_bars(frames)
    return {
        "frames": [
            without_nan({**asdict(frame), "change_ratio": frame.change_ratio}) for frame in frames
        ],
        "bars": [without_nan({**asdict(bar), "passed": bar.passed}) for bar in found],
        "passed": all(bar.passed for bar in found),
    }


def _moments(frames: Sequence[SweepFrame], scripted: ScriptedFilm, run: Recording) -> list[Pair]:
    """Input and output at some yaws to both sides, the first time the head comes by."""
    yaws = np.array([frame.yaw for frame in frames])
    wanted = sorted({sign * yaw for yaw in _SHEET_YAWS for sign in (-1.0, 1.0)})
    numbers = [1 + int(np.abs(yaws - yaw).argmin()) for yaw in wanted]
    return [(scripted.film.pictures[n], run.pictures[n]) for n in numbers]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Whether a swap holds while a head turns.")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--face", action="append", type=Path, default=[], metavar="PICTURE")
    parser.add_argument("--most", type=float, default=75.0, metavar="DEGREES", help="to each side")
    parser.add_argument("--speed", type=float, default=45.0, metavar="DEGREES", help="per second")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="input above output")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
