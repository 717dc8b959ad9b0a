import numpy as np
import pytest

from realtime.provenance.label import (
    WORDS,
    cap_height_px,
    draw_label,
    small_cap_height_px,
)

PRESETS = tuple(WORDS)


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [((1280, 720), 36, 22), ((1920, 1080), 54, 33), ((720, 1280), 36, 22), ((320, 240), 24, 16)],
)
def test_capitals_are_a_twentieth_of_the_shorter_side_and_never_tiny(
    size: tuple[int, int], large: int, small: int
):
    assert cap_height_px(*size) == large
    assert small_cap_height_px(*size) == small


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("cap_px", [24, 37])
def test_letters_are_as_high_as_promised_and_readable_on_any_ground(preset: str, cap_px: int):
    label = draw_label(preset, cap_px)
    for ground in (0, 240):
        picture = np.full((label.size[1] + 9, label.size[0] + 11, 3), ground, np.uint8)
        label.lay_over(picture, 5, 4)
        inside = picture[4:-5, 5:-6, 0].astype(int)
        # The badge is white paper with dark letters whatever lies below.
        assert (inside > 250).mean() > 0.15
        badge = inside[:, : round(2.2 * cap_px)]
        rows, columns = (np.flatnonzero((badge > 250).any(axis=axis)) for axis in (1, 0))
        rim = round(0.15 * cap_px)
        paper = badge[rows[0] + rim : rows[-1] - rim, columns[0] + rim : columns[-1] - rim]
        letters = np.flatnonzero((paper < 100).any(axis=1))
        assert abs(letters[-1] - letters[0] + 1 - cap_px) <= 1


def test_the_label_of_the_chinese_standard_has_both_of_its_words():
    # One of 生成 and 合成 must stand beside "AI"; a font without them would draw nothing or "?".
    label, badge = draw_label("gb45438", 40), draw_label("minimal", 40)
    word = label.light[:, badge.size[0] :, 0] > 200
    assert word.mean() > 0.08
    columns = np.flatnonzero(word.any(axis=0))
    halves = np.array_split(word[:, columns[0] : columns[-1] + 1], 2, axis=1)
    shared = min(half.shape[1] for half in halves)
    assert (halves[0][:, :shared] != halves[1][:, :shared]).mean() > 0.05


def test_what_reaches_beyond_the_picture_is_left_out():
    label = draw_label("eu", 24)
    picture = np.full((40, 60, 3), 90, np.uint8)
    label.lay_over(picture, 50, 30)
    assert (picture[:30] == 90).all()
    assert (picture[:, :50] == 90).all()
    assert (picture[35:, 55:] != 90).any()
    untouched = picture.copy()
    label.lay_over(picture, 60, 40)
    assert (picture == untouched).all()
