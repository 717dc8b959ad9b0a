"""The engine run on clips with its seams looked at: see ``tools.seam`` for what is measured."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from engines.models.library import ModelLibrary
from realtime.job import FaceChoice
from realtime.metrics import Json
from tools.drawn_log import DrawnLog
from tools.film import Film
from tools.film_run import Recorder, Setting, film_plan, run_plan
from tools.seam import SeamFigures, measure_seam
from tools.tally import mean, numbers
from tools.verdict import Bar, bar_line, without_nan

MAX_SEAM_RATIO = 0.5
MAX_RING_MEAN, MAX_RING_WORST = 4.0, 8.0

PLAIN = ("composite.blend=feather", "composite.color=off", "composite.light=false")
"""What turns the fitting off: plain feathering."""


@dataclass(frozen=True, slots=True)
class SeamResult:
    """One clip with one face under one setting, over its measured frames.

    Attributes:
        face, clip, setting: names.
        frames: how many were measured.
        gradient, difference, ring: means of ``SeamFigures``.
    """

    face: str
    clip: str
    setting: str
    frames: int
    gradient: float
    difference: float
    ring: float

    @property
    def energy(self) -> float:
        """The gradient per grey level of difference."""
        return self.gradient / self.difference if self.difference else math.nan


def run_seams(
    films: Iterable[Film],
    faces: Mapping[str, FaceChoice],
    settings: Sequence[Setting],
    library: ModelLibrary,
    every: int,
) -> Iterator[SeamResult]:
    """Swaps every face into every film under every setting and measures the seams.

    Raises:
        RtSwapError, ModelError: a face cannot be used, or the engine failed.
    """
    for film in films:
        for name, choice in faces.items():
            for setting in settings:
                figures = _measure(film, choice, setting, library, every)
                yield SeamResult(
                    name,
                    film.name,
                    setting.name,
                    len(figures),
                    mean([f.gradient for f in figures]),
                    mean(numbers(f.difference for f in figures)),
                    mean(numbers(f.ring for f in figures)),
                )


def _measure(
    film: Film, choice: FaceChoice, setting: Setting, library: ModelLibrary, every: int
) -> list[SeamFigures]:
    log, recorder = DrawnLog(frozenset(film.times_ns[::every])), Recorder()
    plan = film_plan(film, (choice,), setting.config, library, show_label=False)
    run_plan(replace(log.watching(plan), sinks=(recorder,)))
    before = dict(zip(film.times_ns, film.pictures, strict=True))
    measured = [
        measure_seam(before[at_ns], face.drawn, face.mask, recorder.pictures[at_ns], face.width_px)
        for at_ns, face in sorted(log.faces.items())
        if at_ns in recorder.pictures
    ]
    return [figures for figures in measured if figures is not None]


def seam_bars(results: Sequence[SeamResult], plain: str) -> tuple[Bar, ...]:
    """Holds the results to the bars.

    The seam's gradients are compared pair by pair with those of plain feathering, whose
    differences between face and picture are the same ones.

    Args:
        results: of the setting that is judged, and of plain feathering.
        plain: name of the latter.
    """
    own = [result for result in results if result.setting != plain]
    other = {(r.face, r.clip): r.energy for r in results if r.setting == plain}
    ratios = [result.energy / other[result.face, result.clip] for result in own]
    rings = numbers(result.ring for result in own)
    clips = {result.clip for result in own}
    by_clip = [mean(numbers(r.ring for r in own if r.clip == clip)) for clip in sorted(clips)]
    return (
        Bar("seam energy over feathering's, mean", mean(numbers(ratios)), MAX_SEAM_RATIO, True),
        Bar("ring CIEDE2000, mean", mean(rings), MAX_RING_MEAN, True),
        Bar(
            "ring CIEDE2000, worst clip",
            max(numbers(by_clip), default=math.nan),
            MAX_RING_WORST,
            True,
        ),
    )


def describe_seams(results: Sequence[SeamResult], plain: str) -> str:
    """A table of every pair and the bars; for people."""
    lines = [_row(result) for result in results]
    return "\n".join([*lines, "", *(bar_line(bar) for bar in seam_bars(results, plain))])


def seams_as_json(results: Sequence[SeamResult], plain: str) -> Json:
    """The figures of every pair and the bars; null stands for what could not be measured."""
    bars = seam_bars(results, plain)
    return {
        "seams": [without_nan({**asdict(r), "energy": r.energy}) for r in results],
        "bars": [without_nan({**asdict(bar), "passed": bar.passed}) for bar in bars],
        "passed": all(bar.passed for bar in bars),
    }


def _row(result: SeamResult) -> str:
    return (
        f"{result.face[:18]:18} × {result.clip[:26]:26} {result.setting[:10]:10} "
        f"{result.frames:4} frames  gradient {result.gradient:5.2f}  "
        f"difference {result.difference:5.1f}  energy {result.energy:6.4f}  ring {result.ring:5.2f}"
    )
