import numpy as np
import pytest

from cuda_kernels.mark import add_pattern, lay_label

SIZES = [(1, 1), (7, 5), (33, 61)]


def random(size, seed, most=256):
    return np.random.default_rng(seed).integers(0, most, (*size, 3), np.uint8)


@pytest.mark.parametrize("lines", [1, 2, 5, 40])
@pytest.mark.parametrize("size", SIZES)
def test_each_line_of_a_pattern_is_added_to_so_many_of_the_picture_and_saturates(
    device, size, lines
):
    image = random(size, 1)
    shape = (-(-size[0] // lines), size[1], 3)
    pattern = np.random.default_rng(2).integers(-128, 128, shape, np.int8)
    target = device.put(image)
    add_pattern(target, device.put(pattern), lines, stream=device.stream)
    wanted = np.clip(image + pattern.astype(float).repeat(lines, axis=0)[: size[0]], 0, 255)
    np.testing.assert_array_equal(device.take(target), wanted)
    if size == SIZES[-1]:
        assert {0, 255} <= set(wanted.flat)


def test_a_picture_may_have_padded_rows_and_the_padding_is_left_alone(device):
    wide, pattern = random((7, 9), 1), np.full((4, 5, 3), 3, np.int8)
    target = device.put(wide)
    add_pattern(target[:, :5], device.put(pattern), 2, stream=device.stream)
    out = device.take(target)
    np.testing.assert_array_equal(out[:, :5], np.minimum(wide[:, :5].astype(int) + 3, 255))
    np.testing.assert_array_equal(out[:, 5:], wide[:, 5:])


@pytest.mark.parametrize(("left", "top"), [(0, 0), (5, 3), (40, 30), (47, 3), (5, 99)])
def test_a_label_is_laid_where_it_belongs_and_cut_at_the_edge(device, left, top):
    image, keep, light = random((33, 47), 1), random((9, 14), 2), random((9, 14), 3, 120)
    target = device.put(image)
    lay_label(target, device.put(keep), device.put(light), left, top, stream=device.stream)
    wanted = image.astype(np.float64)
    place = wanted[top : top + 9, left : left + 14]
    rows, columns = place.shape[:2]
    place[...] = np.minimum(
        np.rint(place * keep[:rows, :columns] / 255) + light[:rows, :columns], 255
    )
    np.testing.assert_array_equal(device.take(target), wanted)


def test_a_pattern_of_another_size_or_a_label_outside_is_refused(device):
    image, small = device.put(random((9, 9), 1)), device.put(random((9, 8), 2))
    pattern = device.put(np.zeros((9, 9, 3), np.int8))
    with pytest.raises(ValueError, match=r"pattern: must have shape \(5, 9, 3\), got \(9, 9, 3\)"):
        add_pattern(image, pattern, 2, stream=device.stream)
    with pytest.raises(ValueError, match="lines must be 1 or more, got 0"):
        add_pattern(image, pattern, 0, stream=device.stream)
    with pytest.raises(ValueError, match="left and top must be 0 or more, got -1"):
        lay_label(image, small, small, -1, 0, stream=device.stream)
