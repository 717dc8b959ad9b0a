import functools

import cv2
import numpy as np
import pytest

from cuda_kernels.poisson import poisson_blend, poisson_scratch_size

SIZES = [(5, 7), (9, 4), (33, 41), (46, 37)]


def solution(front, back, mask):
    """The definition, made once for all devices."""
    return _solution(front.tobytes(), back.tobytes(), mask.tobytes(), mask.shape)


@functools.cache
def _solution(*given):
    """The discrete Poisson equation, solved in float64 by elimination."""
    *pictures, size = given
    front, back, mask = (np.frombuffer(part, np.uint8).reshape(*size, -1) for part in pictures)
    mask = mask[..., 0]
    inside = mask >= 128
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    number = np.cumsum(inside).reshape(inside.shape) - 1
    matrix, known = np.zeros((inside.sum(), inside.sum())), np.zeros((inside.sum(), 3))
    guide, frame = front.astype(np.float64), back.astype(np.float64)
    for row, column in np.argwhere(inside):
        own = number[row, column]
        matrix[own, own] = 4
        for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            known[own] += guide[row, column] - guide[place]
            if inside[place]:
                matrix[own, number[place]] = -1
            else:
                known[own] += frame[place]
    wanted = frame.copy()
    if inside.any():
        wanted[inside] = np.linalg.solve(matrix, known)
    return np.clip(wanted, 0, 255), inside


def scene(size, seed=1):
    """Pictures with light and detail of their own, and an oval mask."""
    rng = np.random.default_rng(seed)
    pictures = []
    for level, sigma in ((150, 9), (100, 13)):
        light = cv2.GaussianBlur(rng.normal(0, 300, (*size, 3)).astype(np.float32), (0, 0), sigma)
        detail = cv2.GaussianBlur(rng.normal(0, 40, (*size, 3)).astype(np.float32), (0, 0), 1.2)
        pictures.append(np.clip(level + light + detail, 20, 235).astype(np.uint8))
    mask = np.zeros(size, np.uint8)
    axes = (int(size[1] * 0.4), int(size[0] * 0.42))
    cv2.ellipse(mask, (size[1] // 2, size[0] // 2), axes, 0, 0, 360, 255, -1)
    return *pictures, mask


class Blender:
    """One face's blend over several pictures."""

    def __init__(self, device, shape):
        self._device = device
        self._scratch = device.poisoned((poisson_scratch_size(*shape),), np.float32)
        self._membrane = device.poisoned((*shape, 3), np.float32)

    def blend(self, front, back, mask, **settings):
        out = self._device.poisoned(front.shape)
        poisson_blend(
            *map(self._device.put, (front, back, mask)),
            **settings,
            scratch=self._scratch,
            membrane=self._membrane,
            out=out,
            stream=self._device.stream,
        )
        return self._device.take(out)


def error(blended, wanted, inside):
    """How far off the blend is at most; outside it must be the back itself."""
    np.testing.assert_array_equal(blended[~inside], np.rint(wanted)[~inside])
    return np.abs(blended - wanted)[inside].max(initial=0.0)


@pytest.mark.parametrize("size", SIZES)
def test_a_cold_start_comes_within_a_level_in_three_cycles(device, size):
    given = scene(size)
    wanted, inside = solution(*given)
    assert error(Blender(device, size).blend(*given), wanted, inside) <= 1.5


@pytest.mark.parametrize("size", SIZES)
def test_with_more_cycles_it_is_the_solution(device, size):
    given = scene(size, seed=2)
    wanted, inside = solution(*given)
    assert error(Blender(device, size).blend(*given, num_cycles=9), wanted, inside) <= 0.55


def holes(size, kind):
    rows, columns = np.indices(size)
    rng = np.random.default_rng(4)
    return {
        "all": np.ones(size, bool),
        "none": np.zeros(size, bool),
        "specks": rng.random(size) < 0.97,
        "half": rng.random(size) < 0.5,
        "a net": (rows % 16 > 0) & (columns % 16 > 0),
        "dots": (rows % 16 > 0) | (columns % 16 > 0),
        "lines": columns % 16 > 0,
        "a ring": abs(np.hypot(rows - size[0] / 2, columns - size[1] / 2) - size[0] / 3) < 4,
    }[kind]


@pytest.mark.parametrize(
    "kind", ["all", "none", "specks", "half", "a net", "dots", "lines", "a ring"]
)
def test_it_converges_for_masks_of_any_shape(device, kind):
    front, back, _ = scene((37, 35), seed=5)
    mask = np.where(holes((37, 35), kind), 255, 0).astype(np.uint8)
    wanted, inside = solution(front, back, mask)
    blended = Blender(device, mask.shape).blend(front, back, mask, num_cycles=14)
    assert error(blended, wanted, inside) <= 0.8


def test_a_warm_start_follows_a_moving_picture_with_one_cycle(device):
    size = (45, 41)
    front, back, mask = scene(size, seed=6)
    blender = Blender(device, size)
    blender.blend(front, back, mask)
    for step in range(1, 6):
        moved = np.roll(back, step, axis=1)
        brighter = cv2.convertScaleAbs(front, None, 1.0, step)
        wanted, inside = solution(brighter, moved, mask)
        blended = blender.blend(brighter, moved, mask, is_warm=True, num_cycles=1)
    assert error(blended, wanted, inside) <= 5.0
    assert np.abs(blended - wanted)[inside].mean() < 0.6
    cold = Blender(device, size).blend(brighter, moved, mask, num_cycles=1)
    assert np.abs(blended - wanted)[inside].mean() < np.abs(cold - wanted)[inside].mean()


def test_in_steady_light_the_blend_does_not_move_at_all(device):
    given = scene((45, 51), seed=7)
    blender = Blender(device, (45, 51))
    first = blender.blend(*given, num_cycles=12)
    for _ in range(3):
        again = blender.blend(*given, is_warm=True, num_cycles=1)
        assert (again != first).mean() < 0.002


def direct_membrane(front, back, mask):
    """The first colour's membrane in float64, by conjugate gradients to six digits."""
    inside = mask >= 128
    given = back[..., 0].astype(np.float64) - front[..., 0]

    def around(values):
        total = np.zeros_like(values)
        total[1:] += values[:-1]
        total[:-1] += values[1:]
        total[:, 1:] += values[:, :-1]
        total[:, :-1] += values[:, 1:]
        return total

    def apply(values):
        return inside * (4.0 * values - around(values))

    wanted = inside * around(np.where(inside, 0.0, given))
    # Begun near the solution, which is there in a third of the steps.
    found = inside * blended_membrane((front, back, mask), num_cycles=12)[..., 0].astype(np.float64)
    residual = wanted - apply(found)
    direction, power = residual.copy(), np.vdot(residual, residual)
    enough = 1e-12 * np.vdot(wanted, wanted)
    while power > enough:
        image = apply(direction)
        step = power / np.vdot(direction, image)
        found += step * direction
        residual -= step * image
        before, power = power, np.vdot(residual, residual)
        direction = residual + power / before * direction
    return found


def blended_membrane(given, before=None, **settings):
    """What is added to the front, from a cold start or from the membrane before."""
    size = given[2].shape
    membrane = np.zeros((*size, 3), np.float32) if before is None else before.copy()
    scratch, out = np.empty(poisson_scratch_size(*size), np.float32), np.empty_like(given[0])
    poisson_blend(*given, **settings, scratch=scratch, membrane=membrane, out=out)
    return membrane


def relative_error(membrane, given):
    """Against the direct solution, in the first colour."""
    exact, inside = direct_membrane(*given), given[2] >= 128
    return np.linalg.norm((membrane[..., 0] - exact)[inside]) / np.linalg.norm(exact[inside])


@pytest.mark.parametrize("side", [256, 512])
def test_at_the_size_of_a_face_it_is_near_the_direct_solution(side):
    given = scene((side, side), seed=3)
    assert relative_error(blended_membrane(given), given) < 0.02


def test_at_the_size_of_a_face_one_cycle_keeps_it_near_the_direct_solution():
    front, back, mask = scene((256, 256), seed=3)
    membrane = blended_membrane((front, back, mask))
    for step in (1, 2, 3):
        given = (cv2.convertScaleAbs(front, None, 1.0, step), np.roll(back, step, axis=1), mask)
        membrane = blended_membrane(given, membrane, is_warm=True, num_cycles=1)
    assert relative_error(membrane, given) < 0.01


def test_a_face_brighter_by_a_constant_is_fitted_exactly(device):
    front, _, mask = scene((41, 37), seed=8)
    back = cv2.convertScaleAbs(front, None, 1.0, -15)
    blended = Blender(device, (41, 37)).blend(front, back, mask)
    np.testing.assert_array_equal(blended, back)


def test_what_is_written_may_be_one_of_the_pictures(device):
    front, back, mask = scene((33, 29), seed=9)
    wanted = Blender(device, (33, 29)).blend(front, back, mask)
    for index in (0, 1):
        arrays = [device.put(front), device.put(back)]
        poisson_blend(
            *arrays,
            device.put(mask),
            scratch=device.poisoned((poisson_scratch_size(33, 29),), np.float32),
            membrane=device.poisoned((33, 29, 3), np.float32),
            out=arrays[index],
            stream=device.stream,
        )
        np.testing.assert_array_equal(device.take(arrays[index]), wanted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_cycles": 0}, "one cycle or more, got 0"),
        ({"scratch": np.zeros(9, np.float32)}, "elements or more, got 9"),
        ({"front": np.zeros((9, 22, 3), np.uint8)[:, ::2]}, "front: must be C-contiguous"),
        ({"back": np.zeros((9, 9, 3), np.uint8)}, r"back: must have shape \(9, 11, 3\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(settings, message):
    front, back, mask = scene((9, 11))
    arrays = {
        "front": front,
        "back": back,
        "mask": mask,
        "scratch": np.zeros(poisson_scratch_size(9, 11), np.float32),
        "membrane": np.zeros((9, 11, 3), np.float32),
        "out": np.zeros((9, 11, 3), np.uint8),
    }
    with pytest.raises(ValueError, match=message):
        poisson_blend(**{**arrays, **settings})
