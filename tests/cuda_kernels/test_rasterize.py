import numpy as np
import pytest

from cuda_kernels.rasterize import rasterize

SIZES = [(1, 1), (7, 5), (33, 61), (121, 47)]
NEAR_AN_EDGE_PX = 0.02
"""Within this distance of an edge float32 may decide either way."""

CLOSE_PX = 6.0
"""Surfaces that cross at a slant may change places within this distance of each other: depth is
interpolated as a far-away camera sees it."""


@pytest.fixture
def draw(device):
    """A function that draws onto poisoned arrays."""

    def run(points, depth, triangles, values, size):
        out = device.poisoned((*size, 3), np.float32)
        rasterize(
            device.put(np.asarray(points, np.float32)),
            device.put(np.asarray(depth, np.float32)),
            device.put(np.asarray(triangles, np.int32).reshape(-1, 3)),
            device.put(np.asarray(values, np.float32)),
            out=out,
            depth=device.poisoned(size, np.float32 if device.kind == "cpu" else np.uint64),
            stream=device.stream,
        )
        return device.take(out)

    return run


def defined(points, depth, triangles, values, size):
    """The definition, pixel by pixel in float64, and where it does not hang on a hair.

    Returns:
        ``(H, W, 3)`` values, ``(H, W)`` covered, ``(H, W)`` certain.
    """
    points, depth, values = (np.asarray(array, np.float64) for array in (points, depth, values))
    triangles = np.asarray(triangles).reshape(-1, 3)
    height, width = size
    down, across = np.mgrid[:height, :width].astype(np.float64)
    out = np.zeros((height, width, 3))
    nearest = np.full((height, width), np.inf)
    second = np.full((height, width), np.inf)
    certain = np.ones((height, width), bool)
    for triangle in triangles:
        (ax, ay), (bx, by), (cx, cy) = points[triangle]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0:
            continue
        at_b = ((across - ax) * (cy - ay) - (cx - ax) * (down - ay)) / area
        at_c = ((bx - ax) * (down - ay) - (across - ax) * (by - ay)) / area
        shares = np.stack([1 - at_b - at_c, at_b, at_c], axis=-1)
        corners = points[triangle]
        opposite = np.linalg.norm(np.roll(corners, -1, 0) - np.roll(corners, -2, 0), axis=1)
        distances = shares * abs(area) / opposite
        inside = (shares >= 0).all(axis=-1)
        certain &= np.abs(distances).min(axis=-1) >= NEAR_AN_EDGE_PX
        z = np.where(inside, shares @ depth[triangle], np.inf)
        wins = z < nearest
        second = np.where(wins, nearest, np.minimum(second, z))
        nearest = np.where(wins, z, nearest)
        out[wins] = (shares @ values[triangle])[wins]
    covered = np.isfinite(nearest)
    certain &= ~covered | (second - np.where(covered, nearest, 0) > CLOSE_PX)
    return out, covered, certain


def random_mesh(seed, size, num_triangles, *, beyond=0.5, reach=300.0, largest=1.0):
    """Triangles of both windings at all places in and around the picture."""
    rng = np.random.default_rng(seed)
    extent = np.array([size[1], size[0]])
    margin = beyond * np.maximum(extent, 40)
    low, high = -margin, extent + margin
    points = rng.uniform(low, high, (3 * num_triangles, 2)).astype(np.float32)
    depth = rng.uniform(-reach, reach, 3 * num_triangles).astype(np.float32)
    values = rng.uniform(0, largest, (3 * num_triangles, 3)).astype(np.float32)
    return points, depth, np.arange(3 * num_triangles).reshape(-1, 3), values


def check(draw, mesh, size, tolerance):
    drawn = draw(*mesh, size)
    wanted, covered, certain = defined(*mesh, size)
    assert np.isfinite(drawn).all()
    assert np.abs(drawn - wanted)[certain].max(initial=0.0) <= tolerance
    return covered & certain


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_triangles", [1, 2, 9, 40])
def test_each_pixel_shows_the_nearest_triangle_its_centre_lies_in(draw, size, num_triangles):
    seen = [
        check(draw, random_mesh(seed, size, num_triangles), size, 0.008).any() for seed in range(6)
    ]
    assert any(seen)


def test_values_are_linear_in_the_picture_even_where_depth_is_not_flat(draw):
    size = (41, 57)
    points = [(-3.3, -2.2), (60.1, -4.7), (20.4, 48.9)]
    values = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1)])
    checked = check(draw, (points, [-200, 200, 0], [(0, 1, 2)], values), size, 0.01)
    assert checked.mean() > 0.5


def test_values_may_be_pixels_of_a_map(draw):
    size = (63, 51)
    points, depth, triangles, values = random_mesh(5, size, 12, reach=60.0, largest=511.0)
    assert check(draw, (points, depth, triangles, values), size, 1.0).mean() > 0.5
    assert check(
        draw, (points, 0 * depth + np.arange(36) // 3, triangles, values), size, 0.05
    ).any()


def test_both_sides_of_a_triangle_are_drawn_alike(draw):
    points, depth, values = [(1.2, 1.1), (17.3, 3.4), (5.6, 19.7)], [0, 5, 9], np.eye(3)
    front = draw(points, depth, [(0, 1, 2)], values, (23, 21))
    back = draw(points, depth, [(0, 2, 1)], values, (23, 21))
    assert front.any()
    np.testing.assert_allclose(front, back, atol=1e-4)


def test_the_order_of_the_triangles_does_not_matter_where_depths_differ(draw):
    size = (31, 35)
    points, _, triangles, values = random_mesh(3, size, 6)
    depth = np.repeat([5, -3, 2, -7, 0, 4], 3)
    first = draw(points, depth, triangles, values, size)
    np.testing.assert_array_equal(draw(points, depth, triangles[::-1], values, size), first)


def test_the_centre_of_the_first_pixel_is_the_origin(draw):
    corners = [(-0.4, -0.4), (0.4, -0.4), (0.0, 0.4)]
    out = draw(corners, [0, 0, 0], [(0, 1, 2)], np.ones((3, 3)), (5, 7))
    assert out[0, 0].tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    assert np.count_nonzero(out[..., 0]) == 1
    last = np.add(corners, (6, 4))
    out = draw(last, [0, 0, 0], [(0, 1, 2)], np.ones((3, 3)), (5, 7))
    assert np.argwhere(out[..., 0]).tolist() == [[4, 6]]


def test_two_triangles_that_share_an_edge_leave_no_gap(draw):
    points = [(2, 2), (20, 3), (21, 22), (1, 19)]
    out = draw(points, [0, 0, 0, 0], [(0, 1, 2), (0, 2, 3)], np.ones((4, 3)), (25, 25))
    assert (out[6:17, 6:17] > 0.999).all()


@pytest.mark.parametrize("depth", [-5900.0, -1.0, 0.0, 5900.0])
def test_depth_alone_moves_nothing(draw, depth):
    points, values = [(2.1, 1.3), (30.2, 6.4), (11.5, 27.8)], np.eye(3)
    flat = draw(points, [0, 0, 0], [(0, 1, 2)], values, (33, 35))
    moved = draw(points, [depth] * 3, [(0, 1, 2)], values, (33, 35))
    np.testing.assert_array_equal(moved.any(axis=-1), flat.any(axis=-1))
    np.testing.assert_allclose(moved, flat, atol=2e-3)


@pytest.mark.parametrize("apart", [1.0, 40.0, 5000.0])
def test_the_nearer_of_two_is_seen_however_close_behind_the_other_is(draw, apart):
    points = [(-9, -9), (60, -9), (-9, 60)] * 2
    depth = [apart / 2] * 3 + [-apart / 2] * 3
    values = [(1, 0, 0)] * 3 + [(0, 1, 0)] * 3
    for triangles in ([(0, 1, 2), (3, 4, 5)], [(3, 4, 5), (0, 1, 2)]):
        out = draw(points, depth, triangles, values, (15, 17))
        np.testing.assert_allclose(out, np.broadcast_to((0, 1, 0), out.shape), atol=1e-3)


def test_what_lies_outside_the_picture_is_not_drawn(draw):
    points = [(-40, 2), (-5, 2), (-9, 20), (25, 4), (70, 9), (33, 30)]
    out = draw(points, np.zeros(6), [(0, 1, 2), (3, 4, 5)], np.ones((6, 3)), (21, 19))
    assert not out.any()


def test_an_empty_mesh_leaves_an_empty_picture(draw):
    no_triangles = np.empty((0, 3), np.int32)
    assert not draw(
        [(1, 1), (5, 1), (3, 4)], [0, 0, 0], no_triangles, np.ones((3, 3)), (9, 9)
    ).any()


def test_triangles_without_area_do_no_harm(draw):
    points = [(4, 4), (4, 4), (4, 4), (1.5, 7.5), (5.5, 7.5), (9.5, 7.5), (2, 9), (12, 9), (7, 14)]
    lines = [(0, 1, 2), (0, 0, 5), (3, 4, 5)]
    alone = draw(points, np.zeros(9), [(6, 7, 8)], np.ones((9, 3)), (17, 15))
    drawn = draw(points, np.zeros(9), [*lines, (6, 7, 8)], np.ones((9, 3)), (17, 15))
    assert np.isfinite(drawn).all()
    assert alone.any()
    np.testing.assert_array_equal(drawn, alone)
