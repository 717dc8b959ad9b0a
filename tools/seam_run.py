"""The engine run on clips with its seams looked at: see ``tools.seam`` for what is measured."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.models.library import ModelLibrary
from realtime.contact_sheet import Tap
from realtime.errors import EngineError
from realtime.face_parts import face_width_px
from realtime.frame import FaceState, Frame, Image
from realtime.job import FaceChoice
from realtime.pipeline import Plan
from realtime.stage import Stage
from realtime.stages.composite import lay
from tools.film import Film
from tools.film_run import Recorder, Setting, film_plan, run_plan
from tools.seam import Mask, SeamFigures, measure_seam
from tools.tally import mean, numbers
from tools.verdict import Bar

MAX_SEAM_RATIO = 0.5
MAX_RING_MEAN, MAX_RING_WORST = 4.0, 8.0

PLAIN = ("composite.blend=feather", "composite.color=off", "composite.light=false")
"""What turns the fitting off: plain feathering."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """The largest face of a frame as the swapper drew it.

    Attributes:
        drawn: ``(H, W, 3) u8 BGR``, the picture with the face in it wherever it covers at all.
        mask: ``(H, W) u8``, how far it covers the picture.
        width_px: of the face.
    """

    drawn: Image
    mask: Mask
    width_px: float


class DrawnLog:
    """Keeps the drawn face of each n-th picture of a film.

    Args:
        film: the input.
        every: n.
    """

    def __init__(self, film: Film, every: int) -> None:
        self._numbers = {at_ns: n for n, at_ns in enumerate(film.times_ns) if n % every == 0}
        self.faces: dict[int, DrawnFace] = {}
        """By the number of the picture."""

    def look(self, frame: Frame) -> None:
        """Keeps the frame's largest face, where it has a layer."""
        number = self._numbers.get(frame.media_ns)
        seen = [f for f in frame.faces if f.state is FaceState.SEEN and f.layer is not None]
        if number is None or not seen or seen[0].layer is None:
            return
        layer, drawn = seen[0].layer, frame.image.copy()
        covered = np.where(layer.alpha > 0, np.uint8(255), np.uint8(0))
        lay(layer.face, covered, layer.crop_from_image, out=drawn)
        mask = np.zeros_like(frame.image)
        white = np.full_like(layer.face, 255)
        lay(white, layer.alpha, layer.crop_from_image, out=mask)
        width_px = face_width_px(seen[0].landmarks)
        self.faces[number] = DrawnFace(drawn, np.ascontiguousarray(mask[..., 0]), width_px)


def with_tap(plan: Plan, tap: Stage, *, before: str) -> Plan:
    """The same plan with a stage in front of the one of a name.

    Raises:
        EngineError: there is no such stage.
    """
    if not any(stage.name == before for lane in plan.lanes for stage in lane):
        raise EngineError(f"plan: must have a stage {before!r}, got none. Swap with faces.")
    lanes = tuple(
        tuple(new for stage in lane for new in ((tap, stage) if stage.name == before else (stage,)))
        for lane in plan.lanes
    )
    return replace(plan, lanes=lanes)


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
    films: Sequence[Film],
    faces: Sequence[tuple[str, FaceChoice]],
    settings: Sequence[Setting],
    library: ModelLibrary,
    every: int,
) -> Iterator[SeamResult]:
    """Swaps every face into every film under every setting and measures the seams.

    Raises:
        RtSwapError, ModelError: a face cannot be used, or the engine failed.
    """
    for film in films:
        for name, choice in faces:
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
    log, recorder = DrawnLog(film, every), Recorder()
    plan = film_plan(film, (choice,), setting.config, library, show_label=False)
    plan = with_tap(plan, Tap("drawn log", log.look), before="blend")
    run_plan(replace(plan, sinks=(recorder,)))
    measured = []
    for number, face in sorted(log.faces.items()):
        after = recorder.pictures.get(film.times_ns[number])
        if after is not None:
            before = film.pictures[number]
            measured.append(
                measure_seam(before, face.drawn, face.mask, after, face.width_px)
            )
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
        Bar("ring CIEDE2000, worst clip", max(numbers(by_clip), default=math.nan),
            MAX_RING_WORST, True),
    )


def describe_seam(result: SeamResult) -> str:
    """One line for people."""
    return (
        f"{result.face[:18]} × {result.clip[:26]:26} {result.setting[:24]:24} "
        f"{result.frames:4} frames  gradient {result.gradient:5.2f}  "
        f"difference {result.difference:5.1f}  energy {result.energy:6.4f}  ring {result.ring:5.2f}"
    )
