import numpy as np
import pytest

from cuda_kernels.levels import levels_from_planes, mix_levels, picture_from_levels

SCALE = np.array([[127.5, 100.0, 255.0], [127.5, 20.0, 0.0]], np.float32)


def planes(shape, dtype, seed=1):
    values = np.random.default_rng(seed).normal(0.0, 0.8, (3, *shape)).astype(dtype)
    # The smallest halves, and the largest.
    values.flat[:6] = np.array([6e-8, -6e-8, 5e-5, 65504.0, -65504.0, 0.0]).astype(dtype)[
        : values.size
    ][:6]
    return values


def taken(device, given, *, is_rgb=True):
    out, num_bad = device.poisoned((*given.shape[1:], 3), np.float32), np.zeros(1, np.uint32)
    num_bad = device.put(num_bad)
    levels_from_planes(
        device.put(given),
        device.put(SCALE),
        is_rgb=is_rgb,
        out=out,
        num_bad=num_bad,
        stream=device.stream,
    )
    return device.take(out), int(device.take(num_bad)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(1, 2), (17, 23), (33, 65)])
def test_planes_become_levels_by_their_gain_and_offset(device, dtype, shape):
    given = planes(shape, dtype)
    wanted = given.astype(np.float64) * SCALE[0, :, None, None] + SCALE[1, :, None, None]
    wanted = np.clip(wanted, 0, 255).transpose(1, 2, 0)[..., ::-1]
    levels, num_bad = taken(device, given)
    np.testing.assert_allclose(levels, wanted, atol=1e-4)
    assert num_bad == 0


def test_planes_of_the_other_order_are_not_turned_around(device):
    given = planes((9, 11), np.float32)
    as_rgb, _ = taken(device, given[::-1].copy())
    wanted = given[::-1] * SCALE[0, :, None, None] + SCALE[1, :, None, None]
    np.testing.assert_allclose(as_rgb[..., 2], np.clip(wanted[0], 0, 255), atol=1e-4)
    as_bgr, _ = taken(device, given, is_rgb=False)
    wanted = given * SCALE[0, :, None, None] + SCALE[1, :, None, None]
    np.testing.assert_allclose(as_bgr[..., 0], np.clip(wanted[0], 0, 255), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_no_number_is_counted_and_black(device, dtype):
    given = planes((13, 9), dtype)
    given[0, 3, 4], given[1, 5, 6], given[2, 12, 8] = np.nan, np.inf, -np.inf
    levels, num_bad = taken(device, given)
    assert num_bad == 3
    assert levels[3, 4, 2] == levels[5, 6, 1] == levels[12, 8, 0] == 0.0
    assert np.isfinite(levels).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (31, 17, 3)])
def test_levels_are_rounded_and_cut(device, shape):
    levels = np.random.default_rng(3).uniform(-40, 300, shape).astype(np.float32)
    levels.flat[:3] = (0.5, 1.5, 254.5)
    out = device.poisoned(shape)
    picture_from_levels(device.put(levels), out=out, stream=device.stream)
    np.testing.assert_array_equal(device.take(out), np.clip(np.rint(levels), 0, 255))


def test_other_kinds_of_planes_are_refused(device):
    with pytest.raises(ValueError, match="planes must be float16 or float32, got float64"):
        taken(device, np.zeros((3, 5, 5)))


def keys(part):
    """Weights of Keys' interpolation with a = -0.75 for the values at -1, 0, 1 and 2."""
    apart = np.abs(part - np.array([-1.0, 0.0, 1.0, 2.0]))
    near = (1.25 * apart - 2.25) * apart**2 + 1
    far = ((-0.75 * apart + 3.75) * apart - 6) * apart + 3
    return np.where(apart <= 1, near, far)


def cubic(plain, size):
    """Enlarged in float64, the edge going on beyond."""
    values = plain.astype(np.float64)
    for axis, length in enumerate(size):
        num = values.shape[axis]
        at = (np.arange(length) + 0.5) * num / length - 0.5
        first = np.floor(at).astype(int)
        shares = np.array([keys(part) for part in at - first])
        shape = [1] * values.ndim
        shape[axis] = length
        values = sum(
            np.take(values, np.clip(first + n - 1, 0, num - 1), axis=axis)
            * shares[:, n].reshape(shape)
            for n in range(4)
        )
    return values


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("small", "large"), [((1, 1), (2, 2)), ((17, 9), (34, 18)), ((13, 15), (53, 61))]
)
@pytest.mark.parametrize("in_place", [False, True])
def test_a_finer_picture_is_mixed_with_the_same_one_enlarged(
    device, small, large, strength, in_place
):
    rng = np.random.default_rng(4)
    plain, fine = (rng.uniform(0, 255, (*size, 3)).astype(np.float32) for size in (small, large))
    there = device.put(fine)
    out = there if in_place else device.poisoned(fine.shape, np.float32)
    mix_levels(there, device.put(plain), strength, out=out, stream=device.stream)
    wanted = strength * fine + (1 - strength) * cubic(plain, large)
    np.testing.assert_allclose(device.take(out), wanted, atol=0.02)
