import json
import sys

import pytest

from cuda_kernels.device import CpuDevice
from engines.errors import ModelError
from tools import gpu_parts
from tools.gpu_networks import Runtime
from tools.gpu_parts import main, measure, run_sanitizer, run_tests


def test_what_was_found_before_a_part_failed_stays(tmp_path, monkeypatch, capsys):
    def fails_late(device, runtime, sizes, size, seconds, keep, *, enlarge):
        keep({"size": list(size), "fps": 7.0}, ())
        raise RuntimeError("cudaErrorIllegalAddress")

    monkeypatch.setattr(gpu_parts, "measure_pipeline", fails_late)
    found = tmp_path / "found.json"
    with pytest.raises(RuntimeError):
        main(["pipeline 640x360", "--to", str(found), "--models", str(tmp_path), "--cpu"])
    assert json.loads(found.read_text())["pipeline"] == [{"size": [640, 360], "fps": 7.0}]


def test_a_network_that_nothing_takes_is_told_in_one_line_with_the_runtimes_faults(
    tmp_path, monkeypatch, capsys
):
    def refused(device, runtime, sizes, repeats):
        runtime.faults["torch"] = "no GPU"
        raise ModelError("swapper: a runtime must take it.")

    monkeypatch.setattr(gpu_parts, "measure_networks", refused)
    found = tmp_path / "found.json"
    assert main(["networks", "--to", str(found), "--models", str(tmp_path), "--cpu"]) == 1
    assert capsys.readouterr().err == "swapper: a runtime must take it.\n"
    assert json.loads(found.read_text())["runtime"]["not_taken"] == {"torch": "no GPU"}


@pytest.mark.parametrize(
    "part", ["", "kernels", "pipeline", "pipeline big", "peers 640x360 large", "swap 640x360"]
)
def test_other_parts_are_refused(part, tmp_path):
    with pytest.raises(ValueError, match="a part must be machine, bandwidth, networks"):
        measure(part, CpuDevice(), Runtime("cpu"), 0.0, lambda found: None)


def command(monkeypatch, text):
    monkeypatch.setattr(gpu_parts, "sys", type("S", (), {"executable": sys.executable}))
    ended = gpu_parts._ended
    monkeypatch.setattr(
        gpu_parts,
        "_ended",
        lambda given, limit_s, more=None: ended([sys.executable, "-c", text], limit_s, more),
    )


def test_the_tests_outcome_is_read_off_their_last_lines(monkeypatch):
    said = "FAILED tests/x.py::test_a[gpu] - no\\n1 failed, 30 passed, 2 errors in 3s"
    command(monkeypatch, f"print('''{said}'''); raise SystemExit(1)")
    found = run_tests(60.0)
    assert (found["exit_code"], found["failed"], found["passed"], found["error"]) == (1, 1, 30, 2)
    assert found["failures"] == ["tests/x.py::test_a[gpu]"]


def test_tests_that_do_not_end_are_stopped_and_what_they_said_is_kept(monkeypatch):
    command(monkeypatch, "print('begun', flush=True); import time; time.sleep(60)")
    found = run_tests(1.5)
    assert found["exit_code"] is None


def test_the_sanitizers_count_is_read_and_where_it_is_missing_nothing_is_said(monkeypatch):
    assert run_sanitizer(1.0) is None or gpu_parts.shutil.which("compute-sanitizer")
    monkeypatch.setattr(gpu_parts.shutil, "which", lambda name: "/opt/compute-sanitizer")
    command(monkeypatch, "print('========= ERROR SUMMARY: 3 errors'); raise SystemExit(9)")
    found = run_sanitizer(60.0)
    assert (found["exit_code"], found["errors"]) == (9, 3)
