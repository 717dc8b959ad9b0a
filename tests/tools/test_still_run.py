import math

import numpy as np
import pytest

from tools.still_run import SpreadSink


def test_the_spread_is_that_of_each_pixel_over_time_inside_the_mask():
    counted = np.zeros((20, 30), bool)
    counted[5:15, 5:25] = True
    random = np.random.default_rng(0)
    # Pixels differ from one another by much, which must not count.
    ground = random.integers(50, 200, (20, 30, 3))
    pictures = [
        np.rint(ground + random.normal(0, 3, ground.shape)).astype(np.uint8) for _ in range(60)
    ]
    sink = SpreadSink(counted)
    for number, picture in enumerate(pictures):
        # Outside everything changes.
        picture[~counted] = 255 * (number % 2)
        sink.send(picture, number)
    stack = np.stack([picture[counted] for picture in pictures]).astype(float)
    assert sink.std == pytest.approx(math.sqrt(stack.var(axis=0).mean()))
    assert sink.std == pytest.approx(3, rel=0.05)


def test_the_beginning_is_left_out():
    sink = SpreadSink(np.ones((4, 4), bool), num_skipped=2)
    for value in (0, 90, 20, 20, 20):
        sink.send(np.full((4, 4, 3), value, np.uint8), 0)
    assert sink.std == 0


def test_without_a_picture_there_is_no_spread():
    assert math.isnan(SpreadSink(np.ones((4, 4), bool)).std)
