import math
from itertools import pairwise

import pytest

from realtime.provenance.label_place import Box, Place, Placer

PICTURE = (1280, 720)
LARGE, SMALL = (400, 80), (110, 80)
SECOND_NS = 1_000_000_000
TOP_RIGHT = (1280 - 400 - 14, 14)


def covers(placer_place, boxes: list[Box], forms=(LARGE, SMALL)) -> bool:
    width, height = forms[placer_place.form]
    left, top = placer_place.left, placer_place.top
    return any(
        left < box[2] and box[0] < left + width and top < box[3] and box[1] < top + height
        for box in boxes
    )


@pytest.fixture
def placer() -> Placer:
    return Placer(PICTURE, (LARGE, SMALL))


def test_without_a_face_the_label_is_at_the_top_right(placer: Placer):
    place = placer.place([], 0)
    assert (place.form, place.left, place.top) == (0, *TOP_RIGHT)


def test_a_face_at_the_top_right_moves_it_at_once(placer: Placer):
    placer.place([], 0)
    face = (900.0, 20.0, 1200.0, 300.0)
    place = placer.place([face], 1)
    assert place.form == 0
    assert not covers(place, [face])


def test_it_returns_when_its_first_place_has_been_free_for_a_second(placer: Placer):
    face = (900.0, 20.0, 1200.0, 300.0)
    moved = placer.place([face], 0)
    assert placer.place([], SECOND_NS // 2) == moved
    assert placer.place([face], SECOND_NS) == moved
    assert placer.place([], 2 * SECOND_NS) == moved
    assert placer.place([], 3 * SECOND_NS - 1) == moved
    assert (placer.place([], 3 * SECOND_NS).left, moved.top) == TOP_RIGHT


def test_a_face_that_trembles_at_the_edge_does_not_make_it_jump(placer: Placer):
    places = set()
    for number in range(60):
        edge = 90.0 + (number % 2) * 10
        places.add(placer.place([(900.0, edge, 1200.0, 500.0)], number * 33_000_000))
    assert len(places) == 1


def test_where_the_whole_label_would_cover_a_face_the_badge_alone_is_shown(placer: Placer):
    faces = [(150.0, 0.0, 1130.0, 720.0)]
    place = placer.place(faces, 0)
    assert place.form == 1
    assert not covers(place, faces)


def test_where_a_face_is_everywhere_it_covers_as_little_as_it_can(placer: Placer):
    faces = [(0.0, 0.0, 1280.0, 680.0)]
    place = placer.place(faces, 0)
    assert (place.form, place.top) == (1, 720 - 80 - 14)


def places_beside(placer: Placer, width: float, height: float) -> list[Place]:
    """The places over ten seconds beside a face of this size that sways and trembles."""
    places = []
    for number in range(300):
        tremble = ((number * 7) % 5 - 2, (number * 11) % 5 - 2)
        middle = (640 + 12 * math.sin(number / 10) + tremble[0], 360 + tremble[1])
        box = (
            middle[0] - width / 2,
            middle[1] - height / 2,
            middle[0] + width / 2,
            middle[1] + height / 2,
        )
        places.append(placer.place([box], number * 33_000_000))
    return places


@pytest.mark.parametrize("size", [(1120, 720), (1200, 840), (1280, 720), (2000, 2000)])
def test_where_a_face_is_everywhere_and_sways_the_label_stays(placer: Placer, size):
    assert len(set(places_beside(placer, *size))) == 1


def test_at_a_face_that_hardly_leaves_a_corner_free_it_goes_where_most_room_is(placer: Placer):
    seen = places_beside(placer, 1040, 660)
    assert sum(one != two for one, two in pairwise(seen)) < 15


def test_every_face_counts(placer: Placer):
    faces = [(800.0, 0.0, 1250.0, 300.0), (0.0, 0.0, 500.0, 300.0), (800.0, 400.0, 1280.0, 700.0)]
    assert not covers(placer.place(faces, 0), faces)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_boxes_that_are_no_numbers_are_left_out(placer: Placer, wrong: float):
    place = placer.place([(wrong, 0.0, 10.0, 10.0)], 0)
    assert (place.left, place.top) == TOP_RIGHT


def test_a_label_larger_than_the_picture_begins_inside_it():
    place = Placer((50, 40), ((400, 80),)).place([], 0)
    assert 0 <= place.left < 50
    assert 0 <= place.top < 40
