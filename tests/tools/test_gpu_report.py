import json
import subprocess
import sys

import cv2
import pytest

from engines.errors import ModelError
from engines.gpu import compute_capability
from tools import gpu_report
from tools.gpu_markdown import render
from tools.gpu_report import Order, Span, goals, main, make_report, parts, run_part

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
    assert all(one["enqueue_ms"] > 0 for one in report["pipeline"])
    text = (tmp_path / "report.md").read_text()
    assert capsys.readouterr().out == text
    assert "Nothing here says anything of a GPU" in text
    assert cv2.imread(str(tmp_path / "timeline.png")).shape == (480, 1400, 3)


@pytest.mark.skipif(compute_capability() is not None, reason="there is a GPU")
def test_without_a_gpu_it_says_what_to_do_in_one_line(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "none")]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("gpu_report: GPU: CuPy must ")
    assert said.endswith("With --cpu it runs without a GPU.\n")


def test_it_needs_no_package_that_a_bare_gpu_machine_lacks():
    subprocess.run([sys.executable, "-c", BARE], check=True, timeout=120)


def frames(height, fps, *, enlarge=False, **more):
    given = {"size": [height * 16 // 9, height], "enlarge": enlarge, "fps": fps}
    alone = {"latency_ms_p50": 1.0, "latency_ms_p99": 2.0}
    more = {"enqueue_ms": 0.5} | more
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
    assert "| 1920x1080 | 330 | 3 | 7 | 1 | 2 | 0.5 | 90 % | 50 % | 700 | 30 | 40 | 11 |" in text
    assert "| swapper | torch | - | 1.25 |" in text
    assert "exit code 1, 9 passed, 1 failed\n- a" in text


CARD = Order(is_cpu=False, seconds=3.0, with_tests=True, limit_s=450.0)
FOUND = {
    "machine": {"card": "NVIDIA X", "cores": 4, "python": "3.12", "device": "cuda"},
    "runtime": {"chosen": "torch", "not_taken": {}},
}


@pytest.fixture
def measured(monkeypatch):
    """Parts that fail by script instead of being measured, and the tests' tools."""
    begun, faults = [], {}

    def run_part(name, order, folder, report, spans, limit_s):
        begun.append((name, report["runtime"]["chosen"]))
        if name == "machine" and name not in faults:
            report["machine"] = FOUND["machine"]
        elif name.startswith("pipeline"):
            size = [int(number) for number in name.split()[1].split("x")]
            given = frames(size[1], 330.0, enlarge="enlarged" in name)
            report["pipeline"].append(given | {"size": size})
            report["runtime"] = FOUND["runtime"]
            spans.append(Span("swap", 0, 0.0, 1.0))
        return (1, faults[name]) if name in faults else (0, "")

    monkeypatch.setattr(gpu_report, "run_part", run_part)
    monkeypatch.setattr(gpu_report, "run_tests", lambda limit_s: report()["tests"])
    sanitizer = {"command": "memcheck", "exit_code": 0, "errors": 0}
    monkeypatch.setattr(gpu_report, "run_sanitizer", lambda limit_s: sanitizer)
    return begun, faults


def test_what_failed_is_written_down_and_the_rest_measured_all_the_same(tmp_path, measured):
    begun, faults = measured
    faults |= {"bandwidth": "cudaErrorIllegalAddress: lost", "peers 1920x1080": "exit code -11"}
    saved = []
    found = make_report(CARD, tmp_path, lambda report, spans: saved.append(len(spans)))
    assert [name for name, _ in begun] == [
        "machine",
        *(name for name in parts(CARD) if name not in ("tests", "sanitizer")),
    ]
    # What the first network has found out is not tried again in the other processes.
    assert [chosen for _, chosen in begun][:3] == ["", "", "torch"]
    assert found["faults"] == faults
    assert len(saved) == len(list(parts(CARD)))
    assert len(found["pipeline"]) == 6
    goals_met = {goal["what"]: goal["met"] for goal in found["goals"]}
    assert goals_met["fps at 1080p"] is True
    assert goals_met["times the peers' way at 1080p"] is None
    text = render(found)
    assert "**bandwidth failed:** cudaErrorIllegalAddress: lost" in text
    assert "| times the peers' way at 1080p | at least 6 | - | not measured |" in text
    assert "`memcheck`: exit code 0, 0 errors" in text


def test_parts_for_which_there_is_no_time_are_left_out_the_important_ones_last(tmp_path, measured):
    order = Order(is_cpu=False, seconds=3.0, with_tests=True, limit_s=0.0)
    found = make_report(order, tmp_path, lambda report, spans: None)
    assert set(found["faults"]) == set(parts(order))
    assert next(parts(order)) == "pipeline 1920x1080"
    assert list(parts(order))[-1] == "sanitizer"


def test_without_a_machine_that_tells_what_it_is_nothing_is_measured(tmp_path, measured):
    begun, faults = measured
    faults["machine"] = "GPU: no driver"
    with pytest.raises(ModelError, match="the machine must tell what it is: GPU: no driver"):
        make_report(CARD, tmp_path, lambda report, spans: None)
    assert len(begun) == 1


def small(tmp_path, name, limit_s=60.0):
    """A part on the processor: what it added to the report, its exit code and its fault."""
    order = Order(is_cpu=True, seconds=0.0, with_tests=False, limit_s=60.0)
    report = {"pipeline": [], "peers": [], "runtime": {"chosen": "", "not_taken": {}}}
    code, fault = run_part(name, order, tmp_path, report, [], limit_s)
    return report, code, fault


def test_a_part_that_fails_says_why_in_one_line(tmp_path):
    report, code, fault = small(tmp_path, "pipeline nowhere")
    assert code == 1
    assert fault.startswith("ValueError: gpu_parts: a part must be machine, bandwidth")
    assert report["pipeline"] == []


def test_a_part_that_hangs_is_ended(tmp_path):
    _, code, fault = small(tmp_path, "machine", limit_s=0.05)
    assert (code, fault) == (1, "it must end within 0 s, got no end")


def test_of_a_process_that_crashed_the_crash_is_told():
    lines = ["Fatal Python error: Segmentation fault", "", "Thread 0x1", "  File x in y"]
    assert gpu_report._last_words(lines) == lines[0]
    assert gpu_report._last_words([]) == ""
