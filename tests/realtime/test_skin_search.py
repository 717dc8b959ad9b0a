import numpy as np
import pytest

from realtime.face_zones import MAP_PX
from realtime.skin_light import GRID
from realtime.skin_search import SkinSearch

pytestmark = pytest.mark.models

ACROSS = (np.arange(MAP_PX, dtype=np.float32) / MAP_PX)[None]
DOWN = ACROSS.T
HAIR = (15.0, 15.0, 18.0)


@pytest.fixture(scope="module")
def search(zones, light):
    """Gives a function that searches a face which looks into the camera all over."""
    skin_search = SkinSearch(zones, light)

    def search_looks(looks):
        return skin_search.search(looks, np.ones((MAP_PX, MAP_PX), np.float32))

    return search_looks


def test_plain_skin_is_usable_and_given_on_the_grid(search, sitter, zones):
    shown = search(sitter.looks(spots=0.05))
    assert shown.unusable[(zones.flat > 0.5) & (zones.depth > 0.05)].max() < 0.1
    assert shown.weights.shape == (GRID, GRID)
    assert shown.colours.shape == (GRID, GRID, 3)
    assert shown.bare_chin


def test_hair_beside_a_cheek_is_unusable(search, sitter, zones):
    looks = sitter.looks(spots=0.05)
    curtain = (ACROSS > 0.78) & (zones.face > 0.5)
    looks[curtain] = HAIR
    shown = search(looks)
    assert shown.unusable[curtain & (DOWN > 0.35)].min() > 0.9
    assert shown.unusable[(zones.cheeks > 0.5) & (ACROSS < 0.5)].max() < 0.1


def test_a_beard_is_the_persons_own(search, sitter, zones):
    looks = sitter.looks(spots=0.05)
    beard = (DOWN > 0.6) & (zones.lips < 0.1) & (zones.face > 0.5)
    looks[beard] *= 0.4
    shown = search(looks)
    assert not shown.bare_chin
    assert shown.unusable[beard & (zones.aside < 0.3)].mean() < 0.1


def test_two_people_of_other_tones_are_searched_alike(search, sitter):
    pale, dark = (search(sitter.looks(skin=skin)) for skin in ((150, 180, 220), (45, 60, 90)))
    assert np.abs(pale.unusable - dark.unusable).mean() < 0.02
