import json
import sys

import pytest

from realtime.errors import UsageError
from tools.soak import Samples, keeps_handles, main, used_bytes


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc tells")
def test_memory_in_use_grows_by_what_is_kept_and_falls_when_it_is_let_go():
    before = used_bytes()
    kept = [bytearray(5_000_000) for _ in range(4)]
    assert used_bytes() - before >= 20_000_000
    kept.clear()
    assert used_bytes() - before < 1_000_000


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
    assert "6 starts and stops" in capsys.readouterr().out
    result = json.loads(path.read_text())
    for name in ("descriptors", "threads"):
        assert result[name]["last"] <= result[name]["first"]
