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
    # In fixed point remap is quicker; a 32nd of a pixel is below what flow can tell.
    coarse, fine = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    back = cv2.remap(opposite, coarse, fine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = cv2.add(back, flow)
    cv2.multiply(missed, missed, missed, scale=tolerance_px**-2)
    squared = cv2.transform(missed, np.ones((1, 2)))
    seen = cv2.remap(before, coarse, fine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.absdiff(now, seen).astype(np.float32)
    window = (_WINDOW_PX, _WINDOW_PX)
    cv2.blur(difference, window, out, borderType=cv2.BORDER_REPLICATE)
    np.maximum(out - np.float32(noise), 0.0, out=out)
    cv2.multiply(out, out, out, scale=-(contrast**-2))
    cv2.exp(cv2.subtract(out, squared, out), out)
    outside = (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
    out[outside] = 0.0
