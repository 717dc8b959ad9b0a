import numpy as np
import pytest

from realtime.face_texture import DETAIL_ONE, FaceTexture
from realtime.highlights import Highlights

DARK, FAIR = 40.0, 160.0


def texture_of(*factors, skin_luma=DARK):
    rows = np.array(factors)[:, None, None] * np.ones((1, 8, 3)) * DETAIL_ONE
    levels = tuple(np.round(rows).astype(np.uint16) for _ in range(3))
    cover = np.zeros((8, 8, 3), np.uint8)
    return FaceTexture(levels, cover, np.zeros((468, 3), np.float32), skin_luma=skin_luma)


def factors_of(texture, level=0):
    return texture.detail[level][:, 0, 0] / DETAIL_ONE


@pytest.fixture
def texture():
    return texture_of(0.3, 1.0, 1.05, 1.5, 2.5)


@pytest.mark.parametrize("luma", [DARK, 0.5 * DARK, 0.0])
def test_on_skin_that_is_no_fairer_a_shine_stays_as_it_is(texture, luma):
    assert Highlights(texture).on_skin(luma, None) is texture


@pytest.mark.parametrize("level", [0, 1, 2])
def test_on_fairer_skin_a_shine_adds_about_as_much_light_and_not_as_much_more(texture, level):
    shown = factors_of(Highlights(texture).on_skin(FAIR, None), level)
    added = (shown[3:] - 1.1) * FAIR
    assert added == pytest.approx((np.array([1.5, 2.5]) - 1.1) * DARK, rel=0.2)


def test_shade_and_what_is_hardly_brighter_than_the_skin_stay(texture):
    shown = factors_of(Highlights(texture).on_skin(FAIR, None))
    assert shown[:3] == pytest.approx([0.3, 1.0, 1.05], abs=1e-4)


def test_the_fairer_the_skin_the_less_is_left_of_a_shine(texture):
    highlights = Highlights(texture)
    shines = [factors_of(highlights.on_skin(luma, None))[4] for luma in (40, 60, 90, 160, 255)]
    assert shines == sorted(shines, reverse=True)
    assert shines[0] == pytest.approx(2.5, abs=1e-4)
    assert shines[-1] > 1.1


def test_a_face_keeps_its_texture_while_its_light_wavers_and_changes_it_once_for_another(texture):
    highlights = Highlights(texture)
    drawn = [highlights.on_skin(62.0, None)]
    for luma in (58.0, 66.0, 60.0, 150.0, 155.0, 140.0):
        drawn.append(highlights.on_skin(luma, drawn[-1]))
    assert all(one is drawn[0] for one in drawn[:4])
    assert drawn[4] is not drawn[0]
    assert all(one is drawn[4] for one in drawn[4:])


def test_what_is_no_skin_of_this_person_stays_the_same(texture):
    other = Highlights(texture).on_skin(FAIR, None)
    assert other.cover is texture.cover
    assert other.shape is texture.shape
    assert other.eye_gains == texture.eye_gains
