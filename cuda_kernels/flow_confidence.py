"""How far a measured flow can be trusted, pixel by pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Array, Stream, dense

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
    stream: Stream | None = None,
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
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other, on a GPU.
    """
    height, width = now.shape
    if stream is not None:
        settings = [np.float32(value) for value in (tolerance_px, noise, contrast)]
        _on_gpu(before, now, flow, opposite, settings, out, stream)
        return
    # Plane by plane: of two channels that lie side by side OpenCV's loops are the slow ones.
    across, down = cv2.split(flow)
    columns = across + np.arange(width, dtype=np.float32)
    rows = down + np.arange(height, dtype=np.float32)[:, None]
    # What lies outside is sampled slowly, and not trusted anyway.
    at = np.clip(columns, 0.0, width - 1.0), np.clip(rows, 0.0, height - 1.0)
    missed = [
        cv2.add(cv2.remap(back, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), ahead)
        for back, ahead in zip(cv2.split(opposite), (across, down), strict=True)
    ]
    sideways, upright = (cv2.multiply(way, way, scale=tolerance_px**-2) for way in missed)
    squared = cv2.add(sideways, upright)
    seen = cv2.remap(before, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.absdiff(now, seen).astype(np.float32)
    window = (_WINDOW_PX, _WINDOW_PX)
    cv2.blur(difference, window, out, borderType=cv2.BORDER_REPLICATE)
    np.maximum(out - np.float32(noise), 0.0, out=out)
    cv2.multiply(out, out, out, scale=-(contrast**-2))
    cv2.exp(cv2.subtract(out, squared, out), out)
    inside = (
        cv2.compare(place, kept, cv2.CMP_EQ)
        for place, kept in zip((columns, rows), at, strict=True)
    )
    cv2.multiply(out, cv2.bitwise_and(*inside), out, 1 / 255, cv2.CV_32F)


def _on_gpu(
    before: Array,
    now: Array,
    flow: Array,
    opposite: Array,
    settings: list[np.float32],
    out: Array,
    stream: Stream,
) -> None:
    height, width = now.shape
    stream.launch(
        "flow_confidence",
        "flow_confidence",
        [
            dense("flow_confidence: before", before, (height, width)),
            dense("flow_confidence: now", now, (height, width)),
            dense("flow_confidence: flow", flow, (height, width, 2)),
            dense("flow_confidence: opposite", opposite, (height, width, 2)),
            np.int32(width),
            np.int32(height),
            *settings,
            dense("flow_confidence: out", out, (height, width)),
        ],
        extent=(width, height, 1),
    )
