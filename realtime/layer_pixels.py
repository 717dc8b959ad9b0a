"""Layers whose pixels are the picture's own, which need no sampling."""

import numpy as np

from realtime.frame import Image, Layer

_SAME_PX = 1e-4
"""Layer and picture share their pixels where their places differ by no more than this."""


def same_pixels(layer: Layer, image: Image) -> Image | None:
    """The part of the picture where layer and picture share their pixels; None if they do not."""
    height, width = layer.alpha.shape
    (a, b, across), (c, d, down) = layer.crop_from_image.tolist()
    left, top = -round(across), -round(down)
    if max(abs(v) for v in (a - 1.0, b, c, d - 1.0, across + left, down + top)) > _SAME_PX:
        return None
    if left < 0 or top < 0 or left + width > image.shape[1] or top + height > image.shape[0]:
        return None
    return np.ascontiguousarray(image[top : top + height, left : left + width])
