"""How bright a person's own eyes are on the face that is drawn around them."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.crop import Crop
from realtime.face_mesh import EYES
from realtime.frame import Image, Points
from realtime.skin_light import LUMA

EyeShades = tuple[float, float]
"""Factors on the brightness of the target's right and left eye."""

_LEAST_EYE_PX = 6
"""An eye of fewer pixels is left as it is."""

_DARKEST, _BRIGHTEST = 0.5, 1.6
"""How far an eye may be darkened or lightened towards the source's."""

_CORNERS = np.array(EYES)

_BLUE, _GREEN, _RED = LUMA.tolist()


def match_eyes(
    crop: Crop,
    points: Points,
    pictures: tuple[Image, Image],
    before: EyeShades,
    share: float,
    *,
    gains: EyeShades = (1.0, 1.0),
) -> EyeShades:
    """Gives each of the target's eyes some of the brightness the source's eye would have.

    Args:
        crop: the eyes in its region are written.
        points: ``(468, 3)`` the crop's pixels, where the face was drawn.
        pictures: ``(h, w, 3) u8 BGR`` each, what the crop shows, and the drawn face.
        before: what was returned for the frame before; (1, 1) at first.
        share: how far the shades follow this frame, 0..1; 1 for the first.
        gains: of the texture.

    Returns:
        The factors of the right and the left eye.
    """
    corners = points.take(_CORNERS, axis=0)[..., :2]
    lows, highs = corners.min(axis=1).tolist(), corners.max(axis=1).tolist()
    shades = list(before)
    for number, (low, high) in enumerate(zip(lows, highs, strict=True)):
        rows, columns = (
            _span(low[1], high[1], crop.height_px),
            _span(low[0], high[0], crop.width_px),
        )
        if rows.stop <= rows.start or columns.stop <= columns.start:
            continue
        inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        placed = corners[number] - np.array((columns.start, rows.start), np.float32)
        cv2.fillPoly(inside, [np.rint(placed).astype(np.int32)], (255,))
        if cv2.countNonZero(inside) < _LEAST_EYE_PX:
            continue
        own, drawn = (_luma(picture[rows, columns], inside) for picture in pictures)
        wanted = min(max((gains[number] * drawn + 10) / (own + 10), _DARKEST), _BRIGHTEST)
        shades[number] += share * (math.sqrt(wanted) - shades[number])
        _shade(crop, rows, columns, inside, shades[number])
    return shades[0], shades[1]


def _span(low: float, high: float, extent: int) -> slice:
    """The pixels of a crop from low to high."""
    return slice(max(math.floor(low), 0), min(math.ceil(high) + 1, extent))


def _luma(picture: Image, inside: NDArray[np.uint8]) -> float:
    """The mean brightness of what a mask shows, 0..255."""
    blue, green, red, _ = cv2.mean(picture, inside)
    return float(_BLUE * blue + _GREEN * green + _RED * red)


def _shade(
    crop: Crop, rows: slice, columns: slice, inside: NDArray[np.uint8], factor: float
) -> None:
    """Multiplies an eye in the picture by a factor."""
    region = crop.region[
        int(rows.start / crop.scale) : int(rows.stop / crop.scale),
        int(columns.start / crop.scale) : int(columns.stop / crop.scale),
    ]
    if region.size:
        mask = cv2.resize(inside, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        soft = cv2.blur(mask, (3, 3))
        gain = cv2.addWeighted(soft, (factor - 1) / 255, soft, 0.0, 1.0, dtype=cv2.CV_32F)
        cv2.multiply(region, cv2.merge([gain, gain, gain]), region, dtype=cv2.CV_8U)
