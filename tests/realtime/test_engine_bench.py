import json
import os
import signal
from pathlib import Path

import pytest

from engines import bench
from engines.bench import Skipped, Timing
from engines.errors import ModelError
from engines.twins import TWINS, enlarger
from realtime.cli import main
from realtime.engine_bench import (
    _networks_here,
    aim_of_bfloat16,
    describe_aim,
    describe_timing,
    parse_counts,
)

Capture = pytest.CaptureFixture[str]


def timing(network: str, runtime: str, threads: int = 1, ms: float = 20.0) -> Timing:
    return Timing(network, runtime, threads, ms, ms, 7, 0.0)


@pytest.fixture
def small_network(tmp_path: Path) -> str:
    path = tmp_path / "small.onnx"
    path.write_bytes(enlarger(1, 4))
    return str(path)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch):
    """Measures every network as told by its name; what is callable is done at that point."""

    def put(results: dict[str, list]) -> None:
        def measure(name, _data, _crops, _course, **_):
            for one in results[name]:
                if callable(one):
                    one()
                else:
                    yield one

        monkeypatch.setattr(bench, "measure", measure)

    return put


def test_times_come_as_json_with_the_machine_they_were_measured_on(
    small_network: str, capsys: Capture
):
    command = ["bench", "engines", small_network, "--threads", "1", "--seconds", "0", "--json"]
    assert main(command) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    first = result["timings"][0]
    assert (first["runtime"], first["threads"], first["error"]) == ("onnxruntime f32", 1, 0.0)
    assert first["median_ms"] >= first["least_ms"] > 0
    assert first["num_runs"] == 3
    assert result["machine"]["cores"] >= 1
    assert result["is_whole"]
    assert f"measuring {small_network}, 1 of 1" in shown.err
    assert "onnxruntime f32 1 threads" in shown.err


def test_times_come_as_a_table_line_by_line(small_network: str, capsys: Capture):
    command = ["bench", "engines", small_network, "--threads", "1,2", "--seconds", "0"]
    assert main(command) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "onnxruntime f32  " in line]
    assert len(lines) == 2
    assert all(" ms of    3 runs  error " in line for line in lines)


def test_eight_bits_are_measured_where_nobody_says_otherwise(small_network: str, capsys: Capture):
    command = ["bench", "engines", small_network, "--threads", "1", "--seconds", "0"]
    assert main(command) == 0
    assert "int8" in capsys.readouterr().out
    assert main([*command, "--no-int8"]) == 0
    assert "int8" not in capsys.readouterr().out


def test_the_time_for_each_network_can_be_told(small_network: str, capsys: Capture):
    assert main(["bench", "engines", small_network, "--budget", "0", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (only,) = result["timings"]
    assert (only["runtime"], only["num_runs"]) == ("onnxruntime f32", 1)
    reasons = {one["reason"] for one in result["skipped"]}
    assert "the 0 s of each network were too short with 2 threads" in reasons
    assert "int8" in {one["runtime"] for one in result["skipped"]}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("as_json", [True, False])
def test_when_interrupted_it_ends_with_what_it_has(
    number: int, code: int, as_json: bool, measured, capsys: Capture
):
    def interrupt():
        os.kill(os.getpid(), number)

    measured(
        {
            "masker": [timing("masker", "onnxruntime f32"), Skipped("masker", "int8", "no")],
            "flow": [timing("flow", "onnxruntime f32"), interrupt, timing("flow", "openvino f32")],
        }
    )
    command = ["bench", "engines", "masker", "flow", *(["--json"] if as_json else [])]
    assert main(command) == code
    shown = capsys.readouterr().out
    if not as_json:
        assert "openvino f32 " not in shown
        assert "left out: int8 of masker: no" in shown
        return
    result = json.loads(shown)
    assert [one["network"] for one in result["timings"]] == ["masker", "flow"]
    assert not result["is_whole"]


def test_a_network_that_does_not_run_is_left_out_where_there_are_others(measured, capsys: Capture):
    def fail():
        raise ModelError("masker: must run, got nothing.")

    measured({"masker": [fail], "flow": [timing("flow", "onnxruntime f32")]})
    assert main(["bench", "engines", "masker", "flow"]) == 0
    assert "left out: every runtime of masker: masker: must run" in capsys.readouterr().out
    assert main(["bench", "engines", "masker"]) == ModelError.exit_code
    assert "masker: must run, got nothing." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["masker", "--threads", "1,0"], "must be whole numbers like 1,2"),
        (["masker", "--seconds", "inf"], "less than or equal to"),
        (["masker", "--budget", "inf"], "less than or equal to"),
        (["masker", "nowhere.onnx"], "must be a readable file"),
        (["masker", "no_such_model"], "must be a name of the catalogue"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_measured(
    arguments: list[str], message: str, measured, capsys: Capture
):
    measured({"masker": [timing("masker", "onnxruntime f32")]})
    assert main(["bench", "engines", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert message in line


def test_a_number_of_threads_that_is_given_twice_is_measured_once():
    assert parse_counts("2,1,2") == (2, 1)


def test_by_default_every_twin_is_measured_with_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RT_SWAP_CACHE", str(tmp_path / "cache"))
    found = _networks_here()
    ours = [name for name in found if name.startswith(("srsn_", "fusenet_"))]
    assert {"srsn_lite_x2_fidelity", "fusenet_lite"} <= set(ours)
    assert [name for name in found if name not in ours] == list(TWINS)


def test_what_all_networks_lack_is_said_once(measured, capsys: Capture):
    measured({name: [Skipped(name, "openvino", "not installed")] for name in ("flow", "masker")})
    assert main(["bench", "engines", "flow", "masker"]) == 0
    assert "left out: openvino of flow, masker: not installed" in capsys.readouterr().out


def test_the_aim_of_bfloat16_is_met_or_missed_by_the_slowest_dense_twin():
    timings = [timing("swapper", "onnxruntime f32", ms=40), timing("swapper", "openvino bf16")]
    assert aim_of_bfloat16(timings) == {"aim": 1.8, "gains": {"swapper": 2.0}, "is_met": True}
    assert describe_aim(aim_of_bfloat16(timings)).endswith("met, 2.0 to 2.0")
    timings += [timing("enlarger", "onnxruntime f32", ms=30), timing("enlarger", "openvino bf16")]
    assert describe_aim(aim_of_bfloat16(timings)).endswith("missed, 1.5 to 2.0")
    others = [timing("masker", "onnxruntime f32"), timing("masker", "openvino bf16")]
    assert aim_of_bfloat16([*timings, *others])["gains"].keys() == {"swapper", "enlarger"}


def test_where_there_is_no_bfloat16_its_aim_is_neither_met_nor_missed():
    aim = aim_of_bfloat16([timing("swapper", "onnxruntime f32")])
    assert aim["is_met"] is None
    assert "not measured here" in describe_aim(aim)


def test_a_line_says_how_many_runs_there_were():
    assert " 20.00 ms of    7 runs " in describe_timing(timing("flow", "onnxruntime f32"))
