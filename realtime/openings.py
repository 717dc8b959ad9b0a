"""The target's own eyes, teeth and tongue, carried to where the drawn face has its openings."""

import math
from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.frame import Image, Occluder, Points
from realtime.geometry import apply

_LEAST_PX = 0.25
"""What is to be moved by less stays where it is."""

_RIM_PX = 2
"""So far beyond its edge an opening is carried along, for what is drawn there fades out."""

_STIFFNESS = 0.05
"""An opening this thin, in its own widths, is not stretched across."""

_CORNERS = np.array([*RIGHT_EYE, *LEFT_EYE, *INNER_LIPS])

_PARTS = ("eyes", "eyes", "mouth")

_FIRST = np.array([0, len(RIGHT_EYE), len(RIGHT_EYE) + len(LEFT_EYE)])
"""Where in ``_CORNERS`` the outline of each part begins."""

_NUMS = np.diff(_FIRST, append=len(_CORNERS))

_Affine = tuple[tuple[float, float, float], tuple[float, float, float]]
"""The rows of an affine map of the plane."""

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
    own, there = (points.take(_CORNERS, axis=0)[:, :2] for points in (landmarks, drawn))
    apart = np.maximum.reduceat(np.abs(there - own), _FIRST).max(axis=1).tolist()
    moved = [
        part not in keeps and far >= _LEAST_PX for part, far in zip(_PARTS, apart, strict=True)
    ]
    if not any(moved):
        return
    lows, highs = (edge.reduceat(there, _FIRST).tolist() for edge in (np.minimum, np.maximum))
    fits = _fits(there, own, lows, highs)
    for index, (first, num) in enumerate(zip(_FIRST.tolist(), _NUMS.tolist(), strict=True)):
        outline = slice(first, first + num)
        if moved[index] and not _is_hidden(own[outline], occluder):
            _carry(image, there[outline], (lows[index], highs[index]), fits[index])


def _carry(
    image: Image,
    outline: Points,
    box: tuple[list[float], list[float]],
    own_from_there: _Affine,
) -> None:
    """Fills one opening with what is seen in another of about the same shape.

    Args:
        image: is written.
        outline: ``(N, 2)`` pixels, of the opening to be filled.
        box: its least and its largest x and y.
        own_from_there: from it to the other.
    """
    height, width = image.shape[:2]
    (low_x, low_y), (high_x, high_y) = box
    left, right = max(math.floor(low_x) - _RIM_PX, 0), min(math.ceil(high_x) + _RIM_PX + 1, width)
    top, bottom = max(math.floor(low_y) - _RIM_PX, 0), min(math.ceil(high_y) + _RIM_PX + 1, height)
    if right <= left or bottom <= top:
        return
    (a, b, across), (c, d, down) = own_from_there
    own_from_part = np.array(
        [[a, b, a * left + b * top + across], [c, d, c * left + d * top + down]]
    )
    moved = cv2.warpAffine(
        image,
        own_from_part,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.rint(outline - np.array((left, top), np.float32)).astype(np.int32)
    cv2.fillPoly(inside, [corners], (255,))
    cv2.copyTo(moved, cv2.dilate(inside, _RIM), image[top:bottom, left:right])


def _fits(
    start: Points, end: Points, lows: list[list[float]], highs: list[list[float]]
) -> list[_Affine]:
    """The affine maps from outlines to others, stiff across thin ones.

    Args:
        start, end: ``(N, 2)`` all outlines, one behind the other as in ``_CORNERS``.
        lows, highs: the least and the largest x and y of each outline in ``start``.
    """
    columns = np.empty((4, len(start)))
    columns[:2] = start.T
    columns[2:] = (end - start).T
    means = np.add.reduceat(columns, _FIRST, axis=1) / _NUMS
    columns -= np.repeat(means, _NUMS, axis=1)
    products = np.add.reduceat(columns[:2, None] * columns, _FIRST, axis=2)
    fits = []
    for (middle_x, middle_y, shift_x, shift_y), rows, num, low, high in zip(
        means.T.tolist(),
        products.transpose(2, 0, 1).tolist(),
        _NUMS.tolist(),
        lows,
        highs,
        strict=True,
    ):
        (xx, xy, x_right, x_down), (_, yy, y_right, y_down) = rows
        span = max(high[0] - low[0], high[1] - low[1])
        stiffness = num * (_STIFFNESS * span) ** 2 + 1e-9
        xx, yy = xx + stiffness, yy + stiffness
        area = xx * yy - xy * xy
        # Solved by hand: a general solver takes ten times as long for so small a system.
        a, b = 1 + (yy * x_right - xy * y_right) / area, (xx * y_right - xy * x_right) / area
        c, d = (yy * x_down - xy * y_down) / area, 1 + (xx * y_down - xy * x_down) / area
        across = middle_x + shift_x - a * middle_x - b * middle_y
        down = middle_y + shift_y - c * middle_x - d * middle_y
        fits.append(((a, b, across), (c, d, down)))
    return fits


def _is_hidden(points: Points, occluder: Occluder | None) -> bool:
    """Whether something stands in front of any of these ``(N, 2)`` image points."""
    if occluder is None:
        return False
    height, width = occluder.mask.shape
    at: NDArray[np.intp] = np.round(apply(occluder.crop_from_image, points)).astype(np.intp)
    columns, rows = np.clip(at, 0, (width - 1, height - 1)).T
    return bool((occluder.mask[rows, columns] > 127).any())
