import cv2
import numpy as np
import pytest

from engines.models.square_crop import CropSquare, SquareCrop, settled


def test_a_crop_shows_the_turned_square_and_black_beside_the_picture():
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 70:90] = (10, 200, 30)
    crop = SquareCrop(20).cut(image, CropSquare(79.5, 49.5, 20.0, np.pi / 2))
    assert (crop[2:-2, 2:-2] == (10, 200, 30)).all()
    assert not SquareCrop(20).cut(image, CropSquare(-500, -500, 20.0, 0.3)).any()


def test_a_crop_shows_the_picture_of_this_call_up_to_its_rim():
    rng = np.random.default_rng(3)
    crop = SquareCrop(32)
    for size in [(60, 80), (60, 80), (47, 91), (60, 80), (60, 80)]:
        image = rng.integers(1, 256, (*size, 3), np.uint8)
        for angle_rad in (0.0, 0.4, 2.9):
            x_px, y_px = rng.uniform(-5, size[1] + 5), rng.uniform(-5, size[0] + 5)
            square = CropSquare(x_px, y_px, rng.uniform(10, 63), angle_rad)
            wanted = cv2.warpAffine(image, square.crop_from_image(32), (32, 32))
            np.testing.assert_array_equal(crop.cut(image, square), wanted)


def test_a_square_that_is_nowhere_shows_nothing():
    image = np.full((40, 50, 3), 200, np.uint8)
    assert not SquareCrop(10).cut(image, CropSquare(np.nan, np.nan, np.nan, np.nan)).any()


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


def test_a_square_that_hardly_moves_goes_half_the_way():
    before, now = CropSquare(100.0, 80.0, 200.0, 0.1), CropSquare(101.0, 79.0, 201.0, 0.104)
    assert settled(before, now) == CropSquare(100.5, 79.5, 200.5, pytest.approx(0.102))


@pytest.mark.parametrize(
    "now",
    [
        CropSquare(110.0, 80.0, 200.0, 0.1),
        CropSquare(100.0, 71.0, 200.0, 0.1),
        CropSquare(100.0, 80.0, 190.0, 0.1),
        CropSquare(100.0, 80.0, 200.0, 0.2),
    ],
)
def test_a_square_that_moves_goes_all_the_way(now):
    then = settled(CropSquare(100.0, 80.0, 200.0, 0.1), now)
    assert (then.x_px, then.y_px) == pytest.approx((now.x_px, now.y_px))
    assert (then.side_px, then.angle_rad) == pytest.approx((now.side_px, now.angle_rad))


def test_size_and_lean_hold_back_by_their_shares_while_the_centre_rests():
    before, now = CropSquare(100.0, 80.0, 200.0, 0.1), CropSquare(102.0, 80.0, 170.0, 0.3)
    then = settled(before, now, size=0.2, lean=0.3)
    assert (then.x_px, then.y_px) == (102.0, 80.0)
    assert (then.side_px, then.angle_rad) == pytest.approx((194.0, 0.16))


def test_a_centre_that_travels_takes_the_size_with_it():
    before, now = CropSquare(100.0, 80.0, 200.0, 0.1), CropSquare(100.0, 95.0, 150.0, 0.3)
    then = settled(before, now, size=0.2, lean=0.0)
    assert (then.side_px, then.angle_rad) == pytest.approx((150.0, 0.1))


@pytest.mark.parametrize(
    ("side_px", "follows_px"), [(160.0, 200.0), (140.0, 170.0), (300.0, 300.0)]
)
def test_a_size_that_is_far_off_is_followed_in_any_case(side_px, follows_px):
    then = settled(
        CropSquare(100.0, 80.0, 200.0, 0.0), CropSquare(100.0, 80.0, side_px, 0.0), size=0.0
    )
    assert then.side_px == pytest.approx(follows_px)


@pytest.mark.parametrize(("leans", "follows"), [(0.2, 0.0), (-0.3, -0.15), (0.4, 0.4)])
def test_a_lean_that_is_far_off_is_followed_in_any_case(leans, follows):
    then = settled(
        CropSquare(100.0, 80.0, 200.0, 0.0), CropSquare(100.0, 80.0, 200.0, leans), lean=0.0
    )
    assert then.angle_rad == pytest.approx(follows)


def test_the_shorter_way_is_taken_round_the_circle():
    then = settled(CropSquare(0.0, 0.0, 100.0, 3.14), CropSquare(0.0, 0.0, 100.0, -3.14))
    assert abs(np.angle(np.exp(1j * (then.angle_rad - np.pi)))) < 0.002


def test_swinging_between_two_squares_dies_down():
    # What is found lies as far to the other side as the crop was shifted, and a little less.
    square, places = CropSquare(1.0, 0.0, 200.0, 0.0), []
    for _ in range(8):
        square = settled(square, CropSquare(-0.9 * square.x_px, 0.0, 200.0, 0.0))
        places.append(abs(square.x_px))
    assert places[-1] < 1e-6
