import pytest

from realtime.bench.arrivals import WARM_UP_NS, Arrival, Passage, figures, freezes, passages

MS = 1_000_000
PERIOD = 40 * MS
"""Of 25 pictures a second: whole microseconds, as stamps are."""


def run(num, *, latency_ms=20, skip=(), again=(), swap=None, unread=()):
    """Stamps every 40 ms, each out 20 ms later; some never, some twice, two in the wrong order."""
    emitted = [n * PERIOD // 1_000 for n in range(num)]
    order = [n for n in range(num) if n not in skip]
    if swap is not None:
        order[swap], order[swap + 1] = order[swap + 1], order[swap]
    arrivals = []
    for place, n in enumerate(order):
        at_ns = n * PERIOD if swap is None else place * PERIOD
        stamp = None if n in unread else emitted[n]
        arrivals.append(Arrival(at_ns + latency_ms * MS, stamp))
        if n in again:
            arrivals.append(Arrival(at_ns + (latency_ms + 30) * MS, stamp))
    return emitted, arrivals


def measured(*args, **options):
    emitted, arrivals = run(*args, **options)
    return figures(emitted, arrivals, period_ns=PERIOD)


def test_a_perfect_run_has_one_latency_and_no_losses():
    found = measured(100)
    assert found["latency_ms"] == {"p50": 20.0, "p95": 20.0, "p99": 20.0, "max": 20.0}
    pictures = found["pictures"]
    assert pictures["emitted"] == pictures["seen"] == 100 - WARM_UP_NS // PERIOD
    assert not any(pictures[name] for name in ("dropped", "repeated", "reordered", "unreadable"))
    assert found["fps"] == 25.0
    assert found["freezes"] == {"count": 0, "total_ms": 0.0}
    assert found["cadence_ms"] == found["interval_ms"] == {"p50": 0.0, "p95": 0.0, "max": 0.0}
    assert len(found["timeline_ms"]) == pictures["seen"]
    assert found["timeline_ms"][1] == [40.0, 20.0]


def test_pictures_that_never_come_are_dropped_and_those_that_come_twice_repeated():
    pictures = measured(100, skip={40, 41, 60}, again={50, 70})["pictures"]
    assert (pictures["dropped"], pictures["repeated"]) == (3, 2)
    assert pictures["seen"] + pictures["dropped"] == pictures["emitted"]


def test_a_repeat_does_not_count_as_latency():
    assert measured(100, again={50})["latency_ms"]["max"] == 20.0


def test_a_picture_that_is_overtaken_is_reordered():
    pictures = measured(100, swap=60)["pictures"]
    assert (pictures["reordered"], pictures["dropped"], pictures["repeated"]) == (1, 0, 0)


def test_pictures_that_cannot_be_read_are_counted_beside():
    pictures = measured(100, unread={55, 56})["pictures"]
    assert (pictures["unreadable"], pictures["dropped"]) == (2, 2)


def test_stamps_nobody_drew_are_foreign():
    emitted, arrivals = run(60)
    arrivals.append(Arrival(arrivals[-1].arrived_ns + PERIOD, 999_999_999))
    assert figures(emitted, arrivals, period_ns=PERIOD)["pictures"]["foreign"] == 1


def test_what_comes_in_the_first_second_is_left_out():
    emitted, arrivals = run(60)
    arrivals[:5] = [Arrival(one.arrived_ns + 500 * MS, one.stamp) for one in arrivals[:5]]
    assert figures(emitted, arrivals, period_ns=PERIOD)["latency_ms"]["max"] == 20.0


def test_a_late_picture_is_off_its_tick_once_and_off_the_interval_twice():
    emitted, arrivals = run(100)
    for index in range(40, 90, 10):
        late_ns = arrivals[index].arrived_ns + 7 * MS
        arrivals[index] = Arrival(late_ns, arrivals[index].stamp)
    found = figures(emitted, arrivals, period_ns=PERIOD)
    assert found["cadence_ms"] == {"p50": 0.0, "p95": 7.0, "max": 7.0}
    assert found["interval_ms"]["max"] == 7.0
    # Three of 75 pictures are late: fewer than one in twenty, but not so the intervals.
    fewer = figures(emitted, [*arrivals[:70], *run(100)[1][70:]], period_ns=PERIOD)
    assert fewer["cadence_ms"]["p95"] == 0.0
    assert fewer["interval_ms"]["p95"] == 7.0


def test_ticks_that_drift_as_clocks_do_are_followed_and_missing_ones_skipped():
    emitted = [n * PERIOD // 1_000 for n in range(200)]
    arrivals = [Arrival(n * (PERIOD + 2_000), emitted[n]) for n in range(200) if n % 7]
    found = figures(emitted, arrivals, period_ns=PERIOD)
    assert found["cadence_ms"]["p95"] < 0.02
    assert found["interval_ms"]["max"] == pytest.approx(40, abs=0.1)


def test_nothing_that_came_is_said_as_nothing():
    found = figures([1, 2, 3], [], period_ns=PERIOD)
    assert found["latency_ms"]["p50"] is None
    assert found["pictures"]["seen"] == 0
    assert found["fps"] == 0.0


def ways(gaps_ms):
    times = [0]
    for gap in gaps_ms:
        times.append(times[-1] + gap * MS)
    return [Passage(at, 0) for at in times]


@pytest.mark.parametrize(
    ("gap_ms", "count"),
    # A mean of 40 ms: three times are 120, plus 150 are 190, and the longer one counts.
    [(189, 0), (190, 1), (400, 1)],
)
def test_a_gap_is_a_freeze_by_webrtcs_rule(gap_ms, count):
    assert freezes(ways([40] * 30 + [gap_ms] + [40] * 5))["count"] == count


def test_a_picture_that_stands_still_until_the_end_is_a_freeze_and_lowers_the_rate():
    emitted, arrivals = run(75)
    hung = [Arrival(arrivals[-1].arrived_ns + n * PERIOD, arrivals[-1].stamp) for n in range(1, 51)]
    found = figures(emitted, [*arrivals, *hung], period_ns=PERIOD)
    assert found["freezes"] == {"count": 1, "total_ms": 2000.0}
    assert found["fps"] == pytest.approx(49 / 3.96, abs=0.01)
    silent = figures(
        emitted, arrivals, period_ns=PERIOD, ended_ns=arrivals[-1].arrived_ns + 2000 * MS
    )
    assert (silent["freezes"], silent["fps"]) == (found["freezes"], found["fps"])


def test_what_comes_after_the_end_does_not_count():
    emitted, arrivals = run(100)
    found = figures(emitted, arrivals, period_ns=PERIOD, ended_ns=arrivals[59].arrived_ns)
    assert found["pictures"]["seen"] == 60 - WARM_UP_NS // PERIOD
    assert found["fps"] == 25.0


def test_at_low_rates_three_times_the_mean_decide():
    assert freezes(ways([200] * 10 + [599]))["count"] == 0
    assert freezes(ways([200] * 10 + [600])) == {"count": 1, "total_ms": 600.0}


def test_only_the_last_thirty_gaps_make_the_mean():
    assert freezes(ways([1000] * 40 + [40] * 30 + [190]))["count"] == 1


def test_stamps_go_on_where_their_bits_end():
    lap_us = 1 << 48
    arrived_ns = (lap_us + 10) * 1_000
    (way,) = passages([Arrival(arrived_ns, lap_us - 20)])
    assert way.latency_ns == 30_000
