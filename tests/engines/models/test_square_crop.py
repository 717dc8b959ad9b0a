import numpy as np
import pytest

from engines.models.square_crop import CropSquare, SquareCrop


def test_a_crop_shows_the_turned_square_and_black_beside_the_picture():
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 70:90] = (10, 200, 30)
    crop = SquareCrop(20).cut(image, CropSquare(79.5, 49.5, 20.0, np.pi / 2))
    assert (crop[2:-2, 2:-2] == (10, 200, 30)).all()
    assert not SquareCrop(20).cut(image, CropSquare(-500, -500, 20.0, 0.3)).any()


def test_a_network_is_given_rgb_from_0_to_1():
    image = np.full((50, 50, 3), (51, 102, 255), np.uint8)
    out = np.full((10, 10, 3), np.nan, np.float32)
    SquareCrop(10).fill(image, CropSquare(24.5, 24.5, 10.0, 0.0), out=out)
    assert out == pytest.approx(np.broadcast_to([1.0, 0.4, 0.2], out.shape))


@pytest.mark.parametrize("side_px", [30.0, 500.0])
def test_points_of_the_crop_lie_in_the_picture_where_the_crop_shows_them(side_px):
    square = CropSquare(310.0, 95.0, side_px, 0.7)
    points = np.random.default_rng(0).uniform(0, 64, (21, 3)).astype(np.float32)
    out = np.empty_like(points)
    SquareCrop(64).to_image(points, square, out=out)
    matrix = square.crop_from_image(64)
    # The crop's own pixel centres lie half a pixel before the network's measure.
    assert out[:, :2] @ matrix[:, :2].T + matrix[:, 2] + 0.5 == pytest.approx(
        points[:, :2], abs=1e-2
    )
    assert out[:, 2] == pytest.approx(points[:, 2] * side_px / 64, rel=1e-5)
