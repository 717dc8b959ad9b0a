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
    draw_chips,
    draw_pattern,
    nearest_grid,
    transform,
)

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
    assert digest.hexdigest() == "3ef505961448877e5d1e287aa4cb25b6b99207faf1e0bf97576f4255ab869cef"


def test_every_bit_has_its_share_of_chips_and_both_signs():
    chips = draw_chips((40, 22))
    counts = np.bincount(chips.bits.ravel())
    assert len(counts) == 63
    assert counts.max() - counts.min() <= 1
    assert abs(float(chips.signs.mean())) < 0.05


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


@pytest.mark.parametrize(("amplitude", "least_db"), [(2.1, 48.0), (3.0, 45.0), (4.5, 42.0)])
def test_the_mark_is_as_faint_as_promised(amplitude: float, least_db: float):
    picture = scenes.film(1, (1279, 719))[0]
    marked = picture.copy()
    Watermark(Payload(5), (1279, 719), amplitude).add(marked)
    assert least_db < cv2.PSNR(picture, marked) < least_db + 2


def test_the_mark_changes_brightness_only_and_stops_at_black_and_white():
    picture = np.zeros((90, 161, 3), np.uint8)
    picture[:, 80:] = 255
    marked = picture.copy()
    Watermark(Payload(5), (161, 90), 4.0).add(marked)
    assert (marked == marked[:, :, :1]).all()
    assert 0 < marked[:, :70].max() < 12
    assert 243 < marked[:, 90:].min() < 255
