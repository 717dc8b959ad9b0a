"""Crops laid back over the pictures they belong to."""

import math

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

_UPRIGHT = 1e-9
"""A map with less of a turn than this has none."""

_WHOLE_PX = 1e-3
"""A crop whose edge lies this near to that of a pixel ends with the pixel."""

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
    return np.array(
        [[x, y, x * left + y * top + begin] for x, y, begin in blocks_from_image.tolist()]
    )


def _region(
    blocks_from_image: Matrix, covering: Box, limit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what some blocks of a crop may cover of a picture."""
    left, top, width, height = covering
    x, right, y, bottom = left - 1, left + width, top - 1, top + height
    ends = []
    # Written out: NumPy takes longer for four corners than OpenCV for a small face.
    for (across, down, begin), end in zip(inverse(blocks_from_image).tolist(), limit, strict=True):
        one, other, above, below = across * x, across * right, down * y, down * bottom
        first = math.ceil(begin + min(one, other) + min(above, below))
        last = math.floor(begin + max(one, other) + max(above, below))
        ends.append((min(max(first, 0), end), min(max(last + 1, 0), end)))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom


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
    whole = _on_whole_pixels(alpha, blocks_from_region, region)
    if whole is not None:
        left, top, width, height = whole
        if (height, width) != alpha.shape:
            face = cv2.resize(face, (width, height), interpolation=cv2.INTER_CUBIC)
            alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        rows, columns = (
            np.s_[max(first, 0) : max(min(first + num, limit), 0)]
            for first, num, limit in zip(
                (top, left), (height, width), region.shape[:2], strict=True
            )
        )
        region = region[rows, columns]
        under = np.s_[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        face, alpha = face[under], alpha[under]
    else:
        size = (region.shape[1], region.shape[0])
        back = cv2.WARP_INVERSE_MAP
        flags, border = cv2.INTER_CUBIC | back, cv2.BORDER_REPLICATE
        face = cv2.warpAffine(face, blocks_from_region, size, flags=flags, borderMode=border)
        alpha = cv2.warpAffine(alpha, blocks_from_region, size, flags=cv2.INTER_LINEAR | back)
    if not region.size:
        return
    weight = np.multiply(alpha, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    # Of floats it is more than twice as quick as of bytes.
    drawn, around = face.astype(np.float32), region.astype(np.float32)
    cv2.convertScaleAbs(cv2.blendLinear(drawn, around, weight, rest, drawn), region)


def _on_whole_pixels(alpha: Array, blocks_from_region: Matrix, region: Array) -> Box | None:
    """Where a crop that is neither turned nor ends within a pixel lies in the region, or around it.

    None where it has to be warped, which takes twice as long for a pixel as to enlarge it does.
    """
    (across, slant, left), (lean, down, top) = blocks_from_region.tolist()
    if min(across, down) <= 0.0 or max(abs(slant), abs(lean)) > _UPRIGHT:
        return None
    height, width = alpha.shape
    ends = [
        (at - 0.5 - begin) / scale + 0.5
        for at, begin, scale in (
            (0, left, across),
            (0, top, down),
            (width, left, across),
            (height, top, down),
        )
    ]
    if max(abs(end - round(end)) for end in ends) > _WHOLE_PX:
        return None
    x, y, right, bottom = (round(end) for end in ends)
    box = (x, y, right - x, bottom - y)
    if box[2:] == (width, height):
        return box
    # Enlarged by itself it would not fade out beyond its edge.
    is_bare = not any(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
    is_most = box[2] * box[3] <= 2 * region.shape[0] * region.shape[1]
    return box if is_bare and is_most else None


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
