"""How much a swap trembles where nothing moves: a still picture with a camera's noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.models.library import ModelLibrary
from realtime.errors import MediaError
from realtime.frame import Image, PictureSpec
from realtime.job import FaceChoice
from tools.film import Film
from tools.film_motion import FilmFace, find_faces, hull_mask
from tools.film_run import LandmarkLog, Setting, film_plan, run_plan, with_log
from tools.optical_flow import Mask
from tools.steady_tally import jitter
from tools.synthetic_film import RATE_HZ, still_film

SIGMA = 4.0
"""Of the noise, in grey levels."""

SETTLE_S = 0.5
"""The beginning, in which trackers and memories settle, does not count."""


@dataclass(frozen=True, slots=True)
class StillFigures:
    """One setting on the still picture.

    Attributes:
        setting: its name.
        std: of each pixel inside the face over time, root mean square over pixels and channels,
            in grey levels.
        jitter: of the landmarks, as ``tools.steady_tally.jitter`` says.
    """

    setting: str
    std: float
    jitter: float


class SpreadSink:
    """Gathers the standard deviation in time of each value inside a mask.

    Args:
        counted: ``(H, W)``.
        num_skipped: pictures at the beginning that do not count.
    """

    def __init__(self, counted: Mask, num_skipped: int = 0) -> None:
        self._counted = counted
        self._num_left_out = num_skipped
        self._num = 0
        self._first: NDArray[np.float64] | None = None
        self._sum: NDArray[np.float64] = np.zeros(0)
        self._squares: NDArray[np.float64] = np.zeros(0)

    @property
    def std(self) -> float:
        """Root mean square over all values of their standard deviations; NaN of no picture."""
        if self._num == 0:
            return math.nan
        variance = self._squares / self._num - np.square(self._sum / self._num)
        return math.sqrt(max(0.0, float(variance.mean())))

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of the mask's size."""

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Adds one picture."""
        if self._num_left_out > 0:
            self._num_left_out -= 1
            return
        values = image[self._counted].astype(np.float64)
        if self._first is None:
            self._first = values
            self._sum, self._squares = np.zeros_like(values), np.zeros_like(values)
        # Against the first picture, so that squares stay small and exact.
        apart = values - self._first
        self._sum += apart
        self._squares += np.square(apart)
        self._num += 1

    def close(self) -> None:
        """Keeps what was gathered."""


def run_still(
    picture: Image,
    faces: tuple[FaceChoice, ...],
    settings: Sequence[Setting],
    library: ModelLibrary,
    *,
    seconds: float,
) -> list[StillFigures]:
    """Shows the engine a still picture with noise, once under each setting.

    Args:
        picture: ``(H, W, 3) u8 BGR`` with a face.
        faces: pictures of the person to be put in; none for the built-in one.
        settings: of the engine.
        library: its models.
        seconds: length of the film, above ``SETTLE_S``.

    Raises:
        MediaError: the picture shows no face.
        RtSwapError, ModelError: the engine failed.
    """
    film = still_film(picture, sigma=SIGMA, num_frames=round(seconds * RATE_HZ))
    clean = Film("still", [picture], film.times_ns[:1], film.rate_hz)
    (known,) = find_faces(clean, library)
    if known is None:
        raise MediaError("--still: the picture must show a face, got none. Use another one.")
    return [_run(film, known, faces, setting, library) for setting in settings]


def _run(
    film: Film,
    known: FilmFace,
    faces: tuple[FaceChoice, ...],
    setting: Setting,
    library: ModelLibrary,
) -> StillFigures:
    num_settling = round(SETTLE_S * RATE_HZ)
    everywhere = [known] * len(film.pictures)
    log = LandmarkLog(film, everywhere)
    sink = SpreadSink(hull_mask(known.landmarks, film.spec.width, film.spec.height), num_settling)
    plan = with_log(film_plan(film, faces, setting.config, library), log)
    run_plan(replace(plan, sinks=(sink,)))
    settled = {number: trace for number, trace in log.traces.items() if number >= num_settling}
    return StillFigures(setting.name, sink.std, jitter(settled, everywhere))
