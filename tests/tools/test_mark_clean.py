from itertools import pairwise

import cv2
import numpy as np
import pytest

from tools.mark_clean import read_clean, still_windows, windows_of

RNG = np.random.default_rng(0)


def window(num_pictures=3):
    return [RNG.integers(0, 255, (90, 160)).astype(np.uint8) for _ in range(num_pictures)]


def test_windows_do_not_overlap_and_a_short_clip_is_one():
    pictures = window(65)
    assert [len(part) for part in windows_of(pictures)] == [30, 30]
    assert [len(part) for part in windows_of(pictures[:7])] == [7]
    assert list(windows_of([])) == []


def test_a_window_that_shares_a_picture_with_an_earlier_one_is_not_distinct():
    first, second = window(), window()
    tally = read_clean([first, second, [*window(2), first[1]]])
    assert (tally.num_windows, tally.num_distinct, tally.num_found) == (3, 2, 0)


@pytest.fixture
def still(tmp_path):
    path = tmp_path / "still.png"
    coarse = RNG.uniform(0, 255, (24, 32, 3)).astype(np.float32)
    cv2.imwrite(str(path), cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC))
    return path


def test_a_camera_moves_over_a_still_in_every_shape_and_shows_something_new_each_time(still):
    windows = list(still_windows(still, 5))
    assert {part[0].shape for part in windows} == {
        (180, 320), (240, 320), (240, 240), (320, 240), (320, 180)
    }  # fmt: skip
    for part in windows:
        assert len(part) == 30
        assert np.abs(part[0].astype(int) - part[-1]).mean() > 3
        assert all((a != b).any() for a, b in pairwise(part))


def test_the_moves_over_a_still_are_the_same_in_every_run(still):
    again = zip(still_windows(still, 2), still_windows(still, 2), strict=True)
    assert all((a == b).all() for one, other in again for a, b in zip(one, other, strict=True))
