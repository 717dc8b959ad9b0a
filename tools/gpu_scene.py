"""A scene for measuring a device pipeline: pictures with detail, and a face that moves in them."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.device_slots import DeviceFace
from realtime.frame import Image

_FACE = 0.42
"""Of the picture's height that the face's crop spans; a head and shoulders before a camera."""

_PERIOD = 90
"""Frames in which the face comes round."""


def picture(size: tuple[int, int], seed: int = 0) -> Image:
    """Blurred noise: detail everywhere, so that no part is cheaper than another.

    Args:
        size: width and height.
        seed: another one gives another picture.
    """
    width, height = size
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    large = cv2.resize(noise, (4 * noise.shape[1], 4 * noise.shape[0]))
    return np.ascontiguousarray(large[:height, :width])


def crop_at(frame: int, size: tuple[int, int], crop_px: int) -> NDArray[np.float64]:
    """``crop_from_image`` of a face that moves and turns."""
    width, height = size
    turn = 2 * math.pi * frame / _PERIOD
    scale, lean = crop_px / (_FACE * height), 0.15 * math.sin(turn)
    centre = (width * (0.5 + 0.1 * math.cos(turn)), height * (0.5 + 0.05 * math.sin(2 * turn)))
    c, s = scale * math.cos(lean), scale * math.sin(lean)
    shift = (crop_px - 1) / 2
    return np.array(
        [
            [c, -s, shift - c * centre[0] + s * centre[1]],
            [s, c, shift - s * centre[0] - c * centre[1]],
        ]
    )


def face_at(frame: int, size: tuple[int, int], crop_px: int) -> DeviceFace:
    """The same for the pipeline."""
    return DeviceFace(0, crop_at(frame, size, crop_px), is_new=frame == 0)
