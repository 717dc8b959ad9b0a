"""How far a drawn face covers the picture: to its silhouette, and not over hair before it."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_texture import TONE_OFFSET
from realtime.frame import Image, Points
from realtime.skin_light import LUMA
from realtime.texture_fill import Map

ALL = 2.0
"""More than any share, for ranges without an upper end."""

_COVERED, _FROM_ABOVE, _FROM_THE_SIDE = range(3)
"""Planes of ``FaceTexture.cover``."""

_DARK_RATIO, _BRIGHT_RATIO, _TINT = (0.72, 0.55), (1.45, 1.8), (0.2, 0.34)
"""From where to where a spot turns from skin to something else: its brightness over that of the
skin around when darker and when brighter, and its difference in colour over its brightness."""

_CROWN, _CHIN = 10, 152
"""Landmarks at the upper and lower end of the face."""


def face_alpha(
    picture: Image,
    seen: Map,
    tone: NDArray[np.float32],
    cover: NDArray[np.uint8],
    points: Points,
    width_px: float,
) -> NDArray[np.uint8]:
    """How far the texture covers each pixel of a crop.

    Args:
        picture: ``(h, w, 3) u8 BGR``, what the crop shows.
        seen: ``(h, w) f32`` 1 on the face's surface, 0 beside it.
        tone: ``(h, w, 3) f32``, the light on plain skin, plus ``TONE_OFFSET``.
        cover: ``(h, w, 4) u8``, of the texture, see ``FaceTexture.cover``.
        points: ``(468, 3)`` where the face is drawn; only which way is up matters.
        width_px: width of the face.

    Returns:
        ``(h, w) u8``.
    """
    # The silhouette of a turned head is where the surface ends; it gets a soft edge too.
    solid = cv2.addWeighted(seen, 255.0, seen, 0.0, 0.0, dtype=cv2.CV_8U)
    reach = max(1, int(0.006 * width_px))
    solid = cv2.blur(solid, (2 * reach + 1, 2 * reach + 1))
    # 0 at the outermost pixel of the surface, so that enlarging carries nothing beyond it.
    gain, rest = (2 * reach + 1) / reach, 255.0 * (reach + 1) / reach
    solid = cv2.addWeighted(solid, gain, solid, 0.0, -rest)
    alpha = cv2.min(cv2.extractChannel(cover, _COVERED), solid)
    turns = _quarter_turns(points)
    if turns:
        # Hair hangs in from above as the head has it.
        upright = [_turned(plane, turns) for plane in (picture, seen, tone, cover)]
        foreign = _turned(_foreign(*upright), -turns)
    else:
        foreign = _foreign(picture, seen, tone, cover)
    return np.asarray(cv2.multiply(alpha, cv2.bitwise_not(foreign), scale=1 / 255), np.uint8)


def _turned(plane: NDArray[Any], turns: int) -> NDArray[Any]:
    """A picture turned by quarter turns against the clock."""
    return np.ascontiguousarray(np.rot90(plane, turns))


def _foreign(
    picture: Image, seen: Map, tone: NDArray[np.float32], cover: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Where hair hangs over the face or the landmarks reach beyond it, ``(h, w) u8``.

    Both differ from the skin around and come in from outside the face. What differs but is cut
    off from the outside by skin, such as a brow, belongs to the face.
    """
    colour = picture.astype(np.float32) + np.float32(TONE_OFFSET)
    skin_luma = cv2.transform(tone, LUMA[None])
    ratio = np.asarray(cv2.divide(cv2.transform(colour, LUMA[None]), skin_luma), np.float32)
    level = cv2.divide(colour, cv2.merge([ratio, ratio, ratio]))
    blue, green, red = cv2.split(cv2.absdiff(level, tone))
    tint = cv2.divide(cv2.max(cv2.max(blue, green), red), skin_luma)
    dark, bright = _ramp(ratio, *_DARK_RATIO), _ramp(ratio, *_BRIGHT_RATIO)
    aside = cv2.max(cv2.max(dark, bright), _ramp(np.asarray(tint, np.float32), *_TINT))
    outside = cv2.bitwise_not(cv2.inRange(seen, 0.5, ALL))

    def hanging(mask: NDArray[np.uint8], zone: int) -> NDArray[np.uint8]:
        kept = cv2.min(mask, cv2.extractChannel(cover, zone))
        return np.asarray(cv2.max(kept, outside), np.uint8)

    above = hanging(dark, _FROM_ABOVE)
    beside = hanging(np.asarray(aside, np.uint8), _FROM_THE_SIDE)
    down = np.minimum.accumulate(above, axis=0)
    rightwards = np.minimum.accumulate(beside, axis=1)
    leftwards = np.minimum.accumulate(beside[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(cv2.blur(np.maximum.reduce([down, rightwards, leftwards]), (3, 3)), np.uint8)


def _ramp(values: NDArray[np.float32], none: float, full: float) -> NDArray[np.uint8]:
    """0 up to ``none``, 255 from ``full`` on, linear between, in either direction."""
    gain = 255.0 / (full - none)
    return np.asarray(
        cv2.addWeighted(values, gain, values, 0.0, -gain * none, dtype=cv2.CV_8U), np.uint8
    )


def _quarter_turns(points: Points) -> int:
    """How many quarter turns against the clock put a head nearest to upright, 0..3."""
    across, down = (points[_CROWN, :2] - points[_CHIN, :2]).tolist()
    return round(math.atan2(across, -down) / (math.pi / 2)) % 4
