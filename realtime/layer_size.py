"""How many pixels a swapped face needs, and the same layer with more of them, or with fewer."""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from realtime.frame import Image, Layer
from realtime.geometry import compose

_FINE_RATIO = 1.25
"""A layer pixel that is enlarged to this many of the picture's at most is fine enough."""

_MARGIN_PX = 4
"""What a network is shown around the part that covers the picture."""

_STEP_PX = 16
"""Sides of what it is shown are multiples of this: a runtime prepares itself for each new size."""

_LARGE_RATIO = 2 * math.sqrt(2)
"""From here on four times the pixels are nearer to what the picture can show than twice."""


def scale_for(layer: Layer, scales: Sequence[int]) -> int:
    """How many times as many pixels a layer needs to be as fine as the picture.

    Args:
        layer: a face before it is laid over the picture.
        scales: what there are networks for.

    Returns:
        One of the scales; 1 where the layer is fine enough.
    """
    first = layer.crop_from_image[:, 0]
    ratio = 1.0 / max(math.hypot(*first.tolist()), 1e-6)
    if ratio <= _FINE_RATIO or not scales:
        return 1
    return max(scales) if ratio >= _LARGE_RATIO else min(scales)


def covering(layers: Sequence[Layer]) -> list[Layer]:
    """Layers of one size cut to what covers the picture: the rest would be worked on unseen.

    Args:
        layers: none of them empty.

    Returns:
        As many of one size again, views of what is given.
    """
    boxes = [cv2.boundingRect(layer.alpha) for layer in layers]
    height, width = layers[0].alpha.shape
    columns = _side(max(box[2] for box in boxes), width)
    rows = _side(max(box[3] for box in boxes), height)
    cut = []
    for layer, (left, top, across, down) in zip(layers, boxes, strict=True):
        x = min(max(left - (columns - across) // 2, 0), width - columns)
        y = min(max(top - (rows - down) // 2, 0), height - rows)
        part = slice(y, y + rows), slice(x, x + columns)
        part_from_crop = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y]])
        moved = compose(part_from_crop, layer.crop_from_image)
        cut.append(
            replace(layer, face=layer.face[part], alpha=layer.alpha[part], crop_from_image=moved)
        )
    return cut


def enlarged_plainly(face: Image, scale: int) -> Image:
    """``(h, w, 3) u8`` with so many times the pixels along each side, by cubic interpolation."""
    size = face.shape[1] * scale, face.shape[0] * scale
    return np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def larger(layer: Layer, scale: int, face: Image) -> Layer:
    """A layer in the same place with so many times the pixels along each side, which are given.

    Args:
        layer: ``(h, w)`` pixels.
        scale: how many times as many.
        face: ``(scale h, scale w, 3) u8 BGR``.
    """
    height, width = face.shape[:2]
    middle = (scale - 1) / 2
    larger_from_crop = np.array([[scale, 0.0, middle], [0.0, scale, middle]])
    return replace(
        layer,
        face=face,
        alpha=np.asarray(cv2.resize(layer.alpha, (width, height)), np.uint8),
        crop_from_image=compose(larger_from_crop, layer.crop_from_image),
    )


def _side(covered_px: int, most_px: int) -> int:
    """Of the part that a network is shown, with a margin."""
    wanted_px = -(-(covered_px + 2 * _MARGIN_PX) // _STEP_PX) * _STEP_PX
    return min(wanted_px, most_px)
