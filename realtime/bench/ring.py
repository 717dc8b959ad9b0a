"""How long a frame takes from one thread to the next.

The time from the producer's call of ``publish`` to the consumer's return from ``wait_take``, once
with the consumer asleep (as between a camera and an engine that keeps up; this contains waking a
thread) and once on a single thread (the ring's own cost: reserve, publish, take, release).
"""

import threading
import time
from collections.abc import Callable

from realtime.metrics import Histogram, Json
from realtime.ring import MIN_LIVE_SLOTS, Policy, Ring

Slot = list[int]

FRAME_GAP_S = 0.0005
"""Long enough for the consumer to fall asleep between two frames."""


def _new_ring(policy: Policy) -> Ring[Slot]:
    return Ring([[0] for _ in range(MIN_LIVE_SLOTS)], policy)


def measure_threads(policy: Policy, num_frames: int) -> Histogram:
    """Hand-overs between two threads, the consumer asleep when a frame comes."""
    ring = _new_ring(policy)
    handed_over = Histogram()

    def produce() -> None:
        for _ in range(num_frames):
            time.sleep(FRAME_GAP_S)
            slot = ring.wait_reserve()
            if slot is None:
                return
            slot[0] = time.perf_counter_ns()
            ring.publish()
        ring.finish()

    producer = threading.Thread(target=produce)
    producer.start()
    while (slot := ring.wait_take()) is not None:
        handed_over.add(time.perf_counter_ns() - slot[0])
        ring.release()
    producer.join()
    return handed_over


def measure_calls(policy: Policy, num_frames: int) -> Histogram:
    """The four calls of one hand-over on one thread."""
    ring = _new_ring(policy)
    handed_over = Histogram()
    for _ in range(num_frames):
        began_ns = time.perf_counter_ns()
        ring.wait_reserve()
        ring.publish()
        ring.wait_take()
        ring.release()
        handed_over.add(time.perf_counter_ns() - began_ns)
    return handed_over


def _summary(durations: Histogram) -> Json:
    return {
        "frames": durations.count,
        "p50_us": round(durations.quantile_ns(0.5) / 1_000, 1),
        "p99_us": round(durations.quantile_ns(0.99) / 1_000, 1),
        "max_us": round(durations.max_ns / 1_000, 1),
    }


def measure_ring(num_frames: int) -> Json:
    """Every way of handing over, with its figures.

    Args:
        num_frames: hand-overs for each.
    """
    kinds: dict[str, Callable[[Policy, int], Histogram]] = {
        "threads": measure_threads,
        "calls": measure_calls,
    }
    return {
        f"{policy.value} {kind}": _summary(measure(policy, num_frames))
        for policy in Policy
        for kind, measure in kinds.items()
    }
