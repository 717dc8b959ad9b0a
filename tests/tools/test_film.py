from fractions import Fraction

import numpy as np
import pytest

from realtime.errors import MediaError
from tools.film import Film, FilmSource, load_film, shrink


@pytest.fixture
def clip(picture, write_clip):
    return write_clip("a.mkv", [picture(1, value=10 * number) for number in range(1, 7)], 10)


def test_a_clip_becomes_its_pictures_and_times(clip):
    film = load_film(clip)
    assert [int(picture[9, 9, 0]) for picture in film.pictures] == [10, 20, 30, 40, 50, 60]
    assert film.times_ns == [number * 100_000_000 for number in range(6)]
    assert (film.name, film.rate_hz) == ("a.mkv", 10)


def test_only_the_beginning_is_taken_where_that_is_asked_for(clip):
    assert len(load_film(clip, seconds=0.25).pictures) == 3


def test_pictures_are_shrunk_to_the_shorter_side_and_never_enlarged(clip):
    assert load_film(clip, short_px=32).pictures[0].shape == (32, 32, 3)
    assert load_film(clip, short_px=640).pictures[0].shape == (64, 64, 3)
    assert shrink(np.zeros((90, 161, 3), np.uint8), 45).shape == (44, 80, 3)


def test_a_shrunk_picture_is_a_copy_also_where_nothing_is_shrunk():
    image = np.zeros((8, 8, 3), np.uint8)
    assert not np.shares_memory(shrink(image, None), image)


def test_a_missing_clip_is_an_error(tmp_path):
    with pytest.raises(MediaError):
        load_film(tmp_path / "none.mp4")


def test_the_source_gives_every_picture_once_and_again_after_it_was_opened_again(picture):
    film = Film("x", [picture(1, value=7), picture(1, value=8)], [0, 40], Fraction(25))
    source = FilmSource(film)
    for _ in range(2):
        spec = source.open()
        assert (spec.width, spec.height, spec.live, spec.num_frames) == (64, 64, False, 2)
        image = np.full((64, 64, 3), 99, np.uint8)
        seen = []
        while (media_ns := source.fill(image)) is not None:
            seen.append((media_ns, int(image[9, 9, 0])))
        assert seen == [(0, 7), (40, 8)]
        source.close()
