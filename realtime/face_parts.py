"""Soft masks of parts of a face, drawn from its landmarks."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import (
    LEFT_BROW,
    LEFT_EYE,
    OPENINGS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)
from realtime.frame import Points
from realtime.geometry import bounding_box

_SHIFT = 4

_SOFT, _KEPT_SOFT = 0.012, 0.025
"""Half the width over which a mask fades, in face widths; that of what is kept is wider."""

_EYE_REACH, _MOUTH_REACH = (0.25, 0.25), (0.12, 0.12)
"""How far a kept region goes beyond its outline, across and down, in widths of the outline: lids
and lashes go with an eye, the rim of the lips with a mouth."""

_JAW, _HAIRLINE, _OUTLINE_SOFT = 0.05, 0.2, 0.04
"""How far a face reaches beyond its landmarks at the jaw, and up to the hair, and half the width
over which it fades there, in face widths."""

Mask = NDArray[np.uint8]


def without_skin(points: Points, size: tuple[int, int]) -> Mask:
    """255 on eyeballs, between the lips and on the brows, ``(h, w) u8``, with soft edges.

    Args:
        points: ``(468, 2 or 3)`` pixels.
        size: width and height of the mask.
    """
    mask = openings(points, size)
    for brow in (RIGHT_BROW, LEFT_BROW):
        _fill_hull(mask, points[list(brow), :2])
    return _softened(mask, points)


def openings(points: Points, size: tuple[int, int]) -> Mask:
    """255 on eyeballs and between the lips, ``(h, w) u8``; arguments as above."""
    mask = np.zeros(size[::-1], np.uint8)
    for ring in OPENINGS:
        _fill(mask, points[list(ring), :2])
    return mask


def face_outline(points: Points, size: tuple[int, int]) -> Mask:
    """255 on the face from the chin to the hair, ``(h, w) u8``, with soft edges.

    The landmarks end on the forehead; what lies above them up to the hair is guessed from the
    size of the face.

    Args:
        points: ``(468, 2 or 3)`` pixels.
        size: width and height of the mask.
    """
    ring = points[list(OVAL), :2].astype(np.float64)
    middle, width_px = ring.mean(axis=0), face_width_px(points)
    # The ring begins at the top of the forehead and comes by the chin half way round.
    up = ring[0] - ring[len(ring) // 2]
    up /= max(float(np.hypot(*up)), 1e-6)
    away = ring - middle
    length = np.maximum(np.hypot(*away.T), 1e-6)[:, None]
    upwards = np.clip((away @ up)[:, None] / length, 0.0, 1.0)
    grown = ring + width_px * (_JAW * away / length + (_HAIRLINE - _JAW) * upwards**2 * up)
    mask = np.zeros(size[::-1], np.uint8)
    _fill_hull(mask, grown)
    return _softened(mask, points, _OUTLINE_SOFT)


def kept_eyes(points: Points, size: tuple[int, int]) -> Mask:
    """255 on both eyes with their lids and lashes, ``(h, w) u8``, with soft edges."""
    return _kept((RIGHT_EYE, LEFT_EYE), _EYE_REACH, points, size)


def kept_mouth(points: Points, size: tuple[int, int]) -> Mask:
    """255 on the mouth with its lips, ``(h, w) u8``, with soft edges."""
    return _kept((OUTER_LIPS,), _MOUTH_REACH, points, size)


def face_width_px(points: Points) -> float:
    """Size of a face in pixels, about its width, steady while it turns."""
    left, top, right, bottom = bounding_box(points).tolist()
    return float(max(right - left, bottom - top))


def _kept(
    rings: Sequence[Sequence[int]],
    reach: tuple[float, float],
    points: Points,
    size: tuple[int, int],
) -> Mask:
    mask = np.zeros(size[::-1], np.uint8)
    for ring in rings:
        corners = points[list(ring), :2].astype(np.float64)
        # The first point and the one across the ring are the corners of the eye or the mouth.
        along = corners[len(ring) // 2] - corners[0]
        width = float(np.hypot(*along))
        if width < 1e-6:
            continue
        axes = np.stack([along, (-along[1], along[0])]) / width
        middle = (corners[0] + corners[len(ring) // 2]) / 2
        placed = (corners - middle) @ axes.T
        placed += np.sign(placed) * width * np.array(reach)
        _fill_hull(mask, placed @ axes + middle)
    return _softened(mask, points, _KEPT_SOFT)


def _fill(mask: Mask, corners: NDArray[np.floating]) -> None:
    fixed_point = np.round(corners * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [fixed_point], (255,), cv2.LINE_AA, _SHIFT)


def _fill_hull(mask: Mask, corners: NDArray[np.floating]) -> None:
    _fill(mask, cv2.convexHull(corners.astype(np.float32))[:, 0].astype(np.float64))


def _softened(mask: Mask, points: Points, soft: float = _SOFT) -> Mask:
    side = 2 * max(1, round(soft * face_width_px(points))) + 1
    return np.asarray(cv2.blur(mask, (side, side)), np.uint8)
