"""The stage that lays the swapped faces over the picture."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Frame, Image, PictureSpec
from realtime.geometry import Matrix, compose, invert
from realtime.hidden_parts import MOST_HIDDEN, in_front, share_hidden
from realtime.memory import Memory

_UPRIGHT = 1e-9
"""A layer turned by less than this is only scaled and shifted, which takes half the time."""

_WHOLE_PX = 1e-3
"""A crop whose edge lies this near to that of a pixel ends with the pixel."""


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
            if face.layer is not None and share_hidden(face) <= MOST_HIDDEN:
                alpha = face.layer.alpha
                if face.occluder is not None:
                    alpha = in_front(face.layer, face.occluder)
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
    left, right, is_whole_across = _span(image_from_crop[0], (width, height), out.shape[1])
    top, bottom, is_whole_down = _span(image_from_crop[1], (width, height), out.shape[0])
    if right <= left or bottom <= top:
        return
    region = out[top:bottom, left:right]
    size = (region.shape[1], region.shape[0])
    region_from_image = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])
    region_from_crop = compose(region_from_image, image_from_crop)
    slant = abs(region_from_crop[0, 1]) + abs(region_from_crop[1, 0])
    is_whole = is_whole_across and is_whole_down
    if is_whole and slant < _UPRIGHT and region_from_crop[[0, 1], [0, 1]].min() > 0.0:
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


def _span(row: NDArray[np.float64], size: tuple[int, int], limit: int) -> tuple[int, int, bool]:
    """The pixels of a picture that a crop reaches along one axis.

    Args:
        row: of the map from the crop to the picture.
        size: width and height of the crop.
        limit: pixels of the picture.

    Returns:
        The first, the one after the last, and whether the crop ends just there.
    """
    across, down, begin = row.tolist()
    ends = [
        begin + 0.5 + across * x + down * y
        for x in (-0.5, size[0] - 0.5)
        for y in (-0.5, size[1] - 0.5)
    ]
    low, high = min(ends), max(ends)
    first = min(max(math.floor(low + _WHOLE_PX), 0), limit)
    end = min(max(math.ceil(high - _WHOLE_PX), 0), limit)
    return first, end, abs(low - first) < _WHOLE_PX and abs(high - end) < _WHOLE_PX
