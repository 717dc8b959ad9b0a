import hashlib
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.provenance.watermark import (
    GRIDS,
    Payload,
    Watermark,
    chip_amplitude,
    draw_chips,
    draw_pattern,
    nearest_grid,
    transform,
)
from realtime.stages.mark import AMPLITUDES

_SPEC = util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
scenes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)


def test_a_payload_survives_its_word():
    payload = Payload(0x1A2B3C4D)
    assert Payload.of_word(payload.word()) == payload


@pytest.mark.parametrize("payload", [Payload(2**32), Payload(-1), Payload(1, version=16)])
def test_a_payload_out_of_range_is_refused(payload: Payload):
    with pytest.raises(ValueError, match="32 bits"):
        payload.word()


def test_the_chips_of_the_key_never_change():
    # Marks written years ago must stay readable: this digest belongs to format version 1.
    digest = hashlib.sha256()
    for grid in GRIDS:
        chips = draw_chips(grid)
        digest.update(chips.bits.astype("<i8").tobytes() + chips.signs.astype("<f4").tobytes())
    assert digest.hexdigest() == "d5afd58dae5caed280a3cf3090c4b7fef3551dde4cac3260bd1b0c6b388c7692"


def test_every_bit_has_its_share_of_chips_and_both_signs():
    chips = draw_chips((40, 22))
    counts = np.bincount(chips.bits[chips.signs != 0])
    assert len(counts) == 63
    assert counts.max() - counts.min() <= 1
    assert abs(float(chips.signs.mean())) < 0.05


@pytest.mark.parametrize("grid", GRIDS)
def test_one_of_three_blocks_beside_each_other_has_all_the_chips(grid: tuple[int, int]):
    signs = draw_chips(grid).signs
    assert set(np.unique(signs)) == {-1, 0, 1}
    carriers = signs.any(axis=2)
    assert (signs[carriers] != 0).all()
    whole = grid[0] // 3 * 3
    assert (carriers[:, :whole].reshape(grid[1], -1, 3).sum(axis=2) == 1).all()
    # Which one it is follows no pattern that could be seen.
    assert all(abs(carriers[:, place:whole:3].mean() - 1 / 3) < 0.1 for place in range(3))


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((1280, 720), (40, 22)),
        ((640, 480), (32, 24)),
        ((512, 512), (28, 28)),
        ((720, 1280), (22, 40)),
        ((1000, 300), (40, 22)),
    ],
)
def test_the_grid_follows_the_shape_of_the_picture(size: tuple[int, int], grid: tuple[int, int]):
    assert nearest_grid(*size) == grid


def test_the_transform_finds_the_chips_of_the_pattern_and_nothing_else():
    payload = Payload(99)
    pattern = draw_pattern(payload, (320, 176), 5.0)
    chips = draw_chips((40, 22))
    polarity = 1 - 2 * np.array(payload.word())
    found = transform(pattern, (40, 22))
    np.testing.assert_allclose(found, 5.0 * chips.signs * polarity[chips.bits], atol=1e-3)
    assert abs(float(pattern.mean())) < 1e-4


@pytest.mark.parametrize(
    ("size", "least_db"), [((320, 180), 49.0), ((640, 360), 49.0), ((1280, 720), 53.0)]
)
def test_the_standard_mark_is_as_faint_as_promised(size: tuple[int, int], least_db: float):
    picture = scenes.film(1, size)[0]
    marked = picture.copy()
    Watermark(Payload(5), size, chip_amplitude(size, AMPLITUDES["standard"])).add(marked)
    assert least_db < cv2.PSNR(picture, marked) < least_db + 2


def test_the_mark_is_fainter_where_pictures_are_larger():
    amplitudes = [chip_amplitude((16 * n, 9 * n), 4.0) for n in (10, 39, 60, 90, 120, 240)]
    assert amplitudes[:2] == [4.0, 4.0]
    assert amplitudes[3] / amplitudes[2] == pytest.approx(1.5**-0.65)
    # 48 of 16 pixels to a block, and from there on the same.
    assert amplitudes[4:] == [pytest.approx(4 * 3**-0.65)] * 2


def block(image: np.ndarray, row: int, column: int) -> np.ndarray:
    return image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16, 0].astype(int) - 100


def test_each_block_is_as_strong_as_is_asked_for_and_stays_so():
    one, two = np.flatnonzero(draw_chips((40, 22)).signs[3].any(axis=1))[:2]
    mark = Watermark(Payload(5), (640, 352), 6.0)
    full, mixed, after = (np.full((352, 640, 3), 100, np.uint8) for _ in range(3))
    mark.add(full)
    strengths = np.full((22, 40), 2, np.uint8)
    strengths[3, one], strengths[3, two] = 0, 1
    mark.add(mixed, strengths)
    mark.add(after)
    assert np.abs(block(full, 3, one)).max() > 1
    assert (block(mixed, 3, one) == 0).all()
    np.testing.assert_allclose(block(mixed, 3, two), block(full, 3, two) / 2, atol=1)
    assert np.abs(block(mixed, 3, two)).max() > 1
    assert (after == mixed).all()
    for column in (one, two):
        part = np.s_[48:64, 16 * column : 16 * column + 16]
        mixed[part] = full[part]
    assert (mixed == full).all()
    again = np.full_like(full, 100)
    mark.add(again, np.full((22, 40), 2, np.uint8))
    assert (again == full).all()


def test_the_blocks_of_a_picture_of_odd_size_leave_no_pixel_out():
    mark = Watermark(Payload(5), (321, 243), 6.0)
    picture = np.full((243, 321, 3), 100, np.uint8)
    mark.begin(np.zeros((24, 32), np.uint8))
    mark.add(picture)
    assert (picture == 100).all()


def test_where_many_blocks_change_the_weakest_come_first_and_the_rest_in_the_next_pictures():
    mark = Watermark(Payload(5), (640, 352), 6.0)
    strengths = np.full((22, 40), 3, np.uint8)
    strengths[10:16, 10:30] = 0
    before, first = (np.full((352, 640, 3), 100, np.uint8) for _ in range(2))
    mark.add(before)
    mark.add(first, strengths)
    assert (first[160:256, 160:480] == 100).all()
    # Eight more blocks are doubled; of all these a third carries the mark.
    changed = [at for at in np.ndindex(22, 40) if (block(first, *at) != block(before, *at)).any()]
    others = [(row, at) for row, at in changed if not (10 <= row < 16 and 10 <= at < 30)]
    assert others
    assert all(row == 0 and at < 8 for row, at in others)
    assert len(changed) - len(others) >= 36
    for _ in range(6):
        last = np.full_like(first, 100)
        mark.add(last, strengths)
    expected = np.full_like(first, 100)
    other = Watermark(Payload(5), (640, 352), 6.0)
    other.begin(strengths)
    other.add(expected)
    assert (last == expected).all()


def test_the_mark_changes_brightness_only_and_stops_at_black_and_white():
    picture = np.zeros((90, 161, 3), np.uint8)
    picture[:, 80:] = 255
    marked = picture.copy()
    Watermark(Payload(5), (161, 90), 4.0).add(marked)
    assert (marked == marked[:, :, :1]).all()
    assert 0 < marked[:, :70].max() < 12
    assert 243 < marked[:, 90:].min() < 255


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1081), (720, 1279), (1281, 723)])
def test_lines_that_are_repeated_leave_the_chips_as_they_are(size: tuple[int, int]):
    picture = np.full((size[1], size[0], 3), 100, np.uint8)
    Watermark(Payload(99), size, 6.0).add(picture)
    assert (picture == picture[:, :, :1]).all()
    added = picture[:, :, 0].astype(np.float32) - 100
    columns, rows = nearest_grid(*size)
    patterns = (added, np.rint(draw_pattern(Payload(99), size, 6.0)))
    seen, expected = (
        transform(
            cv2.resize(pattern, (columns * 8, rows * 8), interpolation=cv2.INTER_AREA),
            (columns, rows),
        )
        for pattern in patterns
    )
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.99
    # Hardly weaker, and up to the last lines and columns.
    assert np.vdot(seen, expected) / np.vdot(expected, expected) > 0.94
    for part in (np.s_[-32:], np.s_[:, -32:]):
        assert np.corrcoef(added[part].ravel(), patterns[1][part].ravel())[0, 1] > 0.9
