import cv2
import numpy as np
import pytest

from realtime.sharpness import detail_gain, finest_sigma_px, soften

SIGMA_PX = 1.5
COVERED = np.full((80, 90), 255, np.uint8)


def textured(strength, *, seed=1, light=0.0):
    """Grey with a fine pattern of a strength, on light that rises to the right."""
    pattern = np.random.default_rng(seed).normal(0, 1, (80, 90))
    grey = 120 + strength * pattern + light * np.linspace(-1, 1, 90)
    return np.repeat(np.clip(np.round(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def test_the_finest_detail_is_so_many_parts_of_the_faces_width():
    assert finest_sigma_px(600.0) == 3.0
    assert finest_sigma_px(1200.0) == 6.0


def test_no_blur_is_smaller_than_a_pixel():
    assert finest_sigma_px(40.0) == finest_sigma_px(200.0) == 1.0


def test_a_face_that_is_no_sharper_than_the_picture_is_left_alone():
    assert detail_gain(textured(8), textured(8, seed=2), COVERED, SIGMA_PX) == 1.0
    assert detail_gain(textured(4), textured(12, seed=2), COVERED, SIGMA_PX) == 1.0


def test_a_flat_face_on_a_flat_picture_is_no_sharper():
    assert detail_gain(textured(0), textured(0), COVERED, SIGMA_PX) == 1.0


def test_a_sharper_face_is_brought_down_to_a_little_more_than_the_pictures_detail():
    gain = detail_gain(textured(20), textured(10, seed=2), COVERED, SIGMA_PX)
    assert gain == pytest.approx(1.15 / 2, rel=0.05)


def test_a_face_never_loses_all_its_detail():
    assert detail_gain(textured(20), textured(0), COVERED, SIGMA_PX) == 0.25


def test_light_is_no_detail():
    flat = detail_gain(textured(10), textured(5, seed=2), COVERED, SIGMA_PX)
    lit = detail_gain(textured(10, light=60), textured(5, seed=2), COVERED, SIGMA_PX)
    assert lit == pytest.approx(flat, rel=0.05)


def test_detail_is_measured_only_where_the_face_covers():
    face, picture = textured(20), textured(10, seed=2)
    face[:, 45:] = textured(0)[:, 45:]
    picture[:, 45:] = textured(60, seed=3)[:, 45:]
    alpha = COVERED.copy()
    alpha[:, 42:] = 127
    assert detail_gain(face, picture, alpha, SIGMA_PX) == pytest.approx(1.15 / 2, rel=0.08)


def test_too_little_of_a_face_tells_nothing():
    alpha = np.zeros_like(COVERED)
    alpha[:15, :15] = 255
    assert detail_gain(textured(20), textured(0), alpha, SIGMA_PX) == 1.0
    alpha[:20, :20] = 255
    assert detail_gain(textured(20), textured(0), alpha, SIGMA_PX) < 1.0


def test_a_softened_face_has_so_much_of_its_finest_detail():
    face = textured(20)
    blurred = cv2.GaussianBlur(face, (0, 0), SIGMA_PX).astype(np.float64)
    for gain in (0.25, 0.6, 1.0):
        softened = soften(face, gain, SIGMA_PX)
        np.testing.assert_allclose(softened, blurred + gain * (face - blurred), atol=1.5)


def test_softening_keeps_the_light():
    face = textured(10, light=60)
    softened = soften(face, 0.3, SIGMA_PX)
    for part in (face, softened):
        assert part[:, :20].mean() == pytest.approx(face[:, :20].mean(), abs=1)
    assert softened.std(axis=0).mean() < 0.6 * face.std(axis=0).mean()


def test_a_face_softened_by_its_gain_is_about_as_sharp_as_the_picture():
    face, picture = textured(24), textured(8, seed=2)
    gain = detail_gain(face, picture, COVERED, SIGMA_PX)
    softened = soften(face, gain, SIGMA_PX)
    again = detail_gain(softened, picture, COVERED, SIGMA_PX)
    assert gain < 0.45
    assert 0.7 < again <= 1.0
