import struct

import numpy as np
import pytest

from realtime.orientation import UPRIGHT, display_turn, turned

ONE = 1 << 16


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("a", [-1, 1])
@pytest.mark.parametrize("d", [-1, 1])
@pytest.mark.parametrize("sideways", [False, True])
def test_every_pixel_lands_where_the_matrix_says(a, d, sideways) -> None:
    turn = (0, a, d, 0) if sideways else (a, 0, 0, d)
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    shown = turned(image, display_turn(matrix(*(ONE * value for value in turn))))
    points = [(x, y) for y in range(5) for x in range(7)]
    moved = [(turn[0] * x + turn[2] * y, turn[1] * x + turn[3] * y) for x, y in points]
    left, top = min(x for x, _ in moved), min(y for _, y in moved)
    assert shown.shape == ((7, 5, 3) if sideways else (5, 7, 3))
    assert shown.flags.c_contiguous
    for (x, y), (to_x, to_y) in zip(points, moved, strict=True):
        assert (shown[to_y - top, to_x - left] == image[y, x]).all()


def test_a_slanted_matrix_is_read_as_the_nearest_right_angle() -> None:
    assert display_turn(matrix(9000, 64000, -64000, 9000)) == (0, 1, -1, 0)


@pytest.mark.parametrize("data", [None, b"", b"short", bytes(36)])
def test_no_matrix_or_an_empty_one_leaves_the_picture_upright(data) -> None:
    assert display_turn(data) == UPRIGHT
