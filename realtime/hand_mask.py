"""The silhouette of a hand, drawn around its 21 points."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.geometry import Matrix, apply

_PALM = (0, 1, 2, 5, 9, 13, 17)
"""Points whose convex hull is the palm."""

_FINGERS = (
    ((1, 2, 3, 4), 0.25),
    ((5, 6, 7, 8), 0.21),
    ((9, 10, 11, 12), 0.21),
    ((13, 14, 15, 16), 0.20),
    ((17, 18, 19, 20), 0.17),
)
"""Points of each finger from root to tip, and its width in lengths of the palm; set by eye so that
the silhouette ends on the skin's edge or just inside."""

_PALM_RIM = 0.26
"""How far the palm reaches over the hull of its points, both sides together."""

_ARM_LENGTH, _ARM_WIDTH = 0.45, 0.5
"""The piece of arm that is drawn: short, as a bent wrist points elsewhere."""

_WIDTH_TO_LENGTH = 1.35
"""Length of a palm over its width between the outer knuckles; the larger of both tells the size,
as either may be foreshortened."""

_SHIFT = 4


def palm_length(points: NDArray[np.floating]) -> float:
    """The length of a palm from wrist to middle knuckle, were it seen unforeshortened.

    Args:
        points: ``(21, 2 or 3)`` of a hand; the length is in their unit.
    """
    length = np.hypot(*(points[9, :2] - points[0, :2]))
    width = np.hypot(*(points[17, :2] - points[5, :2]))
    return float(max(length, _WIDTH_TO_LENGTH * width))


def draw_hand(
    points: NDArray[np.float32], mask_from_image: Matrix, *, out: NDArray[np.uint8]
) -> None:
    """Adds a hand to a mask.

    Args:
        points: ``(21, 2 or 3)`` image pixels.
        mask_from_image: ``(2, 3)``.
        out: ``(S, S) u8``; 255 is written where the hand is.
    """
    placed = apply(mask_from_image, points[:, :2])
    length = palm_length(placed)

    def line(corners: NDArray[np.float64], width: float, *, closed: bool = False) -> None:
        fixed_point = np.round(corners * 2**_SHIFT).astype(np.int32)
        thickness = max(1, round(width * length))
        cv2.polylines(out, [fixed_point], closed, (255,), thickness, cv2.LINE_AA, _SHIFT)

    palm = cv2.convexHull(placed[list(_PALM)].astype(np.float32))[:, 0].astype(np.float64)
    fixed_point = np.round(palm * 2**_SHIFT).astype(np.int32)
    cv2.fillConvexPoly(out, fixed_point, (255,), cv2.LINE_AA, _SHIFT)
    line(palm, _PALM_RIM, closed=True)
    for finger, width in _FINGERS:
        line(placed[list(finger)], width)
    along = placed[0] - placed[9]
    along *= length / max(float(np.hypot(*along)), 1e-6)
    line(np.stack([placed[0], placed[0] + _ARM_LENGTH * along]), _ARM_WIDTH)
