import cv2
import numpy as np
import pytest

from realtime.skin_stir import SkinStir

SKINS = {"dark": (45, 60, 95), "brown": (80, 110, 160), "fair": (165, 190, 230)}
REGION = (60, 40, 440, 420)
BOX = np.array([180, 80, 320, 260], np.float32)


def scene(skin, box=BOX, hand=None, colour=None):
    image = np.full((480, 640, 3), (70, 90, 60), np.uint8)
    left, top, right, bottom = box.astype(int)
    image[top:bottom, left:right] = skin
    if hand is not None:
        cv2.circle(image, hand, 45, colour or skin, -1)
    return image


@pytest.mark.parametrize("skin", SKINS.values(), ids=SKINS)
@pytest.mark.parametrize("size", [1.0, 2.0])
def test_a_hand_that_comes_up_is_noticed_once_it_is_in_the_region(skin, size):
    stir = SkinStir()

    def scaled(image):
        return cv2.resize(image, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)

    region = tuple(round(edge * size) for edge in REGION)
    stir.mark(scaled(scene(skin)), region, [BOX * np.float32(size)])
    assert not stir.has_come(scaled(scene(skin)), [BOX * np.float32(size)])
    assert stir.has_come(scaled(scene(skin, hand=(250, 360))), [BOX * np.float32(size)])


def test_something_of_another_colour_is_no_hand():
    stir = SkinStir()
    stir.mark(scene(SKINS["brown"]), REGION, [BOX])
    shirt = scene(SKINS["brown"], hand=(250, 360), colour=(160, 60, 40))
    assert not stir.has_come(shirt, [BOX])


def test_a_head_that_moves_is_no_hand():
    stir = SkinStir()
    stir.mark(scene(SKINS["brown"]), REGION, [BOX])
    moved = BOX + np.float32(40)
    assert not stir.has_come(scene(SKINS["brown"], box=moved), [moved])


def test_without_a_mark_or_a_face_nothing_has_come():
    stir = SkinStir()
    assert not stir.has_come(scene(SKINS["fair"]), [BOX])
    stir.mark(scene(SKINS["fair"]), REGION, [BOX])
    assert not stir.has_come(scene(SKINS["fair"], hand=(250, 360)), [])


def test_a_region_beside_the_picture_is_survived():
    stir = SkinStir()
    stir.mark(scene(SKINS["fair"]), (-300, -300, -100, -100), [BOX])
    assert not stir.has_come(scene(SKINS["fair"], hand=(250, 360)), [BOX])
