"""Shrinking a picture without aliasing, by halves: the one area filter that OpenCV runs in SIMD."""

import cv2
import numpy as np
from numpy.typing import NDArray


def num_halvings(source_px: float, target_px: float) -> int:
    """How often a picture may be halved before it is resampled to a smaller size.

    Args:
        source_px, target_px: sizes along the same direction, positive.

    Returns:
        The largest count, at least 0, that leaves no less than the target size.
    """
    count = 0
    while source_px >= 2 * target_px:
        source_px /= 2
        count += 1
    return count


def halve(image: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Averages blocks of ``2 ** times`` pixels squared.

    Args:
        image: ``(H, W, 3) u8``; H and W whole multiples of the block's side.
        times: 0 gives the picture itself.

    Returns:
        ``(H / 2 ** times, W / 2 ** times, 3) u8``.
    """
    for _ in range(times):
        size = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image
