"""``rt-swap demo``: the whole engine on the built-in camera and face, and a sheet to look at."""

from collections.abc import Collection
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from realtime.app import Outcome, run
from realtime.config import load_config
from realtime.contact_sheet import Moments, draw_sheet
from realtime.errors import EngineError, SinkError
from realtime.frame import Image, PictureSpec
from realtime.job import synthetic_job
from realtime.metrics import Json
from realtime.provenance.seal import Seal
from realtime.signals import StopSignals
from realtime.sinks.picture import PictureFile
from realtime.terminal import Terminal

VIDEO_NAME = "demo.mp4"
SHEET_NAME = "demo.png"

NUM_PAIRS = 4


def run_demo(
    folder: Path, seconds: float, stats: Path | None, terminal: Terminal, signals: StopSignals
) -> Outcome:
    """Swaps a face on the synthetic camera and writes a video and a contact sheet.

    The video plays at the camera's rate on any machine, as its pictures do not come at a pace of
    their own; how fast they were made is among the figures.

    Args:
        folder: receives ``demo.mp4`` and ``demo.png``; older ones are written over.
        seconds: length of the video.
        stats: file for the figures; None: none.
        terminal: the person's side.
        signals: what ends the demo early.

    Raises:
        EngineError: no frame was swapped.
        RtSwapError, ModelError: as ``realtime.app.run``.
    """
    if not folder.is_dir():
        raise SinkError(f"--out {folder}: must be a folder that exists. Make it, or name another.")
    job = synthetic_job(seconds, output=folder / VIDEO_NAME, stats=stats)
    span_ns = round(seconds * 1_000_000_000)
    moments = Moments([span_ns * (2 * n + 1) // (2 * NUM_PAIRS) for n in range(NUM_PAIRS)])
    outcome = run(job, load_config(), terminal, signals, moments=moments)
    if moments.pairs:
        _write_sheet(draw_sheet(moments.pairs), folder / SHEET_NAME, outcome.seal)
        terminal.line(describe_work(outcome.stats, {moments.before.name, moments.after.name}))
        terminal.line(f"look at {folder / VIDEO_NAME} and {folder / SHEET_NAME}")
    elif outcome.exit_code == 0:
        raise EngineError("demo: a face must be swapped in the synthetic camera, got none.")
    return outcome


def _write_sheet(sheet: Image, path: Path, seal: Seal) -> None:
    """Writes the sheet, which says what made it as every other picture does."""
    height, width = sheet.shape[:2]
    with closing(PictureFile(path, force=True, seal=seal)) as file:
        file.open(PictureSpec(width, height, Fraction(1), live=False))
        file.send(sheet, 0)


def describe_work(stats: Json, besides: Collection[str]) -> str:
    """How long each part of the engine worked on a frame, in one line.

    Args:
        stats: of a run.
        besides: names of stages that belong to the demo and not to the engine.
    """
    parts = (
        f"{name} {times['worked_ms']['p50']:.1f}"
        for name, times in stats["stages"].items()
        if name not in besides
    )
    return f"median ms for each frame: {', '.join(parts)}"
