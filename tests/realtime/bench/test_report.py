import cv2
import numpy as np
import pytest

from realtime.bench.arrivals import Arrival, figures
from realtime.bench.plot import SIZE, draw_plot, round_ticks, write_plot
from realtime.bench.report import UNREAD, bench_lines, compare_lines, ring_lines, stage_lines
from realtime.bench.ring import measure_ring
from realtime.errors import SinkError

MS = 1_000_000


def result(latencies_ms):
    emitted = [n * 40_000 for n in range(len(latencies_ms))]
    arrivals = [
        Arrival(stamp * 1_000 + latency * MS, stamp)
        for stamp, latency in zip(emitted, latencies_ms, strict=True)
    ]
    return {
        "bench": "pipeline, 320x180",
        **figures(emitted, arrivals, period_ns=40 * MS),
        "usage": {"cpu_percent": 50.0, "memory_mb": 100.0},
        "machine": {"cpu": "some processor", "cores": 2},
    }


def test_the_table_has_every_figure():
    text = "\n".join(bench_lines(result([20] * 60)))
    for part in ("p50 20.0 ms", "p99 20.0 ms", "0 dropped", "0 reordered", "25.0 new pictures"):
        assert part in text
    assert "some processor" in text


def test_a_measurement_in_which_nothing_came_can_be_told_and_drawn():
    empty = result([])
    assert "p50 -" in "\n".join(bench_lines(empty))
    assert draw_plot(empty).shape == (SIZE[1], SIZE[0], 3)


def test_two_measurements_are_compared_figure_by_figure():
    lines = compare_lines(result([20] * 60), result([30] * 60))
    line = next(line for line in lines if line.startswith("latency_ms.p50"))
    assert line.split() == ["latency_ms.p50", "20.000", "30.000", "+50.0", "%"]
    assert any(line.startswith("fps") and line.endswith("same") for line in lines)
    assert not any("timeline" in line or "machine" in line for line in lines)


def test_what_makes_two_measurements_hard_to_compare_is_said():
    ours, peers = result([20] * 60), result([30] * 60)
    assert compare_lines(ours, peers)[0].startswith("latency_ms.p50")
    ours["engine"] = {"frames": {"captured": 3, "delivered": 3}}
    ours["usage"]["threads"] = 4
    peers |= {"bench": "glass, other", "machine": {"cpu": "a slow one", "cores": 2}}
    lines = compare_lines(ours, peers)
    assert lines[:2] == [
        "not the same was measured: pipeline, 320x180 / glass, other",
        "not on the same machine: cpu some processor / a slow one",
    ]
    assert lines[-1] == "only before: usage.threads, engine"
    assert compare_lines(peers, ours)[-1] == "only after: usage.threads, engine"
    del peers["machine"]
    assert "not known on which machines" in compare_lines(ours, peers)


def test_times_of_networks_are_compared_by_network_and_runtime():
    def timed(ms):
        one = {"network": "face", "runtime": "onnxruntime f32", "threads": 2, "median_ms": ms}
        return {"timings": [one, "garbage"], "machine": {}}

    (line,) = compare_lines(timed(4.0), timed(3.0))
    name, figures = line.split(" threads ")
    assert (name, figures.split()) == ("face onnxruntime f32 2", ["4.000", "3.000", "-25.0", "%"])


def test_pictures_whose_stamps_cannot_be_read_are_explained():
    unread = result([])
    unread["pictures"]["unreadable"] = 9
    assert UNREAD in "\n".join(bench_lines(unread))
    assert UNREAD not in "\n".join(bench_lines(result([20] * 60)))


def test_nothing_in_common_is_no_comparison():
    assert compare_lines({"a": 1}, {"b": 2}) == []


def test_stages_and_rings_are_tables():
    times = {"p50": 1.0, "p99": 2.0}
    header, line = stage_lines({"swap": {"worked_ms": times, "waited_ms": times}})
    assert "waited" in header
    assert line.split() == ["swap", "1.000", "2.000", "1.000", "2.000"]
    figures = measure_ring(20)
    assert set(figures) == {"live threads", "live calls", "strict threads", "strict calls"}
    assert all(one["p50_us"] > 0 for one in figures.values())
    handed_over = {name: one["frames"] for name, one in figures.items()}
    assert 1 <= handed_over.pop("live threads") <= 20  # a late consumer takes the newest only
    assert set(handed_over.values()) == {20}
    assert len(ring_lines(figures)) == 4


def test_bars_and_dots_stand_where_the_latencies_are():
    image = draw_plot(result([20] * 40 + [60] * 20))
    bars = (image == (190, 140, 60)).all(axis=-1)
    columns = np.flatnonzero(bars.any(axis=0))
    # The axis ends at 63 ms: the bars lie at a third and at 95 % of it, the second higher.
    assert 430 < columns.min() < 450
    assert 1100 < columns.max() < 1140
    heights = [bars[:, columns.min() + 5].sum(), bars[:, columns.max() - 5].sum()]
    assert heights[0] < heights[1]
    dots = (image[440:710] == (60, 90, 200)).all(axis=-1)
    assert dots.any()


@pytest.mark.parametrize(
    ("end", "ticks"),
    [
        (63.0, [0, 10, 20, 30, 40, 50, 60]),
        (190.4, [0, 50, 100, 150]),
        (3.075, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (4.0, [0, 1, 2, 3, 4]),
    ],
)
def test_axes_have_round_numbers(end, ticks):
    assert round_ticks(end) == pytest.approx(ticks)


def test_a_long_command_stays_on_the_plot():
    long = result([20] * 60) | {"bench": "glass, " + "x" * 300}
    ink = (draw_plot(long) < 100).all(axis=-1)
    assert ink[10:40, 900:1140].any()
    assert not ink[10:40, 1190:].any()


def test_the_plot_is_a_png_or_an_error_of_one_line(tmp_path):
    write_plot(tmp_path / "a.png", result([20] * 60))
    assert cv2.imread(str(tmp_path / "a.png")).shape == (SIZE[1], SIZE[0], 3)
    with pytest.raises(SinkError, match="must be writable"):
        write_plot(tmp_path / "none" / "a.png", result([20] * 60))
