"""Finds faces in a picture and places their landmarks: detectors and landmark network together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.models.blazeface import BlazeFace, Detections
from engines.models.face_landmark import (
    NUM_LANDMARKS,
    CropSquare,
    FaceLandmark,
    square_from_detection,
    square_from_landmarks,
)


@dataclass(frozen=True, slots=True)
class LocatedFace:
    """A face with its landmarks.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels; belongs to the receiver.
        score: probability 0..1 that the landmarks lie on a face.
    """

    landmarks: NDArray[np.float32]
    score: float


class FaceFinder:
    """The detectors of both ranges and the landmark network as one.

    Not safe for use by two threads at once: the networks' buffers are shared.
    """

    def __init__(
        self, short_range: BlazeFace, full_range: BlazeFace, landmark: FaceLandmark
    ) -> None:
        """Takes the three networks, which stay the caller's."""
        self._short_range = short_range
        self._full_range = full_range
        self._landmark = landmark

    def follow(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.float32], *, min_score: float
    ) -> LocatedFace | None:
        """Looks again where a face was a moment ago, without a detector.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3)`` where the face was.
            min_score: what the landmark network must say at least.
        """
        face = self._locate(image, square_from_landmarks(landmarks))
        return face if face.score >= min_score else None

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
        square = square_from_landmarks(landmarks)
        half_px = square.side_px
        region = (
            int(square.x_px - half_px),
            int(square.y_px - half_px),
            int(square.x_px + half_px),
            int(square.y_px + half_px),
        )
        turns = round(square.angle_rad / (np.pi / 2)) % 4
        found = self._short_range.detect(
            image, min_score=min_detection, region=region, quarter_turns=turns
        )
        if not len(found):
            return None
        return self._confirm(image, found, 0, min_score)

    def search(
        self,
        image: NDArray[np.uint8],
        *,
        known: NDArray[np.float32],
        max_faces: int,
        min_detection: float,
        min_score: float,
        quarter_turns: int = 0,
    ) -> list[LocatedFace]:
        """Looks for faces in the whole picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            known: ``(K, 4)`` boxes of faces that need no second search.
            max_faces: so many are returned at most.
            min_detection: what the detector must say at least.
            min_score: what the landmark network must say at least.
            quarter_turns: as for ``BlazeFace.detect``.

        Returns:
            New faces, those the detectors were surest of first.
        """
        faces: list[LocatedFace] = []
        boxes = known
        for detector in (self._short_range, self._full_range):
            found = detector.detect(image, min_score=min_detection, quarter_turns=quarter_turns)
            for index in range(len(found)):
                if len(faces) >= max_faces:
                    return faces
                if _is_known(found.boxes[index], boxes):
                    continue
                face = self._confirm(image, found, index, min_score)
                if face is not None:
                    faces.append(face)
                    boxes = np.concatenate([boxes, _box(face.landmarks)[None]])
        return faces

    def _confirm(
        self, image: NDArray[np.uint8], found: Detections, index: int, min_score: float
    ) -> LocatedFace | None:
        """Places landmarks on a detection, then again on the crop the landmarks ask for."""
        square = square_from_detection(found.boxes[index], found.keypoints[index])
        face = self._locate(image, square)
        if face.score < min_score:
            return None
        return self.follow(image, face.landmarks, min_score=min_score)

    def _locate(self, image: NDArray[np.uint8], square: CropSquare) -> LocatedFace:
        """Runs the landmark network once."""
        landmarks = np.empty((NUM_LANDMARKS, 3), np.float32)
        return LocatedFace(landmarks, self._landmark.locate(image, square, out=landmarks))


def _box(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upright box around landmarks."""
    return np.concatenate([landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)])


def _is_known(box: NDArray[np.float32], known: NDArray[np.float32]) -> bool:
    """Whether the middle of a box lies in a known face, or a known face's middle in it."""
    if not len(known):
        return False
    middle, middles = (box[:2] + box[2:]) / 2, (known[:, :2] + known[:, 2:]) / 2
    inside = (middle >= known[:, :2]) & (middle <= known[:, 2:])
    around = (middles >= box[:2]) & (middles <= box[2:])
    return bool((inside.all(axis=1) | around.all(axis=1)).any())
