from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.face_mesh import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from realtime.glasses_finder import find_frames

_SPEC = util.spec_from_file_location("portrait", Path(__file__).with_name("portrait.py"))
_PORTRAIT = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PORTRAIT)

SIDE = 288
POINTS = _PORTRAIT.neutral_landmarks((144.0, 144.0), 192.0)[:, :2]
SKINS = {"dark": (45, 60, 95), "fair": (165, 190, 230)}


def face(skin):
    """Skin with pores, eyes and brows."""
    rng = np.random.default_rng(1)
    pores = cv2.GaussianBlur(rng.normal(0, 4, (SIDE, SIDE)).astype(np.float32), (0, 0), 1)
    image = np.clip(np.float32(skin) + pores[..., None], 0, 255).astype(np.uint8)
    for ring, colour in ((RIGHT_EYE, 220), (LEFT_EYE, 220)):
        cv2.fillPoly(image, [POINTS[list(ring)].round().astype(np.int32)], (colour,) * 3)
    for brow in (RIGHT_BROW, LEFT_BROW):
        hull = cv2.convexHull(POINTS[list(brow)].round().astype(np.int32))
        cv2.fillConvexPoly(image, hull, tuple(int(v * 0.3) for v in skin))
    return image


def frames(thickness, colour=255):
    """Two rims and a bridge."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    middles = [POINTS[list(ring)].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE)]
    for x, y in middles:
        centre = (round(float(x)), round(float(y)) + 5)
        cv2.ellipse(mask, centre, (34, 27), 0, 0, 360, colour, thickness, cv2.LINE_AA)
    (a, b), (c, d) = (middle.round().astype(int) for middle in middles)
    cv2.line(mask, (int(a) + 34, int(b)), (int(c) - 34, int(d)), colour, thickness, cv2.LINE_AA)
    return mask


def worn(image, thickness, colour):
    share = frames(thickness)[..., None] / np.float32(255)
    return np.rint(image * (1 - share) + np.float32(colour) * share).astype(np.uint8)


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("thickness", [3, 6])
def test_dark_frames_are_found_on_any_skin(skin, thickness):
    image = worn(face(SKINS[skin]), thickness, (20, 20, 20))
    strength, bridge = find_frames(image, POINTS)
    free = cv2.erode(frames(thickness), np.ones((2, 2))) > 200
    assert bridge > 0.8
    assert strength[free].mean() > 0.5
    assert strength[cv2.dilate(frames(thickness), np.ones((13, 13))) == 0].mean() < 0.02


def test_shining_frames_are_found_beside_a_dark_bridge():
    image = worn(face(SKINS["dark"]), 3, (210, 210, 210))
    strength, _ = find_frames(image, POINTS)
    assert strength[frames(3) > 200].mean() > 0.4


@pytest.mark.parametrize("skin", SKINS)
def test_a_bare_face_wears_nothing(skin):
    strength, bridge = find_frames(face(SKINS[skin]), POINTS)
    assert bridge < 0.3
    assert strength.mean() < 0.01


def test_short_lines_are_wrinkles():
    image = face(SKINS["fair"])
    x, y = POINTS[50].round().astype(int)
    cv2.line(image, (int(x) - 6, int(y) - 12), (int(x) + 6, int(y) - 12), (90, 100, 120), 2)
    assert not find_frames(image, POINTS)[0][y - 20 : y, x - 14 : x + 14].any()


def test_a_face_of_no_size_has_no_glasses():
    strength, bridge = find_frames(face(SKINS["fair"]), np.full((468, 2), 100, np.float32))
    assert bridge == 0.0
    assert strength.mean() < 0.05
