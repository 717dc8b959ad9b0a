"""Masks of what is seen around a face, carried along by its motion and smoothed in time."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.models.face_landmark import square_from_landmarks
from engines.models.square_crop import CropSquare
from realtime.frame import Face, Motion
from realtime.geometry import Matrix, apply, compose, invert

_NOTHING = 24
"""A mask nowhere above this is none."""

Mask = NDArray[np.uint8]


def square_of(face: Face) -> CropSquare:
    """The aligned crop: that of the motion where there is one, else one of the same kind."""
    if face.motion is None:
        return square_from_landmarks(face.landmarks)
    matrix, side = face.motion.crop_from_image, len(face.motion.flow)
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    middle = apply(invert(matrix), [[(side - 1) / 2, (side - 1) / 2]])[0]
    angle_rad = float(np.arctan2(matrix[0, 1], matrix[0, 0]))
    return CropSquare(float(middle[0]), float(middle[1]), side / scale, angle_rad)


def blend_in_time(
    mask: Mask | None,
    before: Mask | None,
    before_from_image: Matrix,
    crop_from_image: Matrix,
    motion: Motion | None,
    elapsed_ms: float,
    half_lives_ms: tuple[float, float],
) -> Mask | None:
    """The mask of this frame and what is left of the one before.

    Args:
        mask: ``(S, S) u8`` of this frame; None where it is empty.
        before: that of the frame before; None where it was empty.
        before_from_image, crop_from_image: where they belong.
        motion: since the frame before.
        elapsed_ms: the same.
        half_lives_ms: with which a mask comes, and goes.

    Returns:
        ``(S, S) u8``; None where it is empty.
    """
    if before is None:
        return mask
    moved = carry(before, before_from_image, crop_from_image, motion)
    now = np.zeros_like(moved) if mask is None else mask
    rise, fall = (1.0 - 0.5 ** (elapsed_ms / half_ms) for half_ms in half_lives_ms)
    up, down = cv2.subtract(now, moved), cv2.subtract(moved, now)
    risen = cv2.scaleAdd(up.astype(np.float32), rise, moved.astype(np.float32))
    blended = cv2.convertScaleAbs(cv2.scaleAdd(down.astype(np.float32), -fall, risen))
    return np.asarray(blended, np.uint8) if blended.max() > _NOTHING else None


def carry(
    mask: Mask, before_from_image: Matrix, crop_from_image: Matrix, motion: Motion | None
) -> Mask:
    """The mask of the frame before, where the picture has taken it.

    Without flow it stays where it was in the picture: hands and stands do not go with the head.
    """
    size = mask.shape[::-1]
    if motion is None:
        moved = compose(crop_from_image, invert(before_from_image))
        return np.asarray(cv2.warpAffine(mask, moved, size), np.uint8)
    rows, columns = np.mgrid[: size[1], : size[0]]
    now = np.stack([columns.ravel(), rows.ravel()], axis=1)
    at = apply(compose(motion.crop_from_image, invert(crop_from_image)), now).astype(np.float32)
    across, down = at[:, 0].reshape(mask.shape), at[:, 1].reshape(mask.shape)
    border = cv2.BORDER_REPLICATE
    flow = cv2.remap(motion.flow, across, down, cv2.INTER_LINEAR, borderMode=border)
    source = apply(
        compose(before_from_image, invert(motion.before_from_image)), at + flow.reshape(-1, 2)
    ).astype(np.float32)
    across, down = source[:, 0].reshape(mask.shape), source[:, 1].reshape(mask.shape)
    return np.asarray(cv2.remap(mask, across, down, cv2.INTER_LINEAR), np.uint8)
