import numpy as np
import pytest

from realtime.face_alpha import face_alpha
from realtime.face_texture import TONE_OFFSET
from realtime.skin_light import LUMA

SIZE = 96
SKIN = (120, 150, 200)
MIDDLE = SIZE // 2


def upright(turns=0):
    """Landmarks of a head whose crown lies so many quarter turns clockwise from above."""
    points = np.zeros((468, 3), np.float32)
    crown = [(0, -1), (1, 0), (0, 1), (-1, 0)][turns]
    points[10, :2] = MIDDLE + 30 * np.float32(crown)
    points[152, :2] = MIDDLE - 30 * np.float32(crown)
    return points


def alpha_of(picture, *, zones=(0, 0, 0), points=None):
    """A disc of skin, all covered by the texture; zones as the planes of the cover."""
    rows, columns = np.indices((SIZE, SIZE))
    seen = (np.hypot(rows - MIDDLE, columns - MIDDLE) < 40).astype(np.uint8) * np.uint8(255)
    tones = np.full((SIZE, SIZE, 4), (*SKIN, LUMA @ np.float32(SKIN)), np.float32)
    tones += np.float32(TONE_OFFSET)
    cover = np.zeros((SIZE, SIZE, 4), np.uint8)
    cover[...] = (255, *zones[1:], 0)
    alpha = face_alpha(picture, seen, tones, cover, upright() if points is None else points, 80.0)
    return alpha, seen > 0


def skin():
    return np.full((SIZE, SIZE, 3), SKIN, np.uint8)


def test_skin_is_covered_to_a_soft_silhouette_and_nothing_beyond():
    alpha, seen = alpha_of(skin(), zones=(0, 255, 255))
    assert (alpha[~seen] == 0).all()
    assert (alpha[MIDDLE - 30 : MIDDLE + 30, MIDDLE - 20 : MIDDLE + 20] == 255).all()
    assert ((alpha > 0) & (alpha < 255)).any()


@pytest.mark.parametrize("turns", range(4))
def test_hair_that_hangs_in_from_the_crown_is_not_covered(turns):
    picture = skin()
    picture[:35, 40:56] = 20
    alpha, _ = alpha_of(
        np.ascontiguousarray(np.rot90(picture, -turns)), zones=(0, 255, 0), points=upright(turns)
    )
    alpha = np.rot90(alpha, turns)
    assert alpha[12:30, 44:52].max() < 30
    assert alpha[40:80, 44:52].min() == 255


def test_a_dark_spot_with_skin_around_it_is_covered():
    picture = skin()
    picture[30:40, 40:56] = 20
    alpha, _ = alpha_of(picture, zones=(0, 255, 255))
    assert alpha[30:40, 40:56].min() > 200


@pytest.mark.parametrize("colour", [(15, 15, 18), (40, 220, 40), (200, 60, 40)])
def test_what_comes_in_from_the_side_in_another_colour_is_not_covered(colour):
    picture = skin()
    picture[40:56, :30] = colour
    alpha, _ = alpha_of(picture, zones=(0, 0, 255))
    assert alpha[44:52, 12:24].max() < 60
    assert alpha[44:52, 36:80].min() == 255


def test_where_hair_cannot_come_in_the_face_is_covered_whatever_the_colour():
    picture = skin()
    picture[:35, 40:56] = 20
    alpha, _ = alpha_of(picture)
    assert alpha[12:30, 44:52].min() == 255
