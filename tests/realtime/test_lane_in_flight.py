"""A lane whose last stage keeps several frames in hand."""

import threading
import time
from importlib import util
from pathlib import Path

import pytest

from realtime.errors import ContentError
from realtime.pipeline import Pipeline, Plan
from realtime.stages.guard import Guard

_SPEC = util.spec_from_file_location("fakes", Path(__file__).with_name("fakes.py"))
fakes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)


class Flight:
    """Paints over the raw face when a frame ends; a frame is done when the test says so.

    Args:
        capacity: frames in flight at most.
        begins, ends: what is raised, by number of the picture.
        is_done: asked whether the oldest is done.
    """

    name = "swap"

    def __init__(self, capacity, *, begins=None, ends=None, is_done=lambda: False):
        self.capacity = capacity
        self.begins, self.ends = begins or {}, ends or {}
        self._is_done = is_done
        self.frames, self.most, self.order = [], 0, []
        self.num_opened = self.num_closed = 0

    @property
    def is_done(self):
        return self._is_done()

    def open(self, spec, memory):
        self.num_opened += 1

    def process(self, frame):
        raise AssertionError("a lane must begin and end it")

    def begin(self, frame):
        number = fakes.number_of(frame.image)
        if number in self.begins:
            raise self.begins[number]
        assert len(self.frames) < self.capacity
        self.frames.append(frame)
        self.most = max(self.most, len(self.frames))

    def end(self, frame):
        assert self.frames.pop(0) is frame
        number = fakes.number_of(frame.image)
        self.order.append(number)
        if number in self.ends:
            raise self.ends[number]
        fakes.Swap().process(frame)

    def close(self):
        self.num_closed += 1


def run(flight, num_pictures, *, before=(), live=False, actions=None, max_failures=30):
    source = fakes.ScriptedSource(num_pictures, live=live, actions=actions)
    sink = fakes.RecordingSink()
    plan = Plan(
        source, ((*before, flight),), Guard(), (sink,), paced=False, max_failures=max_failures
    )
    pipeline = Pipeline(plan)
    try:
        pipeline.run(stop=threading.Event())
    finally:
        frames = pipeline.stats()["frames"]
        ended = ("delivered", "dropped_stale", "dropped_overrun", "failed")
        assert frames["captured"] == sum(frames[name] for name in ended)
        assert not sink.leaked
        assert flight.num_opened == flight.num_closed == 1
    return sink, frames


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_as_many_frames_are_in_flight_as_there_is_room_for(capacity):
    flight = Flight(capacity)
    sink, frames = run(flight, 20)
    assert flight.most == capacity
    assert sink.swapped_numbers == flight.order == list(range(20))
    assert (frames["delivered"], frames["failed"]) == (20, 0)


def test_a_frame_that_is_done_need_not_wait_for_the_next():
    # The source gives its second picture only after the first one has been shown.
    shown = threading.Event()
    flight = Flight(3, is_done=lambda: True)
    source = fakes.ScriptedSource(2, actions={1: lambda: shown.wait(5.0)})
    sink = fakes.RecordingSink(actions={0: shown.set})
    plan = Plan(source, ((flight,),), Guard(), (sink,), paced=False)
    Pipeline(plan).run(stop=threading.Event())
    assert sink.swapped_numbers == [0, 1]


def test_a_lane_has_nothing_to_do_while_it_looks_whether_a_frame_is_done():
    class Idle(fakes.Swap):
        """Notes how long the lane had nothing to do before each picture."""

        def __init__(self):
            super().__init__(name="track")
            self.idle_ns = []

        def process(self, frame):
            self.idle_ns.append(frame.idle_ns)

    before = Idle()
    naps = dict.fromkeys(range(1, 10), lambda: time.sleep(0.02))
    run(Flight(2), 10, before=(before,), actions=naps)
    assert sum(before.idle_ns) > 9 * 0.015e9


def test_frames_that_fail_are_hidden_in_their_place():
    fault = RuntimeError("lost")
    flight = Flight(3, begins={4: fault}, ends={7: fault, 8: fault})
    sink, frames = run(flight, 15)
    assert len(sink.pictures) == 15
    assert frames["failed"] == 3
    assert flight.order == [n for n in range(15) if n != 4]


def test_a_frame_on_which_a_stage_before_fails_is_not_begun():
    before = fakes.Swap(name="track", actions={5: ValueError("no")})
    flight = Flight(2)
    sink, frames = run(flight, 9, before=(before,))
    assert len(sink.pictures) == 9
    assert frames["failed"] == 1
    assert len(flight.order) == 8


def test_a_flight_that_fails_again_and_again_ends_the_work_on_a_file():
    faults = {number: RuntimeError("lost") for number in range(100)}
    with pytest.raises(Exception, match="swap: must work on the pictures, failed on 4 in a row"):
        run(Flight(3, ends=faults), 100, max_failures=4)


def test_what_must_not_be_shown_ends_the_run_and_frames_in_flight_are_accounted_for():
    with pytest.raises(ContentError):
        run(Flight(3, ends={6: ContentError("refused")}), 50)


def test_a_live_source_never_waits_for_frames_in_flight():
    flight = Flight(2, is_done=lambda: True)
    sink, frames = run(flight, 30, live=True)
    assert frames["captured"] == 30
    # What is too late for the output, too, is passed over there.
    assert set(sink.swapped_numbers) <= set(flight.order)
    assert flight.order == sorted(flight.order)
    assert sink.swapped_numbers[-1] == 29
