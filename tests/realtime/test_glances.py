from typing import NamedTuple

import numpy as np
import pytest

from realtime.glances import TURNS, Glances

MS_NS = 1_000_000


class Found(NamedTuple):
    """Detections, of which only the scores are asked for."""

    scores: tuple[float, ...]


class Finder:
    """Says what it was asked, and whether the picture is a copy."""

    def __init__(self):
        self.asked = []

    def glance(self, image, *, min_detection, quarter_turns=0, near=True):
        self.asked.append((min_detection, quarter_turns, near))
        image[:] = 0
        return [(Found((0.7, 0.6, 0.8, 0.9)), quarter_turns)]


@pytest.fixture
def image():
    return np.full((4, 6, 3), 9, np.uint8)


@pytest.fixture
def finder():
    return Finder()


@pytest.fixture
def glances(finder):
    made = Glances(finder, min_detection=0.3, turned_interval_ns=100 * MS_NS)
    yield made
    made.close()


def test_without_a_look_nothing_is_found(glances):
    assert glances.take() == ([], [])


def test_newcomers_are_looked_for_with_the_slow_detector_in_a_copy(glances, finder, image):
    glances.begin(image)
    newcomers, turned = glances.take()
    assert [number for _, number in newcomers] == [0]
    assert turned == []
    assert glances.take() == ([], [])
    assert finder.asked == [(0.3, 0, False)]
    assert (image == 9).all()


def test_turned_heads_are_looked_for_at_one_turn_after_the_other(glances, finder, image):
    found = []
    for number in range(6):
        glances.begin_turned(image, number * 100 * MS_NS)
        newcomers, turned = glances.take()
        assert newcomers == []
        found += [turns for _, turns in turned]
    assert sorted(found[:3]) == sorted(found[3:]) == sorted(TURNS)
    assert all(near and minimum > 0.5 for minimum, _, near in finder.asked)
    assert (image == 9).all()


def test_turned_heads_are_looked_for_at_the_low_rate_only(glances, finder, image):
    for number in range(31):
        glances.begin_turned(image, number * 33 * MS_NS)
        glances.take()
    # A second, of which a tenth passes between two looks at least.
    assert len(finder.asked) == 8


def test_another_scene_is_looked_at_at_once(glances, finder, image):
    for _ in range(2):
        glances.begin_turned(image, 0)
        glances.take()
        glances.reset()
    assert len(finder.asked) == 2


def test_a_picture_that_comes_alone_is_looked_at_all_round(glances, finder, image):
    # The one of three turns is the surest, then those of two and of one.
    assert [turns for _, turns in glances.look_all_round(image.copy())] == [3, 2, 1]
