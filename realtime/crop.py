"""The part of a picture around a face, at the size on which the face is drawn."""

import math

import cv2
import numpy as np

from realtime.frame import Image, Points
from realtime.geometry import bounding_box

STEP_PX = 4
"""Sides of a crop are multiples of this, so that it halves twice without a rest."""

_MARGIN_PX = 4

_LEAST_PX = 160
"""A crop of no more than this is not made smaller where time is short: it takes little."""


class Crop:
    """The part of a picture around a face, at the size it is worked on.

    Attributes:
        region: the part at full size, a view into the picture.
        scale: size of the crop over the region, at most 1.
        width_px, height_px: size of the crop, multiples of four.
        size, half: width and height in pixels, as OpenCV wants them, and half of both.
        crop_from_image: ``(2, 3)``, where the crop lies in the picture.
        target_px, drawn_px: size in the crop's pixels of the face that is seen and of the one that
            is drawn, as ``face_parts.face_width_px`` says it.
    """

    def __init__(
        self, image: Image, landmarks: Points, drawn: Points, crop_px: int, share: float = 1.0
    ) -> None:
        """Cuts out the box around both faces; empty where the box misses the picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks, drawn: ``(N, 2 or 3)`` image pixels, of the face that is seen, and where
                those of the drawn one go.
            crop_px: the largest side of the crop.
            share: of the side it would have, above 0 to 1; small crops stay as they are.
        """
        height, width = image.shape[:2]
        target, other = bounding_box(landmarks).tolist(), bounding_box(drawn).tolist()
        low_x, low_y = min(target[0], other[0]), min(target[1], other[1])
        high_x, high_y = max(target[2], other[2]), max(target[3], other[3])
        left, right = _span(low_x - _MARGIN_PX, high_x + _MARGIN_PX, width)
        top, bottom = _span(low_y - _MARGIN_PX, high_y + _MARGIN_PX, height)
        self.region: Image = image[top:bottom, left:right]
        rows, columns = bottom - top, right - left
        side_px = max(rows, columns, 1)
        worked_px = min(side_px, crop_px)
        self.scale = max(share * worked_px, min(worked_px, _LEAST_PX)) / side_px
        self.height_px = _whole_steps(rows * self.scale)
        self.width_px = _whole_steps(columns * self.scale)
        self.size = self.width_px, self.height_px
        self.half = self.width_px // 2, self.height_px // 2
        across, down = self.width_px / max(columns, 1), self.height_px / max(rows, 1)
        shift_x, shift_y = (0.5 - left) * across - 0.5, (0.5 - top) * down - 0.5
        self.crop_from_image = np.array([[across, 0.0, shift_x], [0.0, down, shift_y]])
        self._inside_from_image = np.array(
            [
                [across, 0.0, 0.0, shift_x],
                [0.0, down, 0.0, shift_y],
                [0.0, 0.0, (across + down) / 2, 0.0],
            ]
        )
        self.target_px, self.drawn_px = (
            max((box[2] - box[0]) * across, (box[3] - box[1]) * down) for box in (target, other)
        )

    def inside(self, points: Points) -> Points:
        """``(N, 3) f32`` image points in the crop's pixels; depth is scaled alike."""
        placed = cv2.transform(points[None], self._inside_from_image)
        return np.asarray(placed[0], np.float32)


def _span(low: float, high: float, extent: int) -> tuple[int, int]:
    """The pixels from low to high inside a picture, in whole steps where there is room."""
    first = min(max(math.floor(low), 0), extent)
    last = min(max(math.ceil(high) + 1, first), extent)
    missing = -(last - first) % STEP_PX
    last = min(last + missing, extent)
    missing = -(last - first) % STEP_PX
    return max(first - missing, 0), last


def _whole_steps(length_px: float) -> int:
    """The nearest multiple of the step; one step at least."""
    return max(1, round(length_px / STEP_PX)) * STEP_PX
