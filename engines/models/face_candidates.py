"""Where detectors see faces, before anything else has looked there."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.models.blazeface import Detections

SURE_DETECTION = 0.5
"""A detector's score above which the landmark network need not be certain."""


class FaceDetector(Protocol):
    """What looks for faces in whole pictures."""

    def detect(
        self, image: NDArray[np.uint8], *, min_score: float, quarter_turns: int = 0
    ) -> Detections:
        """Finds faces; as ``BlazeFace.detect``."""
        ...


Candidate = tuple[Detections, int]
"""What a detector found, and the number of one face in it."""


def detect(
    detectors: Sequence[FaceDetector],
    image: NDArray[np.uint8],
    *,
    min_score: float,
    quarter_turns: int,
) -> list[Candidate]:
    """What several detectors find, in the order of ``rank``; a face may be there twice.

    Arguments are those of ``BlazeFace.detect``.
    """
    results = [
        detector.detect(image, min_score=min_score, quarter_turns=quarter_turns)
        for detector in detectors
    ]
    found = [(detections, index) for detections in results for index in range(len(detections))]
    return sorted(found, key=rank)


def rank(candidate: Candidate) -> tuple[bool, float]:
    """What candidates are sorted by: sure ones first, then by size."""
    detections, index = candidate
    left, _, right, _ = detections.boxes[index]
    return float(detections.scores[index]) < SURE_DETECTION, float(left - right)


def shifted(found: Detections, left: int, top: int) -> Detections:
    """What was found in a part of a picture, in pixels of the whole.

    Args:
        found: in the part.
        left, top: where the part begins, in pixels.
    """
    shift = np.array([left, top], np.float32)
    boxes = found.boxes + np.tile(shift, 2)
    return Detections(boxes, found.keypoints + shift, found.scores)
