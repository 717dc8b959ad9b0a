from collections.abc import Callable
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.letterbox import letterbox
from realtime.provenance.watermark import Payload, Watermark
from realtime.provenance.watermark_reader import MIN_SCORE, MarkReader, shrink

_SPEC = util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
scenes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)

PAYLOAD = Payload(0xC0FFEE11)
SIZE = (640, 360)

Pictures = list[np.ndarray]


@pytest.fixture(scope="module")
def clean() -> Pictures:
    return scenes.film(12, SIZE)


@pytest.fixture(scope="module")
def marked(clean: Pictures) -> Pictures:
    mark = Watermark(PAYLOAD, SIZE, 3.6)
    pictures = [picture.copy() for picture in clean]
    for picture in pictures:
        mark.add(picture)
    return pictures


def read(pictures: Pictures):
    return MarkReader().read([shrink(picture) for picture in pictures])


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def screenshot(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(jpeg(small, 70), alpha=1, beta=20)


def zoomed(picture: np.ndarray, zoom: float) -> np.ndarray:
    height, width = picture.shape[:2]
    inner = cv2.getRectSubPix(
        picture, (round(width / zoom), round(height / zoom)), ((width - 1) / 2, (height - 1) / 2)
    )
    return cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)


def with_bars(picture: np.ndarray) -> np.ndarray:
    out = np.empty((480, 640, 3), np.uint8)
    letterbox(picture, out=out)
    return out


ATTACKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda picture: picture,
    "JPEG 30": lambda picture: jpeg(picture, 30),
    "half size": lambda picture: cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA),
    "larger": lambda picture: cv2.resize(picture, (1111, 625)),
    "screenshot": screenshot,
    "dark": lambda picture: cv2.convertScaleAbs(picture, alpha=0.6, beta=-10),
    "stretched": lambda picture: cv2.resize(picture, (480, 360)),
    "cut to 4:3": lambda picture: np.ascontiguousarray(picture[:, 80:560]),
    "black bars": with_bars,
    "zoomed by 7 %": lambda picture: zoomed(picture, 1.07),
    "half covered": lambda picture: np.vstack([picture[:180], np.full_like(picture[180:], 40)]),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_the_mark_is_read_after(attack: Callable[[np.ndarray], np.ndarray], marked: Pictures):
    found = read([attack(picture) for picture in marked])
    assert found is not None
    assert found.payload == PAYLOAD
    assert not found.mirrored
    assert found.score >= MIN_SCORE


def test_the_mark_is_read_after_compression_of_a_moving_scene(marked: Pictures):
    found = read(scenes.encoded(marked, 23))
    assert found is not None
    assert found.payload == PAYLOAD


def test_a_mirrored_mark_is_read_and_said_to_be_mirrored(marked: Pictures):
    found = read([picture[:, ::-1] for picture in marked])
    assert found is not None
    assert found.payload == PAYLOAD
    assert found.mirrored


def test_a_single_picture_is_enough_where_nothing_was_done_to_it(marked: Pictures):
    found = read(marked[:1])
    assert found is not None
    assert found.num_corrected == 0


def test_a_picture_that_was_marked_twice_shows_both_if_one_is_stronger(marked: Pictures):
    second = Payload(0x0BADCAFE)
    mark = Watermark(second, SIZE, 2.4)
    twice = [picture.copy() for picture in marked]
    for picture in twice:
        mark.add(picture)
    found = read(twice)
    assert found is not None
    assert (found.payload, found.below) == (PAYLOAD, second)


def test_two_marks_of_the_same_strength_are_no_sure_reading(marked: Pictures):
    for session in range(1, 9):
        mark = Watermark(Payload(session * 0x1234567), SIZE, 3.6)
        twice = [picture.copy() for picture in marked]
        for picture in twice:
            mark.add(picture)
        found = read(twice)
        named = () if found is None else (found.payload, found.below)
        assert found is None or not found.is_sure or Payload(session * 0x1234567) in named


def test_a_mark_that_is_alone_is_sure(marked: Pictures):
    found = read(marked)
    assert found is not None
    assert found.is_sure
    assert found.lead > 0.2 * found.score


def test_a_picture_that_was_marked_once_has_nothing_below(marked: Pictures):
    found = read(marked)
    assert found is not None
    assert found.below is None


def test_nothing_is_found_in_clean_pictures(clean: Pictures):
    assert read(clean) is None


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((360, 640, 3), np.uint8),
        np.full((7, 900, 3), 255, np.uint8),
        np.indices((100, 130)).sum(0).astype(np.uint8)[:, :, None].repeat(3, 2),
    ],
    ids=["one pixel", "black", "thin", "ramp"],
)
def test_nothing_is_found_in_pictures_without_a_scene(picture: np.ndarray):
    assert read([picture]) is None


def test_no_pictures_give_nothing():
    assert MarkReader().read([]) is None


def test_a_word_of_another_format_is_none_of_ours(clean: Pictures):
    picture = clean[0].copy()
    Watermark(Payload(7, version=9), SIZE, 5.0).add(picture)
    assert read([picture]) is None


def test_in_noise_the_best_of_many_scores_stays_far_below_the_limit():
    # What the limit rests on: without the mark, the sum over random signs has deviation one.
    rng = np.random.default_rng(3)
    values = rng.standard_cauchy(10_560).clip(-4, 4)
    signs = rng.choice((-1.0, 1.0), (400, values.size))
    scores = signs @ values / np.sqrt((values**2).sum())
    assert abs(float(scores.std()) - 1) < 0.1
    assert np.abs(scores).max() < MIN_SCORE / 2


def test_a_reader_with_a_lower_limit_tells_what_does_not_count(marked: Pictures):
    grey = shrink(jpeg(marked[0], 5))
    fainter = MarkReader(min_score=0.0)
    readings = list(fainter.readings([grey]))
    assert MarkReader().read([grey]) is None
    assert readings
    assert all(0 < reading.score < MIN_SCORE for reading in readings)
