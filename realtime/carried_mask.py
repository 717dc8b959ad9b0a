"""Masks of what is seen around a face, carried along by its motion and smoothed in time."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.models.face_landmark import square_from_landmarks
from engines.models.square_crop import CropSquare
from realtime.frame import Face, Motion
from realtime.geometry import Matrix, apply, compose, invert
from realtime.tracks import share_after

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
    rise, fall = (share_after(elapsed_ms, half_ms) for half_ms in half_lives_ms)
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
    view_from_crop = compose(motion.crop_from_image, invert(crop_from_image))
    mask_from_view = compose(before_from_image, invert(motion.before_from_image))
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    # Plane by plane: of two channels that lie side by side OpenCV's loops are the slow ones.
    across, down = (
        np.asarray(
            cv2.warpAffine(plane, view_from_crop, size, flags=flags, borderMode=border), np.float32
        )
        for plane in cv2.split(motion.flow)
    )
    source = [
        _placed(np.asarray(cv2.addWeighted(across, flow_x, down, flow_y, 0.0), np.float32), row)
        for (flow_x, flow_y), row in zip(
            mask_from_view[:, :2].tolist(), compose(mask_from_view, view_from_crop), strict=True
        )
    ]
    return np.asarray(cv2.remap(mask, source[0], source[1], cv2.INTER_LINEAR), np.uint8)


def _placed(shift: NDArray[np.float32], row: NDArray[np.float64]) -> NDArray[np.float32]:
    """Adds to ``(h, w)``, in place, the coordinate that a row of an affine map gives each pixel."""
    across, down, begin = row
    height, width = shift.shape
    shift += (across * np.arange(width) + begin).astype(np.float32)
    shift += (down * np.arange(height)).astype(np.float32)[:, None]
    return shift
