import threading
import zlib
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.ring import Bell, Policy, Ring

_SPEC = util.spec_from_file_location("stepping", Path(__file__).with_name("stepping.py"))
stepping = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(stepping)

PROTOCOL = (
    "reserve",
    "_reserve_free",
    "_reserve_unclaimed",
    "publish",
    "take",
    "take_newest",
    "_count_up_to",
    "release",
)
SHARED = ("_head", "_claimed", "_stamps")


def stepped_ring(change=("", "")):
    return stepping.stepped_class(Ring, methods=PROTOCOL, shared=SHARED, change=change)


def writing(ring, num_frames):
    """A producer that writes each frame in two halves; polls where there is no room."""
    for number in range(num_frames):
        while (slot := (yield from ring.reserve())) is None:
            yield
        yield
        slot[0] = number
        yield
        slot[1] = number
        yield from ring.publish()


def reading(ring, num_takes, seen):
    """A consumer that reads each frame in two halves; a fixed number of looks."""
    take = ring.take if ring.policy is Policy.STRICT else ring.take_newest
    for _ in range(num_takes):
        newest = ring._stamps[(ring._head - 1) % len(ring._stamps)] if ring._head else -1
        slot = yield from take()
        if slot is None:
            continue
        yield
        first = slot[0]
        yield
        assert slot[1] == first, "torn"
        if ring.policy is Policy.LIVE:
            assert first >= newest, "not the newest"
        seen.append(first)
        yield from ring.release()


def finished(steps):
    """Runs a generator to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def new_world(ring_class, policy, num_slots, num_frames, num_takes):
    slots = [[-1, -1] for _ in range(num_slots)]
    ring = ring_class(slots, policy)
    seen = []

    def state():
        counters = (ring._head, ring._claimed, ring.published, ring._writing, ring._reading)
        counts = (ring._taken, ring.dropped_stale, ring.dropped_overrun)
        return (*counters, *counts, *ring._stamps, *map(tuple, slots), tuple(seen))

    def at_end():
        for _ in range(num_frames):
            finished(reading(ring, 1, seen))
        finished(ring._count_up_to(ring.published))
        assert seen == sorted(set(seen)), "out of order"
        assert seen[-1] == num_frames - 1, "the newest is missing"
        dropped = ring.dropped_stale + ring.dropped_overrun
        assert ring.published == num_frames == len(seen) + dropped
        if policy is Policy.STRICT:
            assert dropped == 0, "lost"

    sides = {
        "producer": writing(ring, num_frames),
        "consumer": reading(ring, num_takes, seen),
    }
    return stepping.World(sides, state, at_end)


def explore(policy, num_slots, num_frames, num_takes, change=("", "")):
    ring_class = stepped_ring(change)
    worlds = stepping.explore(
        lambda: new_world(ring_class, policy, num_slots, num_frames, num_takes)
    )
    return sum(1 for _ in worlds)


@pytest.mark.parametrize(("num_slots", "num_frames"), [(1, 3), (2, 4), (3, 5)])
def test_no_interleaving_of_a_strict_ring_tears_loses_or_reorders(num_slots, num_frames):
    # The consumer looks often enough for some schedules to drain the ring on the way.
    assert explore(Policy.STRICT, num_slots, num_frames, num_frames) > 1


@pytest.mark.parametrize(("num_slots", "num_frames", "num_takes"), [(4, 6, 2), (5, 5, 2)])
def test_no_interleaving_of_a_live_ring_tears_reorders_or_miscounts(
    num_slots, num_frames, num_takes
):
    assert explore(Policy.LIVE, num_slots, num_frames, num_takes) > 1


@pytest.mark.parametrize(
    "change",
    [
        ("head_now <= head + self._num_slots - 3", "head_now <= head + self._num_slots - 2"),
        ("(ticket - claimed) % self._num_slots == 0", "False"),
    ],
    ids=["a claim that comes too late is believed", "a claim is not respected"],
)
def test_the_exploration_notices_a_broken_protocol(change):
    with pytest.raises((AssertionError, RuntimeError), match=r"torn|out of order|stay as it is"):
        explore(Policy.LIVE, 4, 6, 2, change)


def test_a_strict_ring_hands_over_every_frame_in_order_and_refuses_when_full():
    ring = Ring([[None], [None]], Policy.STRICT)
    for number in (0, 1):
        ring.reserve()[0] = number
        ring.publish()
    assert ring.reserve() is None
    assert ring.take() == [0]
    assert ring.take() == [0]
    ring.release()
    ring.reserve()[0] = 2
    ring.publish()
    assert ring.take() == [1]
    ring.release()
    assert ring.take() == [2]
    ring.release()
    assert ring.take() is None
    assert ring.published == 3
    assert ring.dropped_stale == ring.dropped_overrun == 0


def published(ring, numbers):
    for number in numbers:
        ring.reserve()[0] = number
        ring.publish()


def test_a_live_ring_gives_the_newest_frame_once():
    ring = Ring([[None] for _ in range(4)], Policy.LIVE)
    assert ring.take_newest() is None
    published(ring, [0, 1])
    assert ring.take_newest() == [1]
    ring.release()
    assert ring.take_newest() is None


def test_a_frame_passed_over_is_stale_while_it_lies_in_the_ring_and_overrun_when_it_does_not():
    ring = Ring([[None] for _ in range(4)], Policy.LIVE)
    published(ring, [0])
    assert ring.take_newest() == [0]
    ring.release()
    # Slot 0 stays claimed: of frames 1 to 6 the last three lie in the other slots.
    published(ring, range(1, 7))
    assert ring.take_newest() == [6]
    assert (ring.dropped_stale, ring.dropped_overrun) == (2, 3)
    published(ring, [7, 8])
    assert ring.take_newest() == [8]
    assert (ring.dropped_stale, ring.dropped_overrun) == (3, 3)


def test_the_producer_of_a_live_ring_never_touches_the_slot_that_is_read():
    ring = Ring([[None] for _ in range(4)], Policy.LIVE)
    published(ring, [0, 1, 2])
    held = ring.take_newest()
    published(ring, range(3, 103))
    assert held == [2]
    ring.release()
    assert ring.take_newest() == [102]


@given(st.lists(st.booleans(), max_size=60), st.integers(4, 7))
def test_every_frame_of_a_live_ring_is_taken_or_counted_as_dropped(moves, num_slots):
    ring = Ring([[None] for _ in range(num_slots)], Policy.LIVE)
    taken = []
    for publishes in moves:
        if publishes:
            published(ring, [ring.published])
        elif (slot := ring.take_newest()) is not None:
            taken.append(slot[0])
            ring.release()
    left = ring.settle()
    assert ring.published == len(taken) + ring.dropped_stale + ring.dropped_overrun
    assert left == ring.published - 1 - (taken[-1] if taken else -1)
    assert ring.settle() == 0


def test_reserving_twice_gives_the_same_slot():
    for policy in Policy:
        ring = Ring([[None] for _ in range(4)], policy)
        assert ring.reserve() is ring.reserve()


def test_calls_out_of_turn_are_refused():
    strict = Ring([[None]], Policy.STRICT)
    live = Ring([[None] for _ in range(4)], Policy.LIVE)
    with pytest.raises(RuntimeError, match="reserved first"):
        strict.publish()
    with pytest.raises(RuntimeError, match="taken first"):
        strict.release()
    with pytest.raises(RuntimeError, match="Use take"):
        strict.take_newest()
    with pytest.raises(RuntimeError, match="Use take_newest"):
        live.take()


@pytest.mark.parametrize(("policy", "num_slots"), [(Policy.STRICT, 0), (Policy.LIVE, 3)])
def test_too_few_slots_are_refused(policy, num_slots):
    with pytest.raises(ValueError, match="must have at least"):
        Ring([[None]] * num_slots, policy)


def test_a_finished_ring_still_gives_what_is_in_it_and_then_has_ended():
    for policy in Policy:
        ring = Ring([[None] for _ in range(4)], policy)
        published(ring, [0])
        ring.finish()
        assert not ring.ended
        assert ring.wait_take() == [0]
        ring.release()
        assert ring.ended
        assert ring.wait_take() is None


def test_a_cancelled_ring_keeps_nobody_waiting():
    ring = Ring([[None]], Policy.STRICT)
    published(ring, [0])
    ring.cancel()
    assert ring.cancelled
    assert ring.ended
    assert ring.wait_take() is None
    assert ring.wait_reserve() is None


def test_waiting_gives_up_after_its_time():
    ring = Ring([[None]], Policy.STRICT)
    assert ring.wait_take(timeout_s=0) is None
    published(ring, [0])
    assert ring.wait_reserve(timeout_s=0) is None


def test_a_bell_rung_early_is_heard_once():
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_threads_hand_over_whole_frames_in_order_and_strict_loses_none():
    num_frames = 3000
    for policy in Policy:
        ring = Ring([np.zeros(2000, np.uint8) for _ in range(4)], policy)
        thread = threading.Thread(target=produce_checksummed, args=(ring, num_frames))
        thread.start()
        seen = []
        while (frame := ring.wait_take(timeout_s=10)) is not None:
            assert zlib.crc32(frame[4:]) == int(frame[:4].view(np.uint32)[0]), "torn"
            seen.append(int(frame[4:8].view(np.uint32)[0]))
            ring.release()
        thread.join()
        assert ring.ended
        assert seen == sorted(set(seen))
        assert seen[-1] == num_frames - 1
        dropped = ring.dropped_stale + ring.dropped_overrun
        assert len(seen) + dropped == num_frames
        if policy is Policy.STRICT:
            assert dropped == 0


def produce_checksummed(ring, num_frames):
    noise = np.random.default_rng(1).integers(0, 256, (7, 1992), np.uint8)
    for number in range(num_frames):
        frame = ring.wait_reserve(timeout_s=10)
        frame[4:8].view(np.uint32)[0] = number
        frame[8:] = noise[number % 7]
        frame[:4].view(np.uint32)[0] = zlib.crc32(frame[4:])
        ring.publish()
    ring.finish()
