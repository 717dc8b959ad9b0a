import numpy as np
import pytest

from cuda_kernels.memory_blend import blend_scratch_size, memory_blend, memory_warp

SIZES = [(5, 7), (32, 24), (33, 61), (47, 30)]
STEP_PX = 1 / 32
"""Places on this grid are met exactly; others may be rounded to it."""


@pytest.fixture
def blend(device):
    """A function that takes one step into a poisoned array."""

    def run(memory, current, where, weight, strengths, limit=None):
        out = device.poisoned(current.shape, np.float32)
        scratch = device.poisoned(blend_scratch_size(*current.shape), np.float32)
        given = map(device.put, (memory, current, where, weight))
        memory_blend(*given, strengths, limit=limit, scratch=scratch, out=out, stream=device.stream)
        return device.take(out)

    return run


@pytest.fixture
def warp(device):
    """A function that moves a memory into a poisoned array."""

    def run(memory, where):
        out = device.poisoned((*where.shape[:2], memory.shape[2]), np.float32)
        memory_warp(device.put(memory), device.put(where), out=out, stream=device.stream)
        return device.take(out)

    return run


def cubic(distance):
    """Keys' kernel with a = -0.75, as OpenCV has it."""
    d = np.abs(distance)
    near = 1.25 * d**3 - 2.25 * d**2 + 1
    far = -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def moved(memory, where):
    """The definition of the warp in float64: sixteen values around each place."""
    height, width = memory.shape[:2]
    x, y = np.moveaxis(where.astype(np.float64), -1, 0)
    out = np.zeros((*where.shape[:2], memory.shape[2]))
    for down in np.floor(y) + np.arange(-1, 3)[:, None, None]:
        for across in np.floor(x) + np.arange(-1, 3)[:, None, None]:
            rows = np.clip(down, 0, height - 1).astype(int)
            columns = np.clip(across, 0, width - 1).astype(int)
            share = cubic(x - across) * cubic(y - down)
            out += share[..., None] * memory[rows, columns].astype(np.float64)
    return out


def shrinking(num, num_out):
    """``(num_out, num)``: each row a mean over an equal part of the input."""
    edges = np.arange(num_out + 1) * (num / num_out)
    cells = np.arange(num)
    shared = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    shares = np.clip(shared, 0, None)
    return shares / shares.sum(axis=1, keepdims=True)


def growing(num, num_out):
    """``(num_out, num)``: linear between the centres, flat beyond the last."""
    places = np.clip((np.arange(num_out) + 0.5) * num / num_out - 0.5, 0, num - 1)
    return np.clip(1 - np.abs(places[:, None] - np.arange(num)), 0, None)


def resized(values, matrix_of, shape):
    rows, columns = (matrix_of(n, m) for n, m in zip(values.shape[:2], shape, strict=True))
    return np.einsum("ai,bj,ij...->ab...", rows, columns, values, optimize=True)


def defined(memory, current, where, weight, strengths, limit):
    """The definition in float64: every band of the Laplacian pyramid has its own strength."""
    here = current.astype(np.float64)
    there = moved(memory, where)
    if limit is not None:
        around = np.pad(here, ((1, 1), (1, 1), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(0, 1))
        low, high = windows.min(axis=(3, 4)), windows.max(axis=(3, 4))
        there = np.clip(there, low - limit, high + limit)
    full = here.shape[:2]
    half, quarter = (tuple(max(n // step, 1) for n in full) for step in (2, 4))
    change, factor = there - here, weight.astype(np.float64)[..., None]
    fine, middle, coarse = strengths
    halves = [resized(values, shrinking, half) for values in (change, factor)]
    quarters = [resized(values, shrinking, quarter) for values in halves]
    at_quarter, at_half = (a * b for a, b in (quarters, halves))
    total = resized((coarse - middle) * at_quarter, growing, half) + (middle - fine) * at_half
    return here + resized(total, growing, full) + fine * factor * change


def scene(seed, size, channels, memory_size=None):
    """Random memory, current picture, places on the grid and weights."""
    rng = np.random.default_rng(seed)
    memory_size = memory_size or size
    memory = rng.uniform(0, 255, (*memory_size, channels)).astype(np.float32)
    current = rng.uniform(0, 255, (*size, channels)).astype(np.float32)
    where = rng.uniform(-2, 1, (*size, 2)) + np.multiply(
        rng.uniform(0, 1, (*size, 2)), (memory_size[1], memory_size[0])
    )
    where = (np.round(where / STEP_PX) * STEP_PX).astype(np.float32)
    return memory, current, where, rng.uniform(0, 1, size).astype(np.float32)


def straight(size):
    return np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in size[::-1])), axis=-1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [None, 12.0])
def test_each_band_of_detail_is_blended_with_its_own_strength(blend, size, limit):
    given = scene(3, size, 4)
    strengths = (0.5, 0.7, 0.9)
    wanted = defined(*given, strengths, limit)
    assert blend(*given, strengths, limit) == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_up_to_four_channels_are_blended_each_for_itself(blend, channels):
    given = scene(4, (19, 15), channels)
    wanted = defined(*given, (0.4, 0.6, 0.8), 5.0)
    assert blend(*given, (0.4, 0.6, 0.8), 5.0) == pytest.approx(wanted, abs=0.02)


def test_a_memory_may_have_another_size(blend):
    given = scene(5, (21, 17), 3, memory_size=(9, 31))
    wanted = defined(*given, (0.4, 0.6, 0.8), None)
    assert blend(*given, (0.4, 0.6, 0.8)) == pytest.approx(wanted, abs=0.02)


def test_with_one_strength_it_is_the_plain_exponential_memory(blend):
    memory, current, where, _ = scene(6, (27, 35), 3)
    out = blend(memory, current, where, np.ones((27, 35), np.float32), (0.7, 0.7, 0.7))
    assert out == pytest.approx(0.7 * moved(memory, where) + 0.3 * current, abs=0.02)


def test_no_weight_forgets_and_full_strength_keeps(blend):
    memory, current, where, _ = scene(7, (15, 13), 4)
    nothing, all_of_it = np.zeros((15, 13), np.float32), np.ones((15, 13), np.float32)
    np.testing.assert_allclose(blend(memory, current, where, nothing, (0.7, 0.8, 0.9)), current)
    kept = blend(memory, current, where, all_of_it, (1.0, 1.0, 1.0))
    assert kept == pytest.approx(moved(memory, where), abs=0.02)


def test_the_memory_is_read_where_it_is_said_to_lie(warp):
    memory = np.zeros((11, 13, 1), np.float32)
    memory[4, 9] = 100.0
    where = straight((11, 13)) + np.float32([3, -2])
    assert np.argwhere(warp(memory, where)[..., 0] > 50).tolist() == [[6, 6]]


def test_beyond_its_edge_a_memory_goes_on(warp):
    memory = np.tile(np.arange(7, dtype=np.float32)[None, :, None], (5, 1, 3))
    out = warp(memory, straight((5, 7)) + np.float32([50, 0]))
    np.testing.assert_array_equal(out, np.full((5, 7, 3), 6))


def test_a_ghost_is_held_to_what_is_around_now(blend):
    current = np.full((17, 17, 3), 100, np.float32)
    current[8, 8] = 130.0
    memory, where = np.full_like(current, 250.0), straight((17, 17))
    whole = np.ones((17, 17), np.float32)
    out = blend(memory, current, where, whole, (1.0, 1.0, 1.0), limit=12.0)
    wanted = np.full((17, 17, 3), 112.0)
    wanted[7:10, 7:10] = 142.0
    assert out == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    "ghosts", [[], [(8, 9)], [(0, 0)], [(16, 20)], [(0, 12), (3, 20)], [(5, 0), (16, 1)]]
)
def test_only_what_leaves_the_range_around_it_is_held(blend, ghosts):
    rng = np.random.default_rng(11)
    current = rng.uniform(90, 110, (17, 21, 3)).astype(np.float32)
    memory = (current + rng.uniform(-10, 10, current.shape)).astype(np.float32)
    for row, column in ghosts:
        memory[row, column, column % 3] += 90.0
    where, weight = straight((17, 21)), rng.uniform(0, 1, (17, 21)).astype(np.float32)
    given = (memory, current, where, weight, (0.5, 0.7, 0.9), 12.0)
    assert blend(*given) == pytest.approx(defined(*given), abs=1e-3)


def test_fine_detail_follows_while_the_coarse_light_stays(blend):
    columns = np.indices((32, 32))[1]
    current = np.where(columns % 2, 60.0, 40.0).astype(np.float32)[..., None]
    memory = np.full_like(current, 100.0)
    out = blend(memory, current, straight((32, 32)), np.ones((32, 32), np.float32), (0.0, 0.0, 0.8))
    assert out.mean() == pytest.approx(0.8 * 100 + 0.2 * 50, abs=0.1)
    assert np.ptp(out[8]) == pytest.approx(20.0, abs=0.1)


def test_the_inputs_are_left_alone(device):
    given = scene(8, (15, 17), 3)
    held = [device.put(part) for part in given]
    memory_blend(
        *held,
        (0.5, 0.6, 0.7),
        limit=3.0,
        scratch=device.poisoned(blend_scratch_size(15, 17, 3), np.float32),
        out=device.poisoned((15, 17, 3), np.float32),
        stream=device.stream,
    )
    for part, after in zip(given, held, strict=True):
        np.testing.assert_array_equal(device.take(after), part)
