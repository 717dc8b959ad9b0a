import numpy as np
import pytest

from realtime import occluder_finder
from realtime.frame import Motion
from realtime.occluder_finder import OccluderMemory

SIDE = 64
UNMOVED = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def remembered(mask, crop=UNMOVED):
    return OccluderMemory(plate=None, seen_ns=0, mask=mask, crop_from_image=crop)


def square(top, left, side=16):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def blend(mask, memory, motion=None, elapsed_ms=33.0, crop=UNMOVED):
    return occluder_finder._blend_in_time(mask, memory, crop, motion, elapsed_ms)


def test_a_first_mask_counts_in_full():
    assert (blend(square(20, 20), remembered(None)) == square(20, 20)).all()
    assert blend(None, remembered(None)) is None


def test_a_mask_comes_and_goes_over_a_few_frames():
    memory = remembered(square(20, 20))
    values = []
    for _ in range(8):
        memory.mask = blend(None, memory)
        values.append(0 if memory.mask is None else int(memory.mask.max()))
        if memory.mask is None:
            break
    assert values[0] == pytest.approx(255 * 0.5 ** (33 / 25), abs=2)
    assert values[-1] == 0
    assert len(values) < 5


def test_without_flow_a_mask_stays_where_it_is_in_the_picture():
    shifted = np.array([[1.0, 0, -8.0], [0, 1.0, 4.0]])
    carried = blend(square(24, 12), remembered(square(20, 20)), crop=shifted)
    assert (carried == square(24, 12)).all()


@pytest.mark.parametrize("flow_side", [SIDE, 2 * SIDE])
def test_with_flow_a_mask_goes_with_the_picture(flow_side):
    scale = flow_side / SIDE
    aligned = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    flow = np.zeros((flow_side, flow_side, 2), np.float32)
    flow[...] = np.float32([-6, 3]) * np.float32(scale)
    confidence = np.ones((flow_side, flow_side), np.float32)
    motion = Motion(aligned, aligned, flow, confidence)
    carried = blend(square(17, 26), remembered(square(20, 20)), motion)
    assert np.abs(carried.astype(int) - square(17, 26)).max() <= 2


def test_the_share_is_that_of_the_face_inside_its_outline():
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = np.zeros((468, 2), np.float32)
    outline = 32 + 20 * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    points[list(occluder_finder.OVAL)] = outline
    half = np.zeros((SIDE, SIDE), np.uint8)
    half[32:] = 255
    assert occluder_finder._hidden_share(half, points) == pytest.approx(0.5, abs=0.03)
    assert occluder_finder._hidden_share(np.full_like(half, 255), points) == 1.0
    assert occluder_finder._hidden_share(np.zeros_like(half), points) == 0.0
