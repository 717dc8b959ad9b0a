"""A network's picture to levels that can be blended, and on to bytes.

On a processor the adapters of ``engines``, which knows nothing of kernels, read a network's picture
as bytes at once; tests hold both to the same picture. So the restore stage there mixes bytes, of
layers that it has cut and sized, where ``mix_levels`` mixes levels.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Stream, dense

_LEVELS_PER_THREAD = 4


def levels_from_planes(
    planes: NDArray[Any],
    scale: NDArray[np.float32],
    *,
    is_rgb: bool = True,
    out: NDArray[np.float32],
    num_bad: NDArray[np.uint32],
    stream: Stream | None = None,
) -> None:
    """Brings what a network gives to levels 0..255, channels last, without rounding.

    Args:
        planes: ``(3, H, W)`` f32 or f16, C-contiguous.
        scale: ``(2, 3) f32``, for each plane the gain and the offset that make its value a level.
        is_rgb: the planes are red, green, blue; else blue, green, red.
        out: ``(H, W, 3) f32 BGR`` C-contiguous is written; 0 where the network gave no number.
        num_bad: ``(1,) u32``; how many values were no numbers is added to it. A picture with any
            must not be shown.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = out.shape[:2]
    dense("levels_from_planes: planes", planes, (3, height, width))
    dense("levels_from_planes: scale", scale, (2, 3))
    dense("levels_from_planes: out", out, (height, width, 3))
    dense("levels_from_planes: num_bad", num_bad, (1,))
    if planes.dtype not in (np.float16, np.float32):
        raise ValueError(
            f"levels_from_planes: planes must be float16 or float32, got {planes.dtype}. "
            "Export the network with such an output."
        )
    if stream is None:
        order = (2, 1, 0) if is_rgb else (0, 1, 2)
        for plane, gain, offset, channel in zip(planes, *scale, order, strict=True):
            level = plane.astype(np.float32)
            is_bad = ~np.isfinite(level)
            num_bad += np.uint32(np.count_nonzero(is_bad))
            level[is_bad] = 0.0
            level = np.clip(level * gain + offset, 0.0, 255.0)
            level[is_bad] = 0.0
            out[..., channel] = level
        return
    is_half = planes.dtype == np.float16
    stream.launch(
        "levels",
        "levels_from_half" if is_half else "levels_from_float",
        [
            planes.view(np.uint16) if is_half else planes,
            np.int32(width),
            np.int32(height),
            scale,
            np.int32(is_rgb),
            out,
            num_bad,
        ],
        extent=(width, height, 1),
    )


def picture_from_levels(
    levels: NDArray[np.float32], *, out: NDArray[np.uint8], stream: Stream | None = None
) -> None:
    """Rounds levels to bytes, ties to even.

    Args:
        levels: ``(H, W, 3) f32`` C-contiguous; beyond 0..255 they are cut.
        out: ``(H, W, 3) u8`` C-contiguous is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    dense("picture_from_levels: levels", levels, out.shape)
    dense("picture_from_levels: out", out, out.shape)
    if stream is None:
        cv2.addWeighted(levels, 1.0, levels, 0.0, 0.0, dst=out, dtype=cv2.CV_8U)
        return
    num = int(levels.size)
    stream.launch(
        "levels",
        "picture_from_levels",
        [levels, np.int32(num), out],
        extent=(-(-num // _LEVELS_PER_THREAD), 1, 1),
        block=LINE,
    )


def mix_levels(
    fine: NDArray[np.float32],
    plain: NDArray[np.float32],
    strength: float,
    *,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """A finer picture at less than all of its strength, over the same one enlarged.

    Args:
        fine: ``(H, W, 3) f32`` C-contiguous.
        plain: ``(h, w, 3) f32`` C-contiguous; enlarged by cubic interpolation, its edge going on
            beyond it.
        strength: 0..1, of the finer one.
        out: ``(H, W, 3) f32`` C-contiguous is written; may be ``fine``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    rows, columns = fine.shape[:2]
    height, width = plain.shape[:2]
    dense("mix_levels: fine", fine, (rows, columns, 3))
    dense("mix_levels: plain", plain, (height, width, 3))
    dense("mix_levels: out", out, (rows, columns, 3))
    if stream is None:
        larger = cv2.resize(plain, (columns, rows), interpolation=cv2.INTER_CUBIC)
        cv2.addWeighted(fine, strength, larger, 1.0 - strength, 0.0, dst=out)
        return
    small, large = ([np.int32(n) for n in size] for size in ((width, height), (columns, rows)))
    arguments: list[Argument] = [fine, plain, *small, np.float32(strength), out, *large]
    stream.launch("levels", "mix_levels", arguments, extent=(columns, rows, 1))
