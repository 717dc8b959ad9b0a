"""A picture of any size into a network's input: resized, framed, normalised, channels first.

On a processor networks are run through the adapters of ``engines``, which knows nothing of kernels
and fills its inputs itself; tests hold both to the same values.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Array, Stream, dense, expect_shape, row_step

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def letterbox(
    image: NDArray[np.uint8],
    inner: Box,
    scale: NDArray[np.float32],
    *,
    is_rgb: bool = True,
    fill: int = 0,
    out: NDArray[Any],
    stream: Stream | None = None,
) -> None:
    """Fits a picture into a part of a network's input and fills the rest.

    Where neither side grows the picture is averaged over areas, so that fine patterns do not
    flicker; else it is interpolated linearly. On the processor it is rounded to whole levels in
    between.

    Args:
        image: ``(h, w, 3) u8 BGR``.
        inner: the part of the input that the picture fills; inside of it.
        scale: ``(2, 3) f32``, for each plane of the input the gain and the offset that make its
            value of a level 0..255.
        is_rgb: the input's planes are red, green, blue; else blue, green, red.
        fill: level 0..255 of the rest.
        out: ``(3, H, W)`` C-contiguous f32 or f16 is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or the part does not lie in the input.
    """
    _check(inner, scale, fill, out)
    if stream is None:
        _on_processor(image, inner, scale, is_rgb=is_rgb, fill=fill, out=out)
        return
    is_half = out.dtype == np.float16
    height, width = image.shape[:2]
    out_height, out_width = out.shape[1:]
    stream.launch(
        "letterbox",
        "letterbox_half" if is_half else "letterbox_float",
        [
            image,
            row_step("letterbox: image", image, np.uint8, 3),
            np.int32(width),
            np.int32(height),
            *(np.int32(number) for number in inner),
            np.float32(fill),
            np.int32(is_rgb),
            scale,
            out.view(np.uint16) if is_half else out,
            np.int32(out_width),
            np.int32(out_height),
        ],
        extent=(out_width, out_height, 1),
    )


def _on_processor(
    image: Array, inner: Box, scale: Array, *, is_rgb: bool, fill: int, out: Array
) -> None:
    left, top, width, height = inner
    is_smaller = width <= image.shape[1] and height <= image.shape[0]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    planes = cv2.split(cv2.resize(image, (width, height), interpolation=how))
    levels = np.arange(256, dtype=np.float32)
    # OpenCV looks up any 16-bit values but halves.
    bits = np.dtype(np.uint16) if out.dtype == np.float16 else out.dtype
    for plane, gain, offset, target in zip(
        planes[::-1] if is_rgb else planes, *scale, out, strict=True
    ):
        table = (levels * gain + offset).astype(out.dtype)
        if (width, height) != (out.shape[2], out.shape[1]):
            target[...] = table[fill]
        seen = cv2.LUT(plane, table.view(bits)).view(out.dtype)
        target[top : top + height, left : left + width] = seen


def _check(inner: Box, scale: Array, fill: int, out: Array) -> None:
    left, top, width, height = inner
    dense("letterbox: scale", scale, (2, 3))
    if out.dtype not in (np.float16, np.float32) or out.ndim != 3 or not out.flags.c_contiguous:
        raise ValueError(
            "letterbox: out must be float16 or float32, (3, H, W) and C-contiguous, got "
            f"{out.dtype} {out.shape} with strides {out.strides}. Give another one."
        )
    expect_shape("letterbox: out", out, (3, *out.shape[1:]))
    right, bottom = left + width, top + height
    fits = 0 <= left < right <= out.shape[2] and 0 <= top < bottom <= out.shape[1]
    if not fits or not 0 <= fill <= 255:
        raise ValueError(
            f"letterbox: inner must lie in {out.shape[2]} x {out.shape[1]} pixels and fill in "
            f"0..255, got {inner} and {fill}. Fit the picture into the input."
        )
