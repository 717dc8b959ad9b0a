import threading
from fractions import Fraction

import numpy as np
import pytest

from engines.errors import ModelError
from realtime.frame import Frame, PictureSpec
from realtime.memory import Memory
from realtime.stages.switch import Switch

SPEC = PictureSpec(8, 8, Fraction(30), live=True)


class Painter:
    """Writes its number, and remembers what was done with it."""

    name = "swap"

    def __init__(self, number, *, fails=False, on_process=lambda: None):
        self.number = number
        self.fails = fails
        self.on_process = on_process
        self.done = []

    def open(self, spec, memory):
        self.done.append("open")
        if self.fails:
            raise ModelError("no network")
        self.scratch = memory.host((4,), np.uint8)
        self.thread = threading.current_thread()

    def process(self, frame):
        assert self.done == ["open"]
        self.on_process()
        frame.image[:] = self.number

    def close(self):
        self.done.append("close")


def shown(switch):
    frame = Frame(np.zeros((8, 8, 3), np.uint8))
    switch.process(frame)
    return int(frame.image[0, 0, 0])


def opened(stage):
    switch = Switch(stage)
    switch.open(SPEC, Memory())
    return switch


class Lane:
    """Shows frames on a thread of its own until it is told to stop."""

    def __init__(self, switch):
        self.switch, self.seen = switch, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            self.seen.append(shown(self.switch))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def test_it_is_the_stage_it_holds():
    first = Painter(1)
    switch = opened(first)
    assert switch.name == "swap"
    assert switch.stage is first
    assert shown(switch) == 1
    switch.close()
    assert first.done == ["open", "close"]


def test_the_next_frame_is_the_new_stage_s_and_the_old_one_is_closed():
    first, second = Painter(1), Painter(2)
    switch = opened(first)
    with Lane(switch) as lane:
        while not lane.seen:
            pass
        switch.replace(second)
        assert first.done == ["open", "close"]
        assert second.thread is threading.current_thread()
    assert shown(switch) == 2
    changes = np.flatnonzero(np.diff(lane.seen))
    assert len(changes) <= 1
    switch.close()
    assert second.done == ["open", "close"]


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_old_stage_stays_open_while_the_new_one_draws_its_first_frame(error):
    first = Painter(1)
    seen, entered, replaced = [], threading.Event(), threading.Event()

    def draw():
        entered.set()
        # Long enough for a hand-over that did not wait to have closed the old one.
        replaced.wait(0.2)
        seen.append(tuple(first.done))
        if error:
            raise error

    def show():
        try:
            shown(switch)
        except ValueError:
            seen.append("failed")

    switch = opened(first)
    asking = threading.Thread(
        target=lambda: (switch.replace(Painter(2, on_process=draw)), replaced.set())
    )
    asking.start()
    while switch.stage is first:
        pass
    lane = threading.Thread(target=show)
    lane.start()
    assert entered.wait(5)
    asking.join()
    lane.join()
    assert seen == [("open",), "failed"] if error else [("open",)]
    assert first.done == ["open", "close"]
    switch.close()


def test_many_changes_leave_nothing_open():
    stages = [Painter(n) for n in range(20)]
    switch = opened(stages[0])
    with Lane(switch) as lane:
        for stage in stages[1:]:
            switch.replace(stage)
    switch.close()
    assert all(stage.done == ["open", "close"] for stage in stages)
    assert lane.seen == sorted(lane.seen)


def test_without_frames_the_old_stage_is_closed_in_the_end_and_nobody_waits_for_ever():
    first, second, third = Painter(1), Painter(2), Painter(3)
    switch = opened(first)
    switch.replace(second, wait_s=0.01)
    assert switch.stage is second
    switch.replace(third, wait_s=0.01)
    # The second one never worked, so it can go at once; the first may still be at work.
    assert second.done == ["open", "close"]
    assert first.done == ["open"]
    assert shown(switch) == 3
    switch.close()
    assert [stage.done for stage in (first, third)] == [["open", "close"]] * 2


def test_a_stage_that_cannot_be_opened_changes_nothing():
    first = Painter(1)
    switch = opened(first)
    with pytest.raises(ModelError, match="no network"):
        switch.replace(Painter(2, fails=True))
    assert shown(switch) == 1
    switch.close()
    assert first.done == ["open", "close"]


def test_before_the_run_the_new_stage_becomes_the_first():
    first, second = Painter(1), Painter(2)
    switch = Switch(first)
    switch.replace(second)
    switch.open(SPEC, Memory())
    assert shown(switch) == 2
    assert first.done == []
    switch.close()


def test_a_stage_that_is_ready_after_the_end_is_closed_again():
    first = Painter(1)
    switch = opened(first)

    class Late(Painter):
        def open(self, spec, memory):
            super().open(spec, memory)
            switch.close()

    late = Late(2)
    switch.replace(late)
    assert late.done == ["open", "close"]
    assert first.done == ["open", "close"]
