"""How a swap holds up while a head turns from one side to the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engines.models.face_finder import FaceFinder, open_face_finder
from engines.models.library import ModelLibrary
from realtime.config import Config
from realtime.frame import Image, Points
from realtime.head_motion import HeadState
from realtime.job import FaceChoice
from realtime.sighting import believable
from tools.film_motion import FilmFace, eye_distance_px, hull_mask
from tools.film_run import Recording, film_plan, record
from tools.optical_flow import Mask
from tools.synthetic_film import RATE_HZ, ScriptedFilm, scripted_film
from tools.tally import mean, numbers

_MIN_SCORE = 0.5
_NS_PER_S = 1_000_000_000

_YAW_DIGITS = 3
"""Times are whole nanoseconds: 60 degrees would be a little more than 60 otherwise."""


@dataclass(frozen=True, slots=True)
class YawSweep:
    """A head that turns from the camera to one side, to the other side and back, at one speed.

    Attributes:
        most: degrees to either side, above 0.
        speed: degrees per second, above 0.
    """

    most: float
    speed: float

    @property
    def seconds(self) -> float:
        """How long it takes until the head is back."""
        return 4.0 * self.most / self.speed

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        gone = self.speed * media_ns / _NS_PER_S % (4.0 * self.most)
        # First to the left edge of the picture: a triangle wave that begins at rest.
        yaw = abs((gone + 3.0 * self.most) % (4.0 * self.most) - 2.0 * self.most) - self.most
        return HeadState(yaw=-yaw)


@dataclass(frozen=True, slots=True)
class SweepFrame:
    """One picture of a sweep; NaN where a figure could not be got.

    Attributes:
        yaw: of the head as it was drawn, degrees.
        input_change, output_change: mean absolute difference from the picture before, in the face
            of either of the two, in grey levels.
        landmark_error: mean distance of the landmarks found in the output from those found in the
            input, over the distance between the eyes of the head at rest, which looks ahead.
        seen_error: the same over the distance between the eyes as it is seen, which a turn
            shortens.
        seen: whether the engine saw the face.
    """

    yaw: float
    input_change: float
    output_change: float
    landmark_error: float
    seen_error: float
    seen: bool

    @property
    def change_ratio(self) -> float:
        """Change of the output over that of the input."""
        return self.output_change / self.input_change


def run_sweep(
    sweep: YawSweep,
    faces: tuple[FaceChoice, ...],
    config: Config,
    library: ModelLibrary,
) -> tuple[tuple[SweepFrame, ...], ScriptedFilm, Recording]:
    """Shows the engine a head that turns, and measures what comes out.

    Args:
        sweep: what the head does.
        faces: pictures of the person to be put in; none for the built-in one.
        config: of the engine; pictures are of ``camera.size``.
        library: has the models.

    Returns:
        The figures of each picture from the second one on, the film, and the engine's pictures.

    Raises:
        RtSwapError, ModelError: the engine failed.
    """
    scripted = scripted_film(
        "yaw sweep",
        sweep,
        num_frames=round(sweep.seconds * RATE_HZ) + 1,
        size=config.camera.size,
        library=library,
    )
    truths = [truth.landmarks[:, :2] for truth in scripted.truths]
    known = [FilmFace(0, points, eye_distance_px(points)) for points in truths]
    run = record(film_plan(scripted.film, faces, config, library), scripted.film, known)
    with open_face_finder(library.session) as finder:
        errors = _landmark_errors(finder, scripted, run.pictures)
    return tuple(_frames(sweep, scripted, run, errors)), scripted, run


def _frames(
    sweep: YawSweep, scripted: ScriptedFilm, run: Recording, errors: Sequence[float]
) -> list[SweepFrame]:
    pictures = scripted.film.pictures
    at_rest_px = eye_distance_px(scripted.truths[0].landmarks)
    hulls = [
        hull_mask(truth.landmarks, pictures[0].shape[1], pictures[0].shape[0])
        for truth in scripted.truths
    ]
    frames = []
    for before, now in pairwise(range(len(pictures))):
        face = hulls[before] | hulls[now]
        eyes_px = eye_distance_px(scripted.truths[now].landmarks)
        frames.append(
            SweepFrame(
                yaw=round(sweep.at(scripted.film.times_ns[now]).yaw, _YAW_DIGITS),
                input_change=_change(pictures[before], pictures[now], face),
                output_change=_change(run.pictures[before], run.pictures[now], face),
                landmark_error=errors[now] / at_rest_px,
                seen_error=errors[now] / eyes_px,
                seen=now in run.traces,
            )
        )
    return frames


def _change(before: Image, now: Image, face: Mask) -> float:
    """Mean absolute difference of two pictures in a part of them, in grey levels."""
    return float(np.abs(before[face].astype(np.int16) - now[face]).mean())


def _landmark_errors(
    finder: FaceFinder, scripted: ScriptedFilm, outputs: Sequence[Image]
) -> list[float]:
    """Mean distance in pixels between the landmarks found in input and output, NaN for none."""
    errors = []
    for picture, output, truth in zip(
        scripted.film.pictures, outputs, scripted.truths, strict=True
    ):
        found = [_find(finder, image, truth.landmarks) for image in (picture, output)]
        errors.append(_distance_px(*found))
    return errors


def _find(finder: FaceFinder, image: Image, truth: Points) -> Points | None:
    """The landmarks of the face near where one must be; without memory of the picture before.

    The network's answer depends on the crop it is shown, so input and output are shown in the same
    one, the one that the true landmarks ask for. Looked for again and again from where they were
    found, the landmarks of a head turned far drift off it, in the input as well.
    """
    height_px, width_px = image.shape[:2]
    seen = believable(truth, 1.0, width_px=width_px, height_px=height_px)
    face = seen and finder.look(image, seen.square, min_score=_MIN_SCORE)
    return face.landmarks if face else None


def _distance_px(a: Points | None, b: Points | None) -> float:
    if a is None or b is None:
        return math.nan
    return float(np.linalg.norm(a[:, :2] - b[:, :2], axis=1).mean())


@dataclass(frozen=True, slots=True)
class Band:
    """The pictures of a sweep between two yaws.

    Attributes:
        low, high: degrees to either side, the first one inclusive.
        frames: how many pictures.
        unseen: on how many of them the engine saw no face.
        missing: on how many no landmarks were found in the output.
        input_change: mean change of the input, grey levels.
        ratio, worst_ratio: change of the output over that of the input, mean and largest.
        error, worst_error: of the landmarks, over the distance between the eyes at rest.
        worst_seen: of the landmarks, over that distance as it is seen.
    """

    low: float
    high: float
    frames: int
    unseen: int
    missing: int
    input_change: float
    ratio: float
    worst_ratio: float
    error: float
    worst_error: float
    worst_seen: float


def band(frames: Sequence[SweepFrame], low: float, high: float) -> Band:
    """Gathers the pictures whose yaw lies between two values, to either side."""
    own = [frame for frame in frames if low <= abs(frame.yaw) < high]
    ratios = [frame.change_ratio for frame in own]
    errors = numbers(frame.landmark_error for frame in own)
    as_seen = numbers(frame.seen_error for frame in own)
    return Band(
        low=low,
        high=high,
        frames=len(own),
        unseen=sum(not frame.seen for frame in own),
        missing=len(own) - len(errors),
        input_change=mean([frame.input_change for frame in own]),
        ratio=mean(ratios),
        worst_ratio=max(ratios, default=math.nan),
        error=mean(errors),
        worst_error=max(errors, default=math.nan),
        worst_seen=max(as_seen, default=math.nan),
    )
