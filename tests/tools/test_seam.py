import cv2
import numpy as np
import pytest

from tools.seam import measure_seam

SIDE, WIDTH = 240, 140.0


def disc(soft_px):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (SIDE // 2, SIDE // 2), round(WIDTH / 2), 255, -1)
    return cv2.blur(mask, (soft_px, soft_px))


def measured(change=20, soft_px=5, skin=(120, 150, 190), around=None):
    """A face that is brighter by so many levels, feathered over so many pixels."""
    before = np.full((SIDE, SIDE, 3), skin, np.uint8)
    if around is not None:
        before[disc(1) == 0] = around
    drawn = np.clip(before.astype(int) + change, 0, 255).astype(np.uint8)
    mask = disc(soft_px)
    share = mask[..., None] / 255
    after = np.rint(share * drawn + (1 - share) * before).astype(np.uint8)
    return measure_seam(before, drawn, mask, after, WIDTH)


def test_the_difference_is_that_of_face_and_picture():
    assert measured(change=20).difference == pytest.approx(20, abs=0.5)
    assert measured(change=-35).difference == pytest.approx(35, abs=0.5)


def test_a_wider_fade_has_a_weaker_gradient():
    narrow, wide = measured(soft_px=5), measured(soft_px=25)
    assert wide.gradient < 0.6 * narrow.gradient


def test_the_energy_does_not_depend_on_how_far_the_colours_differ():
    weak, strong = measured(change=10), measured(change=40)
    one, other = (figures.gradient / figures.difference for figures in (weak, strong))
    assert one == pytest.approx(other, rel=0.05)


def test_what_the_swap_left_alone_has_no_seam():
    figures = measured(change=0)
    assert figures.gradient == 0.0
    assert figures.ring == pytest.approx(0.0, abs=1e-9)


def test_the_rings_differ_as_the_colours_do():
    assert measured(change=5).ring < measured(change=15).ring < measured(change=40).ring
    assert measured(change=15).sectors == 24


def test_where_something_else_than_skin_lies_outside_the_rings_are_not_compared():
    figures = measured(around=(30, 30, 30))
    assert figures.sectors == 0
    assert np.isnan(figures.ring)


def test_holes_for_eyes_are_no_rim():
    before = np.full((SIDE, SIDE, 3), 120, np.uint8)
    mask = disc(5)
    with_eyes = mask.copy()
    cv2.circle(with_eyes, (90, 100), 8, 0, -1)
    drawn = before + np.uint8(30)
    share = with_eyes[..., None] / 255
    after = np.rint(share * drawn + (1 - share) * before).astype(np.uint8)
    own = measure_seam(before, drawn, with_eyes, after, WIDTH)
    assert own.gradient == pytest.approx(measured(change=30).gradient, rel=0.02)


def test_a_face_that_is_too_small_or_not_there_is_not_measured():
    picture, mask = np.zeros((SIDE, SIDE, 3), np.uint8), disc(5)
    assert measure_seam(picture, picture, mask, picture, 20.0) is None
    assert measure_seam(picture, picture, np.zeros_like(mask), picture, WIDTH) is None
