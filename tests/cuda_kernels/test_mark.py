import numpy as np
import pytest

from cuda_kernels.mark import add_pattern, lay_label

SIZES = [(1, 1), (7, 5), (33, 61)]


def random(size, seed, most=256):
    return np.random.default_rng(seed).integers(0, most, (*size, 3), np.uint8)


def marked(device, image, lighter, darker, boxes, share):
    target = device.put(image)
    boxes = device.put(np.reshape(boxes, (-1, 4)).astype(np.int32))
    given = device.put(lighter), device.put(darker)
    add_pattern(target, *given, boxes, share, stream=device.stream)
    return device.take(target)


def defined(image, lighter, darker, boxes, share):
    """The definition in float64; each box rounds what it leaves."""
    levels = image.astype(np.float64)
    out = np.maximum(np.minimum(levels + lighter, 255) - darker, 0)
    for left, top, right, bottom in boxes:
        part = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        out[part] = np.rint(share * out[part] + (1 - share) * levels[part])
    return out


@pytest.mark.parametrize("size", SIZES)
def test_a_pattern_is_added_and_saturates(device, size):
    image, lighter, darker = (
        random(size, seed, most) for seed, most in ((1, 256), (2, 90), (3, 90))
    )
    wanted = defined(image, lighter, darker, [], 0.3)
    np.testing.assert_array_equal(marked(device, image, lighter, darker, [], 0.3), wanted)
    assert {0, 255} <= set(marked(device, *(random((40, 40), s) for s in range(3)), [], 0).flat)


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_boxes_get_a_share_of_it_and_may_overlap_or_lie_outside(device, share):
    size = (33, 47)
    image, lighter, darker = random(size, 1), random(size, 2, 40), random(size, 3, 40)
    boxes = [(4, 3, 20, 18), (15, 10, 99, 40), (-9, -5, 3, 2), (30, 30, 30, 33), (50, 3, 60, 9)]
    out = marked(device, image, lighter, darker, boxes, share)
    wanted = defined(image, lighter, darker, boxes, share)
    # In float32 a sum that lies in the middle may go either way.
    assert np.abs(out - wanted).max() <= 1
    assert (out != wanted).mean() < 0.01
    outside = np.ones(size, bool)
    for left, top, right, bottom in boxes:
        outside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = False
    np.testing.assert_array_equal(out[outside], wanted[outside])


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
    boxes = device.put(np.zeros((0, 4), np.int32))
    with pytest.raises(ValueError, match=r"darker: must have shape \(9, 9, 3\), got \(9, 8, 3\)"):
        add_pattern(image, image, small, boxes, 0.5, stream=device.stream)
    with pytest.raises(ValueError, match="left and top must be 0 or more, got -1"):
        lay_label(image, small, small, -1, 0, stream=device.stream)
