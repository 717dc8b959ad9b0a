"""Finds faces in a picture and places their landmarks: detectors and landmark network together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.models.blazeface import BlazeFace, Detections
from engines.models.face_candidates import SURE_DETECTION, Candidate, FaceDetector, detect
from engines.models.face_landmark import (
    NUM_LANDMARKS,
    FaceLandmark,
    square_from_detection,
    square_from_landmarks,
)
from engines.models.square_crop import CropSquare
from engines.session import Session

FACE_NETWORKS = ("face_detection_short_range", "face_detection_full_range", "face_landmark")
"""Names in the catalogue of the three networks a finder is made of."""

CERTAIN_SCORE = 0.9
"""A landmark score above which nothing is gained by looking again."""

_HOPELESS_SCORE = 0.03

# A face that has moved far is cut off by its crop, and its landmarks lag; the next pass catches up.
_MAX_OFF_CENTRE = 0.1
_MAX_PASSES = 3

# Passes more over a new face, and how many of them, the last, count. Without, its landmarks lie
# .45 % of the eyes' distance from where later pictures have them, with them .13 %.
_SETTLING, _SETTLED = 6, 4
_SAME_SIDE = 0.95

# Detections that may fail the landmark network before a search gives up; bounds its time.
_SPARE_TRIES = 2

# The usual crop first. Profiles and half-covered faces often show in a wider or tighter one only.
_CROP_SCALES = (1.0, 1.17, 0.83)


@dataclass(frozen=True, slots=True)
class LocatedFace:
    """A face with its landmarks.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels; belongs to the receiver.
        score: probability 0..1 that the landmarks lie on a face.
    """

    landmarks: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is to find.

    Attributes:
        known: ``(K, 4) f32`` boxes of faces that need no second search.
        max_faces: so many are returned at most.
        min_detection: what the detector must say at least.
        min_score: what the landmark network must say at least.
        quarter_turns: how the heads stand, as for ``BlazeFace.detect``.
    """

    known: NDArray[np.float32]
    max_faces: int
    min_detection: float
    min_score: float
    quarter_turns: int = 0


class FaceFinder:
    """The detectors of both ranges and the landmark network as one.

    Not safe for use by two threads at once, for the networks' buffers are shared; only a ``glance``
    may run beside anything that leaves its detectors alone.
    """

    def __init__(
        self, short_range: BlazeFace, full_range: FaceDetector, landmark: FaceLandmark
    ) -> None:
        """Takes the three networks, which stay the caller's."""
        self._short_range = short_range
        self._full_range = full_range
        self._landmark = landmark

    def follow(
        self,
        image: NDArray[np.uint8],
        square: CropSquare,
        *,
        min_score: float,
        thorough: bool = True,
    ) -> LocatedFace | None:
        """Looks again where a face was a moment ago, without a detector.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where the face was.
            min_score: what the landmark network must say at least.
            thorough: try other crops where the usual one shows no certain face.
        """
        scales = _CROP_SCALES if thorough else _CROP_SCALES[:1]
        face: LocatedFace | None = None
        for _ in range(_MAX_PASSES):
            face = self._best(image, _scaled(square, scales), min_score)
            if face is None or _is_centred(face.landmarks, square):
                break
            square = square_from_landmarks(face.landmarks)
        return face

    def look(
        self, image: NDArray[np.uint8], square: CropSquare, *, min_score: float
    ) -> LocatedFace | None:
        """The face as the landmark network sees it in one square; None where it sees none.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where to look.
            min_score: what the landmark network must say at least.
        """
        return self._best(image, (square,), min_score)

    def look_turned(
        self,
        image: NDArray[np.uint8],
        landmarks: NDArray[np.float32],
        *,
        quarter_turns: int,
        min_score: float,
    ) -> LocatedFace | None:
        """The same face taken to be another way up; None where it does not look like one.

        A face upside down looks enough like one to be found as such, with its chin for a brow.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3)`` where the face was found.
            quarter_turns: by how many it leans more, clockwise.
            min_score: what the landmark network must say at least.
        """
        square = square_from_landmarks(landmarks)
        turned = replace(square, angle_rad=square.angle_rad + quarter_turns * np.pi / 2)
        face = self._best(image, (turned,), min_score)
        if face is None:
            return None
        return self.follow(image, square_from_landmarks(face.landmarks), min_score=min_score)

    def recover(
        self,
        image: NDArray[np.uint8],
        landmarks: NDArray[np.float32],
        *,
        min_detection: float,
        min_score: float,
    ) -> LocatedFace | None:
        """Looks for a face near where it was, with the short-range detector at full resolution.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3)`` where the face was.
            min_detection: what the detector must say at least.
            min_score: what the landmark network must say at least.
        """
        found = self._detect_near(image, landmarks, min_detection)
        if not len(found):
            return None
        return self._confirm(image, found, 0, min_score)

    def is_detected(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> bool:
        """Whether the short-range detector is sure of a face where landmarks are.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3)`` where the face should be.
        """
        found = self._detect_near(image, landmarks, SURE_DETECTION)
        return any(_is_known(box, box_of(landmarks)[None]) for box in found.boxes)

    def _detect_near(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.float32], min_score: float
    ) -> Detections:
        """What the short-range detector sees around a face, at full resolution."""
        square = square_from_landmarks(landmarks)
        half_px = square.side_px
        region = (
            int(square.x_px - half_px),
            int(square.y_px - half_px),
            int(square.x_px + half_px),
            int(square.y_px + half_px),
        )
        turns = round(square.angle_rad / (np.pi / 2)) % 4
        return self._short_range.detect(
            image, min_score=min_score, region=region, quarter_turns=turns
        )

    def search(
        self,
        image: NDArray[np.uint8],
        wanted: Wanted,
        *,
        near: bool = True,
        far: bool = True,
    ) -> list[LocatedFace]:
        """Looks for faces in the whole picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            wanted: what counts.
            near: use the short-range detector.
            far: use the full-range detector, which takes three times as long.

        Returns:
            New faces, those the detectors were sure of first, then by size.
        """
        found = self.glance(
            image,
            min_detection=wanted.min_detection,
            quarter_turns=wanted.quarter_turns,
            near=near,
            far=far,
        )
        return self.confirm(
            image,
            found,
            known=wanted.known,
            max_faces=wanted.max_faces,
            min_score=wanted.min_score,
        )

    def glance(
        self,
        image: NDArray[np.uint8],
        *,
        min_detection: float,
        quarter_turns: int = 0,
        near: bool = True,
        far: bool = True,
    ) -> list[Candidate]:
        """The first half of ``search``: what the detectors find, sure ones first, then by size.

        A face may be there twice. Arguments are those of ``Wanted`` and ``search``.
        """
        detectors: list[FaceDetector] = []
        if near:
            detectors.append(self._short_range)
        if far:
            detectors.append(self._full_range)
        return detect(detectors, image, min_score=min_detection, quarter_turns=quarter_turns)

    def confirm(
        self,
        image: NDArray[np.uint8],
        candidates: Sequence[Candidate],
        *,
        known: NDArray[np.float32],
        max_faces: int,
        min_score: float,
    ) -> list[LocatedFace]:
        """The second half of ``search``: which candidates are faces that are not known.

        The picture may be a frame younger than the one the candidates were found in. Arguments are
        those of ``Wanted``, the result is that of ``search``.
        """
        faces: list[LocatedFace] = []
        boxes = known
        tries_left = max_faces + _SPARE_TRIES
        for found, index in candidates:
            if len(faces) >= max_faces or tries_left == 0:
                break
            if _is_known(found.boxes[index], boxes):
                continue
            tries_left -= 1
            face = self._confirm(image, found, index, min_score)
            if face is not None and not _is_known(box_of(face.landmarks), boxes):
                face = self._settled(image, face)
                faces.append(face)
                boxes = np.concatenate([boxes, box_of(face.landmarks)[None]])
        return faces

    def _confirm(
        self, image: NDArray[np.uint8], found: Detections, index: int, min_score: float
    ) -> LocatedFace | None:
        """Places landmarks on a detection, then again on the crop the landmarks ask for.

        What only looks like a face to the detector hardly ever passes twice; where the detector
        itself is unsure, the landmark network must be certain.
        """
        box, keypoints = found.boxes[index], found.keypoints[index]
        sure = float(found.scores[index]) >= SURE_DETECTION
        min_score = min_score if sure else max(min_score, CERTAIN_SCORE)
        scales = _CROP_SCALES if sure else _CROP_SCALES[:1]
        square = square_from_detection(box, keypoints)
        face = self._best(image, _scaled(square, scales), min_score)
        if face is None:
            return None
        return self.follow(image, square_from_landmarks(face.landmarks), min_score=min_score)

    def _settled(self, image: NDArray[np.uint8], face: LocatedFace) -> LocatedFace:
        """A new face where it will be seen once its crop has come to its place.

        Where the network places landmarks depends a little on the crop, and the crop comes from
        the landmarks: those of its first pictures would err together. Of a head that is turned
        away the network draws the landmarks together, the more so the tighter its crop; such a
        one is left as it was found.
        """
        seen = [face]
        for _ in range(_SETTLING):
            square = square_from_landmarks(seen[-1].landmarks)
            again = self.look(image, square, min_score=CERTAIN_SCORE)
            if again is None:
                return face
            seen.append(again)
        sides_px = [square_from_landmarks(one.landmarks).side_px for one in (seen[0], seen[-1])]
        if min(sides_px) < _SAME_SIDE * max(sides_px):
            return face
        places = np.asarray(
            np.mean([one.landmarks for one in seen[-_SETTLED:]], axis=0), np.float32
        )
        return LocatedFace(places, seen[-1].score)

    def _best(
        self, image: NDArray[np.uint8], squares: Iterable[CropSquare], min_score: float
    ) -> LocatedFace | None:
        """The first certain face in these crops, else the most likely one.

        A crop without a trace of a face ends the tries, so that hands and walls cost one run.
        """
        best: LocatedFace | None = None
        for square in squares:
            landmarks = np.empty((NUM_LANDMARKS, 3), np.float32)
            score = self._landmark.locate(image, square, out=landmarks)
            if score >= min_score and (best is None or score > best.score):
                best = LocatedFace(landmarks, score)
            if score >= CERTAIN_SCORE or score < _HOPELESS_SCORE:
                break
        return best


@contextmanager
def open_face_finder(
    open_session: Callable[[str], Session],
    *,
    detector: FaceDetector | None = None,
    landmark: str = FACE_NETWORKS[2],
) -> Iterator[FaceFinder]:
    """A finder whose networks are loaded for as long as the block lasts.

    Args:
        open_session: loads a network of the catalogue by name.
        detector: takes the place of the full-range detector, and stays the caller's.
        landmark: name of the network that places the landmarks.

    Raises:
        ModelError: one of them is missing or unusable.
    """
    with ExitStack() as opened:

        def load(name: str) -> Session:
            return opened.enter_context(closing(open_session(name)))

        near, far, _ = FACE_NETWORKS
        yield FaceFinder(
            BlazeFace(load(near)), detector or BlazeFace(load(far)), FaceLandmark(load(landmark))
        )


def box_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upright box around landmarks."""
    return np.concatenate([landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)])


def _scaled(square: CropSquare, scales: Iterable[float]) -> Iterable[CropSquare]:
    """The same square larger and smaller, made as they are asked for."""
    return (replace(square, side_px=scale * square.side_px) for scale in scales)


def _is_centred(landmarks: NDArray[np.float32], square: CropSquare) -> bool:
    """Whether landmarks fill the crop they were found in as that of a resting face does."""
    new = square_from_landmarks(landmarks)
    moved_px = max(abs(new.x_px - square.x_px), abs(new.y_px - square.y_px))
    return moved_px <= _MAX_OFF_CENTRE * square.side_px


def _is_known(box: NDArray[np.float32], known: NDArray[np.float32]) -> bool:
    """Whether the middle of a box lies in a known face, or a known face's middle in it."""
    if not len(known):
        return False
    middle, middles = (box[:2] + box[2:]) / 2, (known[:, :2] + known[:, 2:]) / 2
    inside = (middle >= known[:, :2]) & (middle <= known[:, 2:])
    around = (middles >= box[:2]) & (middles <= box[2:])
    return bool((inside.all(axis=1) | around.all(axis=1)).any())
