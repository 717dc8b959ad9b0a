"""What all detectors share: a letterboxed input and the choice among overlapping boxes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.families.tensors import Picture
from engines.models.halving import halve, num_halvings

MAX_IOU = 0.4
"""Of two boxes that overlap by more the less likely one is left out."""


@dataclass(frozen=True, slots=True)
class FaceBoxes:
    """The faces found in one picture, best first.

    Attributes:
        boxes: ``(N, 4) f32`` left, top, right, bottom in image pixels.
        points: ``(N, 5, 2) f32`` image pixels: eyes, tip of the nose, corners of the mouth; left
            to right as seen in an upright picture.
        scores: ``(N,) f32`` probability 0..1.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        """How many faces were found."""
        return len(self.scores)


class CornerLetterbox:
    """Shrinks or enlarges pictures into the top left corner of a square, black elsewhere."""

    def __init__(self, size_px: int) -> None:
        """Takes the square.

        Args:
            size_px: its side.
        """
        self._canvas = np.zeros((size_px, size_px, 3), np.uint8)

    def place(self, image: Picture) -> tuple[Picture, tuple[float, float]]:
        """Puts a picture in.

        Args:
            image: ``(H, W, 3) u8 BGR``.

        Returns:
            The square, which is written anew by the next call, and how many image pixels one of
            its pixels is wide and high.
        """
        size_px = len(self._canvas)
        height, width = image.shape[:2]
        scale = size_px / max(height, width)
        new_width = min(size_px, max(1, round(width * scale)))
        new_height = min(size_px, max(1, round(height * scale)))
        times = min(num_halvings(max(height, width), size_px), num_halvings(min(height, width), 1))
        block = 2**times
        # Fewer pixels than a block at the far edges go unseen.
        seen = image[: height - height % block, : width - width % block]
        small = halve(seen, times)
        self._canvas[:] = 0
        self._canvas[:new_height, :new_width] = cv2.resize(
            small, (new_width, new_height), interpolation=cv2.INTER_AREA
        )
        return self._canvas, (seen.shape[1] / new_width, seen.shape[0] / new_height)


def choose(
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
    per_px: tuple[float, float],
    *,
    max_iou: float = MAX_IOU,
) -> FaceBoxes:
    """Leaves out what overlaps a likelier box, and goes from the square to the picture.

    Args:
        boxes: ``(N, 4)`` left, top, right, bottom, measured from the square's edge.
        points: ``(N, 5, 2)``, measured from the square's edge.
        scores: ``(N,)``.
        per_px: image pixels for each pixel of the square, across and down.
        max_iou: intersection over union from which two boxes are one face.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, points, scores = boxes[order], points[order], scores[order]
    kept: list[int] = []
    left = np.arange(len(scores))
    while len(left):
        first, left = int(left[0]), left[1:]
        kept.append(first)
        left = left[_iou(boxes[first], boxes[left]) <= max_iou]
    scale = np.array(per_px, np.float32)
    # From the edge-based coordinates of the square to image pixels, whose centres are whole.
    shift = np.float32(0.5)
    return FaceBoxes(
        boxes[kept] * np.tile(scale, 2) - shift,
        points[kept] * scale - shift,
        scores[kept],
    )


def grid(cells_down: int, cells_across: int, stride: int) -> NDArray[np.float32]:
    """Top left corners of the cells of one level: ``(N, 2) f32`` x, y in input pixels."""
    rows, columns = np.indices((cells_down, cells_across), np.float32)
    corners = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    return np.asarray(corners * np.float32(stride), np.float32)


def _iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=1)
    area = np.prod(np.clip(box[2:] - box[:2], 0.0, None))
    areas = np.prod(np.clip(others[:, 2:] - others[:, :2], 0.0, None), axis=1)
    ratio: NDArray[np.float32] = shared / np.maximum(area + areas - shared, np.float32(1e-9))
    return ratio
