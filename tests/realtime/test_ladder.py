import itertools

import numpy as np
import pytest

from realtime.frame import Frame, PictureSpec
from realtime.ladder import (
    FIRST_REST_NS,
    LONGEST_REST_NS,
    PROVEN_NS,
    SECOND_NS,
    QualityLadder,
    ladder_for,
)

RATE_HZ = 30


PERIOD_NS = SECOND_NS // RATE_HZ


class Camera:
    """Gives numbers and times of pictures; every n-th is passed over where the engine is late."""

    def __init__(self, ladder):
        self.ladder = ladder
        self.seq = 0

    def frame(self, idle_ns):
        frame = Frame(np.zeros((1, 1, 3), np.uint8), seq=self.seq, idle_ns=idle_ns)
        frame.captured_ns = self.seq * SECOND_NS // RATE_HZ
        return frame

    def run(self, seconds, *, skips=lambda _: False):
        """Plays so long; says whether each picture that was looked at got the work."""
        answers = []
        for _ in range(round(seconds * RATE_HZ)):
            if not skips(self.ladder.is_on) or self.seq % 3:
                answers.append(self.ladder.allows(self.frame(None)))
            self.seq += 1
        return answers

    def work(self, seconds, busy):
        """Plays so long, the lane being busy for a part of the time by the rung; gives the rungs.

        Where that is more than all of it pictures are passed over.
        """
        rungs, owed = [0], 0.0
        for _ in range(round(seconds * RATE_HZ)):
            part = busy(rungs[-1])
            owed += max(0.0, part - 1) / part
            if owed >= 1:
                owed -= 1
            else:
                idle_ns = round(max(0.0, 1 - part) * PERIOD_NS)
                rungs.append(self.ladder.follow(self.frame(idle_ns)))
            self.seq += 1
        return rungs


def late_while_working(is_on):
    return is_on


def always_late(_):
    return True


def test_a_machine_that_keeps_up_always_gets_the_work():
    ladder = QualityLadder()
    assert all(Camera(ladder).run(60))
    assert (ladder.counts.switched_off, ladder.counts.rested) == (0, 0)


def test_one_hiccup_changes_nothing():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.run(2)
    camera.seq += 3
    assert all(camera.run(5))


def test_a_late_machine_rests_within_three_seconds_and_tries_again():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.run(3, skips=late_while_working)
    assert not ladder.is_on
    camera.run(FIRST_REST_NS / SECOND_NS + 1.5)
    assert ladder.is_on
    assert (ladder.counts.switched_off, ladder.counts.switched_on) == (1, 1)
    assert ladder.counts.rested > RATE_HZ


def test_a_machine_that_is_too_slow_for_good_is_tried_ever_more_seldom():
    ladder = QualityLadder()
    answers = Camera(ladder).run(600, skips=late_while_working)
    # Up at most a second or two at a time, and in the end once a minute.
    assert 5 <= ladder.counts.switched_on <= 16
    assert sum(answers[-120 * RATE_HZ :]) <= 6 * RATE_HZ
    assert ladder.counts.rested == answers.count(False)


def test_the_first_second_of_a_run_says_nothing():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.run(1, skips=late_while_working)
    assert all(camera.run(20))


def test_each_late_second_takes_one_rung_and_each_calm_rest_gives_one_back():
    ladder = QualityLadder(num_rungs=3)
    camera = Camera(ladder)
    rungs = [0]

    def run(seconds, skips):
        for _ in range(round(seconds * RATE_HZ)):
            if not skips or camera.seq % 3:
                rungs.append(ladder.follow(camera.frame(None)))
            camera.seq += 1

    run(10, skips=True)
    assert rungs[-1] == 2
    run(10 * FIRST_REST_NS / SECOND_NS, skips=False)
    assert rungs[-1] == 0
    steps = [now - before for before, now in itertools.pairwise(rungs) if now != before]
    assert steps == [1, 1, -1, -1]
    assert (ladder.counts.switched_off, ladder.counts.switched_on) == (2, 2)
    assert ladder.counts.rested == sum(rung > 0 for rung in rungs)


def test_it_rests_for_as_long_as_the_machine_is_late_without_it():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.run(120, skips=always_late)
    assert ladder.counts.switched_on == 0
    camera.run(FIRST_REST_NS / SECOND_NS + 2)
    assert ladder.is_on


def test_what_went_well_for_long_is_tried_again_soon_after_a_bad_moment():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.run(200, skips=late_while_working)
    camera.run(LONGEST_REST_NS / SECOND_NS + PROVEN_NS / SECOND_NS + 5)
    assert ladder.is_on
    before = ladder.counts.switched_on
    camera.run(2, skips=late_while_working)
    assert not ladder.is_on
    camera.run(FIRST_REST_NS / SECOND_NS + 2)
    assert ladder.is_on
    assert ladder.counts.switched_on == before + 1


def test_a_machine_that_is_all_but_late_does_less_before_it_passes_a_picture_over():
    ladder = QualityLadder(num_rungs=3)
    rungs = Camera(ladder).work(10, lambda rung: (0.9, 0.6, 0.4)[rung])
    assert rungs[-1] == 1
    assert ladder.counts.switched_off == 1


@pytest.mark.parametrize("above", [0.9, 1.3])
def test_work_that_would_not_fit_is_tried_once_a_minute_only(above):
    ladder = QualityLadder()
    rungs = Camera(ladder).work(600, lambda rung: (above, 0.6)[rung])
    assert 5 <= ladder.counts.switched_on <= 10
    assert rungs.count(0) <= (2 + ladder.counts.switched_on) * 1.1 * RATE_HZ


def test_once_there_is_room_again_all_of_the_work_is_done_within_four_seconds():
    ladder = QualityLadder()
    camera = Camera(ladder)
    assert camera.work(5, lambda rung: (1.2, 0.8)[rung])[-1] == 1
    assert camera.work(4, lambda rung: (0.6, 0.4)[rung])[-1] == 0


def test_work_that_seems_not_to_fit_because_of_one_bad_second_is_tried_after_a_minute():
    ladder = QualityLadder()
    camera = Camera(ladder)
    camera.work(2.2, lambda _: 0.5)
    camera.work(1.2, lambda rung: (3.0, 0.5)[rung])
    assert camera.work(30, lambda _: 0.5)[-1] == 1
    assert camera.work(35, lambda _: 0.5)[-1] == 0


def test_only_live_pictures_have_a_ladder_and_only_where_the_settings_allow_one():
    live, film = (PictureSpec(640, 480, RATE_HZ, is_live) for is_live in (True, False))
    assert ladder_for(live, allowed=True, num_rungs=3) is not None
    assert ladder_for(live, allowed=False) is None
    assert ladder_for(film, allowed=True) is None
