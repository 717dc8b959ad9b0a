import threading
from itertools import pairwise

import pytest

from realtime.sources import reopening
from realtime.sources.reopening import MAX_STUCK, Reopening
from realtime.sources.whereabouts import Place


class World:
    """A camera, its readers and the time, all in steps of one poll.

    Args:
        places: where the camera is at each poll; the last one stays.
        gives: whether an attempt in this place gives a picture.
        hangs: whether a reader that is closed stays in the driver.
    """

    def __init__(self, places, gives=lambda place: True, hangs=False):
        self.places, self.gives, self.hangs = list(places), gives, hangs
        self.now_s = 0.0
        self.attempts = []
        self.closed = self

    def clock(self):
        return round(self.now_s * 1e9)

    def locate(self):
        index = min(int(self.now_s / reopening.POLL_S), len(self.places) - 1)
        return self.places[index]

    def open_at(self, wanted):
        self.attempts.append((round(self.now_s, 2), wanted[0][0]))
        return Attempt(self, wanted[0][0])

    # The event that ends the search.
    def is_set(self):
        return self.now_s > 60

    def wait(self, timeout_s):
        self.now_s += timeout_s

    def search(self, attempt_s=1.0):
        return Reopening(
            self.locate, self.open_at, clock=self.clock, closed=self, attempt_s=attempt_s
        ).wait_open()


class Attempt:
    """A reader."""

    ended = False

    def __init__(self, world, index):
        self.world, self.index = world, index
        self.stuck = True

    def start(self):
        """There is no thread."""

    def wait_first(self, timeout_s):
        self.world.now_s += timeout_s
        place = self.world.locate()
        return place is not None and place.index == self.index and self.world.gives(place)

    def close(self, *, wait):
        self.stuck = self.world.hangs


HERE, AGAIN = Place(0, 200, 1), Place(3, 200, 2)


def test_a_camera_that_comes_back_is_tried_within_one_poll():
    world = World([None] * 20 + [AGAIN])
    reader, place = world.search()
    assert place == AGAIN
    assert world.attempts == [(5.0, 3)]
    assert reader.stuck


def test_one_that_stays_and_gives_nothing_is_tried_ever_more_rarely():
    world = World([HERE], gives=lambda place: False)
    assert world.search() is None
    starts = [at for at, _ in world.attempts]
    # Each attempt takes a second, and then the wait begins.
    gaps = [b - a - 1.0 for a, b in pairwise(starts)]
    assert gaps[:6] == pytest.approx([0.5, 1, 2, 4, 8, 8], abs=reopening.POLL_S)


def test_plugging_it_in_again_starts_afresh_at_once():
    # Tried in vain at 0 s, then at longer and longer intervals, until it is another device.
    world = World([HERE] * 50 + [AGAIN], gives=lambda place: place == AGAIN)
    _, place = world.search()
    assert place == AGAIN
    assert world.now_s < 50 * reopening.POLL_S + 1.0


def test_an_attempt_ends_when_the_device_goes_away_again():
    world = World([HERE, HERE, None, None, AGAIN], gives=lambda place: place == AGAIN)
    world.search(attempt_s=30.0)
    assert world.now_s < 2.0


def test_a_driver_that_hangs_does_not_collect_threads_without_end():
    world = World([HERE], gives=lambda place: False, hangs=True)
    world.is_set = lambda: world.now_s > 600
    assert world.search() is None
    assert len(world.attempts) == MAX_STUCK


def test_the_search_ends_when_it_is_told_to():
    closed = threading.Event()
    closed.set()
    world = World([HERE])
    search = Reopening(world.locate, world.open_at, clock=world.clock, closed=closed, attempt_s=1)
    assert search.wait_open() is None
    assert not world.attempts
