"""Video's planes with halved chroma, NV12 and I420, to BGR and back.

Files are read and written with I420. NV12 is what a GPU's own decoders and encoders speak, of which
the engine has none yet.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Array, Stream, expect_shape, row_step

Plane = NDArray[np.uint8]
"""``(h, w) u8``; rows may be padded."""

Matrix = NDArray[np.float64]
"""``(3, 4) f64``, an affine map of 8-bit values: what ITU-R BT.601, BT.709 and BT.2020 come to."""

_ONE = 65536


def bgr_from_nv12(
    luma: Plane,
    chroma: NDArray[np.uint8],
    bgr_from_yuv: Matrix,
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Converts a picture whose two kinds of chroma lie side by side.

    Chroma is enlarged linearly and rounded, then each colour is rounded once.

    Args:
        luma: ``(H, W) u8``.
        chroma: ``(ceil(H/2), ceil(W/2), 2) u8``, blue and red difference, each in the middle of
            two by two pixels.
        bgr_from_yuv: what the planes mean.
        out: ``(H, W, 3) u8 BGR`` is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    _bgr_from_planes(luma, chroma[..., 0], chroma[..., 1], bgr_from_yuv, out, stream)


def bgr_from_i420(
    luma: Plane,
    blue: Plane,
    red: Plane,
    bgr_from_yuv: Matrix,
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Converts a picture of three planes; see ``bgr_from_nv12``.

    Args:
        luma: ``(H, W) u8``.
        blue, red: ``(ceil(H/2), ceil(W/2)) u8`` differences, with rows of one length.
        bgr_from_yuv: what the planes mean.
        out: ``(H, W, 3) u8 BGR`` is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    _bgr_from_planes(luma, blue, red, bgr_from_yuv, out, stream)


def nv12_from_bgr(
    image: NDArray[np.uint8],
    yuv_from_bgr: Matrix,
    *,
    out: tuple[Plane, NDArray[np.uint8]],
    stream: Stream | None = None,
) -> None:
    """Converts to luma and a plane of both kinds of chroma.

    Every value is rounded; chroma is then the rounded mean of two by two pixels.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        yuv_from_bgr: what the planes mean.
        out: ``(H, W) u8`` and ``(ceil(H/2), ceil(W/2), 2) u8`` are written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    luma, chroma = out
    _planes_from_bgr(image, yuv_from_bgr, (luma, chroma[..., 0], chroma[..., 1]), stream)


def i420_from_bgr(
    image: NDArray[np.uint8],
    yuv_from_bgr: Matrix,
    *,
    out: tuple[Plane, Plane, Plane],
    stream: Stream | None = None,
) -> None:
    """Converts to three planes; see ``nv12_from_bgr``.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        yuv_from_bgr: what the planes mean.
        out: ``(H, W) u8`` luma and twice ``(ceil(H/2), ceil(W/2)) u8``, blue and red difference
            with rows of one length, are written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    _planes_from_bgr(image, yuv_from_bgr, out, stream)


def _bgr_from_planes(
    luma: Array, blue: Array, red: Array, matrix: Matrix, out: Array, stream: Stream | None
) -> None:
    steps = _expect_planes("bgr_from_planes", out, luma, blue, red)
    height, width = luma.shape
    if stream is None:
        even = (2 * blue.shape[1], 2 * blue.shape[0])
        planes = [
            cv2.resize(np.ascontiguousarray(plane), even, interpolation=cv2.INTER_LINEAR_EXACT)
            for plane in (blue, red)
        ]
        yuv = cv2.merge([luma, *(plane[:height, :width] for plane in planes)])
        # OpenCV writes through no view; a picture that is none saves a copy.
        colours = cv2.transform(yuv, matrix, dst=out if out.flags.c_contiguous else None)
        if colours is not out:
            out[...] = colours
        return
    luma_step, pixel_step, chroma_step, image_step = steps
    arguments: list[Argument] = [
        luma,
        luma_step,
        blue,
        red,
        pixel_step,
        chroma_step,
        out,
        image_step,
    ]
    stream.launch(
        "convert",
        "bgr_from_planes",
        [*arguments, np.int32(width), np.int32(height), *_whole(matrix).flat],
        extent=(blue.shape[1], blue.shape[0], 1),
    )


def _planes_from_bgr(
    image: Array, matrix: Matrix, out: tuple[Array, Array, Array], stream: Stream | None
) -> None:
    luma, blue, red = out
    steps = _expect_planes("planes_from_bgr", image, luma, blue, red)
    height, width = luma.shape
    if stream is None:
        yuv = cv2.transform(np.ascontiguousarray(image), matrix)
        luma[...] = yuv[..., 0]
        if height % 2 or width % 2:
            yuv = cv2.copyMakeBorder(yuv, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        halved = cv2.resize(yuv, blue.shape[::-1], interpolation=cv2.INTER_AREA)
        blue[...], red[...] = halved[..., 1], halved[..., 2]
        return
    luma_step, pixel_step, chroma_step, image_step = steps
    arguments: list[Argument] = [
        image,
        image_step,
        luma,
        luma_step,
        blue,
        red,
        pixel_step,
        chroma_step,
    ]
    stream.launch(
        "convert",
        "planes_from_bgr",
        [*arguments, np.int32(width), np.int32(height), *_whole(matrix).flat],
        extent=(blue.shape[1], blue.shape[0], 1),
    )


def _whole(matrix: Matrix) -> NDArray[np.int32]:
    """The map in 65536ths, so that every GPU multiplies the same whole numbers."""
    return np.asarray(np.rint(matrix * _ONE), np.int32)


def _expect_planes(
    where: str, image: Array, luma: Array, blue: Array, red: Array
) -> tuple[np.int32, np.int32, np.int32, np.int32]:
    """Steps in bytes: luma's rows, chroma's pixels, chroma's rows, the picture's rows."""
    height, width = luma.shape
    expect_shape(f"{where}: the picture", image, (height, width, 3))
    for plane in (blue, red):
        expect_shape(f"{where}: chroma", plane, ((height + 1) // 2, (width + 1) // 2))
    if blue.strides != red.strides or blue.dtype != np.uint8 or red.dtype != np.uint8:
        raise ValueError(
            f"{where}: both planes of chroma must be uint8 with equal strides, got {blue.dtype} "
            f"{blue.strides} and {red.dtype} {red.strides}. Copy them first."
        )
    return (
        row_step(f"{where}: luma", luma, np.uint8, 2),
        np.int32(blue.strides[1]),
        np.int32(blue.strides[0]),
        row_step(f"{where}: the picture", image, np.uint8, 3),
    )
