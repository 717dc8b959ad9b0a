import threading

import numpy as np
import pytest
from PIL import Image as Pillow

from realtime.errors import MediaError
from realtime.sources.still import StillPicture
from realtime.stage import Source


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "me.png"
    Pillow.new("RGB", (9, 7), (200, 100, 50)).save(path)
    return path


def test_a_number_of_pictures_comes_without_waiting(picture) -> None:
    source = StillPicture(picture, num_frames=3, rate_hz=25)
    assert isinstance(source, Source)
    spec = source.open()
    assert (spec.width, spec.height, spec.live, spec.num_frames) == (9, 7, False, 3)
    image = np.zeros((7, 9, 3), np.uint8)
    assert [source.fill(image) for _ in range(4)] == [0, 40_000_000, 80_000_000, None]
    assert image[3, 4].tolist() == [50, 100, 200]
    source.close()


def test_every_fill_writes_the_whole_picture_anew(picture) -> None:
    source = StillPicture(picture, num_frames=2)
    source.open()
    image = np.zeros((7, 9, 3), np.uint8)
    source.fill(image)
    image[:] = 1
    source.fill(image)
    assert (image == [50, 100, 200]).all()


def test_a_live_picture_comes_at_its_rate_until_it_is_closed(picture) -> None:
    source = StillPicture(picture, rate_hz=1)
    assert source.open().live
    image = np.zeros((7, 9, 3), np.uint8)
    assert source.fill(image) == 0
    results: list[int | None] = []
    waiting = threading.Thread(target=lambda: results.append(source.fill(image)))
    waiting.start()
    source.close()
    waiting.join(timeout=5)
    assert results == [None]


def test_live_pictures_keep_to_the_clock(picture) -> None:
    now_ns = iter([0, 10**9, 10**9])
    source = StillPicture(picture, rate_hz=1000, clock=lambda: next(now_ns))
    source.open()
    image = np.zeros((7, 9, 3), np.uint8)
    assert [source.fill(image) for _ in range(3)] == [0, 1_000_000, 2_000_000]


def test_a_picture_that_cannot_be_used_is_said_at_open(tmp_path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        StillPicture(tmp_path / "none.png").open()
