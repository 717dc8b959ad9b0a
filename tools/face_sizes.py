"""What faces of different sizes cost, and how alike they are: ``python -m tools.face_sizes``.

The built-in camera's person talks, shrunk until the face is so many pixels wide, in the middle of
pictures of 1280x720. Costs are what the engine's thread computes for a frame, stage by stage: lower
quartiles, as whatever else runs on the machine only makes them larger. The likeness is judged by a
network that the engine does not use, at the points where the face was drawn.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.config import Config, load_config
from realtime.device import limit_threads
from realtime.errors import RtSwapError
from realtime.face_crops import face_crops
from realtime.five_points import five_points
from realtime.frame import Frame, Image
from realtime.geometry import apply
from realtime.head_motion import Talk
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.memory import Memory
from tools.film import Film
from tools.film_run import film_plan
from tools.json_file import write_json
from tools.judge import DEFAULT_MODELS, Embedding, Judge, open_judge
from tools.synthetic_film import RATE_HZ, ScriptedFilm, scripted_film
from tools.tally import mean
from tools.verdict import Bar, bar_line

BAR_MISSED = 1
SIZE = (1280, 720)
GROUND = 110
"""Grey level around the shrunk picture."""

_SETTLING = 15
"""Frames that are not measured, in which tables and caches fill."""

_EVERY = 5
"""Each so many frames the likeness is judged."""


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """Faces of one size.

    Attributes:
        face_px: width of the face.
        stages_ms: lower quartile of each stage's thread time.
        total_ms: of all of them.
        worked_px: side of the crop that was worked on in most frames; 0 where none was.
        source, target: mean cosine to the face that was put in and to the person's own.
    """

    face_px: int
    stages_ms: Mapping[str, float]
    total_ms: float
    worked_px: int
    source: float
    target: float

    @property
    def margin(self) -> float:
        """How much more the result looks like the given face than like the person's own."""
        return self.source - self.target


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        config = load_config(options.config, options.set)
        limit_threads(config.device.threads)
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        judge = open_judge(options.models)
        num_frames = round(options.seconds * RATE_HZ)
        talk = scripted_film("talk", Talk(), num_frames=num_frames, size=SIZE, library=library)
        found = [measure(size, talk, config, library, judge) for size in sorted(options.sizes)]
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    bars = size_bars(found)
    print("\n".join([describe(found), "", *(bar_line(bar) for bar in bars)]))
    if options.json is not None:
        write_json(
            {"sizes": [{**asdict(one), "margin": one.margin} for one in found]}, options.json
        )
    return 0 if all(bar.passed for bar in bars) else BAR_MISSED


def measure(
    face_px: int, talk: ScriptedFilm, config: Config, library: ModelLibrary, judge: Judge
) -> SizeFigures:
    """Runs the engine's stages on this thread over faces of one size.

    Raises:
        RtSwapError, ModelError: a stage cannot work.
    """
    scale = face_px / float(np.ptp(talk.truths[0].landmarks[:, 0]))
    pictures = [placed(picture, scale) for picture in talk.film.pictures]
    film = Film("faces", pictures, talk.film.times_ns, Fraction(RATE_HZ))
    plan = film_plan(film, (), config, library)
    stages = [*(stage for lane in plan.lanes for stage in lane), plan.guard]
    own, wanted = _portraits(talk, judge)
    times_ms: dict[str, list[float]] = {stage.name: [] for stage in stages}
    looks: list[Embedding] = []
    sides: list[int] = []
    with Memory() as memory, ExitStack() as opened:
        for stage in stages:
            opened.enter_context(closing(stage))
            stage.open(film.spec, memory)
        for number, picture in enumerate(pictures):
            frame = Frame(picture.copy(), seq=number, media_ns=film.times_ns[number])
            for stage in stages:
                began_ns = time.thread_time_ns()
                stage.process(frame)
                times_ms[stage.name].append((time.thread_time_ns() - began_ns) / 1e6)
            sides += [face.worked_px for face in frame.faces]
            if number >= _SETTLING and number % _EVERY == 0:
                points = apply(_about_middle(scale), five_points(talk.truths[number].landmarks))
                looks.append(judge.recogniser.embed(frame.image, points.astype(np.float32)))
    typical = {name: float(np.quantile(ms[_SETTLING:], 0.25)) for name, ms in times_ms.items()}
    return SizeFigures(
        face_px=face_px,
        stages_ms=typical,
        total_ms=sum(typical.values()),
        worked_px=int(np.median(sides)) if sides else 0,
        source=mean([float(look @ wanted) for look in looks]),
        target=mean([float(look @ own) for look in looks]),
    )


def placed(picture: Image, scale: float) -> Image:
    """A picture shrunk or enlarged about its middle, before grey where it does not reach."""
    height, width = picture.shape[:2]
    rest = _about_middle(scale)
    if scale < 1.0:
        # Averaged by a whole factor first, as sampling alone would skip pixels.
        factor = max(1, int(1.0 / scale))
        small = (width // factor, height // factor)
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        spread = np.array([width / small[0], height / small[1]])
        rest = np.column_stack([rest[:, :2] * spread, rest[:, 2] + rest[0, 0] * (spread - 1) / 2])
    shown = cv2.warpAffine(
        picture, rest, (width, height), flags=cv2.INTER_LINEAR, borderValue=(GROUND,) * 3
    )
    return np.asarray(shown, np.uint8)


def _about_middle(scale: float) -> NDArray[np.float64]:
    """``(2, 3)``: about the middle of the picture."""
    middle = (np.array(SIZE) - 1) / 2 * (1.0 - scale)
    return np.array([[scale, 0.0, middle[0]], [0.0, scale, middle[1]]])


def _portraits(talk: ScriptedFilm, judge: Judge) -> tuple[Embedding, Embedding]:
    """Whose face the film shows, and whose the built-in one is."""
    own = judge.recogniser.embed(talk.film.pictures[0], five_points(talk.truths[0].landmarks))
    given = face_crops()[0]
    face = judge.detector.detect(given)[0]
    return own, judge.recogniser.embed(given, face.points)


def size_bars(found: Sequence[SizeFigures]) -> tuple[Bar, ...]:
    """Smaller faces cost less, and every size looks more like the given face.

    Args:
        found: sizes rising.
    """
    falls = [
        Bar(
            f"cost at {small.face_px} px over that at {large.face_px} px",
            small.total_ms / large.total_ms,
            1.0,
            True,
        )
        for small, large in pairwise(found)
    ]
    margins = [Bar(f"margin at {one.face_px} px", one.margin, 0.0) for one in found]
    return (*falls, *margins)


def describe(found: Sequence[SizeFigures]) -> str:
    """One line for each size; times in milliseconds."""
    names = list(found[0].stages_ms) if found else []
    head = ["face px", "worked", *names, "all", "source", "target", "margin"]
    lines = [" ".join(f"{name:>9}" for name in head)]
    for one in found:
        times = [f"{one.stages_ms[name]:.2f}" for name in names]
        looks = [f"{value:.3f}" for value in (one.source, one.target, one.margin)]
        cells = [str(one.face_px), str(one.worked_px), *times, f"{one.total_ms:.2f}", *looks]
        lines.append(" ".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What faces of different sizes cost.")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 80, 160, 320], metavar="PX")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="for each size")
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
