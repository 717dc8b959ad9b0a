"""Finds the frames of glasses on a face, by what they look like: lines around the eyes.

A frame is darker than the skin on both sides of it in some colour, or shines brighter; it is thin
against the face, long, and crosses the root of the nose. Brows, lids and lashes lie in the same
place and are left out by their landmarks. Rimless glasses are not found.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from realtime.face_parts import face_width_px
from realtime.frame import Image, Points

_AROUND_EYES = (127, 356, 70, 300, 105, 334, 50, 280, 123, 352)
"""Landmarks whose hull holds glasses: temples, upper edges of the brows, middles of the cheeks."""

_INNER_CORNERS = (133, 362)

_NOSE = (197, 5, 4, 129, 358, 49, 279, 2)
"""Landmarks whose hull is the nose below its root, which throws shadows."""

_THICK = 0.06
"""Frames are thinner than this, in face widths."""

_BLACK = 18.0
"""Added to colours, so that noise in the dark is no frame."""

_DARKER, _BRIGHTER = (0.06, 0.15), (0.12, 0.24)
"""Share by which a frame is darker or brighter than what is around: from where on, and for sure."""

_EYE_GROWTH = (1.35, 1.9)
"""Size of what is left out around an eye over that of the eye, across and down."""

_LONG = 0.14
"""Lines shorter than this are wrinkles and shadows, in face widths."""

_BRIDGE_UP, _BRIDGE_DOWN, _BRIDGE_SHARE = 0.35, 0.65, 0.6
"""Where the bridge lies against the inner corners of the eyes, in their distance; and the middle
part of it that is looked at."""

_SHIFT = 4

Strength = NDArray[np.float32]
"""``(S, S) f32`` 0..1."""


def find_frames(crop: Image, points: Points) -> tuple[Strength, float]:
    """Where the frames of glasses are.

    Args:
        crop: ``(S, S, 3) u8 BGR`` around a face, about one and a half times its size.
        points: ``(468, 2) f32`` crop pixels.

    Returns:
        How far each pixel looks like a frame, and how far a frame crosses the nose, 0..1.
    """
    width_px = face_width_px(points)
    side = 2 * max(2, round(_THICK * width_px / 2)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    allowed = _allowed(points, crop.shape[0])
    smooth: Image = np.asarray(cv2.GaussianBlur(crop, (3, 3), 0), np.uint8)
    above, below = (
        np.asarray(cv2.morphologyEx(smooth, kind, disc), np.uint8)
        for kind in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN)
    )
    darker = _apart(above, smooth, _DARKER) * allowed
    brighter = _apart(smooth, below, _BRIGHTER) * allowed
    frames = np.maximum(_long_ones(darker, width_px), _long_ones(brighter, width_px))
    return frames, _bridge(darker, points)


def _apart(high: Image, low: Image, limits: tuple[float, float]) -> Strength:
    """How far one picture is brighter than another in some colour, 0..1 between the limits."""
    shares = [
        np.asarray(cv2.subtract(one, other), np.float32) / (one + np.float32(_BLACK))
        for one, other in zip(cv2.split(high), cv2.split(low), strict=True)
    ]
    share = cv2.max(cv2.max(shares[0], shares[1]), shares[2])
    gain = 1.0 / (limits[1] - limits[0])
    return np.asarray(np.clip((share - limits[0]) * np.float32(gain), 0.0, 1.0), np.float32)


def _allowed(points: Points, side_px: int) -> Strength:
    """1 where frames may be, 0 elsewhere and on eyes and brows."""
    mask = np.zeros((side_px, side_px), np.uint8)
    _fill(mask, points[list(_AROUND_EYES)], 255)
    for eye in (RIGHT_EYE, LEFT_EYE):
        corners = points[list(eye)]
        middle = corners.mean(axis=0)
        _fill(mask, middle + (corners - middle) * np.asarray(_EYE_GROWTH, np.float32), 0)
    _fill(mask, points[list(_NOSE)], 0)
    for brow in (RIGHT_BROW, LEFT_BROW):
        _fill(mask, points[list(brow)], 0)
    return np.asarray(cv2.blur(mask, (3, 3)) * np.float32(1 / 255), np.float32)


def _bridge(strength: Strength, points: Points) -> float:
    """Share of the columns between the eyes in which there is a frame."""
    one, other = points[list(_INNER_CORNERS)].astype(np.float64)
    across = other - one
    apart = float(np.hypot(*across))
    if apart < 2.0:
        return 0.0
    along, down = across / apart, np.array([-across[1], across[0]]) / apart
    steps = np.linspace(0.5 - _BRIDGE_SHARE / 2, 0.5 + _BRIDGE_SHARE / 2, 24) * apart
    depths = np.linspace(-_BRIDGE_UP, _BRIDGE_DOWN, 24) * apart
    places = one + steps[None, :, None] * along + depths[:, None, None] * down
    x, y = np.moveaxis(places.astype(np.float32), -1, 0)
    seen = cv2.remap(strength, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR)
    return float(np.asarray(seen).max(axis=0).mean())


def _long_ones(strength: Strength, width_px: float) -> Strength:
    """Without what does not hang together over some length."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats((strength > 0.35).astype(np.uint8))
    extents = np.hypot(boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT])
    is_long = extents >= _LONG * width_px
    is_long[0] = False
    if count < 2 or not is_long.any():
        return np.zeros_like(strength)
    near = cv2.dilate(is_long[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(strength * near, np.float32)


def _fill(mask: NDArray[np.uint8], corners: Points, value: int) -> None:
    hull = cv2.convexHull(np.asarray(corners, np.float32))[:, 0]
    fixed_point = np.round(hull * 2**_SHIFT).astype(np.int32)
    cv2.fillConvexPoly(mask, fixed_point, (value,), cv2.LINE_AA, _SHIFT)
