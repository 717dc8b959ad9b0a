from concurrent.futures import Future
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from realtime.frame import Face, Pose
from realtime.hand_watch import HandWatch

_SPEC = util.spec_from_file_location("hands", Path(__file__).with_name("hands.py"))
hands_of = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hands_of)
ScriptedFinder, flat_hand = hands_of.ScriptedFinder, hands_of.flat_hand

PERIOD_NS = 33_000_000
IMAGE = np.zeros((480, 640, 3), np.uint8)
HAND = flat_hand(320.0, 340.0, 70.0)
LOW_HAND = flat_hand(320.0, 420.0, 70.0)


def face_at(x=320.0, y=220.0, side=120.0):
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    return Face(1, box, np.zeros((468, 3), np.float32), 0.99, Pose(0, 0, 0))


class Watched:
    """A watch and the frames it has been shown."""

    def __init__(self, finder, **settings):
        self.finder = finder
        usual = {"search_ms": 400.0, "min_score": 0.5, "aside": hands_of.AtOnce()}
        self.watch = HandWatch(finder, **(usual | settings))
        self.now_ns = 0
        self.most_runs = 0

    def frames(self, count, faces=None, alarmed=False):
        hands = []
        for _ in range(count):
            runs = self.finder.searches + self.finder.looks
            self.now_ns += PERIOD_NS
            faces_now = [face_at()] if faces is None else faces
            hands = self.watch.update(IMAGE, self.now_ns, faces_now, alarmed=alarmed)
            self.most_runs = max(self.most_runs, self.finder.searches + self.finder.looks - runs)
        return hands


def test_a_hand_is_found_and_followed_with_one_network_a_frame():
    watched = Watched(ScriptedFinder((HAND, 0.95)))
    assert watched.frames(2) == []
    hands = watched.frames(1)
    assert len(hands) == 1
    assert hands[0] == pytest.approx(HAND)
    assert len(watched.frames(60)) == 1
    assert watched.most_runs == 1


def test_without_hands_the_detector_runs_at_its_interval_only():
    watched = Watched(ScriptedFinder())
    watched.frames(121)
    assert watched.finder.searches == pytest.approx(121 * PERIOD_NS / 400e6, abs=1.5)
    assert watched.finder.looks == 0


def test_an_alarm_makes_the_search_hurry_and_less_so_each_time_nothing_comes_of_it():
    watched = Watched(ScriptedFinder())
    searched = []
    for index in range(26):
        before = watched.finder.searches
        watched.frames(1, alarmed=True)
        if watched.finder.searches > before:
            searched.append(index)
    assert np.diff(searched).tolist() == [3, 5, 7, 10]


def test_a_doubtful_hand_must_be_seen_twice():
    watched = Watched(ScriptedFinder((LOW_HAND, 0.6)))
    assert watched.frames(3) == []
    assert len(watched.frames(1)) == 1
    once = Watched(ScriptedFinder((LOW_HAND, 0.6)))
    once.frames(3)
    once.finder.hands = [(LOW_HAND, 0.4)]
    assert once.frames(3) == []


def test_what_looks_like_a_hand_within_the_face_must_be_sure():
    ear = flat_hand(320.0, 270.0, 45.0)
    assert Watched(ScriptedFinder((ear, 0.85))).frames(6) == []
    assert len(Watched(ScriptedFinder((ear, 0.97))).frames(6)) == 1


@pytest.mark.parametrize("palm_px", [15.0, 300.0])
def test_a_hand_of_no_possible_size_is_none(palm_px):
    assert Watched(ScriptedFinder((flat_hand(320.0, 330.0, palm_px), 0.99))).frames(6) == []


def test_a_hand_that_goes_is_hidden_at_the_first_miss_and_searched_for():
    watched = Watched(ScriptedFinder((HAND, 0.95)))
    watched.frames(10)
    watched.finder.hands = []
    looks, searches = watched.finder.looks, watched.finder.searches
    while watched.finder.looks == looks:
        hands = watched.frames(1)
    assert hands == []
    watched.frames(2)
    assert watched.finder.searches == searches + 1


def test_a_steady_movement_is_carried_on_between_looks_and_a_jump_is_not():
    def step(watched, frames, px):
        for _ in range(frames):
            points, score = watched.finder.hands[0]
            watched.finder.hands = [(points + np.float32([px, 0, 0]), score)]
            hands = watched.frames(1)
        return hands[0], watched.finder.hands[0][0]

    watched = Watched(ScriptedFinder((flat_hand(280.0, 350.0, 70.0), 0.95)))
    watched.frames(3)
    errors = []
    for _ in range(12):
        seen, true = step(watched, 1, 4.0)
        errors.append(abs(float((seen - true)[:, 0].mean())))
    assert np.mean(errors[4:]) < 3.0
    still = Watched(ScriptedFinder((HAND, 0.95)))
    still.frames(3)
    other = HAND + np.float32([0, 100, 0])
    still.finder.hands = [(other, 0.95)]
    assert still.frames(8)[0] == pytest.approx(other, abs=1e-3)


def test_clasped_hands_are_two_and_the_same_hand_is_one():
    left, right = flat_hand(290.0, 350.0, 60.0, -0.5), flat_hand(380.0, 350.0, 60.0, 0.5)
    assert len(Watched(ScriptedFinder((left, 0.95), (right, 0.95))).frames(20)) == 2
    assert len(Watched(ScriptedFinder((left, 0.95), (left + 2, 0.95))).frames(20)) == 1


def test_without_faces_everything_is_forgotten():
    watched = Watched(ScriptedFinder((HAND, 0.95)))
    assert len(watched.frames(5)) == 1
    assert watched.frames(1, faces=[]) == []
    assert watched.frames(1) == []


def test_faces_are_searched_around_by_turns():
    far = flat_hand(120.0, 420.0, 50.0)
    faces = [face_at(560.0, 100.0, 80.0), face_at(120.0, 300.0, 80.0)]
    assert len(Watched(ScriptedFinder((far, 0.95))).frames(20, faces=faces)) == 1


def test_a_search_sees_the_picture_as_it_was_when_it_began():
    class Later(hands_of.AtOnce):
        """Does what it was given when it is told to."""

        def submit(self, work, /, *args, **kwargs):
            self.begun = (work, args, kwargs)
            self.promise = Future()
            return self.promise

        def finish(self):
            work, args, kwargs = self.begun
            self.promise.set_result(work(*args, **kwargs))

    class Remembering(ScriptedFinder):
        def detect(self, image, region, *, min_score):
            self.seen = image.copy()
            return super().detect(image, region, min_score=min_score)

    aside, finder = Later(), Remembering((HAND, 0.95))
    watch = HandWatch(finder, search_ms=400.0, min_score=0.5, aside=aside)
    image = np.full_like(IMAGE, 7)
    assert watch.update(image, PERIOD_NS, [face_at()], alarmed=False) == []
    image.fill(200)
    # The frame after need not wait for it.
    assert watch.update(image, 2 * PERIOD_NS, [face_at()], alarmed=True) == []
    aside.finish()
    hands = watch.update(image, 3 * PERIOD_NS, [face_at()], alarmed=False)
    assert (finder.seen == 7).all()
    assert hands[0] == pytest.approx(HAND)


def test_a_search_that_fails_is_told_when_it_is_taken_in():
    class Broken(ScriptedFinder):
        def detect(self, image, region, *, min_score):
            raise RuntimeError("no such network")

    watched = Watched(Broken())
    watched.frames(2)
    with pytest.raises(RuntimeError, match="no such network"):
        watched.frames(1)
    assert watched.frames(1) == []
