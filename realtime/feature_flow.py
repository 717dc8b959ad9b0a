"""A face's motion in the picture as that of a network's feature map of it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Motion
from realtime.geometry import Matrix, apply, compose, invert

_ROUNDING_PX = 1e-6
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
    flow = cv2.warpAffine(
        motion.flow,
        view_from_feature,
        (width, height),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    confidence = cv2.warpAffine(motion.confidence, view_from_feature, (width, height), flags=flags)
    rows, columns = np.indices((height, width))
    here = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    origin = apply(before_from_view, apply(view_from_feature, here) + flow.reshape(-1, 2))
    last = np.array([width - 1, height - 1]) + _ROUNDING_PX
    inside = ((origin >= -_ROUNDING_PX) & (origin <= last)).all(axis=1)
    moved = (origin - here).reshape(height, width, 2).astype(np.float32)
    return moved, np.asarray(confidence * inside.reshape(height, width), np.float32)
