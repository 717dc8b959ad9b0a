import json
import subprocess
import sys

import cv2
import pytest

from tools import gpu_report
from tools.gpu_markdown import render
from tools.gpu_report import goals, main

BARE = """
import sys
for missing in ("pydantic", "av", "typer", "platformdirs", "tflite", "rich", "threadpoolctl"):
    sys.modules[missing] = None
import tools.gpu_report
"""


@pytest.mark.slow
def test_the_processors_report_has_all_parts_and_says_that_it_proves_nothing(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "--cpu"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["machine"]["device"] == "cpu"
    assert report["runtime"]["chosen"] == "onnxruntime:CPU"
    assert [one["enlarge"] for one in report["pipeline"]] == [False, True]
    for ours, peers in zip(report["pipeline"], report["peers"], strict=True):
        assert ours["fps"] > 0
        assert ours["latency_ms_p50"] <= ours["latency_ms_p99"]
        assert ours["device_mb"] > 0
        assert 0 < ours["gpu_busy"] <= 1
        assert peers["fps"] > 0
    assert len(report["networks"]) == 3
    names = {kernel["name"] for kernel in report["bandwidth"]["kernels"]}
    assert {"letterbox", "warp", "paste", "memory_blend", "measure_flow"} <= names
    assert report["faults"] == {}
    assert "goals" not in report
    text = (tmp_path / "report.md").read_text()
    assert capsys.readouterr().out == text
    assert "Nothing here says anything of a GPU" in text
    assert cv2.imread(str(tmp_path / "timeline.png")).shape == (480, 1400, 3)


def test_without_a_gpu_it_says_what_to_do_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["--out", str(tmp_path / "none")]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("gpu_report: GPU: CuPy must be importable")
    assert said.endswith("With --cpu it runs without a GPU.\n")


def test_it_needs_no_package_that_a_bare_gpu_machine_lacks():
    subprocess.run([sys.executable, "-c", BARE], check=True, timeout=120)


def frames(height, fps, *, enlarge=False, **more):
    given = {"size": [height * 16 // 9, height], "enlarge": enlarge, "fps": fps}
    alone = {"latency_ms_p50": 1.0, "latency_ms_p99": 2.0}
    shares = {"gpu_busy": 0.9, "frames_overlap": 0.5, "device_mb": 700.0}
    return (
        given
        | {"latency_ms_p50": 3.0, "latency_ms_p99": 7.0, "one_in_flight": alone}
        | shares
        | more
    )


def report(**more):
    def kernel(name, share, *, memory_bound):
        return {
            "name": name,
            "ms": 0.1,
            "gb_s": 1000.0,
            "share_of_copy": share,
            "memory_bound": memory_bound,
        }

    return {
        "machine": {"card": "NVIDIA X", "cores": 4, "python": "3.12"},
        "runtime": {"chosen": "torch", "not_taken": {"tensorrt_rtx": "no such card"}},
        "seconds": 200.0,
        "faults": {},
        "tests": {"command": "pytest", "exit_code": 1, "passed": 9, "failed": 1, "failures": ["a"]},
        "bandwidth": {
            "picture": [2160, 3840],
            "face": [512, 512],
            "copy_gb_s": 4000.0,
            "kernels": [
                kernel("warp", 0.7, memory_bound=True),
                kernel("letterbox", 0.4, memory_bound=True),
                kernel("flow", 0.01, memory_bound=False),
            ],
        },
        "networks": [{"name": "swapper", "provider": "torch", "ms_eager": None, "ms_graph": 1.25}],
        "pipeline": [frames(1080, 330.0), frames(1080, 150.0, enlarge=True)],
        "peers": [
            {"size": [1920, 1080], "enlarge": False, "fps": 30.0, "latency_ms_p99": 40.0},
            {"size": [1920, 1080], "enlarge": True, "fps": 20.0, "latency_ms_p99": 60.0},
        ],
        **more,
    }


def test_goals_are_held_against_the_pictures_of_1080p():
    found = {goal["what"]: (goal["measured"], goal["met"]) for goal in goals(report())}
    assert found == {
        "fps at 1080p": (330.0, True),
        "ms p99 at 1080p": (7.0, True),
        "fps at 1080p, enlarged": (150.0, False),
        "times the peers' way at 1080p": (11.0, True),
        "least share of copy of memory-bound kernels": (0.4, False),
        "GPU busy at 1080p": (0.9, True),
    }


def test_the_report_says_what_was_not_met_not_taken_and_failed():
    given = report()
    text = render({**given, "goals": goals(given)})
    assert "# GPU report: NVIDIA X" in text
    assert "Not tensorrt_rtx: no such card" in text
    assert "| fps at 1080p, enlarged | at least 200 | 150 | no |" in text
    assert "| 1920x1080 | 330 | 3 | 7 | 1 | 2 | 90 % | 50 % | 700 | 30 | 40 | 11 |" in text
    assert "| swapper | torch | - | 1.25 |" in text
    assert "exit code 1, 9 passed, 1 failed\n- a" in text


def test_what_failed_is_written_down_and_the_rest_measured_all_the_same(tmp_path, monkeypatch):
    def lost(*given, **more):
        raise RuntimeError("cudaErrorUnknown:\n lost")

    for name in ("measure_kernels", "measure_networks", "measure_pipeline"):
        monkeypatch.setattr(gpu_report, name, lost)
    peers = {"fps": 3.0, "latency_ms_p50": 1.0, "latency_ms_p99": 2.0}
    monkeypatch.setattr(gpu_report, "PeersWay", lambda *given, **more: None)
    monkeypatch.setattr(gpu_report, "measure_peers", lambda *given: peers)
    assert main(["--out", str(tmp_path), "--cpu"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["faults"]) == {
        "bandwidth",
        "networks",
        "pipeline 640x360",
        "pipeline 640x360 enlarged",
    }
    assert [one["fps"] for one in report["peers"]] == [3.0, 3.0]
    text = (tmp_path / "report.md").read_text()
    assert "**bandwidth failed:** RuntimeError: cudaErrorUnknown: lost" in text
