"""Lets the edge of a soft mask snap to the edges of the picture under it."""

import cv2
import numpy as np
from numpy.typing import NDArray

_SMOOTH = 0.02**2
"""Variance of the picture's brightness (0..1) below which there is no edge to follow."""


def fit_to_edges(
    mask: NDArray[np.uint8], grey: NDArray[np.uint8], radius_px: int
) -> NDArray[np.uint8]:
    """The mask as a locally linear function of the picture.

    He, Sun and Tang, "Guided Image Filtering", IEEE PAMI 35 (2013), with box windows.

    Args:
        mask: ``(S, S) u8``.
        grey: ``(S, S) u8``, the guide.
        radius_px: half the window's side; an edge of the picture this near attracts the mask's.

    Returns:
        ``(S, S) u8``.
    """
    side = (2 * radius_px + 1, 2 * radius_px + 1)
    guide = np.multiply(grey, np.float32(1 / 255), dtype=np.float32)
    values = np.multiply(mask, np.float32(1 / 255), dtype=np.float32)
    mean_guide, mean_values = cv2.blur(guide, side), cv2.blur(values, side)
    covariance = cv2.blur(guide * values, side) - mean_guide * mean_values
    variance = cv2.blur(guide * guide, side) - mean_guide * mean_guide
    slope = covariance / (variance + np.float32(_SMOOTH))
    offset = mean_values - slope * mean_guide
    fitted = cv2.blur(slope, side) * guide + cv2.blur(offset, side)
    return np.asarray(cv2.convertScaleAbs(np.clip(fitted, 0.0, 1.0), alpha=255.0), np.uint8)
