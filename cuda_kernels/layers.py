"""One picture over another of the same size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Stream, dense, expect_shape


def lay_over(
    front: NDArray[np.uint8],
    back: NDArray[np.uint8],
    weight: NDArray[np.uint8] | NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Shows one picture where a mask is full, another one where it is 0, and a mean in between.

    Args:
        front, back: ``(H, W, 3) u8``.
        weight: ``(H, W)``; u8, or f32 0..1, and on a GPU the former.
        out: ``(H, W, 3) u8`` C-contiguous is written, rounded; may be ``front`` or ``back``.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    shape = weight.shape
    for name, picture in (("front", front), ("back", back)):
        expect_shape(f"lay_over: {name}", picture, (*shape, 3))
    dense("lay_over: out", out, (*shape, 3))
    if stream is not None:
        arguments: list[Argument] = [
            dense("lay_over: front", front, (*shape, 3)),
            dense("lay_over: back", back, (*shape, 3)),
            dense("lay_over: weight", weight, shape),
            np.int32(weight.size),
            out,
        ]
        extent = (weight.size, 1, 1)
        stream.launch("layers", "lay_over", arguments, extent=extent, block=LINE)
        return
    # Bytes are weights whose sum is 255: OpenCV adds a little to it before it divides, which at a
    # sum of 1 tells in the rounding.
    full = np.float32(255.0 if weight.dtype == np.uint8 else 1.0)
    share = weight.astype(np.float32, copy=False)
    cv2.blendLinear(front, back, share, full - share, dst=out)
