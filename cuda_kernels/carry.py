"""A measured flow made ready to carry along what is remembered of a face.

``enlarge_places`` is for crops that stay the network's own. The stages of the processor measure
flow in views of another place and size than their layers and take it over affine maps instead.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Stream, dense, expect_shape


def settle_flow(
    backward: NDArray[np.float32],
    forward: NDArray[np.float32],
    *,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """The mean of a flow and of the opposite one turned around.

    Patches are compared as if they only shifted. Where a head turns or comes nearer the way there
    errs to one side and the way back to the other, and the mean by about a third less than either.

    Args:
        backward: ``(H, W, 2) f32`` pixels; what is at ``p`` now was at ``p + backward[p]``.
        forward: the same from the picture before to the one now.
        out: ``(H, W, 2) f32`` is written, in place of ``backward``; neither of them.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    height, width = backward.shape[:2]
    expect_shape("settle_flow: forward", forward, (height, width, 2))
    expect_shape("settle_flow: out", out, (height, width, 2))
    if stream is not None:
        given = [
            dense(f"settle_flow: {name}", array, (height, width, 2))
            for name, array in (("backward", backward), ("forward", forward), ("out", out))
        ]
        size = [np.int32(width), np.int32(height)]
        arguments: list[Argument] = [*given[:2], *size, given[2]]
        stream.launch("carry", "settle_flow", arguments, extent=(width, height, 1))
        return
    across, down = cv2.split(backward)
    columns = across + np.arange(width, dtype=np.float32)
    rows = down + np.arange(height, dtype=np.float32)[:, None]
    border = cv2.BORDER_REPLICATE
    # Plane by plane: of two channels that lie side by side OpenCV's loops are the slow ones.
    means = [
        cv2.addWeighted(
            back, 0.5, cv2.remap(ahead, columns, rows, cv2.INTER_LINEAR, borderMode=border), -0.5, 0
        )
        for back, ahead in zip((across, down), cv2.split(forward), strict=True)
    ]
    cv2.merge(means, out)


def hold_still(
    flow: NDArray[np.float32],
    apart: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    gain: float,
    still_px: float,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Lets what stood still in the picture weigh more than what moved.

    Args:
        flow: ``(H, W, 2) f32`` pixels of a crop, that moves with a face.
        apart: ``(2,) f32``, what the crop's own movement adds to it.
        weight: ``(H, W) f32``.
        gain: how much more it weighs, at least 1.
        still_px: movement at which all but 1/e of that is gone.
        out: ``(H, W) f32`` is written; may be ``weight``.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    height, width = weight.shape
    expect_shape("hold_still: flow", flow, (height, width, 2))
    expect_shape("hold_still: apart", apart, (2,))
    expect_shape("hold_still: out", out, (height, width))
    if stream is not None:
        num = height * width
        arguments: list[Argument] = [
            dense("hold_still: flow", flow, (height, width, 2)),
            dense("hold_still: apart", apart, (2,)),
            np.int32(num),
            np.float32(1.0 / still_px),
            np.float32(gain),
            dense("hold_still: weight", weight, (height, width)),
            dense("hold_still: out", out, (height, width)),
        ]
        stream.launch("carry", "hold_still", arguments, extent=(num, 1, 1), block=LINE)
        return
    across, down = (shift + step for shift, step in zip(cv2.split(flow), apart, strict=True))
    moved = cv2.magnitude(across, down)
    still = np.exp(-((moved * np.float32(1.0 / still_px)) ** 2))
    cv2.multiply(weight, 1.0 + np.float32(gain - 1.0) * still, out)


def enlarge_places(
    flow: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    out: tuple[NDArray[np.float32], NDArray[np.float32]],
    stream: Stream | None = None,
) -> None:
    """Where each pixel of a larger crop of the same part was, and how much that weighs.

    Args:
        flow: ``(h, w, 2) f32`` pixels of the smaller crop.
        weight: ``(h, w) f32``.
        out: ``(H, W, 2) f32`` places in the larger crop before and ``(H, W) f32`` are written,
            linear between what is given.
        stream: the GPU's, where all arrays must be C-contiguous; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    height, width = weight.shape
    where, larger = out
    rows, columns = larger.shape
    expect_shape("enlarge_places: flow", flow, (height, width, 2))
    expect_shape("enlarge_places: out", where, (rows, columns, 2))
    if stream is not None:
        arguments: list[Argument] = [
            dense("enlarge_places: flow", flow, (height, width, 2)),
            dense("enlarge_places: weight", weight, (height, width)),
            np.int32(width),
            np.int32(height),
            dense("enlarge_places: out", where, (rows, columns, 2)),
            dense("enlarge_places: out", larger, (rows, columns)),
            np.int32(columns),
            np.int32(rows),
        ]
        stream.launch("carry", "enlarge_places", arguments, extent=(columns, rows, 1))
        return
    size = (columns, rows)
    times = np.array([columns / width, rows / height], np.float32)
    np.multiply(cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR), times, out=where)
    where[..., 0] += np.arange(columns, dtype=np.float32)
    where[..., 1] += np.arange(rows, dtype=np.float32)[:, None]
    cv2.resize(weight, size, larger, interpolation=cv2.INTER_LINEAR)
