"""The stage that lays the swapped faces over the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Face, Frame, Image, Layer, Occluder, PictureSpec
from realtime.geometry import Matrix, apply, compose, invert
from realtime.memory import Memory

_UPRIGHT = 1e-9
"""A layer turned by less than this is only scaled and shifted, which takes half the time."""

_MOST = 0.65
"""With more than this share of a face hidden its landmarks cannot be relied on, and what is laid
over them may leave the person's own face beside it."""


class Composite:
    """Lays each face's layer over the picture, the farthest first.

    What stands in front of a face stays in front. A face counts as swapped from here on, but not
    one most of which is hidden, so that the guard covers it.
    """

    @property
    def name(self) -> str:
        """``composite``."""
        return "composite"

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Needs nothing."""

    def process(self, frame: Frame) -> None:
        """Writes into the picture."""
        for face in reversed(frame.faces):
            if face.layer is not None and _share_hidden(face) <= _MOST:
                alpha = face.layer.alpha
                if face.occluder is not None:
                    alpha = _in_front(face.layer, face.occluder)
                lay(face.layer.face, alpha, face.layer.crop_from_image, out=frame.image)
                face.swapped = True

    def close(self) -> None:
        """Holds nothing."""


def lay(face: Image, alpha: NDArray[np.uint8], crop_from_image: Matrix, *, out: Image) -> None:
    """Lays a crop over a picture.

    Args:
        face: ``(h, w, 3) u8``.
        alpha: ``(h, w) u8``, how far it covers the picture.
        crop_from_image: ``(2, 3)``, where it belongs; any part may lie outside the picture.
        out: ``(H, W, 3) u8``, written.
    """
    height, width = face.shape[:2]
    image_from_crop = invert(crop_from_image)
    corners = np.array([(x - 0.5, y - 0.5) for x in (0, width) for y in (0, height)])
    around = apply(image_from_crop, corners) + 0.5
    low, high = around.min(axis=0), around.max(axis=0)
    limit = np.array([out.shape[1], out.shape[0]])
    left, top = np.clip(np.floor(low + 1e-6), 0, limit).astype(int)
    right, bottom = np.clip(np.ceil(high - 1e-6), 0, limit).astype(int)
    if right <= left or bottom <= top:
        return
    region = out[top:bottom, left:right]
    size = (region.shape[1], region.shape[0])
    region_from_image = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])
    region_from_crop = compose(region_from_image, image_from_crop)
    whole = np.allclose(low, (left, top)) and np.allclose(high, (right, bottom))
    slant = abs(region_from_crop[0, 1]) + abs(region_from_crop[1, 0])
    if whole and slant < _UPRIGHT and region_from_crop[[0, 1], [0, 1]].min() > 0.0:
        if size != (width, height):
            face = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    else:
        turned = cv2.warpAffine(
            face, region_from_crop, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        face = np.asarray(turned, np.uint8)
        alpha = np.asarray(cv2.warpAffine(alpha, region_from_crop, size), np.uint8)
    weight = np.multiply(alpha, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    region[:] = cv2.blendLinear(face, np.ascontiguousarray(region), weight, rest)


def _share_hidden(face: Face) -> float:
    """The share of a face that something stands in front of."""
    return 0.0 if face.occluder is None else face.occluder.share


def _in_front(layer: Layer, occluder: Occluder) -> NDArray[np.uint8]:
    """The layer's alpha without what something stands in front of."""
    layer_from_mask = compose(layer.crop_from_image, invert(occluder.crop_from_image))
    height, width = layer.alpha.shape
    hidden = cv2.warpAffine(occluder.mask, layer_from_mask, (width, height))
    return np.asarray(cv2.multiply(layer.alpha, cv2.bitwise_not(hidden), scale=1 / 255), np.uint8)
