import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from engines.build import BuildProgress, Built
from engines.cache import PlanKey
from engines.errors import ModelError
from engines.profiles import USUAL_RANGES, Limits
from engines.twins import TWINS, enlarger
from realtime.cli import main
from realtime.engine_commands import (
    _expanded,
    describe_plan,
    load_network,
    pixels_of,
)


@pytest.fixture
def small_network(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(enlarger(1, 4))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RT_SWAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return code, lines[0]


@pytest.mark.rtx
def test_a_file_is_built_for_each_target_and_found_again(
    small_network: Path, cache: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["build", str(small_network), "--target", "sm_86,sm_89"]
    assert main(command) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert f"{small_network} for sm_86: fp16, " in first
    assert "for sm_89: fp16" in second
    assert len(list((cache / "plans").glob("*.plan"))) == 2
    assert main(command) == 0
    assert capsys.readouterr().err.count("was there already") == 2


@pytest.mark.rtx
def test_a_target_that_does_not_exist_is_exit_code_5_and_names_those_that_do(
    small_network: Path, cache: Path, capsys: pytest.CaptureFixture[str]
):
    code, line = error_of(capsys, "build", str(small_network), "--target", "sm_12")
    assert code == 5
    assert "must be one of portable, sm_75" in line


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="it is installed")
def test_a_module_that_is_missing_is_exit_code_5_and_says_how_to_get_it(
    small_network: Path, cache: Path, capsys: pytest.CaptureFixture[str]
):
    code, line = error_of(capsys, "build", str(small_network), "--module", "tensorrt")
    assert code == 5
    assert 'pip install "tensorrt"' in line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "nowhere.onnx"], 2, "must be a readable file"),
        (["build", "no_such_model"], 2, "must be a name of the catalogue"),
        (["build", "masker", "--pixels", "255"], 2, "must be two numbers like 0,255"),
        (["build", "masker", "--pixels", "1,0"], 2, "must be two numbers like 0,255"),
        (["build", "masker", "--pixels", "a,b"], 2, "must be two numbers like 0,255"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_an_exit_code(
    arguments: list[str],
    code: int,
    message: str,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
):
    assert error_of(capsys, *arguments)[0] == code
    main(arguments)
    assert message in capsys.readouterr().err


def test_a_name_that_means_nothing_is_said_before_anything_is_built(
    small_network: Path, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch
):
    from engines import build

    monkeypatch.setattr(build, "build", None)
    code, line = error_of(capsys, "build", str(small_network), "no_such_model")
    assert code == 2
    assert "must be a name of the catalogue" in line


def test_a_twin_is_a_network_like_any_other():
    assert load_network("masker") == TWINS["masker"].make()


def test_a_plan_that_stayed_in_float32_says_why():
    facts = {"precision": "fp32", "fault": "y holds NaN or infinity", "seconds": 2.5}
    key = PlanKey("0", "tensorrt_rtx", "1", "sm_86", Limits(), ())
    line = describe_plan("net", Built(b"x" * 10**6, key, Path("p"), facts, False))
    assert line == "net for sm_86: fp32, 1.0 MB, not fp16, as y holds NaN or infinity, 2.5 s, p"


def test_a_build_shows_its_phase_and_the_time_left():
    import io

    from rich.console import Console

    from realtime.terminal import Terminal

    text = io.StringIO()
    terminal = Terminal(Console(file=text, force_terminal=True, width=100))
    with terminal.building() as show:
        show(BuildProgress("net", "fp16", 0.4, 12.3))
    assert "fp16 net" in text.getvalue()
    assert "12 s left" in text.getvalue()
    silent = io.StringIO()
    with Terminal(Console(file=silent, force_terminal=False)).building() as show:
        show(BuildProgress("net", "fp16", 0.4, 12.3))
    assert silent.getvalue() == ""


def test_a_network_is_checked_with_pixels_as_its_family_takes_them(small_network: Path):
    assert pixels_of("yunet") == ((0.0, 255.0),)
    assert pixels_of("masker") == pixels_of(str(small_network)) == USUAL_RANGES


def test_all_twins_are_built_under_one_name():
    assert _expanded(["twins", "own.onnx"]) == [*TWINS, "own.onnx"]


def test_what_a_network_keeps_in_other_files_is_a_part_of_it(tmp_path: Path):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "c"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])],
        initializer=[tensor],
    )
    path, weights = tmp_path / "net.onnx", tmp_path / "w.bin"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path, save_as_external_data=True, location=weights.name, size_threshold=0)
    first = load_network(str(path))
    weights.write_bytes(b"\1" * len(weights.read_bytes()))
    assert load_network(str(path)) != first


def test_what_only_says_that_it_is_a_network_is_named(tmp_path: Path):
    page = tmp_path / "page.onnx"
    page.write_bytes(b"<!doctype html>")
    with pytest.raises(ModelError, match="got a web page"):
        load_network(str(page))
