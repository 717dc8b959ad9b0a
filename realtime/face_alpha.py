"""How far a drawn face covers the picture: to its silhouette, and not over hair before it."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_texture import COVERED, TONE_OFFSET
from realtime.frame import Image, Points
from realtime.skin_light import LUMA

_DARK_RATIO, _BRIGHT_RATIO, _TINT = (0.72, 0.55), (1.45, 1.8), (0.2, 0.34)
"""From where to where a spot turns from skin to something else: its brightness over that of the
skin around when darker and when brighter, and its difference in colour over its brightness."""

_BLUE, _GREEN, _RED = LUMA.tolist()

_CROWN, _CHIN = 10, 152
"""Landmarks at the upper and lower end of the face."""


def face_alpha(
    picture: Image,
    seen: NDArray[np.uint8],
    tones: NDArray[np.float32],
    cover: NDArray[np.uint8],
    points: Points,
    width_px: float,
) -> NDArray[np.uint8]:
    """How far the texture covers each pixel of a crop.

    Args:
        picture: ``(h, w, 3) u8 BGR``, what the crop shows.
        seen: ``(h, w) u8`` 255 on the face's surface, 0 beside it.
        tones: ``(h, w, 4) f32``, the light on plain skin, BGR and luma, each plus ``TONE_OFFSET``.
        cover: ``(h, w, 4) u8``, of the texture, see ``FaceTexture.cover``.
        points: ``(468, 3)`` where the face is drawn; only which way is up matters.
        width_px: width of the face.

    Returns:
        ``(h, w) u8``.
    """
    # The silhouette of a turned head is where the surface ends; it gets a soft edge too.
    reach = max(1, int(0.006 * width_px))
    solid = cv2.blur(seen, (2 * reach + 1, 2 * reach + 1))
    # 0 at the outermost pixel of the surface, so that enlarging carries nothing beyond it.
    gain, rest = (2 * reach + 1) / reach, 255.0 * (reach + 1) / reach
    solid = cv2.addWeighted(solid, gain, solid, 0.0, -rest)
    alpha = cv2.min(cv2.extractChannel(cover, COVERED), solid)
    turns = _quarter_turns(points)
    if turns:
        # Hair hangs in from above as the head has it.
        upright = [_turned(plane, turns) for plane in (picture, seen, tones, cover)]
        foreign = _turned(_foreign(*upright), -turns)
    else:
        foreign = _foreign(picture, seen, tones, cover)
    return np.asarray(cv2.multiply(alpha, cv2.bitwise_not(foreign), scale=1 / 255), np.uint8)


def _turned(plane: NDArray[Any], turns: int) -> NDArray[Any]:
    """A picture turned by quarter turns against the clock."""
    return np.ascontiguousarray(np.rot90(plane, turns))


def _foreign(
    picture: Image,
    seen: NDArray[np.uint8],
    tones: NDArray[np.float32],
    cover: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Where hair hangs over the face or the landmarks reach beyond it, ``(h, w) u8``.

    Both differ from the skin around and come in from outside the face. What differs but is cut
    off from the outside by skin, such as a brow, belongs to the face.
    """
    dark, unlike = _unlike_skin(picture, tones)
    _, from_above, from_the_side, _ = cv2.split(cover)
    outside = cv2.bitwise_not(seen)
    above = cv2.max(cv2.min(dark, from_above), outside)
    # Lying on its side, what comes in from both sides comes in from above, and the other way up.
    beside = cv2.transpose(cv2.max(cv2.min(unlike, from_the_side), outside))
    num_rows = beside.shape[1]
    inwards = _running_least(cv2.hconcat([beside, cv2.flip(beside, 0)]))
    either = cv2.max(inwards[:, :num_rows], cv2.flip(inwards[:, num_rows:], 0))
    foreign = cv2.max(_running_least(above), cv2.transpose(either))
    return np.asarray(cv2.blur(foreign, (3, 3)), np.uint8)


def _unlike_skin(
    picture: Image, tones: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How far each pixel is too dark for skin, and how far it is unlike it in any way, 0..255."""
    # Plane by plane: each fits into the nearest cache, and none must be spread over three channels.
    colour = [
        cv2.addWeighted(plane, 1.0, plane, 0.0, TONE_OFFSET, dtype=cv2.CV_32F)
        for plane in cv2.split(picture)
    ]
    *tone, skin_luma = cv2.split(tones)
    luma = cv2.addWeighted(colour[0], _BLUE, colour[1], _GREEN, 0.0)
    ratio = np.asarray(cv2.divide(cv2.scaleAdd(colour[2], _RED, luma), skin_luma), np.float32)
    blue, green, red = (
        cv2.absdiff(cv2.divide(plane, ratio), skin)
        for plane, skin in zip(colour, tone, strict=True)
    )
    tint = np.asarray(cv2.divide(cv2.max(cv2.max(blue, green), red), skin_luma), np.float32)
    dark, bright = _ramp(ratio, *_DARK_RATIO), _ramp(ratio, *_BRIGHT_RATIO)
    return dark, np.asarray(cv2.max(cv2.max(dark, bright), _ramp(tint, *_TINT)), np.uint8)


def _running_least(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """The least of each column from the top down to each pixel, ``(h, w) u8``."""
    # Each step looks twice as far up: a few quick ones instead of a slow one for each row.
    step = 1
    while step < len(plane):
        further = np.empty_like(plane)
        further[:step] = plane[:step]
        cv2.min(plane[step:], plane[:-step], further[step:])
        plane, step = further, 2 * step
    return np.asarray(plane, np.uint8)


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
