import numpy as np
import pytest

from cuda_kernels.frontal import NUMBERS, cut_turned, turn_back

SIDES = [7, 64, 131]


def linear(values, x, y):
    """One value between the four around a place, the edge going on beyond it, in float64."""
    rows, columns = values.shape[:2]
    x, y = min(max(x, 0.0), columns - 1), min(max(y, 0.0), rows - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
    upper = values[top, left] * (1 - (x - left)) + values[top, right] * (x - left)
    lower = values[bottom, left] * (1 - (x - left)) + values[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def soft(side, seed, channels=3):
    """A smooth picture, so that the fineness of places does not count."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [
        100 * np.sin(2 * x + rng.uniform(0, 6)) * np.cos(3 * y + rng.uniform(0, 6)) + 128
        for _ in range(channels)
    ]
    return np.stack(waves, axis=-1).astype(np.float32)


def views(side, seed=1):
    """Places that lead a little elsewhere, partly beyond the crop, with depths and facing."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    back, there, mirrored = (np.zeros((side, side, 3), np.float32) for _ in range(3))
    for view, shift in ((back, 2.3), (there, -2.3), (mirrored, 0.4 * side)):
        view[..., 0] = x + shift + 1.5 * np.sin(y / 5)
        view[..., 1] = y - 0.7 * shift
    back[..., 2] = 4 * np.sin(x / 9)
    there[..., 2] = back[..., 2] + rng.uniform(-1, 4, (side, side))
    mirrored[..., 2] = rng.uniform(-0.1, 0.5, (side, side))
    return back, there, mirrored


def seen_by_definition(back, there, mirrored, tolerance, side):
    seen = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            x, y, depth = there[row, column].astype(np.float64)
            behind = (depth - linear(back[..., 2].astype(np.float64), x, y)) / tolerance
            lit = (mirrored[row, column, 2] - 0.05) / 0.25
            seen[row, column] = np.clip(2 - behind, 0, 1) * np.clip(lit, 0, 1)
    reach = max(1, side // 64)
    padded = np.pad(seen, reach, mode="reflect")
    size = 2 * reach + 1
    return (
        sum(padded[j : j + side, i : i + side] for j in range(size) for i in range(size)) / size**2
    )


def cut(device, crop, plain, meshes, share, tolerance):
    side = len(plain)
    out = device.poisoned(plain.shape)
    cut_turned(
        *map(device.put, (crop, plain, *meshes)),
        device.put(np.float32([share, tolerance])),
        seen=device.poisoned((side, side), np.float32),
        out=out,
        stream=device.stream,
    )
    return device.take(out).astype(float)


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("side", SIDES)
def test_the_turned_crop_shows_the_face_or_its_other_side(device, side, share):
    crop, plain = soft(2 * side, 2).astype(np.uint8), soft(side, 3).astype(np.uint8)
    meshes = views(side)
    out = cut(device, crop, plain, meshes, share, 1.7)
    seen = seen_by_definition(*meshes, 1.7, side)
    wanted, looked_up = np.zeros((side, side, 3)), crop.astype(np.float64)
    for row in range(side):
        for column in range(side):
            own, other = (
                linear(looked_up, *(2 * view[row, column, :2].astype(np.float64) + 0.5))
                for view in meshes[1:]
            )
            weight = seen[row, column]
            wanted[row, column] = weight * own + (1 - weight) * other
    wanted = share * wanted + (1 - share) * plain
    assert np.abs(out - wanted).max() <= 2.5
    assert np.abs(out - wanted).mean() < 0.6


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("side", SIDES)
def test_levels_come_back_to_where_the_head_looks(device, side, share):
    levels, back = soft(side, 4), views(side)[0]
    out = device.poisoned(levels.shape, np.float32)
    given = device.put(levels), device.put(back), device.put(np.float32([share, 1.0]))
    turn_back(*given, out=out, stream=device.stream)
    wanted = np.zeros(levels.shape)
    for row in range(side):
        for column in range(side):
            wanted[row, column] = linear(levels.astype(np.float64), *back[row, column, :2])
    wanted = share * wanted + (1 - share) * levels
    # OpenCV knows places to the 32nd of a pixel.
    assert (
        np.abs(device.take(out) - wanted).max()
        <= 0.05 * np.abs(np.diff(levels, axis=0)).max() + 0.05
    )


def test_arrays_that_do_not_fit_are_refused(device):
    mesh = device.put(np.zeros((8, 8, 3), np.float32))
    picture, numbers = (
        device.put(np.zeros((8, 8, 3), np.uint8)),
        device.put(np.zeros(NUMBERS, "f4")),
    )
    seen = device.put(np.zeros((8, 8), np.float32))
    odd = device.put(np.zeros((19, 19, 3), np.uint8))
    with pytest.raises(ValueError, match=r"cut_turned: crop: must have shape \(16, 16, 3\)"):
        cut_turned(
            odd, picture, mesh, mesh, mesh, numbers, seen=seen, out=picture, stream=device.stream
        )
    with pytest.raises(ValueError, match="turn_back: numbers: must have shape"):
        turn_back(mesh, mesh, seen, out=mesh, stream=device.stream)
