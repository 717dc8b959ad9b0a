from dataclasses import replace

import numpy as np
import pytest

from realtime.followed_faces import FollowedFaces
from realtime.metrics import MS_NS
from realtime.sighting import believable

PERIOD_NS = 33 * MS_NS


@pytest.fixture
def at(sitter):
    """Gives a function from a place and size to a sighting."""

    def sighting(x=320.0, y=240.0, width_px=90.0, yaw=0.0):
        points = sitter.landmarks(width_px=width_px, centre=(x, y), yaw=yaw)
        found = believable(points, 1.0, width_px=1280, height_px=720)
        assert found is not None
        return found

    return sighting


@pytest.fixture
def faces():
    return FollowedFaces(reassociate_ms=1000.0, lost_ms=2500.0, most=3)


def ids(faces):
    return [face.track_id for face in faces]


def test_a_face_that_is_alone_is_believed_at_once_and_a_newcomer_later(faces, at):
    faces.associate(at(200.0), 0, alone=True)
    faces.associate(at(600.0), 0, alone=False)
    first, newcomer = faces
    assert first.is_confirmed
    assert not newcomer.is_confirmed
    for frame in (1, 2):
        faces.begin_frame()
        assert faces.see(newcomer, at(600.0), frame * PERIOD_NS)
    assert newcomer.is_confirmed


def test_a_new_frame_has_seen_nobody_and_knows_whom_the_last_one_saw(faces, at):
    faces.associate(at(200.0), 0, alone=True)
    (face,) = faces.begin_frame()
    assert not face.seen
    assert faces.boxes().shape == (0, 4)
    assert faces.begin_frame() == []


def test_a_face_found_again_keeps_its_number_for_a_while_only(faces, at):
    faces.associate(at(200.0), 0, alone=True)
    faces.begin_frame()
    faces.associate(at(205.0), 900 * MS_NS, alone=True)
    assert ids(faces) == [0]
    faces.begin_frame()
    faces.associate(at(205.0), 2000 * MS_NS, alone=True)
    assert ids(faces) == [0, 1]


@pytest.mark.parametrize(("yaw", "share"), [(0.0, 1.0), (50.0, 0.03), (-50.0, 0.03)])
def test_the_square_of_a_head_turned_far_keeps_its_size_for_a_while(faces, at, yaw, share):
    faces.associate(at(yaw=yaw), 0, alone=True)
    (face,) = faces
    before = face.square.side_px
    faces.begin_frame()
    smaller = at(width_px=75.0, yaw=yaw)
    assert faces.see(face, smaller, PERIOD_NS)
    assert face.square.side_px == pytest.approx(
        before + share * (smaller.square.side_px - before), rel=0.01
    )


def test_one_picture_that_draws_a_profile_as_looking_ahead_does_not_take_its_square_along(
    faces, at
):
    faces.associate(at(yaw=50.0), 0, alone=True)
    (face,) = faces
    ahead = at(width_px=83.0).square
    aside_px, down_px = face.square.x_px - ahead.x_px, face.square.y_px - ahead.y_px
    drawn_together = at(320.0 + aside_px, 240.0 + down_px, width_px=83.0)
    sides = []
    for frame in range(1, 16):
        faces.begin_frame()
        found = at(yaw=50.0) if frame == 1 else drawn_together
        assert faces.see(face, found, frame * PERIOD_NS)
        sides.append(face.square.side_px)
    least = drawn_together.square.side_px
    assert sides[1] - least > 0.7 * (sides[0] - least)
    assert sides[-1] == pytest.approx(least, rel=0.01)


def test_a_face_goes_to_the_nearest_of_those_that_are_missing(faces, at):
    for x in (200.0, 340.0):
        faces.associate(at(x), 0, alone=True)
    faces.begin_frame()
    faces.associate(at(320.0), PERIOD_NS, alone=True)
    assert [face.seen for face in faces] == [False, True]


def test_a_face_is_not_moved_to_where_another_is(faces, at):
    for x in (200.0, 290.0):
        faces.associate(at(x), 0, alone=True)
    first, second = faces.begin_frame()
    assert faces.see(second, at(230.0), PERIOD_NS)
    assert not faces.see(first, at(231.0), PERIOD_NS)
    assert not first.seen


def test_tidying_keeps_the_largest_and_lets_the_long_lost_go(faces, at):
    for x, width_px in ((100.0, 60.0), (300.0, 120.0), (500.0, 90.0), (700.0, 100.0)):
        faces.associate(at(x, width_px=width_px), 0, alone=True)
    faces.tidy(0)
    assert ids(faces) == [1, 3, 2]
    faces.begin_frame()
    faces.tidy(2400 * MS_NS)
    assert ids(faces) == [1, 3, 2]
    faces.tidy(2600 * MS_NS)
    assert ids(faces) == []


def test_of_two_in_one_place_the_elder_stays(faces, at):
    for x in (200.0, 500.0):
        faces.associate(at(x), 0, alone=True)
    first, second = faces
    second.last = replace(first.last, landmarks=np.copy(first.last.landmarks))
    faces.tidy(PERIOD_NS)
    assert ids(faces) == [0]


def test_numbers_are_not_used_again(faces, at):
    faces.associate(at(200.0), 0, alone=True)
    faces.forget()
    faces.associate(at(200.0), 0, alone=True)
    assert ids(faces) == [1]
