"""Parts of a face on FuseNet's crop in which its training asks for something of its own."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.fusenet_disturb import Plane

RIM_PX = 7
"""How far the rim of a drawn face reaches inwards, pixels of the crop."""

_CHEEKS = (
    (117, 118, 119, 100, 142, 203, 206, 207, 187, 123),
    (346, 347, 348, 329, 371, 423, 426, 427, 411, 352),
)
_FOREHEAD = (109, 10, 338, 337, 9, 108)

_CERTAIN = 128
"""Coverage from which a face counts as drawn, grey levels."""


def zones(points: Plane, validity: Plane) -> Plane:
    """Where bare skin is, and where the outer rim.

    Args:
        points: ``(468, 2)`` landmarks of the target, pixels of the crop.
        validity: ``(S, S) f32`` 0..1, where the face was drawn.

    Returns:
        ``(2, S, S) f32`` 0..1: cheeks and middle of the forehead; the rim, 1 at the edge of the
        drawn face and 0 from ``RIM_PX`` inside of it. Openings have no rim.
    """
    side = validity.shape[0]
    skin = np.zeros((side, side), np.uint8)
    for ring in (*_CHEEKS, _FOREHEAD):
        cv2.fillPoly(skin, [np.round(points[list(ring)]).astype(np.int32)], (1,))
    drawn = np.asarray(255 * validity >= _CERTAIN, np.uint8)
    whole = _filled(drawn)
    depth = cv2.distanceTransform(whole, cv2.DIST_L2, 3)
    rim = np.clip(1 - (depth - 1) / RIM_PX, 0, 1) * drawn
    return np.stack([skin, rim]).astype(np.float32)


def _filled(drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same without the holes inside."""
    rings, _ = cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(drawn)
    cv2.drawContours(whole, rings, -1, (1,), cv2.FILLED)
    return whole
