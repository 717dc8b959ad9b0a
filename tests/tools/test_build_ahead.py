from pathlib import Path

import pytest

from engines.build import Recipe
from engines.twins import TWINS, enlarger
from tools import build_ahead as tool
from tools.build_ahead import build_ahead, default_networks, main


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.onnx"
    path.write_bytes(enlarger(1, 4))
    return str(path)


def test_every_twin_and_every_default_model_is_built_unless_others_are_named():
    networks = default_networks()
    assert set(TWINS) < set(networks)
    assert "face_landmark" in networks
    assert "srsn_lite_x2_fidelity" in networks
    assert "portrait_astronaut" not in networks


@pytest.mark.rtx
def test_a_network_is_built_for_every_target(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert build_ahead([small], Recipe(targets=("sm_86", "sm_89")), tmp_path / "plans") == []
    said = capsys.readouterr().out
    assert "for sm_86: fp16" in said
    assert "for sm_89: fp16" in said
    assert not list((tmp_path / "plans").glob("*.plan"))


@pytest.mark.rtx
def test_one_that_cannot_be_built_is_told_and_the_others_still_are(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\xff\xff")
    assert main([str(broken), small, "--target", "sm_86"]) == 5
    said = capsys.readouterr()
    assert "must be a whole ONNX file" in said.err
    assert "for sm_86: fp16" in said.out


@pytest.mark.rtx
def test_a_network_that_does_not_pass_in_16_bits_is_a_fault(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = tool.build

    def in_float32(model, crops, recipe, cache, name):
        plans = real(model, crops, Recipe(precision="fp32"), cache, name=name)
        facts = {"precision": "fp32", "fault": "y is blank"}
        return [tool.Built(one.data, one.key, one.path, facts, False) for one in plans]

    monkeypatch.setattr(tool, "build", in_float32)
    assert build_ahead([small], Recipe(), tmp_path / "plans") == [
        f"{small}: must pass in 16 bits, got: y is blank."
    ]
