import numpy as np
import pytest

from cuda_kernels.carry import enlarge_places, hold_still, settle_flow

SIZES = [(1, 1), (7, 61), (33, 29)]


def flows(size, seed=1, most_px=4.0):
    return np.random.default_rng(seed).normal(0, most_px, (*size, 2)).astype(np.float32)


def weights(size, seed=3):
    return np.random.default_rng(seed).uniform(0, 1, size).astype(np.float32)


def at(values, x, y):
    """Values between pixels in float64, the edge going on beyond."""
    values = values.astype(np.float64)
    height, width = values.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left), (y - top)
    if values.ndim == 3:
        across, down = across[..., None], down[..., None]
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return upper * (1 - down) + lower * down


def settled(device, backward, forward):
    out = device.poisoned(backward.shape, np.float32)
    settle_flow(device.put(backward), device.put(forward), out=out, stream=device.stream)
    return device.take(out)


def held(device, flow, apart, weight, gain, still_px, *, in_place=False):
    given = device.put(weight)
    out = given if in_place else device.poisoned(weight.shape, np.float32)
    hold_still(
        device.put(flow),
        device.put(np.float32(apart)),
        given,
        gain=gain,
        still_px=still_px,
        out=out,
        stream=device.stream,
    )
    return device.take(out)


def enlarged(device, flow, weight, size):
    where = device.poisoned((*size, 2), np.float32)
    larger = device.poisoned(size, np.float32)
    given = device.put(flow), device.put(weight)
    enlarge_places(*given, out=(where, larger), stream=device.stream)
    return device.take(where), device.take(larger)


@pytest.mark.parametrize("size", SIZES)
def test_a_settled_flow_is_the_mean_of_there_and_back(device, size):
    backward, forward = flows(size), flows(size, seed=2)
    rows, columns = np.indices(size)
    back = at(forward, columns + backward[..., 0], rows + backward[..., 1])
    # OpenCV looks up in steps of a thirty-second of a pixel.
    atol = 0.3 if device.kind == "cpu" else 1e-4
    np.testing.assert_allclose(settled(device, backward, forward), (backward - back) / 2, atol=atol)


def test_where_there_and_back_meet_a_flow_is_settled_already(device):
    shift = np.broadcast_to(np.float32([2.0, -1.0]), (40, 50, 2)).copy()
    np.testing.assert_allclose(settled(device, shift, -shift), shift, atol=1e-6)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_stood_still_weighs_more(device, size, in_place):
    flow, weight, apart = flows(size, most_px=0.6), weights(size), (0.3, -0.2)
    moved = np.hypot(*(flow.astype(np.float64) + apart).transpose(2, 0, 1))
    wanted = weight * (1 + 0.8 * np.exp(-((moved / 0.5) ** 2)))
    found = held(device, flow, apart, weight, 1.8, 0.5, in_place=in_place)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_goes_with_the_crop_has_moved_in_the_picture(device):
    still, weight = np.zeros((9, 11, 2), np.float32), np.ones((9, 11), np.float32)
    assert (held(device, still, (0.0, 0.0), weight, 2.0, 0.5) == 2.0).all()
    assert (held(device, still, (5.0, 0.0), weight, 2.0, 0.5) == 1.0).all()


@pytest.mark.parametrize(
    ("small", "large"), [((1, 1), (3, 2)), ((17, 9), (34, 18)), ((13, 15), (53, 61))]
)
def test_places_of_a_larger_crop_are_those_of_the_smaller_one_enlarged(device, small, large):
    flow, weight = flows(small), weights(small)
    times = np.array([large[1] / small[1], large[0] / small[0]])
    rows, columns = np.indices(large)
    x, y = (columns + 0.5) / times[0] - 0.5, (rows + 0.5) / times[1] - 0.5
    where, larger = enlarged(device, flow, weight, large)
    wanted = at(flow, x, y) * times + np.stack([columns, rows], axis=-1)
    np.testing.assert_allclose(where, wanted, atol=2e-3)
    np.testing.assert_allclose(larger, at(weight, x, y), atol=1e-4)


def test_arrays_that_do_not_fit_are_refused(device):
    flow, weight = flows((9, 11)), weights((9, 11))
    with pytest.raises(ValueError, match=r"forward: must have shape \(9, 11, 2\)"):
        settled(device, flow, flows((9, 12)))
    with pytest.raises(ValueError, match=r"hold_still: flow: must have shape \(9, 11, 2\)"):
        held(device, flows((11, 9)), (0, 0), weight, 1.0, 0.5)
    with pytest.raises(ValueError, match=r"enlarge_places: flow: must have shape \(9, 11, 2\)"):
        enlarged(device, flows((11, 9)), weight, (20, 20))
    assert flow.shape == (9, 11, 2)
