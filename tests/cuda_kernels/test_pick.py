import numpy as np
import pytest

from cuda_kernels.pick import FOUND_SIZE, DetectorLevel, pick_face

INPUT_PX = 96
STRIDES = (8, 16, 32)


def outputs(anchors=2, seed=1, ceiling=0.4):
    random = np.random.default_rng(seed)
    levels = []
    for stride in STRIDES:
        num = (INPUT_PX // stride) ** 2 * anchors
        levels.append(
            DetectorLevel(
                random.uniform(0, ceiling, num).astype(np.float32),
                random.uniform(0, 4, (num, 4)).astype(np.float32),
                random.uniform(-2, 2, (num, 10)).astype(np.float32),
                stride,
            )
        )
    return levels


def picked(device, levels, least=0.5):
    there = [
        DetectorLevel(*(device.put(a) for a in (one.scores, one.boxes, one.points)), one.stride)
        for one in levels
    ]
    out, key = device.poisoned((FOUND_SIZE,), np.float32), device.put(np.zeros(1, np.uint64))
    pick_face(there, INPUT_PX, least, key=key, out=out, stream=device.stream)
    return device.take(out)


def expected(level, index, anchors):
    columns = INPUT_PX // level.stride
    cell = index // anchors
    corner = np.array([cell % columns, cell // columns]) * float(level.stride)
    left_top = corner - level.boxes[index, :2].astype(float) * level.stride
    right_bottom = corner + level.boxes[index, 2:].astype(float) * level.stride
    points = corner + level.points[index].reshape(5, 2).astype(float) * level.stride
    return [level.scores[index], *left_top, *right_bottom, *points.ravel()]


@pytest.mark.parametrize("anchors", [1, 2])
@pytest.mark.parametrize(("which", "index"), [(0, 0), (0, 101), (1, 17), (2, 8)])
def test_the_likeliest_of_all_levels_is_read(device, anchors, which, index):
    levels = outputs(anchors)
    levels[which].scores[index] = 0.9
    levels[0].scores[5] = 0.7
    wanted = expected(levels[which], index, anchors)
    np.testing.assert_allclose(picked(device, levels), wanted, rtol=1e-6, atol=1e-4)


def test_of_equal_ones_the_first_is_read(device):
    levels = outputs()
    for level, index in ((levels[0], 40), (levels[0], 90), (levels[1], 3)):
        level.scores[index] = 0.8
    np.testing.assert_allclose(
        picked(device, levels), expected(levels[0], 40, 2), rtol=1e-6, atol=1e-4
    )


def test_without_a_likely_face_there_is_nothing(device):
    assert not picked(device, outputs()).any()


def test_what_is_no_number_is_no_face(device):
    levels = outputs()
    levels[0].scores[7] = np.nan
    assert not picked(device, levels).any()


def test_outputs_of_another_input_are_refused(device):
    levels = outputs()
    with pytest.raises(ValueError, match="as many scores for each cell of 8 pixels"):
        pick_face(
            levels,
            104,
            0.5,
            key=np.zeros(1, np.uint64),
            out=np.zeros(FOUND_SIZE, np.float32),
        )
