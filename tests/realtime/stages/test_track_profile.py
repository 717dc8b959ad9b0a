"""A head turned far, of which the networks say different things."""

from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest

from engines.models.face_finder import LocatedFace
from realtime.frame import FaceState, Frame, PictureSpec
from realtime.memory import Memory
from realtime.stages.track import Track, TrackConfig

WIDTH, HEIGHT = 640, 480
PERIOD_NS = 33_333_333


class Finder:
    """Says what it was told to, whatever the picture."""

    def __init__(self):
        self.followed = self.recovered = self.looked_at = None
        self.found = []

    def follow(self, image, square, *, min_score, thorough):
        return self.followed

    def recover(self, image, landmarks, *, min_detection, min_score):
        return self.recovered

    def look(self, image, square, *, min_score):
        return self.looked_at

    def look_turned(self, image, landmarks, *, quarter_turns, min_score):
        return None

    def is_detected(self, image, landmarks):
        return True

    def search(self, image, wanted, *, far):
        return self.found

    def glance(self, image, **settings):
        return []

    def confirm(self, image, candidates, **settings):
        return []


class World:
    """A track stage that has just found a head turned by 50 degrees."""

    def __init__(self, face):
        self.finder = Finder()
        self.stage = Track(TrackConfig(), None, lambda: nullcontext(self.finder))
        self.stage.open(PictureSpec(WIDTH, HEIGHT, Fraction(30), False), Memory())
        self.frame = Frame.blank(PictureSpec(WIDTH, HEIGHT, Fraction(30), False))
        self.finder.found = [face]
        self.see()
        self.finder.found = []

    def see(self):
        self.frame.media_ns += PERIOD_NS
        self.stage.process(self.frame)
        return self.frame.faces

    def close(self):
        self.stage.close()


@pytest.fixture
def profile(sitter):
    """Landmarks of the turned head."""
    return sitter.landmarks(width_px=180.0, centre=(320.0, 240.0), yaw=50.0)


@pytest.fixture
def world(profile):
    world = World(LocatedFace(profile, 1.0))
    yield world
    world.close()


def drawn_together(points):
    """As the landmark network draws a profile into the box that a detector gives."""
    middle = points.mean(axis=0)
    return (middle + (points - middle) * (0.5, 0.6, 0.6)).astype(np.float32)


def the_only_face(faces):
    (face,) = faces
    assert face.state is FaceState.SEEN
    assert face.track_id == 0
    return face


def test_landmarks_drawn_together_around_its_place_do_not_move_a_face(world, profile):
    world.finder.followed = LocatedFace(profile + np.float32(2.0), 0.6)
    world.finder.recovered = LocatedFace(drawn_together(profile), 0.99)
    assert np.array_equal(the_only_face(world.see()).landmarks, profile + 2.0)


def test_landmarks_drawn_together_in_its_place_are_no_other_face(world, profile):
    world.finder.followed = LocatedFace(profile + np.float32(2.0), 0.6)
    world.finder.found = [LocatedFace(drawn_together(profile), 0.99)]
    assert np.array_equal(the_only_face(world.see()).landmarks, profile + 2.0)


def test_a_face_that_has_moved_is_taken_from_where_it_was_found(world, profile):
    world.finder.followed = LocatedFace(profile + np.float32(2.0), 0.6)
    there = profile + np.float32([120.0, 0.0, 0.0])
    world.finder.found = [LocatedFace(there, 0.99)]
    assert np.array_equal(the_only_face(world.see()).landmarks, there)


def test_a_profile_that_the_detector_alone_believes_in_is_seen(world, profile):
    world.finder.looked_at = LocatedFace(profile + np.float32(2.0), 0.02)
    assert np.array_equal(the_only_face(world.see()).landmarks, profile + 2.0)


def test_a_profile_that_nobody_sees_is_lost(world):
    (face,) = world.see()
    assert face.state is FaceState.LOST
