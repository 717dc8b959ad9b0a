import numpy as np
import pytest

from tools.imresize import imresize, line_weights, resized_u8


def test_a_dot_shrinks_to_the_values_that_matlab_gives():
    """The widened cubic kernel at distances of 0.25, 0.75, 1.25, 1.75, halved."""
    line = np.zeros((1, 16))
    line[0, 8] = 1.0
    wanted = [0, 0, -0.01171875, 0.11328125, 0.43359375, -0.03515625, 0, 0]
    np.testing.assert_allclose(imresize(line, 1, 8)[0], wanted, atol=1e-12)


def test_a_dot_grows_to_the_values_that_matlab_gives():
    line = np.zeros((1, 8))
    line[0, 4] = 1.0
    near = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    wanted = [0] * 5 + near + near[::-1] + [0] * 3
    np.testing.assert_allclose(imresize(line, 1, 16)[0], wanted, atol=1e-12)


def test_the_border_is_mirrored_with_its_pixel_repeated():
    """Pixel 0 counts once more for what lies before it."""
    weights = line_weights(6, 12)
    np.testing.assert_allclose(weights[0, :2], [0.8671875 + 0.2265625, -0.0703125 - 0.0234375])


@pytest.mark.parametrize("size", [(7, 9), (31, 45), (4, 60)])
def test_an_even_picture_stays_as_it_is(size):
    image = np.full((21, 30, 3), 93, np.uint8)
    assert (resized_u8(image, *size) == 93).all()
    assert resized_u8(image, *size).shape == (*size, 3)


def test_a_slope_keeps_its_place_and_height():
    """Pixel centres: what lies at x comes to (x + 0.5) * scale - 0.5."""
    columns = np.arange(40.0)
    small = imresize(np.tile(columns, (4, 1)), 4, 20)
    np.testing.assert_allclose(small[0, 4:-4], (np.arange(4, 16) + 0.5) * 2 - 0.5)


def test_levels_are_rounded_upwards_from_the_half_and_cut():
    image = np.zeros((1, 8), np.uint8)
    image[0, 3:] = 255
    large = resized_u8(image, 1, 16)
    assert large.min() == 0
    assert large.max() == 255
    exact = imresize(image, 1, 16)
    assert exact.max() > 255
    assert exact.min() < 0
