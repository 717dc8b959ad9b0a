import cv2
import numpy as np
import pytest

from realtime.crop import Crop
from realtime.eye_shades import match_eyes
from realtime.face_mesh import LEFT_EYE, RIGHT_EYE

pytestmark = pytest.mark.models

SIZE = 320


@pytest.fixture(scope="module")
def wide_open(sitter):
    """Landmarks of a face whose upper lids are raised."""
    landmarks = sitter.landmarks(width_px=230)
    for ring in (RIGHT_EYE, LEFT_EYE):
        landmarks[list(ring[:8:-1]), 1] -= 14
    return landmarks


def noise():
    return np.random.default_rng(3).integers(100, 150, (SIZE, SIZE, 3), np.uint8)


def inside(landmarks, ring):
    """Where an eye lies in the picture, without its rim."""
    eye = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(eye, [np.round(landmarks[list(ring), :2]).astype(np.int32)], 1)
    return cv2.erode(eye, np.ones((13, 13), np.uint8)) > 0


def matched(image, landmarks, brightness, share=1.0, before=(1.0, 1.0), crop_px=256, **how):
    """Matches the eyes of a picture with those of a face of one brightness, in place."""
    crop = Crop(image, landmarks, landmarks, crop_px)
    shown = cv2.resize(crop.region, crop.size)
    drawn = np.full((crop.height_px, crop.width_px, 3), brightness, np.uint8)
    return match_eyes(crop, crop.inside(landmarks), (shown, drawn), before, share, **how)


@pytest.mark.parametrize(("brightness", "brighter"), [(40, False), (240, True)])
@pytest.mark.parametrize("crop_px", [256, 160])
def test_eyes_keep_their_pattern_and_take_some_of_the_brightness(
    wide_open, brightness, brighter, crop_px
):
    image = noise()
    before = image.copy()
    matched(image, wide_open, brightness, crop_px=crop_px)
    for ring in (RIGHT_EYE, LEFT_EYE):
        middle = inside(wide_open, ring)
        assert middle.sum() > 50
        ratio = image[middle] / before[middle].astype(float)
        assert np.ptp(ratio) < 0.03
        assert (ratio.mean() > 1.05) == brighter
        assert 0.6 < ratio.mean() < 1.4


def test_nothing_but_the_eyes_changes(wide_open):
    image = noise()
    before = image.copy()
    matched(image, wide_open, 240)
    near = np.zeros((SIZE, SIZE), np.uint8)
    for ring in (RIGHT_EYE, LEFT_EYE):
        cv2.fillPoly(near, [np.round(wide_open[list(ring), :2]).astype(np.int32)], 1)
    far = cv2.dilate(near, np.ones((9, 9), np.uint8)) == 0
    np.testing.assert_array_equal(image[far], before[far])


def test_the_shades_follow_what_is_asked_for_by_a_share(wide_open):
    image = noise()
    at_once = matched(image.copy(), wide_open, 250)
    for share in (0.0, 0.25):
        shades = matched(image.copy(), wide_open, 250, share)
        expected = [1.0 + share * (full - 1.0) for full in at_once]
        assert shades == pytest.approx(expected, abs=1e-6)
    assert min(at_once) > 1.1


def test_each_eye_has_its_own_gain(wide_open):
    right, left = matched(noise(), wide_open, 125, gains=(1.3, 0.7))
    assert right > 1.05
    assert left < 0.95


def test_eyes_that_are_shut_or_beside_the_picture_keep_their_shade(sitter, wide_open):
    shut = sitter.landmarks(width_px=230)
    for ring in (RIGHT_EYE, LEFT_EYE):
        shut[list(ring), :2] = shut[ring[0], :2]
    away = wide_open - np.array([230.0, 0.0, 0.0], np.float32)
    for landmarks, kept in ((shut, (0, 1)), (away, (0,))):
        image = noise()
        shades = matched(image, landmarks, 250, before=(0.8, 0.9))
        for eye in kept:
            assert shades[eye] == (0.8, 0.9)[eye]
