import cv2
import numpy as np
import pytest

from tools.degrade import WebcamRanges, add_sensor_noise, degrade, through_h264, through_jpeg


def smooth(height=64, width=96):
    rows, columns = np.indices((height, width))
    waves = [np.sin(columns / 9 + n) + np.cos(rows / (7 + n)) for n in range(3)]
    return np.asarray(np.rint(127 + 40 * np.stack(waves, axis=-1)), np.uint8)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_picture_gets_smaller_and_the_same_draw_gives_the_same_picture(scale):
    large = smooth()
    one, again = (degrade(large, scale, np.random.default_rng(7)) for _ in range(2))
    assert one.shape == (64 // scale, 96 // scale, 3)
    np.testing.assert_array_equal(one, again)


def test_no_two_draws_are_alike_and_none_moves_the_picture_s_colour():
    large = smooth()
    found = [degrade(large, 2, np.random.default_rng(seed)) for seed in range(20)]
    plain = cv2.resize(large, (48, 32), interpolation=cv2.INTER_AREA)
    assert len({image.tobytes() for image in found}) == 20
    shifts = [np.abs(image.mean(axis=(0, 1)) - plain.mean(axis=(0, 1))).max() for image in found]
    assert max(shifts) < 2.5
    assert max(np.abs(image.astype(int) - plain).mean() for image in found) > 3


def test_without_any_part_it_is_only_shrunk():
    nothing = WebcamRanges((0, 0), (0, 0), (0, 0), (95, 95), (18, 18), 0.0, 1.0)
    large = smooth()
    area = cv2.resize(large, (48, 32), interpolation=cv2.INTER_AREA)
    for seed in range(6):
        small = degrade(large, 2, np.random.default_rng(seed), nothing)
        assert np.abs(small.astype(int) - area).max() <= 6


def test_noise_grows_with_the_light():
    random = np.random.default_rng(1)
    spreads = []
    for level in (20, 200):
        flat = np.full((200, 200, 3), level, np.uint8)
        spreads.append(add_sensor_noise(flat, 2.0, 0.1, random).std())
    assert spreads == pytest.approx([np.sqrt(4 + 2), np.sqrt(4 + 20)], rel=0.04)


@pytest.mark.parametrize(
    ("through", "good", "bad"), [(through_jpeg, 95, 15), (through_h264, 16, 40)]
)
def test_compression_costs_as_much_as_is_asked_for(through, good, bad):
    image = add_sensor_noise(smooth(), 3.0, 0.0, np.random.default_rng(2))
    little, much = (np.abs(through(image, how).astype(int) - image).mean() for how in (good, bad))
    assert little < 4
    assert much > 1.5 * little
    assert through(image, good).shape == image.shape
