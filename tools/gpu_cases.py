"""Work of the kernels that work on pictures, with the bytes they must touch, for measuring."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cuda_kernels.colour_match import (
    SHIFT_SHAPE,
    shift_colours,
)
from cuda_kernels.convert import bgr_from_i420, bgr_from_nv12, nv12_from_bgr
from cuda_kernels.device import Device, Work
from cuda_kernels.launch import Array, Stream
from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes, picture_from_levels
from cuda_kernels.mark import add_pattern, lay_label
from cuda_kernels.paste import paste, paste_place, paste_placed
from cuda_kernels.warp import crop_place, warp, warp_placed

Size = tuple[int, int]
"""Rows and columns."""

_YUV = np.array([[0.114, 0.587, 0.299, 0], [0.5, -0.33, -0.17, 128], [-0.08, -0.42, 0.5, 128]])


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel at one size.

    Attributes:
        name: of the public function.
        num_bytes: that must be read or written at least once.
        is_memory_bound: whether nothing but memory should keep it.
        work: queues it.
    """

    name: str
    num_bytes: int
    is_memory_bound: bool
    work: Work


class Room:
    """Arrays for the cases, with random contents where it matters."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._random = np.random.default_rng(1)

    def bytes_(self, *shape: int) -> Array:
        """Random levels, u8."""
        return self._device.put(self._random.integers(0, 256, shape, np.uint8))

    def floats(self, *shape: int, scale: float = 1.0) -> Array:
        """Random numbers 0..scale, f32."""
        return self._device.put((scale * self._random.random(shape)).astype(np.float32))

    def put(self, array: Array) -> Array:
        """A copy on the device."""
        return self._device.put(array)

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
        """An array to be written."""
        return self._device.zeros(shape, dtype)


def picture_cases(room: Room, size: Size, stream: Stream | None) -> Iterator[Case]:
    """Those that work on whole pictures."""
    rows, columns = size
    image, out = room.bytes_(rows, columns, 3), room.zeros((rows, columns, 3), np.uint8)
    whole = image.nbytes
    luma = room.bytes_(rows, columns)
    chroma = room.bytes_((rows + 1) // 2, (columns + 1) // 2, 2)
    bgr_from_yuv = np.linalg.inv(np.vstack([_YUV, [0, 0, 0, 1]]))[:3]
    planes = luma.nbytes + chroma.nbytes
    yield Case(
        "bgr_from_nv12",
        planes + whole,
        True,
        lambda: bgr_from_nv12(luma, chroma, bgr_from_yuv, out=out, stream=stream),
    )
    yield Case(
        "nv12_from_bgr",
        planes + whole,
        True,
        lambda: nv12_from_bgr(image, _YUV, out=(luma, chroma), stream=stream),
    )
    side = 640
    fit = side / max(size)
    inner = (0, 0, round(columns * fit), round(rows * fit))
    network, scale = room.zeros((3, side, side), np.float32), room.floats(2, 3)
    yield Case(
        "letterbox",
        whole + network.nbytes,
        True,
        lambda: letterbox(image, inner, scale, out=network, stream=stream),
    )
    half = (
        room.bytes_((rows + 1) // 2, (columns + 1) // 2),
        room.bytes_((rows + 1) // 2, (columns + 1) // 2),
    )
    yield Case(
        "bgr_from_i420",
        planes + whole,
        True,
        lambda: bgr_from_i420(luma, *half, bgr_from_yuv, out=out, stream=stream),
    )
    same = np.array([[1.0, 0.001, 0.3], [-0.001, 1.0, 0.2]])
    yield Case("warp", 2 * whole, True, lambda: warp(image, same, out=out, stream=stream))
    alpha = room.bytes_(rows, columns)
    yield Case(
        "paste",
        3 * whole + alpha.nbytes,
        False,
        lambda: paste(image, alpha, same, out=out, stream=stream),
    )
    size_px = (columns, rows)
    crop, place = (
        room.put(numbers)
        for numbers in (crop_place(same, *size_px), paste_place(same, size_px, size_px))
    )
    yield Case(
        "warp_placed",
        2 * whole,
        True,
        lambda: warp_placed(image, crop, out=out, stream=stream),
    )
    yield Case(
        "paste_placed",
        3 * whole + alpha.nbytes,
        False,
        lambda: paste_placed(image, alpha, place, out=out, stream=stream),
    )
    faint = room.put(np.random.default_rng(2).integers(-4, 5, (rows, columns, 3), np.int8))
    yield Case(
        "add_pattern",
        3 * whole,
        True,
        lambda: add_pattern(out, faint, stream=stream),
    )
    keep, light = room.bytes_(rows // 8, columns // 8, 3), room.bytes_(rows // 8, columns // 8, 3)
    yield Case(
        "lay_label",
        4 * keep.nbytes,
        False,
        lambda: lay_label(out, keep, light, 8, 8, stream=stream),
    )
    levels = room.floats(rows, columns, 3, scale=255.0)
    yield Case(
        "picture_from_levels",
        levels.nbytes + whole,
        True,
        lambda: picture_from_levels(levels, out=out, stream=stream),
    )
    shift = room.zeros(SHIFT_SHAPE, np.float32)
    yield Case(
        "shift_colours",
        2 * whole,
        True,
        lambda: shift_colours(image, shift, out=out, stream=stream),
    )
    tensor, bad = room.floats(3, rows, columns), room.zeros((1,), np.uint32)
    yield Case(
        "levels_from_planes",
        tensor.nbytes + levels.nbytes,
        True,
        lambda: levels_from_planes(tensor, scale, out=levels, num_bad=bad, stream=stream),
    )
