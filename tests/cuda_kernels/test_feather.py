import numpy as np
import pytest

from cuda_kernels.feather import feather

SIZES = [(1, 1), (7, 3), (33, 61), (70, 47)]


def feathered(device, mask, radius_px):
    out = device.poisoned(mask.shape)
    scratch = device.poisoned(mask.shape, np.int32)
    feather(device.put(mask), radius_px, scratch=scratch, out=out, stream=device.stream)
    return device.take(out)


def defined(mask, radius_px):
    """The definition in float64: a tent, and what is above half stretched to the whole range."""
    tent = np.convolve(np.ones(radius_px + 1), np.ones(radius_px + 1)) / (radius_px + 1) ** 2
    blurred = np.pad(mask.astype(np.float64), radius_px)
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(blurred, 2 * radius_px + 1, axis)
        blurred = windows @ tent
    return np.clip(2 * blurred - 255, 0, 255)


def random_mask(size, seed=1):
    """Large areas and soft edges."""
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(size) < 0.95, 255, rng.integers(0, 256, size)).astype(np.uint8)
    mask[: size[0] // 4, : size[1] // 3] = 0
    return mask


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius_px", [1, 2, 5, 16, 64])
def test_it_is_the_stretched_upper_half_of_a_tent(device, size, radius_px):
    mask = random_mask(size)
    wanted = defined(mask, radius_px)
    assert np.abs(feathered(device, mask, radius_px) - wanted).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("radius_px", [1, 3, 64])
def test_the_kernel_and_its_twin_are_the_same_to_the_last_bit(shim, radius_px):
    mask = random_mask((90, 83))
    twin, launched = np.zeros_like(mask), np.zeros_like(mask)
    scratch = np.zeros(mask.shape, np.int32)
    feather(mask, radius_px, scratch=scratch, out=twin)
    feather(mask, radius_px, scratch=scratch, out=launched, stream=shim)
    np.testing.assert_array_equal(twin, launched)


def test_behind_a_straight_edge_it_rises_within_the_radius(device):
    mask = np.zeros((41, 60), np.uint8)
    mask[:, 20:] = 255
    middle = feathered(device, mask, 8)[20]
    assert (middle[:20] == 0).all()
    assert (middle[28:50] == 255).all()
    assert (np.diff(middle[19:29].astype(int)) > 0).all()


def test_it_fades_at_the_pictures_edge(device):
    faded = feathered(device, np.full((31, 31), 255, np.uint8), 5)
    assert faded[0].max() < 50
    assert (faded[6:-6, 6:-6] == 255).all()


@pytest.mark.parametrize("radius_px", [0, 65])
def test_a_radius_out_of_range_is_refused(device, radius_px):
    with pytest.raises(ValueError, match=r"radius_px must be in 1\.\.64"):
        feathered(device, random_mask((9, 9)), radius_px)
