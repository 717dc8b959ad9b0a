import numpy as np
import pytest

from engines.models.halving import halve, num_halvings


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_halving_averages_whole_blocks(times):
    image = np.random.default_rng(times).integers(0, 256, (5 * 8, 7 * 8, 3), np.uint8)
    block = 2**times
    rows, columns = image.shape[0] // block, image.shape[1] // block
    wanted = image.reshape(rows, block, columns, block, 3).astype(np.float64).mean(axis=(1, 3))
    small = halve(image, times)
    assert small.shape == (rows, columns, 3)
    # Each halving rounds once.
    assert np.abs(small - wanted).max() <= 0.5 * times + 1e-9


@pytest.mark.parametrize(
    ("source_px", "target_px", "wanted"),
    [(100, 128, 0), (255, 128, 0), (256, 128, 1), (1280, 128, 3), (1920, 192, 3), (383.9, 192, 0)],
)
def test_a_picture_is_halved_only_while_it_stays_larger_than_wanted(source_px, target_px, wanted):
    assert num_halvings(source_px, target_px) == wanted
