import cv2
import numpy as np
import pytest

from cuda_kernels.colour_match import shift_colours
from realtime.skin_tone import (
    OneColour,
    ToneMemory,
    follow_tone,
    one_colour,
    skin_weights,
    without_colours,
)

SIZE = (80, 72)
WHOLE = np.full(SIZE, 255, np.uint8)
SKINS = {"dark": (45, 60, 95), "brown": (80, 110, 160), "fair": (165, 190, 230)}


def skin(colour, seed=1, spread=6.0):
    """Skin with pores and soft shade."""
    rng = np.random.default_rng(seed)
    shade = cv2.GaussianBlur(rng.normal(0, 1, SIZE).astype(np.float32), (0, 0), 5)
    shade = spread * shade / shade.std() + rng.normal(0, 2, SIZE)
    return np.clip(np.float32(colour) + shade[..., None], 0, 255).astype(np.uint8)


def matched(face, picture, how="yuv_histogram", memory=None, rate=1.0):
    shift = follow_tone(memory or ToneMemory(), face, picture, WHOLE, how, rate)
    out = np.empty_like(face)
    shift_colours(face, shift, out=out)
    return out, shift


HOWS = pytest.mark.parametrize("how", ["yuv_histogram", "mean_std"])


@HOWS
@pytest.mark.parametrize(("own", "wanted"), [("dark", "fair"), ("fair", "dark"), ("brown", "fair")])
def test_skin_of_any_tone_takes_the_tone_of_the_picture(how, own, wanted):
    face, picture = skin(SKINS[own]), skin(SKINS[wanted], seed=2)
    before, after = (
        np.abs(image.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max()
        for image in (face, matched(face, picture, how)[0])
    )
    assert before > 40
    assert after < (0.35 * before if before > 90 else 4)


@HOWS
def test_shifts_are_monotone_and_gentle(how):
    rng = np.random.default_rng(3)
    face = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    picture = np.where(rng.random((*SIZE, 1)) < 0.5, 20, 230).astype(np.uint8).repeat(3, axis=2)
    _, shift = matched(face, picture, how)
    slopes = 1.0 + np.diff(shift, axis=1)
    assert slopes.min() >= -1e-3
    assert slopes.max() <= 1.8 + 1e-3
    assert np.abs(shift).max() <= 90


@HOWS
def test_a_picture_without_colours_takes_those_of_the_face(how):
    grey = cv2.cvtColor(skin(SKINS["brown"], seed=4), cv2.COLOR_BGR2GRAY)
    out, _ = matched(skin(SKINS["fair"]), cv2.merge([grey] * 3), how)
    chroma = cv2.cvtColor(out, cv2.COLOR_BGR2YCrCb)[..., 1:].astype(int) - 128
    assert np.abs(chroma).max() <= 2


@HOWS
def test_light_of_one_colour_colours_the_face(how):
    picture = (skin(SKINS["fair"], seed=5) * np.float32([1.0, 0.35, 0.3])).astype(np.uint8)
    out, _ = matched(skin(SKINS["fair"]), picture, how)
    blue, _, red = out.mean(axis=(0, 1))
    assert blue > 1.5 * red


@HOWS
@pytest.mark.parametrize("level", [0, 255])
def test_pictures_that_are_blown_out_or_black_break_nothing(how, level):
    face = skin(SKINS["brown"])
    out, shift = matched(face, np.full_like(face, level), how)
    assert np.isfinite(shift).all()
    assert (out.mean() > face.mean()) == (level == 255)


def test_without_skin_nothing_moves():
    face = skin(SKINS["fair"])
    shift = follow_tone(
        ToneMemory(), face, face // 2, np.zeros(SIZE, np.uint8), "yuv_histogram", 1.0
    )
    assert not shift.any()


def test_the_tone_follows_slowly_but_for_the_first_picture():
    face, memory = skin(SKINS["brown"]), ToneMemory()
    dark, bright = skin(SKINS["dark"], seed=6), skin(SKINS["fair"], seed=7)
    first, _ = matched(face, dark, memory=memory)
    memory.is_new = False
    second, _ = matched(face, bright, memory=memory, rate=0.1)
    for _ in range(60):
        last, _ = matched(face, bright, memory=memory, rate=0.1)
    assert first.mean() < face.mean() - 20
    assert abs(second.mean() - first.mean()) < 0.25 * (last.mean() - first.mean())
    assert last.mean() > face.mean() + 20


@pytest.mark.parametrize("tone", SKINS)
def test_hair_and_cloth_are_not_skin_of_any_tone(tone):
    picture = skin(SKINS[tone])
    picture[:14] = 18 if tone != "dark" else 130
    picture[68:] = (200, 60, 20)
    weights = skin_weights(picture, WHOLE)
    assert weights[18:64].mean() > 0.75
    assert weights[:14].max() < 0.2
    assert weights[68:].max() < 0.1
    allowed = WHOLE.copy()
    allowed[:, :30] = 0
    assert not skin_weights(picture, allowed)[:, :30].any()


def test_a_picture_without_colours_is_told_from_one_with_few():
    grey = cv2.cvtColor(skin(SKINS["brown"]), cv2.COLOR_BGR2GRAY)
    assert one_colour(cv2.merge([grey] * 3)).offsets == pytest.approx((128, 128), abs=0.5)
    for tone in ((0.75, 0.95, 1.1), (1.2, 0.9, 0.8)):
        sepia = np.clip(cv2.merge([grey] * 3) * np.float32(tone), 0, 255).astype(np.uint8)
        assert one_colour(sepia) is not None
    half = skin(SKINS["fair"])
    half[:40] = (90, 120, 100)
    half[60:, :30] = (160, 70, 60)
    assert one_colour(half) is None


def test_a_face_without_colours_keeps_its_light():
    face = skin(SKINS["fair"])
    grey = without_colours(face, OneColour((128.0, 128.0), (0.0, 0.0)))
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1
    luma = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(int)
    assert np.abs(cv2.cvtColor(grey, cv2.COLOR_BGR2GRAY) - luma).max() <= 2


def test_a_face_is_toned_as_the_picture_is():
    rng = np.random.default_rng(9)
    ramp = rng.integers(20, 220, SIZE).astype(np.float32)[..., None]
    picture = np.clip(ramp * np.float32([0.75, 0.95, 1.1]), 0, 255).astype(np.uint8)
    toned = without_colours(skin(SKINS["dark"]), one_colour(picture)).astype(float)
    blue, green, red = (toned[..., channel].mean() for channel in range(3))
    assert blue / green == pytest.approx(0.75 / 0.95, abs=0.04)
    assert red / green == pytest.approx(1.1 / 0.95, abs=0.04)
