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

_SPARE = 1.05
"""So many times the pixels that can be seen are kept, as laying a face down blurs it a little."""

_FACTOR_STEP = 0.25
_WORTH = 0.9
"""Pixels are left out only where sides become shorter than by this."""

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
    ratio = _ratio(layer)
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


def shown_factor(layer: Layer, scale: int) -> float:
    """How many times as many pixels of a layer can be seen, at most as many as are made.

    Args:
        layer: a face before it is laid over the picture.
        scale: how many times as many a network makes.

    Returns:
        In steps, so that a face that comes nearer keeps its size for a while; the scale where less
        would save little.
    """
    steps = math.ceil(_SPARE * _ratio(layer) / _FACTOR_STEP)
    factor = max(1.0, steps * _FACTOR_STEP)
    return float(scale) if factor > _WORTH * scale else factor


def sized(layer: Layer, factor: float, face: Image | None = None) -> Layer:
    """A layer in the same place with so many times the pixels along each side.

    Args:
        layer: ``(h, w)`` pixels.
        factor: how many times as many, 1 or more.
        face: ``(H, W, 3) u8 BGR``, the same picture with no fewer pixels than that; None to
            enlarge the layer's own by cubic interpolation.
    """
    height, width = layer.alpha.shape
    size = round(factor * width), round(factor * height)
    across, down = size[0] / width, size[1] / height
    sized_from_crop = np.array(
        [[across, 0.0, (across - 1) / 2], [0.0, down, (down - 1) / 2]], np.float64
    )
    if face is None:
        face = np.asarray(cv2.resize(layer.face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    elif face.shape[1::-1] != size:
        # Averaging is slow, and needed only where pixels would be passed over.
        how = cv2.INTER_AREA if face.shape[1] > 2 * size[0] else cv2.INTER_LINEAR
        face = np.asarray(cv2.resize(face, size, interpolation=how), np.uint8)
    return replace(
        layer,
        face=face,
        alpha=np.asarray(cv2.resize(layer.alpha, size), np.uint8),
        crop_from_image=compose(sized_from_crop, layer.crop_from_image),
    )


def _ratio(layer: Layer) -> float:
    """How many pixels of the picture lie along one of the layer."""
    return 1.0 / max(math.hypot(*layer.crop_from_image[:, 0].tolist()), 1e-6)


def _side(covered_px: int, most_px: int) -> int:
    """Of the part that a network is shown, with a margin."""
    wanted_px = -(-(covered_px + 2 * _MARGIN_PX) // _STEP_PX) * _STEP_PX
    return min(wanted_px, most_px)
