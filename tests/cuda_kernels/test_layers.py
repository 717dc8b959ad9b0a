import numpy as np
import pytest

from cuda_kernels.layers import lay_over

SIZES = [(1, 1), (17, 23), (33, 65)]


def pictures(size):
    rng = np.random.default_rng(1)
    front, back = (rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2))
    weight = rng.integers(0, 256, size, np.uint8)
    weight.flat[:2] = (0, 255)[: weight.size]
    return front, back, weight


def laid(device, front, back, weight, into=None):
    given = {"front": device.put(front), "back": device.put(back)}
    out = device.poisoned(front.shape) if into is None else given[into]
    lay_over(*given.values(), device.put(weight), out=out, stream=device.stream)
    return device.take(out)


@pytest.mark.parametrize("into", [None, "front", "back"])
@pytest.mark.parametrize("size", SIZES)
def test_each_pixel_is_the_mean_that_its_weight_says(device, size, into):
    front, back, weight = pictures(size)
    share = weight[..., None] / 255.0
    wanted = np.floor(share * front + (1.0 - share) * back + 0.5)
    np.testing.assert_array_equal(laid(device, front, back, weight, into), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_on_the_processor_the_weight_may_be_a_share(size):
    front, back, weight = pictures(size)
    share = (weight / 255.0).astype(np.float32)
    out = np.full(front.shape, 0xA5, np.uint8)
    lay_over(front, back, share, out=out)
    wanted = share[..., None] * front.astype(np.float64) + (1.0 - share[..., None]) * back
    assert np.abs(out - wanted).max() <= 0.51


def test_a_share_is_nothing_that_a_gpu_takes(launcher):
    front, back, weight = pictures((9, 11))
    with pytest.raises(ValueError, match="weight must be an array of uint8, got"):
        laid(launcher, front, back, weight.astype(np.float32))


def test_masks_of_another_size_are_refused(device):
    front, back, weight = pictures((9, 11))
    with pytest.raises(ValueError, match=r"lay_over: front: must have shape \(11, 9, 3\)"):
        laid(device, front, back, np.ascontiguousarray(weight.T))
