"""How steady the frames of one swap are, gathered as they leave the engine."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from realtime.frame import Image, PictureSpec, Points
from tools.film import shrink
from tools.film_motion import OUTSIDE_PX, FilmFace, FilmMotion, PairMotion
from tools.film_run import LandmarkLog, Trace
from tools.measures import cheek_discs, mean_lab
from tools.optical_flow import FlowFinder, flow_distance_px
from tools.tally import mean, numbers

_NOSE_TIP = 4
_MOUTH_CORNERS = (61, 291)


@dataclass(frozen=True, slots=True)
class SteadyFigures:
    """One swap of one film, over the pairs of successive pictures that show the same person.

    Attributes:
        pairs: how many of them were measured.
        missing_pairs: those whose pictures did not both come out.
        input_error, output_error: warping error inside the face, mean over pairs (Lai et al.
            2018); both with the flow of the input and over the very same pairs.
        outside_input, outside_output: the same for everything else.
        visible: share of the face's pixels that count.
        flow_px: mean distance between the flow of the output and that of the input (tOF).
        jitter: landmarks' root mean square second difference, in distances between the eyes; on
            a moving face the acceleration of its movement is in it too.
        cheek_std: how much the cheeks' tone wanders in time against the input's, in CIELAB.
    """

    pairs: int
    missing_pairs: int
    input_error: float
    output_error: float
    outside_input: float
    outside_output: float
    visible: float
    flow_px: float
    jitter: float
    cheek_std: float

    @property
    def ratio(self) -> float:
        """Warping error inside the face, output over input."""
        return _ratio(self.output_error, self.input_error)

    @property
    def outside_ratio(self) -> float:
        """Warping error outside the face, output over input."""
        return _ratio(self.outside_output, self.outside_input)


@dataclass(frozen=True, slots=True)
class _Row:
    """One pair of pictures of the output, measured as ``SteadyFigures`` says."""

    pair: PairMotion
    inside: float
    outside: float
    flow_px: float


class SteadyTally:
    """A sink that holds each picture of a swap against the motion of its input.

    Args:
        motion: of the input.
        log: of the landmarks of the same run.
    """

    def __init__(self, motion: FilmMotion, log: LandmarkLog) -> None:
        self._motion = motion
        self._log = log
        self._index = {media_ns: n for n, media_ns in enumerate(motion.film.times_ns)}
        self._finder = FlowFinder()
        self._last: tuple[int, Image] | None = None
        self._rows: list[_Row] = []
        self._tones: list[NDArray[np.float64]] = []

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of the film's size."""

    def send(self, image: Image, media_ns: int) -> None:
        """Measures one picture of the output."""
        number = self._index.get(media_ns)
        if number is None:
            return
        last, self._last = self._last, (number, image.copy())
        pair = self._motion.pairs.get(number)
        if pair is not None and last is not None and last[0] == pair.first:
            self._rows.append(self._measure(pair, last[1], image))
        face = self._motion.faces[number]
        if face is not None:
            tone = tone_change(self._motion.film.pictures[number], image, face)
            if tone is not None:
                self._tones.append(tone)

    def close(self) -> None:
        """Keeps what was measured."""

    def figures(self) -> SteadyFigures:
        """Everything so far."""
        rows = self._rows
        tones = np.array(self._tones)
        return SteadyFigures(
            pairs=len(rows),
            missing_pairs=len(self._motion.pairs) - len(rows),
            input_error=mean(numbers(row.pair.face.error for row in rows)),
            output_error=mean(numbers(row.inside for row in rows)),
            outside_input=mean(numbers(row.pair.outside.error for row in rows)),
            outside_output=mean(numbers(row.outside for row in rows)),
            visible=mean([row.pair.visible for row in rows]),
            flow_px=mean(numbers(row.flow_px for row in rows)),
            jitter=jitter(self._log.traces, self._motion.faces),
            cheek_std=spread(tones) if len(tones) > 1 else math.nan,
        )

    def _measure(self, pair: PairMotion, first: Image, second: Image) -> _Row:
        small = [shrink(image, OUTSIDE_PX) for image in (first, second)]
        moved = self._finder.find(first[pair.face.part], second[pair.face.part])
        return _Row(
            pair,
            inside=pair.face.warp_error(first, second),
            outside=pair.outside.warp_error(small[0], small[1]),
            flow_px=flow_distance_px(moved, pair.face.flow.astype(np.float32), pair.face.seen),
        )


def jitter(traces: Mapping[int, Trace], faces: Sequence[FilmFace | None]) -> float:
    """Root mean square second difference of landmarks, in distances between the eyes.

    Args:
        traces: what the engine saw, by the number of the picture.
        faces: of the input, for the distance between the eyes.

    Returns:
        Over all points, both directions together, and all three successive pictures with one and
        the same track; NaN where there are none.
    """
    squares = []
    for number, trace in traces.items():
        before, after, face = traces.get(number - 1), traces.get(number + 1), faces[number]
        if before is None or after is None or face is None:
            continue
        if not before.track_id == trace.track_id == after.track_id:
            continue
        bend = before.landmarks - 2.0 * trace.landmarks.astype(np.float64) + after.landmarks
        squares.append(float(np.square(bend).sum(axis=1).mean()) / face.eyes_px**2)
    return math.sqrt(mean(squares)) if squares else math.nan


def spread(values: NDArray[np.float64]) -> float:
    """Standard deviation in time of vectors ``(T, N)``: root mean square distance to their mean."""
    return float(np.sqrt(np.square(values - values.mean(axis=0)).sum(axis=1).mean()))


def tone_change(before: Image, after: Image, face: FilmFace) -> NDArray[np.float64] | None:
    """What the swap added to the cheeks' tone in CIELAB, ``(3,)``; None if they are not in sight.

    The patches are those of ``tools.measures.cheek_distance``.
    """
    discs = cheek_discs(_five_points(face.landmarks), before.shape[1], before.shape[0])
    if not discs:
        return None
    changes = [mean_lab(after, *disc) - mean_lab(before, *disc) for disc in discs]
    return np.asarray(np.mean(changes, axis=0), np.float64)


def _five_points(landmarks: Points) -> Points:
    """Eyes, nose and corners of the mouth, as a detector gives them: ``(5, 2)``."""
    eyes = [landmarks[list(ring)].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE)]
    return np.array([*eyes, landmarks[_NOSE_TIP], *landmarks[list(_MOUTH_CORNERS)]], np.float32)


def _ratio(output: float, film: float) -> float:
    """NaN where the input has no error to compare with."""
    return output / film if film > 0 else math.nan
