import cv2
import numpy as np
import pytest

from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
    find_colour_shift,
    gentle_shift,
    shift_colours,
)

SIZES = [(1, 1), (13, 9), (61, 83), (130, 70)]


def scene(size, seed=1):
    """Two pictures of other colours and contrast, and a mask."""
    rng = np.random.default_rng(seed)
    face = np.clip(rng.normal((90, 120, 160), 25, (*size, 3)), 0, 255).astype(np.uint8)
    target = np.clip(rng.normal((120, 110, 130), 35, (*size, 3)), 0, 255).astype(np.uint8)
    mask = rng.integers(0, 256, size, np.uint8)
    mask[0, 0] = 255
    return face, target, mask


def find(device, face, target, mask, *, shift=None, **settings):
    counts = device.poisoned(COUNTS_SHAPE, np.uint32)
    held = device.poisoned(SHIFT_SHAPE, np.float32) if shift is None else device.put(shift)
    arrays = map(device.put, (face, target, mask))
    find_colour_shift(*arrays, **settings, counts=counts, shift=held, stream=device.stream)
    return device.take(held), device.take(counts)


def moved(device, face, shift, strength=1.0):
    out = device.poisoned(face.shape)
    given = device.put(face), device.put(np.asarray(shift, np.float32))
    shift_colours(*given, strength, out=out, stream=device.stream)
    return device.take(out)


def levels(image):
    """Luma and both chroma of BT.601 in float64."""
    b, g, r = np.moveaxis(image.astype(np.float64), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([y, (r - y) * 0.713 + 128, (b - y) * 0.564 + 128])


def test_luma_and_chroma_are_counted_as_opencv_sees_them(device):
    # All colours, four apart, and the corners.
    grid = np.append(np.arange(0, 256, 4), 255).astype(np.uint8)
    image = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(65, -1, 3)
    mask = np.full(image.shape[:2], 255, np.uint8)
    counts = find(device, image, image, mask)[1]
    seen = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    wanted = [np.bincount(seen[..., c].reshape(-1), minlength=256) for c in range(3)]
    np.testing.assert_array_equal(counts, [wanted, wanted])
    assert np.abs(np.moveaxis(seen, -1, 0) - np.clip(levels(image), 0, 255)).max() <= 1.0


@pytest.mark.parametrize("size", SIZES)
def test_only_what_the_mask_chooses_is_counted(device, size):
    face, target, mask = scene(size)
    counts = find(device, face, target, mask)[1]
    assert (counts.sum(axis=2) == np.count_nonzero(mask >= 128)).all()
    for picture, own in zip((face, target), counts, strict=True):
        seen = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)[mask >= 128]
        wanted = [np.bincount(seen[:, c], minlength=256) for c in range(3)]
        np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize("size", SIZES)
def test_by_moments_a_level_goes_where_mean_and_deviation_lead(device, size):
    face, target, mask = scene(size)
    shift, counts = find(device, face, target, mask)
    for channel in range(3):
        ours, theirs = (np.repeat(np.arange(256.0), counts[side, channel]) for side in (0, 1))
        gain = np.clip(np.sqrt((theirs.var() + 1) / (ours.var() + 1)), 0.5, 2)
        wanted = theirs.mean() + gain * (np.arange(256) - ours.mean()) - np.arange(256)
        assert np.abs(shift[channel] - wanted).max() < 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_by_ranks_a_level_goes_to_the_level_of_its_rank(device, size):
    face, target, mask = scene(size)
    shift, counts = find(device, face, target, mask, how="ranks")
    for channel in range(3):
        ours, theirs = counts[:, channel].astype(np.float64)
        our_ranks = (np.cumsum(ours) - ours / 2) / ours.sum()
        their_ranks = (np.cumsum(theirs) - theirs / 2) / theirs.sum()
        present = np.flatnonzero(ours)
        for level in range(256):
            at = max([other for other in present if other <= level], default=present[0])
            rank = our_ranks[at] - 1e-12
            above = np.flatnonzero(their_ranks >= rank)
            there = 255.0
            if above.size:
                there = float(above[0])
                if above[0] > 0:
                    low, high = their_ranks[above[0] - 1], their_ranks[above[0]]
                    there -= (high - rank) / (high - low)
            assert shift[channel, level] == pytest.approx(there - at, abs=1e-3)


def test_after_moving_by_ranks_the_face_is_distributed_like_its_target(device):
    face, target, mask = scene((90, 101))
    mask[...] = 255
    shift = find(device, face, target, mask, how="ranks")[0]
    after = levels(moved(device, face, shift))[0].reshape(-1)
    wanted = levels(target)[0].reshape(-1)
    shares = np.linspace(0.05, 0.95, 19)
    assert np.abs(np.quantile(after, shares) - np.quantile(wanted, shares)).max() < 2.0


def test_after_moving_by_moments_mean_and_deviation_are_the_targets(device):
    face, target, mask = scene((90, 101))
    mask[...] = 255
    shift = find(device, face, target, mask)[0]
    after, wanted = levels(moved(device, face, shift)), levels(target)
    for channel in range(3):
        assert after[channel].mean() == pytest.approx(wanted[channel].mean(), abs=0.5)
        assert after[channel].std() == pytest.approx(wanted[channel].std(), abs=1.0)


def test_each_pixel_moves_by_the_shift_of_its_levels(device):
    face = scene((31, 47))[0]
    shift = np.random.default_rng(3).uniform(-30, 30, SHIFT_SHAPE).astype(np.float32)
    seen = cv2.cvtColor(face, cv2.COLOR_BGR2YCrCb)
    luma, red, blue = (0.6 * shift[c, seen[..., c]].astype(np.float64) for c in range(3))
    change = [luma + 1.773 * blue, luma - 0.714 * red - 0.344 * blue, luma + 1.403 * red]
    wanted = np.clip(face + np.stack(change, axis=-1), 0, 255)
    assert np.abs(moved(device, face, shift, 0.6) - wanted).max() <= 0.51


def test_what_need_not_move_comes_out_as_it_is(device):
    face, _, mask = scene((31, 47))
    for how in ("moments", "ranks"):
        shift = find(device, face, face, mask, how=how)[0]
        np.testing.assert_array_equal(moved(device, face, shift), face)


@pytest.mark.parametrize("how", ["moments", "ranks"])
def test_an_empty_mask_moves_nothing(device, how):
    face, target, mask = scene((9, 7))
    shift = find(device, face, target, np.minimum(mask, 127), how=how)[0]
    np.testing.assert_array_equal(shift, np.zeros(SHIFT_SHAPE))


def test_one_flat_colour_becomes_another_without_noise(device):
    face, target = np.full((9, 11, 3), (80, 90, 100), np.uint8), np.full((9, 11, 3), 150, np.uint8)
    mask = np.full((9, 11), 255, np.uint8)
    for how in ("moments", "ranks"):
        shift = find(device, face, target, mask, how=how)[0]
        assert np.abs(moved(device, face, shift).astype(int) - 150).max() <= 2


def test_a_shift_follows_at_its_rate(device):
    face, target, mask = scene((33, 35))
    whole = find(device, face, target, mask)[0]
    before = np.full(SHIFT_SHAPE, 10.0, np.float32)
    part = find(device, face, target, mask, shift=before, rate=0.25)[0]
    assert part == pytest.approx(before + 0.25 * (whole - before), abs=1e-3)


def test_a_mask_of_another_size_is_refused(device):
    face, target, mask = scene((9, 7))
    with pytest.raises(ValueError, match=r"face: must have shape \(9, 6, 3\), got \(9, 7, 3\)"):
        find(device, face, target, mask[:, :6])


def gentle(device, shift, counts):
    out = device.poisoned(SHIFT_SHAPE, np.float32)
    given = device.put(np.asarray(shift, np.float32)), device.put(np.asarray(counts, np.uint32))
    gentle_shift(*given, out=out, stream=device.stream)
    return device.take(out)


def gentle_by_definition(shift, counts):
    """One level after the other, in float64."""
    made = np.zeros((3, 256))
    ours, theirs = (side / side.sum(axis=1, keepdims=True) for side in counts.astype(np.float64))
    greys = []
    for channel in range(3):
        near = [np.clip(np.arange(n - 8, n + 9), 0, 255) for n in range(256)]
        wanted = [shift[channel][index].mean() + level for level, index in enumerate(near)]
        for level in range(1, 256):
            step = min(max(wanted[level] - wanted[level - 1], 0.0), 1.8)
            made[channel, level] = made[channel, level - 1] + step
        made[channel] += sum((wanted - made[channel]) * ours[channel])
        middle = sum(theirs[channel] * np.arange(256))
        deviation = sum(theirs[channel] * (np.arange(256) - middle) ** 2) ** 0.5
        greys.append((1 - min(max((deviation - 1.2) / 1.8, 0.0), 1.0), middle))
    grey = min(greys[1][0], greys[2][0])
    for channel in (1, 2):
        made[channel] += grey * (greys[channel][1] - made[channel])
    return np.clip(made - np.arange(256), -90, 90)


@pytest.mark.parametrize(("seed", "spread"), [(1, 30.0), (2, 2.0), (3, 0.4)])
def test_a_rough_shift_becomes_smooth_monotone_and_of_limited_slope(device, seed, spread):
    rng = np.random.default_rng(seed)
    counts = np.zeros(COUNTS_SHAPE, np.uint32)
    for side in range(2):
        for channel in range(3):
            drawn = rng.normal(128, spread if side and channel else 30, 5000)
            counts[side, channel] = np.bincount(np.clip(drawn, 0, 255).astype(int), minlength=256)
    shift = rng.normal(0, 60, SHIFT_SHAPE).astype(np.float32)
    out = gentle(device, shift, counts)
    np.testing.assert_allclose(out, gentle_by_definition(shift, counts), atol=2e-3)
    slopes = 1.0 + np.diff(out, axis=1)
    assert slopes.min() >= -1e-3
    assert slopes.max() <= 1.8 + 1e-3


def test_where_nothing_was_counted_nothing_moves(device):
    shift = np.full(SHIFT_SHAPE, 7.0)
    assert not gentle(device, shift, np.zeros(COUNTS_SHAPE)).any()
