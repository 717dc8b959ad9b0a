"""One step of an exponential memory over a moving picture."""

import cv2
import numpy as np
from numpy.typing import NDArray


def memory_blend(
    memory: NDArray[np.float32],
    current: NDArray[np.float32],
    where: NDArray[np.float32],
    weight: NDArray[np.float32],
    strengths: tuple[float, float, float],
    *,
    limit: float | None,
    out: NDArray[np.float32],
) -> None:
    """Blends what is remembered, moved to its new place, with what is seen now.

    Each band of detail has its own strength ``w``: ``out = w * warp(memory) + (1 - w) * current``
    on the Laplacian pyramid (Burt and Adelson 1983) of full, half and quarter size. The memory is
    moved once, with bicubic interpolation, so that it stays sharp however often it is moved.

    Args:
        memory: ``(h, w, C) f32``, C at most 4.
        current: ``(H, W, C) f32``.
        where: ``(H, W, 2) f32``, the place in ``memory`` that each pixel comes from.
        weight: ``(H, W) f32`` 0..1, a factor on the strengths; 0 forgets.
        strengths: 0..1 for full, half and quarter size.
        limit: the moved memory may leave the range of the 3 x 3 pixels around in ``current`` by
            no more than this, which keeps ghosts away (Karis, "High-quality temporal
            supersampling", 2014); None lets it.
        out: ``(H, W, C) f32`` is written; neither of the inputs.
    """
    height, width = current.shape[:2]
    moved = np.empty_like(current)
    memory_warp(memory, where, out=moved)
    if limit is not None:
        window = np.ones((3, 3), np.uint8)
        # OpenCV drops the axis of a single channel.
        low = cv2.erode(current, window).reshape(current.shape)
        high = cv2.dilate(current, window).reshape(current.shape)
        np.clip(moved, low - np.float32(limit), high + np.float32(limit), out=moved)
    change = np.subtract(moved, current, dtype=np.float32)
    fine, middle, coarse = strengths
    half = ((width + 1) // 2, (height + 1) // 2)
    quarter = ((width + 3) // 4, (height + 3) // 4)
    total = cv2.resize(_weighted(change, weight, coarse - middle, quarter), half)
    total = cv2.add(total, _weighted(change, weight, middle - fine, half))
    total = cv2.add(cv2.resize(total, (width, height)), _weighted(change, weight, fine, None))
    cv2.add(current, total, out)


def memory_warp(
    memory: NDArray[np.float32], where: NDArray[np.float32], *, out: NDArray[np.float32]
) -> None:
    """Moves what is remembered to its new place, with bicubic interpolation.

    Args:
        memory: ``(h, w, C) f32``, C at most 4; its edge goes on beyond it.
        where: ``(H, W, 2) f32``, the place in ``memory`` that each pixel comes from.
        out: ``(H, W, C) f32`` is written.
    """
    cv2.remap(
        memory,
        where,
        np.empty(0, np.float32),
        cv2.INTER_CUBIC,
        dst=out,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _weighted(
    change: NDArray[np.float32],
    weight: NDArray[np.float32],
    strength: float,
    size: tuple[int, int] | None,
) -> NDArray[np.float32]:
    """``strength * weight * change`` at a smaller size."""
    if size is not None:
        change = np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA), np.float32)
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    planes = change.shape[2] if change.ndim == 3 else 1
    factor = cv2.merge([weight] * planes)
    return np.asarray(cv2.multiply(change, factor, scale=strength), np.float32)
