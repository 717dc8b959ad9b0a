"""Crops laid back over the pictures they belong to."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.affine import Matrix, halvings, inverse, numbers, spacing, to_blocks
from cuda_kernels.launch import Array, Stream, expect_shape, row_step


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
    left, top, right, bottom = _region(blocks_from_image, width >> shift, height >> shift, out)
    if right <= left or bottom <= top:
        return
    region = out[top:bottom, left:right]
    offset = blocks_from_image[:, :2] @ (left, top)
    blocks_from_region = blocks_from_image + np.array([[0, 0, offset[0]], [0, 0, offset[1]]])
    if stream is None:
        _on_processor(face, alpha, blocks_from_region, shift, region)
        return
    stream.launch(
        "paste",
        "paste_affine",
        [
            face,
            row_step("paste: face", face, np.uint8, 3),
            alpha,
            row_step("paste: alpha", alpha, np.uint8, 2),
            np.int32(width),
            np.int32(height),
            np.int32(shift),
            *numbers(blocks_from_region),
            region,
            row_step("paste: out", region, np.uint8, 3),
            np.int32(right - left),
            np.int32(bottom - top),
        ],
        extent=(right - left, bottom - top, 1),
    )


def _region(
    blocks_from_image: Matrix, columns: int, rows: int, out: Array
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a crop of so many blocks may cover of a picture."""
    image_from_blocks = inverse(blocks_from_image)
    corners = np.array([(x, y) for x in (-1.0, columns) for y in (-1.0, rows)])
    placed = corners @ image_from_blocks[:, :2].T + image_from_blocks[:, 2]
    limit = (out.shape[1], out.shape[0])
    left, top = np.clip(np.ceil(placed.min(axis=0)), 0, limit).astype(int)
    right, bottom = np.clip(np.floor(placed.max(axis=0)) + 1, 0, limit).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _on_processor(
    face: Array, alpha: Array, blocks_from_region: Matrix, shift: int, region: Array
) -> None:
    if shift:
        blocks = (face.shape[1] >> shift, face.shape[0] >> shift)
        whole = np.s_[: blocks[1] << shift, : blocks[0] << shift]
        face, alpha = (
            np.asarray(cv2.resize(picture[whole], blocks, interpolation=cv2.INTER_AREA))
            for picture in (face, alpha)
        )
    size = (region.shape[1], region.shape[0])
    back = cv2.WARP_INVERSE_MAP
    flags, border = cv2.INTER_CUBIC | back, cv2.BORDER_REPLICATE
    turned = cv2.warpAffine(face, blocks_from_region, size, flags=flags, borderMode=border)
    cover = cv2.warpAffine(alpha, blocks_from_region, size, flags=cv2.INTER_LINEAR | back)
    weight = np.multiply(cover, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    region[...] = cv2.blendLinear(turned, np.ascontiguousarray(region), weight, rest)
