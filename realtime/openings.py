"""The target's own eyes, teeth and tongue, carried to where the drawn face has its openings."""

import math
from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.frame import Image, Occluder, Points
from realtime.geometry import Matrix, apply, bounding_box

_LEAST_PX = 0.25
"""What is to be moved by less stays where it is."""

_RIM_PX = 2
"""So far beyond its edge an opening is carried along, for what is drawn there fades out."""

_STIFFNESS = 0.05
"""An opening this thin, in its own widths, is not stretched across."""


_PARTS = tuple(
    (np.array(ring), part)
    for ring, part in ((RIGHT_EYE, "eyes"), (LEFT_EYE, "eyes"), (INNER_LIPS, "mouth"))
)

_RIM = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)


def carry_openings(
    image: Image,
    landmarks: Points,
    drawn: Points,
    occluder: Occluder | None,
    keeps: Collection[str] = (),
) -> None:
    """Moves what is seen in eyes and mouth to where another face's lids and lips will be drawn.

    Lips that are drawn higher than the person has them would show that person's lip between them,
    and lids drawn beside the eyes a glance to the side.

    Args:
        image: ``(H, W, 3) u8``, written around the drawn openings.
        landmarks: ``(468, 3)`` image pixels, of the person in the picture.
        drawn: ``(468, 3)`` image pixels, where the other face's landmarks will be.
        occluder: what stands in front of the face; an opening behind it stays as it is.
        keeps: parts that stay as and where they are: ``eyes``, ``mouth``.
    """
    for ring, part in _PARTS:
        if part in keeps:
            continue
        own, there = (points.take(ring, axis=0)[:, :2] for points in (landmarks, drawn))
        if np.abs(there - own).max() >= _LEAST_PX and not _is_hidden(own, occluder):
            _carry(image, own, there)


def _carry(image: Image, own: Points, there: Points) -> None:
    """Fills one opening with what is seen in another of about the same shape."""
    height, width = image.shape[:2]
    low_x, low_y, high_x, high_y = bounding_box(there).tolist()
    left, right = max(math.floor(low_x) - _RIM_PX, 0), min(math.ceil(high_x) + _RIM_PX + 1, width)
    top, bottom = max(math.floor(low_y) - _RIM_PX, 0), min(math.ceil(high_y) + _RIM_PX + 1, height)
    if right <= left or bottom <= top:
        return
    inside_there = there - np.array((left, top), np.float32)
    moved = cv2.warpAffine(
        image,
        _fit(inside_there, own, max(high_x - low_x, high_y - low_y)),
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(inside, [np.rint(inside_there).astype(np.int32)], (255,))
    cv2.copyTo(moved, cv2.dilate(inside, _RIM), image[top:bottom, left:right])


def _fit(start: Points, end: Points, span: float) -> Matrix:
    """The affine map ``(2, 3)`` from one outline of a width to another, stiff across thin ones."""
    num = len(start)
    columns = np.empty((4, num))
    columns[:2] = start.T
    columns[2:] = (end - start).T
    middle = columns.sum(axis=1, keepdims=True) / num
    columns -= middle
    middle_x, middle_y, shift_x, shift_y = middle.ravel().tolist()
    (xx, xy, x_right, x_down), (_, yy, y_right, y_down) = (columns[:2] @ columns.T).tolist()
    stiffness = num * (_STIFFNESS * span) ** 2 + 1e-9
    xx, yy = xx + stiffness, yy + stiffness
    area = xx * yy - xy * xy
    # Solved by hand: a general solver takes ten times as long for so small a system.
    a, b = 1 + (yy * x_right - xy * y_right) / area, (xx * y_right - xy * x_right) / area
    c, d = (yy * x_down - xy * y_down) / area, 1 + (xx * y_down - xy * x_down) / area
    across = middle_x + shift_x - a * middle_x - b * middle_y
    down = middle_y + shift_y - c * middle_x - d * middle_y
    return np.array([[a, b, across], [c, d, down]])


def _is_hidden(points: Points, occluder: Occluder | None) -> bool:
    """Whether something stands in front of any of these ``(N, 2)`` image points."""
    if occluder is None:
        return False
    height, width = occluder.mask.shape
    at: NDArray[np.intp] = np.round(apply(occluder.crop_from_image, points)).astype(np.intp)
    columns, rows = np.clip(at, 0, (width - 1, height - 1)).T
    return bool((occluder.mask[rows, columns] > 127).any())
