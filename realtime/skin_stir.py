"""Notices skin that has come into view beside a face: the cheapest sign of a hand on its way."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

_CELLS = 28
_SAMPLES = 4
"""Pixels along a cell that are looked at."""

_CHANGED = 24.0
"""Grey levels by which the mean colour of a cell must have changed."""

_TINT = 0.16
"""How far a cell's colour ratios may be from the face's, as logarithms."""

_LUMA = (-1.2, 0.7)
"""How much darker or brighter than the face a cell of skin may be, as logarithms."""

_BLACK = 8.0
_FACE_GROWTH = 1.2
_FACE_CORE = 0.5
"""The middle of a face's box is skin; a grown box holds all that moves with the face."""

_MIN_CELLS = 6

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels."""


class SkinStir:
    """Compares a part of the picture with what it was when it was last searched."""

    def __init__(self) -> None:
        self._region: Region | None = None
        self._before: NDArray[np.uint8] | None = None
        self._boxes: list[NDArray[np.float32]] = []

    def mark(self, image: Image, region: Region, boxes: list[NDArray[np.float32]]) -> None:
        """Remembers how a region looks now.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            region: it is cut at the edges of the picture.
            boxes: ``(4,)`` of the faces.
        """
        self._region = _clipped(region, image)
        self._before = _cells(image, self._region)
        self._boxes = boxes

    def has_come(self, image: Image, boxes: list[NDArray[np.float32]]) -> bool:
        """Whether skin has come into the region since, elsewhere than where faces are or were.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the same size.
            boxes: ``(4,)`` of the faces now; the first lends its skin.
        """
        if self._region is None or self._before is None or not boxes:
            return False
        now = _cells(image, self._region)
        apart = cv2.split(cv2.absdiff(now, self._before))
        changed = cv2.max(cv2.max(apart[0], apart[1]), apart[2]) > _CHANGED
        for box in (*boxes, *self._boxes):
            changed[self._inside(box, _FACE_GROWTH)] = False
        if not changed.any():
            return False
        core = now[self._inside(boxes[0], _FACE_CORE)].reshape(-1, 3)
        if not len(core):
            return False
        skin = np.log(np.median(core, axis=0) + _BLACK)
        ratios = np.log(now[changed].astype(np.float32) + np.float32(_BLACK)) - skin
        level = ratios.mean(axis=1)
        is_skin = np.abs(ratios - level[:, None]).max(axis=1) < _TINT
        is_skin &= (level > _LUMA[0]) & (level < _LUMA[1])
        return int(np.count_nonzero(is_skin)) >= _MIN_CELLS

    def _inside(self, box: NDArray[np.float32], growth: float) -> tuple[slice, slice]:
        """The cells in a box scaled about its middle."""
        left, top, right, bottom = self._region or (0, 0, 1, 1)
        x0, y0, x1, y1 = box.tolist()
        across = _span(x0 - left, x1 - left, growth, max(right - left, 1))
        return _span(y0 - top, y1 - top, growth, max(bottom - top, 1)), across


def _span(low: float, high: float, growth: float, size_px: int) -> slice:
    """The cells along one side of the region that a stretch covers once it has grown."""
    middle, half = (low + high) / 2, growth * (high - low) / 2
    first, last = (_CELLS * (middle + reach) / size_px for reach in (-half, half))
    return slice(math.floor(min(max(first, 0.0), _CELLS)), math.ceil(min(max(last, 0.0), _CELLS)))


def _clipped(region: Region, image: Image) -> Region:
    """The part of a region inside the picture, at least one pixel."""
    height, width = image.shape[:2]
    left, top = min(max(region[0], 0), width - 1), min(max(region[1], 0), height - 1)
    right, bottom = min(max(region[2], left + 1), width), min(max(region[3], top + 1), height)
    return left, top, right, bottom


def _cells(image: Image, region: Region) -> NDArray[np.uint8]:
    """``(_CELLS, _CELLS, 3) u8``; a few pixels of each cell stand for it."""
    left, top, right, bottom = region
    side = _CELLS * _SAMPLES
    # Nearest pixels first: averaging over all of them would take most of the time.
    sparse = cv2.resize(
        image[top:bottom, left:right], (side, side), interpolation=cv2.INTER_NEAREST
    )
    cells = cv2.resize(sparse, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.uint8)
