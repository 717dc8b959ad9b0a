"""Parts of the person in front of the camera that stay in front of a drawn face."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_parts import kept_eyes, kept_mouth
from realtime.frame import Face, Points
from realtime.geometry import Matrix
from realtime.small_copy import placed

Region = Literal["glasses", "mouth", "eyes"]

Mask = NDArray[np.uint8]


def kept_parts(keep: Sequence[Region], points: Points, size: tuple[int, int]) -> list[Mask]:
    """Masks of the eyes and the mouth where they are to stay.

    Args:
        keep: what is to stay.
        points: ``(468, 2) f32``, the landmarks in pixels of the masks.
        size: width and height of the masks.
    """
    masks = [kept_eyes(points, size)] if "eyes" in keep else []
    return masks + ([kept_mouth(points, size)] if "mouth" in keep else [])


def without_kept(
    alpha: Mask, keep: Sequence[Region], face: Face, points: Points, crop_from_image: Matrix
) -> Mask:
    """A drawn face's coverage without what is to stay, its glasses too.

    Args:
        alpha: ``(h, w) u8``, of the crop.
        keep: what is to stay.
        face: has the glasses.
        points: ``(468, 2) f32``, its landmarks in pixels of the crop.
        crop_from_image: where the crop lies.
    """
    size = (alpha.shape[1], alpha.shape[0])
    masks = kept_parts(keep, points, size)
    if "glasses" in keep and face.glasses is not None:
        masks.append(placed(face.glasses, crop_from_image, size))
    for mask in masks:
        alpha = without(alpha, mask)
    return alpha


def without(alpha: Mask, mask: Mask) -> Mask:
    """Coverage less a mask, both ``(h, w) u8``."""
    return np.asarray(cv2.multiply(alpha, cv2.bitwise_not(mask), scale=1 / 255), np.uint8)
