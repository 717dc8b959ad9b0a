"""Work of the kernels that work on a face, for measuring."""

from collections.abc import Iterator

import numpy as np

from cuda_kernels.carry import enlarge_places, hold_still, settle_flow
from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
    find_colour_shift,
    gentle_shift,
)
from cuda_kernels.feather import feather
from cuda_kernels.flow import (
    flow_scratch_size,
    grey_pyramid,
    grey_pyramid_size,
    measure_flow,
    places_from_flow,
)
from cuda_kernels.flow_confidence import flow_confidence
from cuda_kernels.frontal import cut_turned, turn_back
from cuda_kernels.launch import Stream
from cuda_kernels.layers import lay_over
from cuda_kernels.levels import mix_levels
from cuda_kernels.light import CELLS_SIZE, LIGHT_SHAPE, add_light, follow_light
from cuda_kernels.memory_blend import blend_scratch_size, memory_blend, memory_warp
from cuda_kernels.multiband import multiband_blend, multiband_scratch_size
from cuda_kernels.paste import PASTE_PLACE
from cuda_kernels.pick import FOUND_SIZE, DetectorLevel, pick_face
from cuda_kernels.place import place_face
from cuda_kernels.poisson import poisson_blend, poisson_scratch_size
from cuda_kernels.rasterize import rasterize
from cuda_kernels.sharpness import NUM_SUMS, follow_detail, soften
from cuda_kernels.warp import CROP_PLACE
from tools.gpu_cases import Case, Room, Size


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
    places = room.zeros((rows, columns, 2), np.float32)
    yield Case(
        "places_from_flow",
        2 * flow.nbytes,
        False,
        lambda: places_from_flow(flow, out=places, stream=stream),
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
    yield from _carry_cases(room, size, stream)
    yield from _finding_cases(room, stream)
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
    yield Case(
        "memory_warp",
        2 * memory.nbytes + where.nbytes,
        False,
        lambda: memory_warp(memory, where, out=fused, stream=stream),
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
    yield Case(
        "lay_over",
        3 * front.nbytes + mask.nbytes,
        False,
        lambda: lay_over(front, back, mask, out=out, stream=stream),
    )
    sums, soft = room.zeros((rows, columns), np.int32), room.zeros((rows, columns), np.uint8)
    yield Case(
        "feather",
        2 * mask.nbytes,
        False,
        lambda: feather(mask, min(16, rows // 4), scratch=sums, out=soft, stream=stream),
    )


def _carry_cases(room: Room, size: Size, stream: Stream | None) -> Iterator[Case]:
    """What makes a flow ready to carry a face along, and the face ready to be carried."""
    rows, columns = size
    large = (2 * rows, 2 * columns)
    flow, back, settled = (room.floats(rows, columns, 2) for _ in range(3))
    trust, held, apart = room.floats(rows, columns), room.floats(rows, columns), room.floats(2)
    where, larger = room.floats(*large, 2), room.floats(*large)
    yield Case(
        "settle_flow",
        3 * flow.nbytes,
        False,
        lambda: settle_flow(flow, back, out=settled, stream=stream),
    )
    yield Case(
        "hold_still",
        flow.nbytes + 2 * trust.nbytes,
        False,
        lambda: hold_still(flow, apart, trust, gain=1.2, still_px=0.5, out=held, stream=stream),
    )
    yield Case(
        "enlarge_places",
        flow.nbytes + trust.nbytes + where.nbytes + larger.nbytes,
        False,
        lambda: enlarge_places(flow, trust, out=(where, larger), stream=stream),
    )
    face, mixed = (room.floats(*large, 3, scale=255.0) for _ in range(2))
    small, under = room.floats(rows, columns, 3, scale=255.0), room.bytes_(*large, 3)
    yield Case(
        "mix_levels",
        2 * face.nbytes + small.nbytes,
        False,
        lambda: mix_levels(face, small, 0.5, out=mixed, stream=stream),
    )
    sums, gain = room.zeros((NUM_SUMS,), np.uint64), room.floats(1)
    covered = room.bytes_(*large)
    yield Case(
        "follow_detail",
        face.nbytes + under.nbytes + covered.nbytes,
        False,
        lambda: follow_detail(face, under, covered, 1.0, sums=sums, gain=gain, stream=stream),
    )
    yield Case(
        "soften",
        2 * face.nbytes,
        False,
        lambda: soften(face, gain, 1.0, out=mixed, stream=stream),
    )


def _finding_cases(room: Room, stream: Stream | None) -> Iterator[Case]:
    """The likeliest face of a detector of 640 pixels, and its place in a picture of 1080p."""
    levels = []
    for stride in (8, 16, 32):
        num = 2 * (640 // stride) ** 2
        values = (room.floats(num), room.floats(num, 4), room.floats(num, 10))
        levels.append(DetectorLevel(*values, stride))
    key, found = room.zeros((1,), np.uint64), room.zeros((FOUND_SIZE,), np.float32)
    scores = sum(level.scores.nbytes for level in levels)
    yield Case(
        "pick_face",
        scores + found.nbytes,
        False,
        lambda: pick_face(levels, 640, 0.5, key=key, out=found, stream=stream),
    )
    wanted = room.put(np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], np.float32))
    crop, under = (room.zeros((CROP_PLACE,), np.float32) for _ in range(2))
    place = room.zeros((PASTE_PLACE,), np.float32)
    yield Case(
        "place_face",
        found.nbytes + wanted.nbytes + crop.nbytes + under.nbytes + place.nbytes,
        False,
        lambda: place_face(
            found,
            3.0,
            wanted,
            128,
            128,
            (1920, 1080),
            crop=crop,
            under=under,
            paste=place,
            stream=stream,
        ),
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
