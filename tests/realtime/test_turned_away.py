import numpy as np
import pytest

from engines.models.face_finder import LocatedFace
from realtime.followed_faces import FollowedFace
from realtime.sighting import believable
from realtime.turned_away import seen_wider, turned_away

IMAGE = np.zeros((480, 640, 3), np.uint8)


class Finder:
    """Sees landmarks that it hardly believes in, and a detector that says what it is told to."""

    def __init__(self, landmarks, *, is_sure):
        self.landmarks = landmarks
        self.is_sure = is_sure

    def look(self, image, square, *, min_score):
        assert image is IMAGE
        return LocatedFace(self.landmarks, 0.02) if min_score <= 0.02 else None

    def is_detected(self, image, landmarks):
        assert image is IMAGE
        assert landmarks is self.landmarks
        return self.is_sure


@pytest.fixture
def head(sitter):
    """Gives a function from yaw, place and times seen to a face that is followed."""

    def face(yaw, x=320.0, times_seen=9):
        points = sitter.landmarks(width_px=150.0, centre=(x, 240.0), yaw=yaw)
        last = believable(points, 0.9, width_px=640, height_px=480)
        assert last is not None
        return FollowedFace(0, last, last.square, 0, times_seen)

    return face


def test_a_profile_that_only_the_detector_believes_in_is_still_there(head):
    face = head(50.0)
    landmarks = head(52.0).last.landmarks
    found = turned_away(Finder(landmarks, is_sure=True), IMAGE, face)
    assert found is not None
    assert found.landmarks is landmarks
    assert found.score == 0.02


def test_a_profile_that_the_detector_does_not_see_either_is_gone(head):
    landmarks = head(52.0).last.landmarks
    assert turned_away(Finder(landmarks, is_sure=False), IMAGE, head(50.0)) is None


def test_landmarks_that_jump_are_not_believed(head):
    landmarks = head(50.0, x=400.0).last.landmarks
    assert turned_away(Finder(landmarks, is_sure=True), IMAGE, head(50.0)) is None


@pytest.mark.parametrize(("yaw", "times_seen"), [(10.0, 9), (50.0, 1)], ids=["ahead", "newcomer"])
def test_only_a_known_face_that_was_turned_far_is_held_so(head, yaw, times_seen):
    face = head(yaw, times_seen=times_seen)
    assert turned_away(Finder(face.last.landmarks, is_sure=True), IMAGE, face) is None


class CropFinder:
    """Draws a profile into its crop, and less so into a wider one."""

    def __init__(self, landmarks):
        self.landmarks = landmarks
        self.sides_px = []

    def look(self, image, square, *, min_score):
        assert image is IMAGE
        self.sides_px.append(square.side_px)
        return LocatedFace(self.landmarks, 0.9) if min_score <= 0.9 else None


def test_a_profile_that_was_drawn_together_is_seen_in_a_wider_crop(head):
    face = head(50.0)
    face.turn = 1.0
    finder = CropFinder(head(48.0).last.landmarks)
    found = seen_wider(finder, IMAGE, face, head(12.0).last, min_score=0.3)
    assert found.landmarks is finder.landmarks
    assert finder.sides_px == [pytest.approx(1.12 * face.square.side_px)]


@pytest.mark.parametrize(("wider_yaw", "min_score"), [(5.0, 0.3), (48.0, 0.95)])
def test_a_wider_crop_that_shows_no_better_face_changes_nothing(head, wider_yaw, min_score):
    face, seen = head(50.0), head(12.0).last
    face.turn = 1.0
    finder = CropFinder(head(wider_yaw).last.landmarks)
    assert seen_wider(finder, IMAGE, face, seen, min_score=min_score) is seen
    assert finder.sides_px


@pytest.mark.parametrize(("turn", "yaw"), [(0.0, 3.0), (1.0, 48.0)])
def test_a_face_that_goes_on_as_it_was_is_not_looked_at_twice(head, turn, yaw):
    face, seen = head(50.0), head(yaw).last
    face.turn = turn
    finder = CropFinder(head(48.0).last.landmarks)
    assert seen_wider(finder, IMAGE, face, seen, min_score=0.3) is seen
    assert finder.sides_px == []
