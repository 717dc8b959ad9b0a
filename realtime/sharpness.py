"""Makes a drawn face as sharp as the picture it is laid into.

A source portrait is usually sharper than a webcam's picture, and pores and wrinkles that the
camera would never have shown look pasted on; they also flicker, for no two frames sample them
alike. So the finest detail of the face is held to the strength it has in the picture around.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

_FINEST = 1 / 200
"""Standard deviation of the blur that parts the finest detail from the rest, in face widths."""

_MIN_SIGMA_PX = 1.0
_RATIO = 1.15
"""Strength of the face's finest detail over that of the picture's; a little more is not seen."""

_LEAST_GAIN = 0.25
_NO_DETAIL = 1e-3
_COVERED = 127
_MIN_PIXELS = 256


def finest_sigma_px(width_px: float) -> float:
    """Standard deviation of the blur that parts the finest detail of a face of this width."""
    return max(_MIN_SIGMA_PX, _FINEST * width_px)


def detail_gain(face: Image, picture: Image, alpha: NDArray[np.uint8], sigma_px: float) -> float:
    """What the face's finest detail must be multiplied with to match the picture's.

    Args:
        face: ``(h, w, 3) u8 BGR``.
        picture: ``(h, w, 3) u8 BGR``, what the face is laid over.
        alpha: ``(h, w) u8``; detail is measured where the face covers more than half.
        sigma_px: from ``finest_sigma_px``.

    Returns:
        1 where the face is no sharper, down to 0.25; 1 where too little of it is seen to tell.
    """
    covered = alpha > _COVERED
    if np.count_nonzero(covered) < _MIN_PIXELS:
        return 1.0
    own, wanted = (_detail(image, sigma_px)[covered].mean() for image in (face, picture))
    ratio = max(wanted, _NO_DETAIL) / max(own, _NO_DETAIL)
    return float(np.clip(_RATIO * ratio, _LEAST_GAIN, 1.0))


def soften(face: Image, gain: float, sigma_px: float) -> Image:
    """The face with its finest detail multiplied by a factor of at most 1: ``(h, w, 3) u8``."""
    blurred = _blurred(face, sigma_px)
    return np.asarray(cv2.addWeighted(face, gain, blurred, 1.0 - gain, 0.0), np.uint8)


def _detail(image: Image, sigma_px: float) -> NDArray[np.float32]:
    """Strength of the finest detail of the luma at each pixel, ``(h, w) f32`` grey levels."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine = cv2.absdiff(grey, _blurred(grey, sigma_px))
    return np.asarray(fine, np.float32)


def _blurred(image: NDArray[Any], sigma_px: float) -> NDArray[Any]:
    """A Gaussian that ends at two standard deviations; three take twice the time."""
    side = 2 * round(2.0 * sigma_px) + 1
    return cv2.GaussianBlur(image, (side, side), sigma_px)
