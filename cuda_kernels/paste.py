"""Crops laid back over the pictures they belong to."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.affine import Matrix, halvings, inverse, numbers, spacing, to_blocks
from cuda_kernels.launch import Array, Stream, dense, expect_shape, row_step

PASTE_PLACE = 11
"""Numbers that say where a crop goes: six of a map from its region of the picture to its blocks,
the shift, and the region's left, top, width and height."""

_WALKERS = (1024, 512, 1)
"""Threads that walk over a region whose size is known on the GPU only."""

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def paste(
    face: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    crop_from_image: Matrix,
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Lays a crop over a picture; only the region under it is read and written.

    The face is interpolated with cubics, its alpha linearly and with nothing beyond its edge. A
    crop that is shrunk is first averaged over blocks of pixels.

    Args:
        face: ``(h, w, 3) u8``.
        alpha: ``(h, w) u8``, how far it covers the picture.
        crop_from_image: where it belongs; any part may lie outside the picture.
        out: ``(H, W, 3) u8``, written in place.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or the map cannot be inverted.
    """
    height, width = face.shape[:2]
    expect_shape("paste: alpha", alpha, (height, width))
    shift = halvings(spacing(crop_from_image), width, height)
    blocks_from_image = to_blocks(crop_from_image, shift)
    covering = (0, 0, width >> shift, height >> shift)
    if stream is None:
        face, alpha, covering = _halved(face, alpha, shift)
    left, top, right, bottom = _region(blocks_from_image, covering, (out.shape[1], out.shape[0]))
    if right <= left or bottom <= top:
        return
    region = out[top:bottom, left:right]
    blocks_from_region = _moved(blocks_from_image, left, top)
    if stream is None:
        _on_processor(face, alpha, blocks_from_region, region)
        return
    _on_gpu(face, alpha, blocks_from_region, shift, region, stream)


def paste_place(
    crop_from_image: Matrix, crop: tuple[int, int], picture: tuple[int, int]
) -> NDArray[np.float32]:
    """What ``paste_placed`` is told of a crop.

    Args:
        crop_from_image: where it belongs; any part may lie outside the picture.
        crop, picture: width and height of both.

    Returns:
        ``(PASTE_PLACE,) f32``.

    Raises:
        ValueError: the map cannot be inverted.
    """
    shift = halvings(spacing(crop_from_image), *crop)
    blocks_from_image = to_blocks(crop_from_image, shift)
    covering = (0, 0, crop[0] >> shift, crop[1] >> shift)
    left, top, right, bottom = _region(blocks_from_image, covering, picture)
    region = (left, top, max(right - left, 0), max(bottom - top, 0))
    return np.array([*_moved(blocks_from_image, left, top).flat, shift, *region], np.float32)


def paste_placed(
    face: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    place: NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """``paste`` with the place of the crop in memory, where a captured graph finds a new one.

    Args:
        face: ``(h, w, 3) u8``.
        alpha: ``(h, w) u8``, how far it covers the picture.
        place: ``(PASTE_PLACE,) f32`` from ``paste_place`` for pictures of these sizes.
        out: ``(H, W, 3) u8``, written in place.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = face.shape[:2]
    expect_shape("paste: alpha", alpha, (height, width))
    dense("paste: place", place, (PASTE_PLACE,))
    if stream is None:
        left, top, region_width, region_height = (int(number) for number in place[7:])
        if region_width and region_height:
            face, alpha, _ = _halved(face, alpha, int(place[6]))
            region = out[top : top + region_height, left : left + region_width]
            _on_processor(face, alpha, place[:6].reshape(2, 3).astype(np.float64), region)
        return
    stream.launch(
        "paste",
        "paste_placed",
        [
            face,
            row_step("paste: face", face, np.uint8, 3),
            alpha,
            row_step("paste: alpha", alpha, np.uint8, 2),
            np.int32(width),
            np.int32(height),
            place,
            out,
            row_step("paste: out", out, np.uint8, 3),
        ],
        extent=_WALKERS,
    )


def _moved(blocks_from_image: Matrix, left: int, top: int) -> Matrix:
    """The map from a region of the picture that begins there."""
    offset = blocks_from_image[:, :2] @ (left, top)
    return np.asarray(blocks_from_image + np.array([[0, 0, offset[0]], [0, 0, offset[1]]]))


def _region(
    blocks_from_image: Matrix, covering: Box, limit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what some blocks of a crop may cover of a picture."""
    image_from_blocks = inverse(blocks_from_image)
    left, top, width, height = covering
    corners = np.array([(x, y) for x in (left - 1, left + width) for y in (top - 1, top + height)])
    placed = corners @ image_from_blocks[:, :2].T + image_from_blocks[:, 2]
    first = np.clip(np.ceil(placed.min(axis=0)), 0, limit).astype(int)
    last = np.clip(np.floor(placed.max(axis=0)) + 1, 0, limit).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _halved(face: Array, alpha: Array, shift: int) -> tuple[Array, Array, Box]:
    """Averaged over blocks, and the part of them that covers anything at all."""
    if shift:
        blocks = (face.shape[1] >> shift, face.shape[0] >> shift)
        whole = np.s_[: blocks[1] << shift, : blocks[0] << shift]
        face, alpha = (
            np.asarray(cv2.resize(picture[whole], blocks, interpolation=cv2.INTER_AREA))
            for picture in (face, alpha)
        )
    left, top, width, height = cv2.boundingRect(alpha)
    return face, alpha, (left, top, width, height)


def _on_processor(face: Array, alpha: Array, blocks_from_region: Matrix, region: Array) -> None:
    size = (region.shape[1], region.shape[0])
    back = cv2.WARP_INVERSE_MAP
    flags, border = cv2.INTER_CUBIC | back, cv2.BORDER_REPLICATE
    turned = cv2.warpAffine(face, blocks_from_region, size, flags=flags, borderMode=border)
    cover = cv2.warpAffine(alpha, blocks_from_region, size, flags=cv2.INTER_LINEAR | back)
    weight = np.multiply(cover, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    region[...] = cv2.blendLinear(turned, np.ascontiguousarray(region), weight, rest)


def _on_gpu(
    face: Array,
    alpha: Array,
    blocks_from_region: Matrix,
    shift: int,
    region: Array,
    stream: Stream,
) -> None:
    stream.launch(
        "paste",
        "paste_affine",
        [
            face,
            row_step("paste: face", face, np.uint8, 3),
            alpha,
            row_step("paste: alpha", alpha, np.uint8, 2),
            np.int32(face.shape[1]),
            np.int32(face.shape[0]),
            np.int32(shift),
            *numbers(blocks_from_region),
            region,
            row_step("paste: out", region, np.uint8, 3),
            np.int32(region.shape[1]),
            np.int32(region.shape[0]),
        ],
        extent=(region.shape[1], region.shape[0], 1),
    )
