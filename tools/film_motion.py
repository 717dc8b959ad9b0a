"""How the face of a film moves: found once, then held against every swap of that film."""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.models.library import ModelLibrary
from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from realtime.frame import Face, FaceState, Frame, Image, Points
from realtime.memory import Memory
from realtime.stages.track import Track, TrackConfig
from tools.film import Film, shrink
from tools.optical_flow import FlowFinder, Mask, visible, warp_error

ROOM = 0.25
"""How far around a face flow is looked for on each side, in longer sides of the face's box."""

OUTSIDE_PX = 240
"""Shorter side of the pictures on which what is not the face is measured."""

MIN_PX = 16
"""Least side of a part in which motion can be found."""

_Box = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, the last two exclusive."""


@dataclass(frozen=True, slots=True)
class FilmFace:
    """The face of one picture.

    Attributes:
        track_id: stays with the person until a cut.
        landmarks: ``(468, 2) f32`` image pixels.
        eyes_px: distance between the middles of the eyes.
    """

    track_id: int
    landmarks: Points
    eyes_px: float


@dataclass(frozen=True, slots=True)
class Region:
    """A part of two successive pictures, how it moves, and where that can be told.

    Attributes:
        left, top, right, bottom: the part in whole pixels, the last two exclusive.
        flow: ``(h, w, 2) f16`` pixels from the first picture to the second.
        seen: ``(h, w)`` what is counted: visible in both, and of the face or not of it.
        error: warping error of the film itself there; NaN where nothing is counted.
    """

    left: int
    top: int
    right: int
    bottom: int
    flow: NDArray[np.float16]
    seen: Mask
    error: float

    @property
    def part(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def warp_error(self, first: Image, second: Image) -> float:
        """The warping error of two pictures that should move as the film does."""
        flow = self.flow.astype(np.float32)
        return warp_error(first[self.part], second[self.part], flow, self.seen)


@dataclass(frozen=True, slots=True)
class PairMotion:
    """Two successive pictures that show the same person.

    Attributes:
        first: number of the first of them.
        face: inside the hull of the first picture's landmarks, at full size.
        outside: everything else, on pictures shrunk to ``OUTSIDE_PX``.
        visible: share of the hull's pixels that count.
    """

    first: int
    face: Region
    outside: Region
    visible: float


@dataclass(frozen=True, slots=True)
class FilmMotion:
    """What is known about a film before anything is swapped in it.

    Attributes:
        film: the film.
        faces: of each picture; None where none was seen.
        pairs: by the number of their second picture; missing where the person is not seen in both
            pictures, where there is a cut between them, and where the face is out of the picture.
    """

    film: Film
    faces: tuple[FilmFace | None, ...]
    pairs: dict[int, PairMotion]


def study_film(film: Film, faces: Sequence[FilmFace | None]) -> FilmMotion:
    """Finds the motion of a film.

    Args:
        film: the input.
        faces: the face that is meant in each of its pictures, as ``find_faces`` gives them.
    """
    finder = FlowFinder()
    pairs = {}
    for before, after in pairwise(range(len(faces))):
        first, second = faces[before], faces[after]
        if first is None or second is None or first.track_id != second.track_id:
            continue
        box = _face_box(first.landmarks, film.spec.width, film.spec.height)
        if min(box[2] - box[0], box[3] - box[1]) >= MIN_PX:
            pictures = film.pictures[before], film.pictures[after]
            pairs[after] = _study_pair(before, *pictures, first.landmarks, box, finder)
    return FilmMotion(film, tuple(faces), pairs)


def find_faces(
    film: Film, library: ModelLibrary, face_index: int = 0
) -> tuple[FilmFace | None, ...]:
    """The face that is meant in each picture of a film, as the engine's own tracker sees it.

    Args:
        film: the pictures.
        library: has the networks that find faces.
        face_index: 0 is the largest face.

    Raises:
        ModelError: a network is missing.
    """
    track = Track(TrackConfig(), library.session)
    faces: list[FilmFace | None] = []
    with Memory() as memory, closing(track):
        track.open(film.spec, memory)
        timed = zip(film.pictures, film.times_ns, strict=True)
        for seq, (picture, media_ns) in enumerate(timed):
            frame = Frame(picture, seq=seq, media_ns=media_ns)
            track.process(frame)
            seen = [face for face in frame.faces if face.state is FaceState.SEEN]
            faces.append(_film_face(seen[face_index]) if face_index < len(seen) else None)
    return tuple(faces)


def _film_face(face: Face) -> FilmFace:
    landmarks = face.landmarks[:, :2].copy()
    return FilmFace(face.track_id, landmarks, eye_distance_px(landmarks))


def eye_distance_px(landmarks: Points) -> float:
    """Distance between the middles of the eyes' outlines."""
    right, left = (landmarks[list(ring), :2].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE))
    return float(np.linalg.norm(left - right))


def hull_mask(landmarks: Points, width_px: int, height_px: int) -> Mask:
    """The convex hull of landmarks: ``(H, W)``."""
    mask = np.zeros((height_px, width_px), np.uint8)
    hull = cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (1,))
    return mask.view(np.bool_)


def _study_pair(
    number: int,
    first: Image,
    second: Image,
    landmarks: Points,
    box: _Box,
    finder: FlowFinder,
) -> PairMotion:
    height, width = first.shape[:2]
    hull = hull_mask(landmarks, width, height)
    face = _study_region(first, second, hull, box, finder)
    small = [shrink(picture, OUTSIDE_PX) for picture in (first, second)]
    rows, columns = small[0].shape[:2]
    rest = cv2.resize(hull.view(np.uint8), (columns, rows), interpolation=cv2.INTER_AREA) == 0
    outside = _study_region(small[0], small[1], rest, (0, 0, columns, rows), finder)
    visible_share = float(face.seen.sum()) / max(1.0, float(hull.sum()))
    return PairMotion(number, face, outside, visible_share)


def _study_region(
    first: Image, second: Image, counted: Mask, box: _Box, finder: FlowFinder
) -> Region:
    left, top, right, bottom = box
    part = (slice(top, bottom), slice(left, right))
    forward = finder.find(first[part], second[part])
    backward = finder.find(second[part], first[part])
    seen = visible(forward, backward) & counted[part]
    # What is kept is what is measured with, so that film and swap are treated alike.
    flow = forward.astype(np.float16)
    error = warp_error(first[part], second[part], flow.astype(np.float32), seen)
    return Region(left, top, right, bottom, flow, seen, error)


def _face_box(landmarks: Points, width_px: int, height_px: int) -> _Box:
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    room = ROOM * float((high - low).max())
    left, top = (max(0, math.floor(side)) for side in low - room)
    right, bottom = (math.ceil(side) for side in high + room)
    return left, top, min(right, width_px), min(bottom, height_px)
