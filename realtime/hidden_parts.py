"""What stands in front of a face, and what that leaves of a layer."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Face, Layer, Occluder
from realtime.geometry import compose, invert

MOST_HIDDEN = 0.65
"""With more than this share of a face hidden its landmarks cannot be relied on, and what is laid
over them may leave the person's own face beside it."""


def share_hidden(face: Face) -> float:
    """The share of a face that something stands in front of."""
    return 0.0 if face.occluder is None else face.occluder.share


def in_front(layer: Layer, occluder: Occluder) -> NDArray[np.uint8]:
    """The layer's alpha without what something stands in front of."""
    layer_from_mask = compose(layer.crop_from_image, invert(occluder.crop_from_image))
    height, width = layer.alpha.shape
    hidden = cv2.warpAffine(occluder.mask, layer_from_mask, (width, height))
    return np.asarray(cv2.multiply(layer.alpha, cv2.bitwise_not(hidden), scale=1 / 255), np.uint8)
