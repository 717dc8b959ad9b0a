"""Work of every kernel, with as many bytes as it must touch, for measuring."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
    find_colour_shift,
    gentle_shift,
    shift_colours,
)
from cuda_kernels.convert import bgr_from_i420, bgr_from_nv12, nv12_from_bgr
from cuda_kernels.device import Device, Work
from cuda_kernels.feather import feather
from cuda_kernels.flow import (
    flow_scratch_size,
    grey_pyramid,
    grey_pyramid_size,
    measure_flow,
)
from cuda_kernels.flow_confidence import flow_confidence
from cuda_kernels.frontal import cut_turned, turn_back
from cuda_kernels.launch import Array, Stream
from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes, picture_from_levels
from cuda_kernels.light import CELLS_SIZE, LIGHT_SHAPE, add_light, follow_light
from cuda_kernels.mark import add_pattern, lay_label
from cuda_kernels.memory_blend import blend_scratch_size, memory_blend
from cuda_kernels.multiband import multiband_blend, multiband_scratch_size
from cuda_kernels.paste import paste
from cuda_kernels.poisson import poisson_blend, poisson_scratch_size
from cuda_kernels.rasterize import rasterize
from cuda_kernels.warp import warp

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
    faint = room.bytes_(rows, columns, 3), room.bytes_(rows, columns, 3)
    boxes = room.zeros((1, 4), np.int32)
    yield Case(
        "add_pattern",
        4 * whole,
        True,
        lambda: add_pattern(out, *faint, boxes, 0.5, stream=stream),
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


def face_cases(room: Room, size: Size, stream: Stream | None) -> Iterator[Case]:
    """Those that work on a face."""
    rows, columns = size
    front, back = room.bytes_(rows, columns, 3), room.bytes_(rows, columns, 3)
    mask, out = room.bytes_(rows, columns), room.zeros((rows, columns, 3), np.uint8)
    grey = grey_pyramid_size(rows, columns)
    old, now = room.bytes_(grey), room.bytes_(grey)
    flow, opposite = (room.zeros((rows, columns, 2), np.float32) for _ in range(2))
    scratch = room.zeros((flow_scratch_size(rows, columns),), np.float32)
    yield Case(
        "grey_pyramid",
        front.nbytes + grey,
        False,
        lambda: grey_pyramid(front, out=now, stream=stream),
    )
    yield Case(
        "measure_flow",
        2 * grey + flow.nbytes,
        False,
        lambda: measure_flow(old, now, scratch=scratch, out=flow, stream=stream),
    )
    trust = room.zeros((rows, columns), np.float32)
    before, after = (one[: rows * columns].reshape(rows, columns) for one in (old, now))
    yield Case(
        "flow_confidence",
        2 * rows * columns + 2 * flow.nbytes + trust.nbytes,
        False,
        lambda: flow_confidence(
            before,
            after,
            flow,
            opposite,
            tolerance_px=1.0,
            noise=3.0,
            contrast=16.0,
            out=trust,
            stream=stream,
        ),
    )
    memory, current = (room.floats(rows, columns, 3, scale=255.0) for _ in range(2))
    fused, where = room.zeros((rows, columns, 3), np.float32), room.floats(rows, columns, 2)
    work = room.zeros((blend_scratch_size(rows, columns, 3),), np.float32)
    yield Case(
        "memory_blend",
        3 * memory.nbytes + where.nbytes + trust.nbytes,
        False,
        lambda: memory_blend(
            memory,
            current,
            where,
            trust,
            (0.7, 0.75, 0.8),
            limit=40.0,
            scratch=work,
            out=fused,
            stream=stream,
        ),
    )
    bands = room.zeros((multiband_scratch_size(rows, columns),), np.float32)
    yield Case(
        "multiband_blend",
        3 * front.nbytes + mask.nbytes,
        False,
        lambda: multiband_blend(front, back, mask, scratch=bands, out=out, stream=stream),
    )
    rings, membrane = (
        room.zeros((poisson_scratch_size(rows, columns),), np.float32),
        room.zeros((rows, columns, 3), np.float32),
    )
    yield Case(
        "poisson_blend",
        3 * front.nbytes + mask.nbytes,
        False,
        lambda: poisson_blend(
            front,
            back,
            mask,
            is_warm=True,
            num_cycles=1,
            scratch=rings,
            membrane=membrane,
            out=out,
            stream=stream,
        ),
    )
    yield _mesh_case(room, size, stream)
    yield from _turning_cases(room, rows, stream)
    counts, shift = room.zeros(COUNTS_SHAPE, np.uint32), room.zeros(SHIFT_SHAPE, np.float32)
    yield Case(
        "find_colour_shift",
        2 * front.nbytes + mask.nbytes,
        False,
        lambda: find_colour_shift(
            front, back, mask, how="ranks", counts=counts, shift=shift, stream=stream
        ),
    )
    gentle, light = room.zeros(SHIFT_SHAPE, np.float32), room.zeros(LIGHT_SHAPE, np.float32)
    cells = room.zeros((CELLS_SIZE,), np.float32)
    yield Case(
        "gentle_shift",
        counts.nbytes + 2 * shift.nbytes,
        False,
        lambda: gentle_shift(shift, counts, out=gentle, stream=stream),
    )
    yield Case(
        "follow_light",
        2 * front.nbytes + mask.nbytes,
        False,
        lambda: follow_light(front, back, mask, cells=cells, light=light, stream=stream),
    )
    yield Case(
        "add_light",
        2 * front.nbytes,
        False,
        lambda: add_light(front, light, out=out, stream=stream),
    )
    sums, soft = room.zeros((rows, columns), np.int32), room.zeros((rows, columns), np.uint8)
    yield Case(
        "feather",
        2 * mask.nbytes,
        False,
        lambda: feather(mask, min(16, rows // 4), scratch=sums, out=soft, stream=stream),
    )


def _mesh_case(room: Room, size: Size, stream: Stream | None) -> Case:
    """A mesh of as many triangles as a face has, over all of the picture."""
    rows, columns = size
    across = 21
    x, y = np.meshgrid(np.linspace(0, columns, across), np.linspace(0, rows, across))
    points = room.put(np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32))
    corner = (np.arange(across - 1)[:, None] * across + np.arange(across - 1)).ravel()
    right, below = corner + 1, corner + across
    pairs = [[corner, right, below], [right, below + 1, below]]
    triangles = room.put(np.vstack([np.stack(pair, axis=1) for pair in pairs]).astype(np.int32))
    far, values = room.floats(across * across), room.floats(across * across, 3)
    drawn = room.zeros((rows, columns, 3), np.float32)
    keys = room.zeros((rows, columns), np.float32 if stream is None else np.uint64)
    return Case(
        "rasterize",
        drawn.nbytes + keys.nbytes,
        False,
        lambda: rasterize(points, far, triangles, values, out=drawn, depth=keys, stream=stream),
    )


def _turning_cases(room: Room, side: int, stream: Stream | None) -> Iterator[Case]:
    """A head turned to the camera and back."""
    dense, plain = room.bytes_(2 * side, 2 * side, 3), room.bytes_(side, side, 3)
    back, there, other = (room.floats(side, side, 3, scale=float(side)) for _ in range(3))
    numbers, seen = room.put(np.ones(2, np.float32)), room.floats(side, side)
    out, levels = room.zeros((side, side, 3), np.uint8), room.floats(side, side, 3, scale=255.0)
    turned = room.zeros((side, side, 3), np.float32)
    yield Case(
        "cut_turned",
        2 * plain.nbytes + 3 * levels.nbytes,
        False,
        lambda: cut_turned(
            dense, plain, back, there, other, numbers, seen=seen, out=out, stream=stream
        ),
    )
    yield Case(
        "turn_back",
        3 * levels.nbytes,
        False,
        lambda: turn_back(levels, back, numbers, out=turned, stream=stream),
    )
