import numpy as np
import pytest

from realtime.carried_mask import blend_in_time
from realtime.frame import Motion

SIDE = 64
UNMOVED = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def square(top, left, side=16):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def blend(mask, before, motion=None, elapsed_ms=33.0, crop=UNMOVED):
    return blend_in_time(mask, before, UNMOVED, crop, motion, elapsed_ms, (25.0, 25.0))


def test_a_first_mask_counts_in_full():
    assert (blend(square(20, 20), None) == square(20, 20)).all()
    assert blend(None, None) is None


def test_a_mask_comes_and_goes_over_a_few_frames():
    mask = square(20, 20)
    values = []
    for _ in range(8):
        mask = blend(None, mask)
        values.append(0 if mask is None else int(mask.max()))
        if mask is None:
            break
    assert values[0] == pytest.approx(255 * 0.5 ** (33 / 25), abs=2)
    assert values[-1] == 0
    assert len(values) < 5


def test_without_flow_a_mask_stays_where_it_is_in_the_picture():
    shifted = np.array([[1.0, 0, -8.0], [0, 1.0, 4.0]])
    carried = blend(square(24, 12), square(20, 20), crop=shifted)
    assert (carried == square(24, 12)).all()


@pytest.mark.parametrize("flow_side", [SIDE, 2 * SIDE])
def test_with_flow_a_mask_goes_with_the_picture(flow_side):
    scale = flow_side / SIDE
    aligned = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    flow = np.zeros((flow_side, flow_side, 2), np.float32)
    flow[...] = np.float32([-6, 3]) * np.float32(scale)
    confidence = np.ones((flow_side, flow_side), np.float32)
    motion = Motion(aligned, aligned, flow, confidence)
    carried = blend(square(17, 26), square(20, 20), motion)
    assert np.abs(carried.astype(int) - square(17, 26)).max() <= 2
