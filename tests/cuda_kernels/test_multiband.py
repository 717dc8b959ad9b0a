import cv2
import numpy as np
import pytest

from cuda_kernels.multiband import multiband_blend, multiband_scratch_size

SIZES = [(1, 1), (2, 3), (5, 1), (33, 61), (64, 48), (97, 70)]


def shrinking(num):
    """``(ceil(num / 2), num)``: 1 4 6 4 1, mirrored without repeating the edge."""
    matrix = np.zeros(((num + 1) // 2, num))
    around = np.pad(np.arange(num), 2, mode="reflect") if num > 1 else np.zeros(5, int)
    for row in range(len(matrix)):
        np.add.at(matrix[row], around[2 * row : 2 * row + 5], np.array([1, 4, 6, 4, 1]) / 16)
    return matrix


def growing(num, num_out):
    """``(num_out, num)``: zeros between the values, then 1 4 6 4 1 twice; OpenCV's edges."""
    matrix = np.zeros((num_out, num))
    for place in range(num_out):
        middle = place // 2
        taps = ((0, 4), (1, 4)) if place % 2 else ((-1, 1), (0, 6), (1, 1))
        for offset, weight in taps:
            at = middle + offset
            at = min(1, num - 1) if at < 0 else min(at, num - 1)
            matrix[place, at] += weight / 8
    return matrix


def resized(values, rows, columns):
    return np.einsum("ai,bj,ij...->ab...", rows, columns, values, optimize=True)


def smaller(values):
    return resized(values, shrinking(values.shape[0]), shrinking(values.shape[1]))


def larger(values, like):
    return resized(values, *(growing(n, m) for n, m in zip(values.shape, like.shape, strict=False)))


def defined(front, back, mask, num_bands):
    """Burt and Adelson's definition in float64, with a pyramid of each picture and of the mask."""
    pictures, weights = [[p.astype(np.float64)] for p in (front, back)], [mask / 255.0]
    while len(weights) < num_bands and (len(weights) < 2 or min(weights[-1].shape) > 2):
        for pyramid in (*pictures, weights):
            pyramid.append(smaller(pyramid[-1]))
    total = np.zeros_like(pictures[0][-1])
    for level in range(len(weights) - 1, -1, -1):
        bands = []
        for pyramid in pictures:
            coarser = larger(pyramid[level + 1], weights[level]) if level + 1 < len(weights) else 0
            bands.append(pyramid[level] - coarser)
        weight = weights[level][..., None]
        if level + 1 < len(weights):
            total = larger(total, weights[level])
        total = total + weight * bands[0] + (1 - weight) * bands[1]
    return np.clip(total, 0, 255)


def scene(size, seed=1):
    rng = np.random.default_rng(seed)
    front, back = rng.integers(0, 256, (2, *size, 3), np.uint8)
    mask = cv2.GaussianBlur(rng.integers(0, 256, size, np.uint8), (0, 0), 2)
    return (
        front,
        back,
        cv2.convertScaleAbs(mask.reshape(size), None, 2, -128),
    )


def blend(device, front, back, mask, **settings):
    out = device.poisoned(front.shape)
    scratch = device.poisoned((multiband_scratch_size(*mask.shape),), np.float32)
    given = map(device.put, (front, back, mask))
    multiband_blend(*given, **settings, scratch=scratch, out=out, stream=device.stream)
    return device.take(out)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_bands", [2, 3, 5, 9])
def test_every_band_is_blended_by_its_own_mask(device, size, num_bands):
    given = scene(size)
    wanted = defined(*given, num_bands)
    assert np.abs(blend(device, *given, num_bands=num_bands) - wanted).max() <= 0.51


def test_the_front_shows_where_it_covers_all_and_the_back_where_nothing(device):
    front, back, mask = scene((41, 37))
    full, empty = np.full_like(mask, 255), np.zeros_like(mask)
    assert np.abs(blend(device, front, back, full).astype(int) - front).max() <= 1
    np.testing.assert_array_equal(blend(device, front, back, empty), back)


def test_light_changes_over_a_wider_edge_than_detail(device):
    front, back = np.full((64, 64, 3), 160, np.uint8), np.full((64, 64, 3), 80, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    row = blend(device, front, back, mask)[32, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert row[24] > 85
    assert row[40] < 155
    # Detail of single pixels stays on its own side.
    front[:, ::2] += 40
    detail = np.abs(np.diff(blend(device, front, back, mask)[32, :, 0].astype(int)))
    assert detail[:29].max() < 12
    assert detail[35:].min() > 28


def test_what_is_written_may_be_one_of_the_pictures(device):
    front, back, mask = scene((33, 29))
    wanted = blend(device, front, back, mask)
    target = device.put(back)
    scratch = device.poisoned((multiband_scratch_size(33, 29),), np.float32)
    given = device.put(front), target, device.put(mask)
    multiband_blend(*given, scratch=scratch, out=target, stream=device.stream)
    np.testing.assert_array_equal(device.take(target), wanted)


def test_arrays_that_do_not_fit_are_refused(launcher):
    front, back, mask = map(launcher.put, scene((9, 9)))
    scratch = launcher.poisoned((10,), np.float32)
    with pytest.raises(ValueError, match="scratch must be dense and have"):
        multiband_blend(front, back, mask, scratch=scratch, out=back, stream=launcher.stream)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_bands": 1}, "two bands or more"),
        ({"front": np.zeros((9, 8, 3), np.uint8)}, r"front: must have shape \(9, 9, 3\)"),
        ({"back": np.zeros((9, 20, 3), np.uint8)[:, :9]}, "back: must be C-contiguous"),
    ],
)
def test_other_arrays_or_fewer_bands_are_refused(given, message):
    front, back, mask = scene((9, 9))
    arrays = {"front": front, "back": back, "mask": mask, **given}
    with pytest.raises(ValueError, match=message):
        multiband_blend(**arrays, scratch=np.zeros(500, np.float32), out=front.copy())
