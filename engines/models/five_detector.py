"""Detectors of five points in the place of the one that searches whole pictures."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engines.families.boxes import FaceBoxes
from engines.families.detector import Detector
from engines.models.blazeface import Detections

# Measured with SCRFD 2.5G and YuNet on portraits, groups, leaning heads and profiles, against the
# square around the 468 landmarks: medians of both networks, alike within two hundredths.
_LANDMARKS_OVER_BOX = 0.87
"""Longer side of what the 468 landmarks cover over the longer side of the detector's box."""

_ABOVE = 0.055
"""How far the middle of the box lies above that of the landmarks, in sides of what they cover."""


class FivePointDetector:
    """Finds faces for the network of 468 landmarks; the eyes among the five points turn its crop.

    Not safe for use by two threads at once: the buffers belong to the network.
    """

    def __init__(self, detector: Detector) -> None:
        """Takes a detector, which stays the caller's."""
        self._detector = detector

    def detect(
        self, image: NDArray[np.uint8], *, min_score: float = 0.5, quarter_turns: int = 0
    ) -> Detections:
        """Finds the faces in a picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            min_score: faces below this probability are not reported.
            quarter_turns: the picture is turned this many times 90 degrees counter-clockwise
                before the search, so 1 finds a head that leans clockwise onto its side.

        Returns:
            Boxes around where the 468 landmarks will be, and the five points; pixels of the
            unturned picture.

        Raises:
            ModelError: the network fails.
        """
        turns = quarter_turns % 4
        turned = np.ascontiguousarray(np.rot90(image, turns)) if turns else image
        found = self._detector.detect(turned, min_score=min_score)
        corners, points = _upright(found).reshape(-1, 2, 2), found.points
        # Turned back step by step; after an odd number of turns the sides have changed places.
        for step in range(turns, 0, -1):
            width_px = image.shape[1] if step % 2 else image.shape[0]
            corners, points = _turned_back(corners, width_px), _turned_back(points, width_px)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Detections(boxes.astype(np.float32), points.astype(np.float32), found.scores)


def box_as_detected(box: ArrayLike) -> NDArray[np.float64]:
    """The box a detector would have given for a face whose 468 landmarks are known.

    Networks that place 68 or 106 points were trained on crops around such boxes.

    Args:
        box: ``(4,)`` left, top, right, bottom around the landmarks, image pixels.

    Returns:
        ``(4,)``, a square.
    """
    left, top, right, bottom = np.asarray(box, np.float64)
    covered_px = max(right - left, bottom - top)
    middle = np.array([left + right, top + bottom]) / 2 - (0.0, _ABOVE * covered_px)
    half_px = covered_px / _LANDMARKS_OVER_BOX / 2
    return np.concatenate([middle - half_px, middle + half_px])


def _upright(found: FaceBoxes) -> NDArray[np.float32]:
    """Squares ``(N, 4)`` over what the landmarks will cover, from boxes of upright faces."""
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    side_px = _LANDMARKS_OVER_BOX * (high - low).max(axis=1, keepdims=True)
    middle = (low + high) / 2
    middle[:, 1:] += _ABOVE * side_px
    return np.concatenate([middle - side_px / 2, middle + side_px / 2], axis=1)


def _turned_back(points: NDArray[np.float32], width_px: int) -> NDArray[np.float32]:
    """Undoes one counter-clockwise turn of a picture that was so wide before it."""
    return np.stack([width_px - 1 - points[..., 1], points[..., 0]], axis=-1)
