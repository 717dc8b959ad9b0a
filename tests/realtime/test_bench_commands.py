import json
from pathlib import Path

import pytest

from realtime import bench_commands
from realtime.bench import glass
from realtime.cli import main

RESULT = {
    "bench": "pipeline, 1280x720",
    "latency_ms": {"p50": 20.0, "p95": 21.0, "p99": 22.0, "max": 23.0},
    "pictures": {
        "emitted": 10,
        "seen": 9,
        "dropped": 1,
        "repeated": 0,
        "reordered": 0,
        "unreadable": 0,
    },
    "freezes": {"count": 0, "total_ms": 0.0},
    "fps": 30.0,
    "cadence_ms": {"p50": 0.1, "p95": 0.2, "max": 0.3},
    "timeline_ms": [[0.0, 20.0], [33.0, 21.0]],
    "usage": {"cpu_percent": 50.0, "memory_mb": 100.0},
    "machine": {"cpu": "x", "cores": 2},
}


@pytest.fixture
def no_engine(monkeypatch):
    """The commands, with their measurements known beforehand."""
    asked = []
    monkeypatch.setattr(bench_commands, "_course", lambda *args: args)

    def measure(*args):
        asked.append(args)
        return RESULT

    monkeypatch.setattr(glass, "measure_pipeline", measure)
    monkeypatch.setattr(glass, "measure_glass", measure)
    return asked


def failure(capsys, *arguments):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_pipeline_is_told_as_a_table_as_json_and_as_a_plot(no_engine, capsys, tmp_path):
    assert main(["bench", "pipeline", "--plot", str(tmp_path / "p.png")]) == 0
    assert "p50 20.0 ms" in capsys.readouterr().out
    assert (tmp_path / "p.png").stat().st_size > 1000
    assert main(["bench", "pipeline", "--json", "--size", "640x360"]) == 0
    assert json.loads(capsys.readouterr().out) == RESULT
    assert no_engine[1][0][1] == "640x360"


def test_a_plot_that_cannot_be_written_does_not_cost_the_figures(no_engine, capsys, tmp_path):
    assert main(["bench", "pipeline", "--plot", str(tmp_path / "none" / "p.png")]) == 6
    said = capsys.readouterr()
    assert "p50 20.0 ms" in said.out
    assert "must be writable" in said.err


@pytest.mark.parametrize("device", [None, "/dev/video9"])
def test_glass_goes_through_the_device_or_a_pipe(no_engine, device):
    options = ["--device", device] if device else []
    assert main(["bench", "glass", *options]) == 0
    assert [asked for _, asked in no_engine] == [device]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--device", "cam"], "must be like /dev/video10"),
        (["--source", "/dev/video9"], "must stand beside --command"),
        (["--command", "x"], "the devices must be named"),
        (["--command", "x", "--device", "/dev/video9"], "the devices must be named"),
    ],
)
def test_options_of_glass_that_make_no_sense_are_said(capsys, options, part):
    assert part in failure(capsys, "bench", "glass", *options)


def test_the_ring_is_measured_here(capsys):
    assert main(["bench", "ring", "--frames", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["handoff"]["live calls"]["frames"] == 10
    assert main(["bench", "ring", "--frames", "10"]) == 0
    assert "strict threads" in capsys.readouterr().out


def test_two_files_are_compared(tmp_path: Path, capsys):
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(json.dumps(RESULT))
    after.write_text(json.dumps({**RESULT, "fps": 27.0}))
    assert main(["bench", "compare", str(before), str(after)]) == 0
    assert "-10.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [None, "not json", "[1]", "null", '{"other": 1}', '{"a":' * 99_999]
)
def test_files_that_are_no_measurements_are_said(tmp_path: Path, capsys, content):
    good, bad = tmp_path / "a.json", tmp_path / "b.json"
    good.write_text(json.dumps(RESULT))
    if content is not None:
        bad.write_text(content)
    assert "must be" in failure(capsys, "bench", "compare", str(good), str(bad))


@pytest.mark.models
def test_the_stages_of_a_real_run_are_measured(capsys):
    assert main(["bench", "stages", "--seconds", "2", "--size", "320x180", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert {"capture", "track", "swap", "send"} <= set(stages)
