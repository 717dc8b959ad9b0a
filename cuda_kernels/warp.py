"""Aligned crops out of pictures."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.affine import Matrix, halvings, inverse, numbers, spacing, to_blocks
from cuda_kernels.launch import Array, Stream, dense, row_step

CROP_PLACE = 7
"""Numbers that say where a crop is read: six of a map to blocks of the picture, and the shift."""


def warp(
    image: NDArray[np.uint8],
    crop_from_image: Matrix,
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Resamples a part of a picture; what lies outside repeats the picture's edge.

    A part that is shrunk is first averaged over blocks of pixels that lie fixed in the picture;
    in both cases it is then interpolated linearly. Rows and columns beyond the last whole block
    count as outside.

    Args:
        image: ``(H, W, C) u8``, C is 1, 3 or 4.
        crop_from_image: affine map; how it is halved follows the mean of its scale over
            directions, so similarities are shrunk best.
        out: ``(h, w, C) u8`` is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or the map cannot be inverted.
    """
    height, width, channels = _expect_channels(image, out)
    image_from_crop = inverse(crop_from_image)
    shift = halvings(spacing(image_from_crop), width, height)
    blocks_from_crop = to_blocks(image_from_crop, shift)
    if stream is None:
        _on_processor(image, blocks_from_crop, shift, out)
        return
    stream.launch(
        "warp",
        "warp_affine",
        [
            image,
            row_step("warp: image", image, np.uint8, 3),
            np.int32(width),
            np.int32(height),
            np.int32(channels),
            np.int32(shift),
            *numbers(blocks_from_crop),
            out,
            row_step("warp: out", out, np.uint8, 3),
            np.int32(out.shape[1]),
            np.int32(out.shape[0]),
        ],
        extent=(out.shape[1], out.shape[0], 1),
    )


def crop_place(crop_from_image: Matrix, width: int, height: int) -> NDArray[np.float32]:
    """What ``warp_placed`` is told of a crop.

    Args:
        crop_from_image: affine map, as ``warp`` takes it.
        width, height: of the picture.

    Returns:
        ``(CROP_PLACE,) f32``.

    Raises:
        ValueError: the map cannot be inverted.
    """
    image_from_crop = inverse(crop_from_image)
    shift = halvings(spacing(image_from_crop), width, height)
    return np.array([*to_blocks(image_from_crop, shift).flat, shift], np.float32)


def warp_placed(
    image: NDArray[np.uint8],
    place: NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """``warp`` with the place of the crop in memory, where a captured graph finds a new one.

    Args:
        image: ``(H, W, C) u8``, C is 1, 3 or 4.
        place: ``(CROP_PLACE,) f32`` from ``crop_place`` for a picture of this size.
        out: ``(h, w, C) u8`` is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width, channels = _expect_channels(image, out)
    dense("warp: place", place, (CROP_PLACE,))
    if stream is None:
        _on_processor(image, place[:6].reshape(2, 3).astype(np.float64), int(place[6]), out)
        return
    stream.launch(
        "warp",
        "warp_placed",
        [
            image,
            row_step("warp: image", image, np.uint8, 3),
            np.int32(width),
            np.int32(height),
            np.int32(channels),
            place,
            out,
            row_step("warp: out", out, np.uint8, 3),
            np.int32(out.shape[1]),
            np.int32(out.shape[0]),
        ],
        extent=(out.shape[1], out.shape[0], 1),
    )


def _expect_channels(image: Array, out: Array) -> tuple[int, int, int]:
    height, width, channels = image.shape
    if channels not in (1, 3, 4) or out.ndim != 3 or out.shape[2] != channels:
        raise ValueError(
            "warp: picture and crop must both have one, three or four channels, got "
            f"{image.shape} and {out.shape}. Give a crop like the picture."
        )
    return height, width, channels


def _on_processor(image: Array, blocks_from_crop: Matrix, shift: int, out: Array) -> None:
    part, left, top = _blocks_under(image, blocks_from_crop, shift, out.shape[1], out.shape[0])
    part_from_crop = blocks_from_crop - np.array([[0.0, 0.0, left], [0.0, 0.0, top]])
    # Of three channels OpenCV's loop is the slow one; of four it gives the same in half the time.
    is_widened = shift > 0 and out.shape[2] == 3
    if is_widened:
        part = cv2.cvtColor(part, cv2.COLOR_BGR2BGRA)
    crop = cv2.warpAffine(
        part,
        part_from_crop,
        (out.shape[1], out.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    out[...] = (cv2.cvtColor(crop, cv2.COLOR_BGRA2BGR) if is_widened else crop).reshape(out.shape)


def _blocks_under(
    image: Array, blocks_from_crop: Matrix, shift: int, width: int, height: int
) -> tuple[Array, int, int]:
    """The averaged blocks that a crop reads, and the column and row of the first of them."""
    if shift == 0:
        return image, 0, 0
    corners = np.array([(x, y) for x in (0, width - 1) for y in (0, height - 1)], np.float64)
    placed = corners @ blocks_from_crop[:, :2].T + blocks_from_crop[:, 2]
    last = np.array([(image.shape[1] >> shift) - 1, (image.shape[0] >> shift) - 1])
    left, top = np.clip(np.floor(placed.min(axis=0)), 0, last).astype(int)
    right, bottom = np.clip(np.floor(placed.max(axis=0)) + 1, 0, last).astype(int) + 1
    size = 1 << shift
    part = image[top * size : bottom * size, left * size : right * size]
    blocks = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return blocks, int(left), int(top)
