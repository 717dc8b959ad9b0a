"""A face's motion in the picture as that of a network's feature map of it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Motion
from realtime.geometry import Matrix, compose, invert

_ROUNDING_PX = 1e-4
"""A place this far beyond the first or the last pixel is there by rounding."""


def feature_flow(
    motion: Motion,
    crop_from_image: Matrix,
    before_from_image: Matrix,
    crop_px: int,
    size: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far away each spot of a feature map was in that of the frame before.

    Args:
        motion: of the face in the picture.
        crop_from_image: ``(2, 3)``, the network's crop of this frame, all of which the map shows.
        before_from_image: ``(2, 3)``, that of the frame before.
        crop_px: side of these crops.
        size: height and width of the map.

    Returns:
        ``(h, w, 2) f32`` in its pixels, x first, and ``(h, w) f32`` 0..1, how far that is to be
        trusted; 0 where it was outside of the map.
    """
    height, width = size
    scale = np.array([width / crop_px, height / crop_px])
    feature_from_crop = np.column_stack([np.diag(scale), (scale - 1) / 2])
    feature_from_image = compose(feature_from_crop, crop_from_image)
    view_from_feature = compose(motion.crop_from_image, invert(feature_from_image))
    before_from_view = compose(
        compose(feature_from_crop, before_from_image), invert(motion.before_from_image)
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    across, down = cv2.split(
        cv2.warpAffine(
            motion.flow,
            view_from_feature,
            (width, height),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    trust = cv2.warpAffine(motion.confidence, view_from_feature, (width, height), flags=flags)
    before_from_feature = compose(before_from_view, view_from_feature)
    moved = np.empty((height, width, 2), np.float32)
    columns, rows = np.arange(width), np.arange(height)[:, None]
    for axis, (here, extent) in enumerate(((columns, width), (rows, height))):
        to_x, to_y, begin = before_from_feature[axis].tolist()
        # What the crops' own movement adds.
        apart = (to_x * columns + to_y * rows + (begin - here)).astype(np.float32)
        shift = before_from_view[axis, :2].astype(np.float32)
        np.add(apart, shift[0] * across + shift[1] * down, out=moved[..., axis])
        origin = moved[..., axis] + here
        trust *= (origin >= -_ROUNDING_PX) & (origin <= extent - 1 + _ROUNDING_PX)
    return moved, np.asarray(trust, np.float32)
