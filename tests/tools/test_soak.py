import json
import sys

import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.errors import UsageError
from tools.soak import Samples, keeps_handles, main, start_often


def samples_of(pairs):
    samples = Samples()
    for num_done, memory_mb in pairs:
        samples.add(num_done, round(memory_mb * 1_000_000))
    return samples


def test_the_growth_is_that_of_the_line_the_readings_lie_on():
    growing = samples_of((n, 200 + 0.003 * n) for n in range(0, 4000, 250))
    assert growing.slope_mb() == pytest.approx(3.0, abs=1e-3)
    flat = samples_of((n, 200 + (n // 250) % 2) for n in range(0, 4000, 250))
    assert abs(flat.slope_mb()) < 0.1


def test_what_the_warm_up_took_does_not_count_as_growth():
    samples = samples_of((n, 300 - max(0, 100 - n)) for n in range(0, 1000, 50))
    assert samples.slope_mb() > 5
    assert samples.after(100).slope_mb() == pytest.approx(0.0, abs=1e-6)
    assert samples.after(100).num_done[0] == 100


def test_a_run_without_readings_after_its_warm_up_has_no_growth():
    with pytest.raises(UsageError, match="3 readings after its warm-up, got 0"):
        samples_of([(10, 100)]).after(20).slope_mb()


def test_the_growth_in_ten_minutes_is_that_of_the_line_over_time():
    samples = Samples()
    for n in range(40):
        samples.add(n, 200_000_000 + 50_000 * n, seconds=30.0 * n)
    assert samples.slope_mb_in_ten_minutes() == pytest.approx(1.0, abs=1e-3)
    assert samples.after(20).slope_mb_in_ten_minutes() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("grows", ["descriptors", "threads"])
def test_files_and_threads_that_stay_open_are_no_flat_run(grows):
    flat, leaking = Samples(), Samples()
    for n in range(20):
        flat.add(n, 1, **{grows: 30 + n % 3})
        leaking.add(n, 1, **{grows: 30 + n // 4})
    assert keeps_handles(flat)
    assert not keeps_handles(leaking)


def start_ten_times(monkeypatch, run):
    """The verdict over ten starts of something that stands for the engine."""
    monkeypatch.setattr("tools.soak._run", lambda *_: run())
    return start_often(load_config(), ModelLibrary(), 10)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc tells")
def test_starts_that_keep_small_arrays_are_not_flat(monkeypatch):
    kept = []
    # 70 kB each time; 10 are allowed.
    result = start_ten_times(
        monkeypatch, lambda: kept.extend(np.empty(700, np.uint8) for _ in range(100))
    )
    assert not result["flat"]
    assert result["memory_mb"]["growth_per_100_starts"] == pytest.approx(7.2, abs=0.8)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc tells")
def test_starts_that_let_small_arrays_go_are_flat_whatever_numpy_holds_of_them(monkeypatch):
    sizes = iter(range(24, 1024, 100))

    def run():
        size = next(sizes)
        tuple(np.empty(size + n, np.uint8) for n in range(100) for _ in range(7))

    result = start_ten_times(monkeypatch, run)
    assert result["flat"]
    assert result["memory_mb"]["growth_per_100_starts"] < 1
    assert result["resident_mb"]["peak"] > result["memory_mb"]["peak"]


def test_a_number_of_frames_that_says_nothing_is_refused(capsys):
    assert main(["--frames", "5"]) == 2
    assert capsys.readouterr().err == "--frames: must be at least 100, got 5.\n"
    assert main(["--starts", "2"]) == 2
    assert capsys.readouterr().err == "--starts: must be at least 5, got 2.\n"


@pytest.mark.models
def test_memory_stays_flat_over_a_short_run_and_every_frame_is_accounted_for(tmp_path, capsys):
    path = tmp_path / "soak.json"
    assert main(["--frames", "300", "--size", "320x180", "--json", str(path)]) == 0
    assert "300 frames captured, 300 accounted for, 0 failed" in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert result["frames"]["delivered"] == 300
    memory = result["memory_mb"]
    # One picture kept from each frame would be 172 MB in 1000 frames.
    assert abs(memory["growth_per_1000_frames"]) < 60
    assert 0 < memory["first"] <= memory["peak"]
    assert result["flat"]
    assert result["descriptors"]["last"] > 0


@pytest.mark.models
def test_starts_and_stops_of_the_whole_engine_leave_nothing_behind(tmp_path, capsys):
    path = tmp_path / "starts.json"
    main(["--starts", "6", "--size", "320x180", "--json", str(path)])
    told = capsys.readouterr().out
    assert "6 starts and stops" in told
    assert "MB after the warm-up" in told.split("resident")[1]
    result = json.loads(path.read_text())
    for name in ("descriptors", "threads"):
        assert result[name]["last"] <= result[name]["first"]
    if sys.platform.startswith("linux"):
        # One picture kept from each start would be 0.7 MB.
        assert result["memory_mb"]["last"] - result["memory_mb"]["first"] < 0.5
