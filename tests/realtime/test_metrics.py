import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.machine import machine_facts, resident_bytes
from realtime.metrics import Histogram, Metrics, Recent
from realtime.ring import Policy, Ring

MS_NS = 1_000_000
SECOND_NS = 1_000_000_000


def exact_quantile(values, fraction):
    ordered = sorted(values)
    return ordered[max(1, math.ceil(fraction * len(ordered))) - 1]


@given(
    st.lists(st.integers(1_000, 3_600 * SECOND_NS), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]),
)
def test_quantiles_are_within_one_percent(values, fraction):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = exact_quantile(values, fraction)
    assert histogram.quantile_ns(fraction) == pytest.approx(exact, rel=0.01)
    assert histogram.max_ns == max(values)
    assert histogram.count == len(values)


def test_an_empty_histogram_says_zero():
    assert Histogram().quantile_ns(0.99) == 0.0
    assert Histogram().quantile_ms(0.99) == 0.0
    assert Histogram().max_ns == 0


def test_durations_out_of_range_are_counted_and_never_exceed_the_maximum():
    histogram = Histogram()
    for value in (0, 1, 999, 10**18):
        histogram.add(value)
    assert histogram.count == 4
    assert histogram.quantile_ns(0.5) <= 1_000
    assert histogram.quantile_ns(1.0) <= 10**18


def captured_and_ended(metrics, *, captured, delivered, failed):
    intake, sender = metrics.tally(), metrics.tally()
    intake.captured, sender.delivered, sender.failed = captured, delivered, failed


def overfull_ring(policy):
    """A ring of which one frame was taken and five were not."""
    ring = Ring([[0] for _ in range(6)], policy)
    for _ in range(6):
        ring.reserve()
        ring.publish()
        if ring.published == 1:
            ring.wait_take(timeout_s=0)
            ring.release()
    ring.settle()
    return ring


def test_every_captured_frame_is_counted_once():
    metrics = Metrics(["work"])
    captured_and_ended(metrics, captured=10, delivered=1, failed=2)
    metrics.watch(overfull_ring(Policy.LIVE))
    counts = metrics.counts()
    assert (counts.captured, counts.delivered, counts.failed) == (10, 1, 2)
    assert (counts.dropped_stale, counts.dropped_overrun) == (5, 0)
    assert counts.in_flight == 2


def test_what_a_strict_ring_leaves_behind_has_failed_and_is_not_dropped():
    metrics = Metrics(["work"])
    captured_and_ended(metrics, captured=6, delivered=1, failed=0)
    metrics.watch(overfull_ring(Policy.STRICT))
    counts = metrics.counts()
    assert (counts.failed, counts.dropped_stale, counts.in_flight) == (5, 0, 0)


def test_the_rate_is_counted_from_the_first_to_the_last_picture():
    metrics = Metrics(["work"])
    assert metrics.fps() == 0.0
    metrics.sent(captured_ns=0, sent_ns=5 * SECOND_NS)
    assert metrics.fps() == 0.0
    for number in range(1, 31):
        metrics.sent(captured_ns=0, sent_ns=5 * SECOND_NS + number * SECOND_NS // 30)
    assert metrics.fps() == pytest.approx(30.0)


def test_recent_pictures_give_the_rate_of_the_last_second_and_the_latency_of_the_last_three():
    recent = Recent()
    assert recent.fps(0) == 0.0
    assert recent.latency_ms(0) == 0.0
    for number in range(100):
        recent.add(number * SECOND_NS // 25, (20 if number < 20 else 10) * MS_NS)
    now_ns = 99 * SECOND_NS // 25
    assert recent.fps(now_ns) == 25.0
    assert recent.latency_ms(now_ns) == 10.0
    assert recent.fps(now_ns + 2 * SECOND_NS) == 0.0


def test_recent_pictures_count_rates_that_overflow_their_room():
    recent = Recent()
    for number in range(5000):
        recent.add(number * SECOND_NS // 2000, MS_NS)
    assert recent.fps(5000 * SECOND_NS // 2000) == pytest.approx(2000)


def test_the_statistics_have_the_documented_shape_and_are_json():
    metrics = Metrics(["track", "swap"])
    metrics.stages["track"].worked.add(3 * MS_NS)
    metrics.sent(captured_ns=0, sent_ns=10 * MS_NS)
    metrics.sample_memory(300_000_000)
    metrics.sample_memory(200_000_000)
    stats = json.loads(json.dumps(metrics.as_dict(machine_facts())))
    assert set(stats) == {"frames", "fps", "latency_ms", "stages", "memory_mb", "machine"}
    assert set(stats["frames"]) == {
        "captured",
        "delivered",
        "dropped_stale",
        "dropped_overrun",
        "failed",
        "repeated",
    }
    assert set(stats["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert stats["latency_ms"]["max"] == 10.0
    assert list(stats["stages"]) == ["track", "swap"]
    assert stats["stages"]["track"]["worked_ms"]["p50"] == pytest.approx(3, rel=0.01)
    assert set(stats["stages"]["track"]["waited_ms"]) == {"p50", "p99"}
    assert stats["memory_mb"] == {"peak": 300.0}


def test_the_machine_is_described():
    facts = machine_facts()
    assert set(facts) == {"cpu", "cores", "memory_mb", "platform", "python"}
    assert facts["cpu"]
    assert facts["cores"] >= 1
    assert resident_bytes() > 1_000_000


def test_faces_are_counted_by_the_step_of_size_they_were_worked_on_in():
    metrics = Metrics(["swap"])
    assert "worked_px" not in metrics.as_dict(machine_facts())
    first, second = metrics.tally(), metrics.tally()
    for side_px in (40, 64, 65, 376):
        first.note_worked(side_px)
    for side_px in (30, 5000):
        second.note_worked(side_px)
    assert metrics.worked_px() == {64: 3, 96: 1, 384: 1, 512: 1}
    stats = json.loads(json.dumps(metrics.as_dict(machine_facts())))
    assert stats["worked_px"] == {"64": 3, "96": 1, "384": 1, "512": 1}
