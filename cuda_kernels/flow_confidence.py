"""How far a measured flow can be trusted, pixel by pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

_WINDOW_PX = 5


def flow_confidence(
    before: NDArray[np.uint8],
    now: NDArray[np.uint8],
    flow: NDArray[np.float32],
    opposite: NDArray[np.float32],
    *,
    tolerance_px: float,
    noise: float,
    contrast: float,
    out: NDArray[np.float32],
) -> None:
    """Doubts a flow where there and back do not meet, or where what moved changed its look.

    The forward-backward check follows Sundaram, Brox and Keutzer (2010) with a Gaussian fall-off
    in place of their threshold. The photometric error is a mean over 5 x 5 pixels.

    Args:
        before, now: ``(H, W) u8``.
        flow: ``(H, W, 2) f32`` pixels; what is at ``p`` in ``now`` was at ``p + flow[p]``.
        opposite: ``(H, W, 2) f32``, the same from ``before`` to ``now``.
        tolerance_px: distance between start and return at which trust falls to 1/e.
        noise: grey levels of difference that say nothing.
        contrast: grey levels beyond that at which trust falls to 1/e.
        out: ``(H, W) f32`` 0..1 is written; 0 where the flow leads out of the picture.
    """
    height, width = now.shape
    columns = np.arange(width, dtype=np.float32) + flow[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    back = cv2.remap(opposite, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = cv2.add(back, flow)
    squared = np.einsum("ijk,ijk->ij", missed, missed)
    seen = cv2.remap(before, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.absdiff(now, seen).astype(np.float32)
    error = cv2.blur(difference, (_WINDOW_PX, _WINDOW_PX), borderType=cv2.BORDER_REPLICATE)
    np.maximum(error - np.float32(noise), 0.0, out=out)
    out *= np.float32(1.0 / contrast)
    np.multiply(out, out, out=out)
    out += squared * np.float32(tolerance_px**-2)
    np.negative(out, out=out)
    cv2.exp(out, out)
    outside = (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
    out[outside] = 0.0
