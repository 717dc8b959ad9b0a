"""One picture over another of the same size."""

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Stream, dense


def lay_over(
    front: NDArray[np.uint8],
    back: NDArray[np.uint8],
    weight: NDArray[np.uint8],
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Shows one picture where a mask is 255, another one where it is 0, and a mean in between.

    Args:
        front, back: ``(H, W, 3) u8``, C-contiguous.
        weight: ``(H, W) u8``, C-contiguous.
        out: ``(H, W, 3) u8`` C-contiguous is written, rounded; may be ``front`` or ``back``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    shape = weight.shape
    arguments: list[Argument] = [
        dense("lay_over: front", front, (*shape, 3)),
        dense("lay_over: back", back, (*shape, 3)),
        dense("lay_over: weight", weight, shape),
        np.int32(weight.size),
        dense("lay_over: out", out, (*shape, 3)),
    ]
    if stream is not None:
        extent = (weight.size, 1, 1)
        stream.launch("layers", "lay_over", arguments, extent=extent, block=LINE)
        return
    share = weight[..., None].astype(np.int32)
    sums = share * front + (255 - share) * back
    out[...] = (2 * sums + 255) // 510
