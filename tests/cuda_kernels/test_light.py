import numpy as np
import pytest

from cuda_kernels.light import CELLS_SIZE, LIGHT_SHAPE, add_light, enlarged_light, follow_light

SIZES = [(24, 24), (61, 83), (128, 128), (130, 71)]


def lamp(size, most=25.0):
    """Light from the right."""
    across = np.linspace(-most, most, size[1])
    return np.repeat(np.broadcast_to(across, size)[..., None], 3, axis=2)


def lit(size, light, noise=0.0, seed=1):
    """A face, and the picture that the light makes of it."""
    face = np.full((*size, 3), 120, np.uint8)
    rng = np.random.default_rng(seed)
    seen = face + light + rng.normal(0, noise, face.shape) if noise else face + light
    return face, np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def found(device, face, picture, weight, *, rate=1.0, before=None):
    light = device.poisoned(LIGHT_SHAPE, np.float32) if before is None else device.put(before)
    follow_light(
        *map(device.put, (face, picture, weight)),
        rate=rate,
        cells=device.poisoned((CELLS_SIZE,), np.float32),
        light=light,
        stream=device.stream,
    )
    return device.take(light)


def cell_means(values, size):
    """Means over the grid's cells, each pixel by the part of it that lies inside, in float64."""
    for axis, length in enumerate(size):
        edges = np.linspace(0, length, 25)
        shares = np.zeros((24, length))
        for cell in range(24):
            for index in range(length):
                part = min(edges[cell + 1], index + 1) - max(edges[cell], index)
                shares[cell, index] = max(part, 0.0)
        values = np.moveaxis(np.tensordot(shares, values, (1, axis)), 0, axis) * 24 / length
    return values


def blurred(values):
    """By a Gaussian of 3.2 cells; beyond the grid is nothing."""
    reach = np.arange(-13, 14)
    kernel = np.exp(-0.5 * (reach / 3.2) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padding = [(0, 0)] * values.ndim
        padding[axis] = (13, 13)
        padded = np.pad(values, padding)
        values = sum(
            k * np.take(padded, np.arange(24) + n, axis=axis) for n, k in enumerate(kernel)
        )
    return values


def by_definition(face, picture, weight):
    size, share = weight.shape, weight / 255.0
    difference = (picture.astype(np.float64) - face) * share[..., None]
    above, below = blurred(cell_means(difference, size)), blurred(cell_means(share, size))
    total = below.sum()
    usual = above.sum(axis=(0, 1)) / total if total > 1 else np.zeros(3)
    return (above + 0.05 * usual) / (below + 0.05)[..., None]


@pytest.mark.parametrize("size", SIZES)
def test_the_light_is_the_blurred_difference_where_both_show_skin(device, size):
    rng = np.random.default_rng(3)
    face, picture = (rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2))
    weight = rng.integers(0, 256, size, np.uint8)
    weight[: size[0] // 2, : size[1] // 3] = 0
    light = found(device, face, picture, weight)
    np.testing.assert_allclose(light, by_definition(face, picture, weight), atol=0.02)


def test_weights_in_floats_are_those_in_bytes():
    face, picture = lit((61, 83), lamp((61, 83)))
    weight = np.random.default_rng(4).integers(0, 256, (61, 83), np.uint8)
    light = np.zeros(LIGHT_SHAPE, np.float32)
    cells = np.zeros(CELLS_SIZE, np.float32)
    follow_light(face, picture, weight / np.float32(255), cells=cells, light=light)
    there = np.zeros(LIGHT_SHAPE, np.float32)
    follow_light(face, picture, weight, cells=cells, light=there)
    np.testing.assert_allclose(light, there, atol=1e-3)


@pytest.mark.parametrize("size", SIZES[1:])
def test_noise_does_not_count_and_a_lamp_does(device, size):
    face, picture = lit(size, lamp(size), noise=6.0)
    light = found(device, face, picture, np.full(size, 255, np.uint8))
    shown = enlarged_light(light, (size[1], size[0]))
    middle = np.s_[size[0] // 6 : -size[0] // 6, size[1] // 6 : -size[1] // 6]
    assert np.abs(shown - lamp(size))[middle].mean() < 2.0


def test_the_light_is_carried_on_to_where_there_is_no_skin(device):
    size = (80, 72)
    face, picture = lit(size, lamp(size))
    weight = np.full(size, 255, np.uint8)
    picture[30:50, 20:40], weight[30:50, 20:40] = 0, 0
    shown = enlarged_light(found(device, face, picture, weight), (72, 80))
    assert np.abs(shown - lamp(size))[30:50, 20:40].max() < 8


def test_without_skin_there_is_no_light_to_carry(device):
    size = (61, 83)
    face, picture = lit(size, lamp(size) + 40)
    assert not found(device, face, picture, np.zeros(size, np.uint8)).any()


def test_the_light_follows_as_slowly_as_it_is_told(device):
    size, everywhere = (61, 83), np.full((61, 83), 255, np.uint8)
    first = found(device, *lit(size, lamp(size)), everywhere)
    second = found(device, *lit(size, lamp(size) + 30), everywhere, rate=0.1, before=first)
    assert (second - first).mean() == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("size", [(1, 1), *SIZES])
def test_the_light_is_added_linear_between_its_cells(device, size):
    rng = np.random.default_rng(5)
    face = rng.integers(0, 256, (*size, 3), np.uint8)
    light = rng.normal(0, 40, LIGHT_SHAPE).astype(np.float32)
    out = device.poisoned(face.shape)
    add_light(device.put(face), device.put(light), out=out, stream=device.stream)
    wanted = np.zeros(face.shape)
    at = [np.clip((np.arange(n) + 0.5) * 24 / n - 0.5, 0, 23) for n in size]
    for row, y in enumerate(at[0]):
        for column, x in enumerate(at[1]):
            top, left = int(y), int(x)
            down, across = y - top, x - left
            bottom, right = min(top + 1, 23), min(left + 1, 23)
            upper = light[top, left] * (1 - across) + light[top, right] * across
            lower = light[bottom, left] * (1 - across) + light[bottom, right] * across
            wanted[row, column] = face[row, column] + upper * (1 - down) + lower * down
    assert np.abs(device.take(out) - np.clip(wanted, 0, 255)).max() <= 0.51


def test_a_face_may_be_lit_in_place(device):
    face, light = lit((61, 83), lamp((61, 83)))[0], np.full(LIGHT_SHAPE, 20.0, np.float32)
    there = device.put(face)
    add_light(there, device.put(light), out=there, stream=device.stream)
    assert (device.take(there) == 140).all()


def test_arrays_that_do_not_fit_are_refused(device):
    face = device.put(np.zeros((24, 24, 3), np.uint8))
    mask, light = device.put(np.zeros((24, 24), np.uint8)), device.put(np.zeros(LIGHT_SHAPE, "f4"))
    few = device.put(np.zeros(CELLS_SIZE - 1, np.float32))
    with pytest.raises(ValueError, match="scratch must be dense and have 2304 elements"):
        follow_light(face, face, mask, cells=few, light=light, stream=device.stream)
    with pytest.raises(ValueError, match=r"follow_light: light: must have shape \(24, 24, 3\)"):
        follow_light(face, face, mask, cells=few, light=light[:1], stream=device.stream)
