import inspect
from contextlib import contextmanager
from importlib import util
from itertools import pairwise
from pathlib import Path

import pytest

from realtime.stream_lane import MAX_SLOTS, StreamLane

_SPEC = util.spec_from_file_location("gpu", Path(__file__).with_name("recording_gpu.py"))
gpu = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(gpu)

CHAIN = ("up", "detect", "swap", "fuse", "down")


class Stage:
    """Reads what the stage before wrote into the slot, and what it remembers itself."""

    def __init__(self, record, index, *, fails_at=None):
        self.name = CHAIN[index]
        self._record = record
        self._before = CHAIN[index - 1] if index else "pinned in"
        self._fails_at = fails_at
        self._frame = 0

    def enqueue(self, slot, *, stream):
        if self._frame == self._fails_at:
            raise OSError("out of memory")
        reads = {f"{self._before} {slot}", f"memory of {self.name}"}
        # The swapped face goes back into the picture that came up.
        reads |= {f"up {slot}"} if self.name == "fuse" else set()
        writes = {f"{self.name} {slot}", f"memory of {self.name}"}
        stream.work(self.name, self._frame, reads=reads, writes=writes)
        self._frame += 1


def run(num_frames, num_slots):
    """The record of some frames, each filled and read by the host as late as may be."""
    record = gpu.RecordingGpu()
    lane = StreamLane([Stage(record, index) for index in range(len(CHAIN))], record, num_slots)

    def finish(frame):
        slot = lane.wait_oldest()
        record.host("read", frame, reads={f"down {slot}"})

    for frame in range(num_frames):
        if lane.free_slot is None:
            finish(frame - num_slots)
        record.host("fill", frame, writes={f"pinned in {lane.free_slot}"})
        lane.enqueue()
    for frame in range(num_frames - num_slots, num_frames):
        finish(frame)
    assert lane.num_in_flight == 0
    return record


def number(steps, name, frame):
    return next(n for n, step in enumerate(steps) if (step.name, step.frame) == (name, frame))


@pytest.mark.parametrize("num_slots", range(1, MAX_SLOTS + 1))
def test_no_array_is_used_by_two_steps_in_no_certain_order(num_slots):
    assert not gpu.races(run(8, num_slots).steps)


@pytest.mark.parametrize("num_slots", range(1, MAX_SLOTS + 1))
def test_every_stage_waits_for_the_event_of_the_stage_before_it(num_slots):
    steps = run(8, num_slots).steps
    marks = {}
    for before, step, after in zip(steps, steps[1:], steps[2:], strict=False):
        if step.what != "work":
            continue
        assert (after.what, after.where) == ("record", step.where)
        marks[step.name, step.frame] = after.name
        index = CHAIN.index(step.name)
        if index:
            wanted = marks[CHAIN[index - 1], step.frame]
            assert (before.what, before.where, before.name) == ("wait", step.where, wanted)


@pytest.mark.parametrize("num_slots", [2, 3])
def test_a_stage_works_on_a_frame_while_the_next_works_on_the_frame_before(num_slots):
    steps = run(8, num_slots).steps
    known = gpu.befores(steps)
    for stage, following in pairwise(CHAIN):
        for frame in range(7):
            later, earlier = number(steps, stage, frame + 1), number(steps, following, frame)
            assert earlier not in known[later]
            assert later not in known[earlier]


def test_with_one_slot_a_frame_begins_when_the_one_before_it_has_ended():
    steps = run(5, 1).steps
    known = gpu.befores(steps)
    for frame in range(4):
        assert number(steps, "down", frame) in known[number(steps, "up", frame + 1)]


@pytest.mark.parametrize("num_slots", range(1, MAX_SLOTS + 1))
def test_the_host_waits_for_the_end_of_a_frame_and_for_nothing_else(num_slots):
    record = run(8, num_slots)
    waits = [step for step in record.steps if step.what == "synchronize"]
    ends = {
        after.name
        for step, after in pairwise(record.steps)
        if step.what == "work" and step.name == "down"
    }
    assert len(waits) == 8
    assert {step.name for step in waits} == ends
    assert all(step.where != "default" for step in record.steps)


def test_streams_and_events_are_made_once():
    few, many = run(4, 3), run(30, 3)
    assert few.num_streams == many.num_streams == len(CHAIN)
    assert few.num_events == many.num_events == 3 * len(CHAIN)


def test_frames_end_in_the_order_in_which_they_were_queued():
    record = gpu.RecordingGpu()
    lane = StreamLane([Stage(record, 0)], record, 2)
    assert [lane.enqueue(), lane.enqueue()] == [0, 1]
    assert lane.free_slot is None
    with pytest.raises(RuntimeError, match=r"a slot must be free.*got 2 frames in flight"):
        lane.enqueue()
    assert [lane.wait_oldest(), lane.free_slot, lane.enqueue(), lane.wait_oldest()] == [0, 0, 0, 1]
    lane.wait_all()
    assert lane.num_in_flight == 0
    with pytest.raises(RuntimeError, match="a frame must be in flight, got none"):
        lane.wait_oldest()


def test_after_a_stage_has_failed_frames_before_it_end_and_no_more_are_queued():
    record = gpu.RecordingGpu()
    lane = StreamLane([Stage(record, 0), Stage(record, 1, fails_at=1)], record, 3)
    lane.enqueue()
    with pytest.raises(OSError, match="out of memory"):
        lane.enqueue()
    with pytest.raises(RuntimeError, match="no stage have failed"):
        lane.enqueue()
    assert lane.wait_oldest() == 0
    assert lane.num_in_flight == 0
    lane.wait_all()
    # What was queued of the frame that failed may still run.
    *_, mark, wait_for_first, wait = record.steps
    assert (mark.what, mark.where) == ("record", "stream 2")
    assert wait_for_first.what == wait.what == "synchronize"
    assert wait.name == mark.name


def test_a_stage_may_bring_its_stream_and_each_ones_work_can_be_watched():
    record = gpu.RecordingGpu()
    own, seen = record.new_stream(), []

    @contextmanager
    def watch(name, stream):
        seen.append(("begin", name, stream.name))
        yield
        seen.append(("end", name, stream.name))

    stages = [Stage(record, 0), Stage(record, 1)]
    StreamLane(stages, record, 1, {CHAIN[1]: own}, watch).enqueue()
    assert record.num_streams == 2
    assert [step.where for step in record.steps if step.name == CHAIN[1]] == [own.name]
    assert seen == [
        (what, name, stream)
        for name, stream in ((CHAIN[0], "stream 2"), (CHAIN[1], own.name))
        for what in ("begin", "end")
    ]


def test_the_oldest_frame_is_done_when_its_last_event_is():
    record = gpu.RecordingGpu()
    lane = StreamLane([Stage(record, 0)], record, 2)
    assert not lane.is_oldest_done
    lane.enqueue()
    assert lane.is_oldest_done
    lane.wait_oldest()
    assert not lane.is_oldest_done


@pytest.mark.parametrize(("num_stages", "num_slots"), [(0, 1), (1, 0), (1, 4)])
def test_a_lane_without_stages_or_with_other_slots_is_refused(num_stages, num_slots):
    record = gpu.RecordingGpu()
    with pytest.raises(ValueError, match="there must be a stage and 1 to 3 slots"):
        StreamLane([Stage(record, 0)] * num_stages, record, num_slots)


def without(steps, what, where):
    return [step for step in steps if (step.what, step.where) != (what, where)]


def test_the_proof_sees_a_hand_over_that_is_missing():
    steps = run(4, 2).steps
    stream = next(step.where for step in steps if step.name == "fuse")
    found = gpu.races(without(steps, "wait", stream))
    assert ("swap", "fuse") in {(first.name, second.name) for first, second in found}


def test_the_proof_sees_a_slot_that_is_filled_too_early():
    found = gpu.races(without(run(4, 2).steps, "synchronize", "host"))
    pairs = {(first.name, second.name) for first, second in found}
    assert {("up", "fill"), ("down", "read")} <= pairs


def test_cupys_streams_and_events_take_what_the_recording_ones_take():
    cupy = pytest.importorskip("cupy")
    for ours, theirs, names in (
        (gpu.RecordingStream, cupy.cuda.Stream, ["wait_event"]),
        (gpu.RecordingEvent, cupy.cuda.Event, ["record", "synchronize"]),
    ):
        for name in names:
            taken = [inspect.signature(getattr(kind, name)).parameters for kind in (ours, theirs)]
            assert [*taken[0]] == [*taken[1]]
            assert [p.default for p in taken[0].values()] == [p.default for p in taken[1].values()]
