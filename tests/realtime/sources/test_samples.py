import numpy as np
import pytest

from realtime.errors import MediaError
from realtime.sources.samples import read_tags, sample_windows


def number_of(image):
    return round(float(image.mean()) / 2)


@pytest.fixture
def clip(write_video):
    pictures = [np.full((48, 64, 3), 2 * number, np.uint8) for number in range(100)]
    return write_video("clip.mp4", pictures, rate_hz=25, options={"g": "10", "crf": "5"})


def test_windows_come_from_the_beginning_and_from_places_spread_over_the_video(clip):
    windows = list(sample_windows(clip, num_windows=4, num_pictures=7, keep=number_of))
    assert [len(window) for window in windows] == [7] * 4
    for window, begin in zip(windows, (0, 25, 50, 75), strict=True):
        assert abs(window[0] - begin) <= 10
        assert np.all(np.abs(np.diff(window) - 1) <= 1)


def test_a_video_shorter_than_a_window_gives_what_it_has(clip):
    windows = list(sample_windows(clip, num_windows=1, num_pictures=900, keep=number_of))
    assert [len(window) for window in windows] == [100]


def test_a_video_that_breaks_off_gives_what_came_before(write_video):
    pictures = [np.full((48, 64, 3), 2 * number, np.uint8) for number in range(100)]
    path = write_video("clip.mkv", pictures, options={"g": "10"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    windows = list(sample_windows(path, num_windows=1, num_pictures=100, keep=number_of))
    assert 10 < len(windows[0]) < 100


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"nothing")
    with pytest.raises(MediaError):
        list(sample_windows(path, num_windows=1, num_pictures=1, keep=number_of))
    with pytest.raises(MediaError):
        read_tags(path)


def test_tags_are_those_of_the_container(clip):
    assert "encoder" in {name.lower() for name in read_tags(clip)}
