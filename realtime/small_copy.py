"""A drawn face and what lies under it, small: what is smooth is found on it."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.warp import warp
from realtime.face_parts import openings, without_skin
from realtime.frame import Face, Image, Layer, Occluder, Points
from realtime.geometry import Matrix, apply, compose, invert
from realtime.layer_pixels import same_pixels
from realtime.seam_fit import halved, num_halvings_of
from realtime.skin_tone import skin_weights


@dataclass
class SmallCopy:
    """A layer and what lies under it, averaged over blocks of pixels.

    Attributes:
        face, under: ``(h, w, 3) u8 BGR``.
        alpha: ``(h, w) u8``.
        hidden: ``(h, w) u8``, what stands in front; None for nothing.
        points: ``(468, 2) f32`` its pixels, the landmarks.
    """

    face: Image
    under: Image
    alpha: NDArray[np.uint8]
    hidden: NDArray[np.uint8] | None
    points: Points

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.alpha.shape[1], self.alpha.shape[0]

    def without_holes(self) -> NDArray[np.uint8]:
        """The coverage with eyes and mouth filled: what shows in them is no rim."""
        # The mask's own openings have soft edges, so what fills them reaches a little further.
        holes = cv2.dilate(openings(self.points, self.size), np.ones((5, 5), np.uint8))
        return np.asarray(cv2.max(self.alpha, holes), np.uint8)

    @cached_property
    def bare(self) -> NDArray[np.float32]:
        """1 on skin, 0 on eyes, teeth and brows, ``(h, w) f32``."""
        other = without_skin(self.points, self.size)
        return np.asarray(np.float32(1.0) - other * np.float32(1 / 255), np.float32)

    def skin(self) -> NDArray[np.float32]:
        """Where picture and face both show skin, ``(h, w) f32`` 0..1."""
        allowed = self.alpha * self.bare
        if self.hidden is not None:
            allowed *= np.float32(1.0) - self.hidden * np.float32(1 / 255)
        usable = allowed.astype(np.uint8)
        return skin_weights(self.under, usable) * skin_weights(self.face, usable)

    def difference(self) -> NDArray[np.float32]:
        """``(h, w, 3) f32``, picture less face."""
        return np.asarray(cv2.subtract(self.under, self.face, dtype=cv2.CV_32F), np.float32)


def small_copy(image: Image, face: Face, layer: Layer) -> SmallCopy:
    """Makes the small copy of a face's layer.

    Args:
        image: ``(H, W, 3) u8 BGR``, the picture.
        face: says what stands in front.
        layer: drawn for the face.
    """
    height, width = layer.alpha.shape
    num = num_halvings_of(height, width)
    drawn, alpha = halved(layer.face, num), halved(layer.alpha, num)
    across, down = alpha.shape[1] / width, alpha.shape[0] / height
    small_from_crop = np.array([[across, 0.0, across / 2 - 0.5], [0.0, down, down / 2 - 0.5]])
    small_from_image = compose(small_from_crop, layer.crop_from_image)
    part = same_pixels(layer, image)
    if part is not None:
        under = halved(part, num)
    else:
        under = np.empty_like(drawn)
        warp(image, small_from_image, out=under)
    hidden = None
    size = (alpha.shape[1], alpha.shape[0])
    for thing in (face.occluder, face.glasses):
        if thing is not None:
            mask = placed(thing, small_from_image, size)
            hidden = mask if hidden is None else np.maximum(hidden, mask)
    points = np.asarray(apply(small_from_image, face.landmarks[:, :2]), np.float32)
    return SmallCopy(drawn, under, alpha, hidden, points)


def placed(thing: Occluder, crop_from_image: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """What stands in front, in the pixels of a crop of this width and height."""
    crop_from_mask = compose(crop_from_image, invert(thing.crop_from_image))
    return np.asarray(cv2.warpAffine(thing.mask, crop_from_mask, size), np.uint8)
