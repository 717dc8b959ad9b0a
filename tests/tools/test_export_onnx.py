from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.onnxruntime import compute

NETWORKS = """
import torch

class Normalising(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, picture, shift):
        x = self.layer(picture)
        x = (x - x.mean((2, 3), keepdim=True)) * torch.rsqrt(x.var((2, 3), keepdim=True) + 1e-5)
        return x + shift[:, :, None, None], shift

def network():
    torch.manual_seed(0)
    return Normalising()

number = 3
"""


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    pytest.importorskip("onnxscript")
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tool(torch: ModuleType) -> ModuleType:
    import tools.export_onnx

    return tools.export_onnx


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "networks_to_export.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "networks_to_export"


def test_a_networks_inputs_are_written_as_names_and_sizes(tool: ModuleType):
    assert tool.parse_input("x=1,3,h:128,w:96") == tool.InputSpec(
        "x", (1, 3, 128, 96), {2: "h", 3: "w"}
    )
    assert tool.parse_input("x=n:1,512").shape() == (2, 512)
    assert tool.parse_input("x=n:3,512").shape(2) == (6, 512)


@pytest.mark.parametrize("text", ["1,3", "x=", "x=1,h", "x=0,3", "=1,2", "x=1,-3"])
def test_inputs_written_otherwise_are_refused(tool: ModuleType, text: str):
    with pytest.raises(ValueError, match="--input: must"):
        tool.parse_input(text)


@pytest.mark.parametrize("path", ["nowhere:network", "{}:nothing", "{}", "{}:number"])
def test_a_factory_that_cannot_be_called_is_refused(tool: ModuleType, path: str, networks: str):
    with pytest.raises(ValueError, match=r"must be (a function|module:function)"):
        tool.load_factory(path.format(networks))


def test_the_file_computes_what_the_network_does_for_other_sizes_too(
    tool: ModuleType,
    torch: ModuleType,
    networks: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    out = tmp_path / "network.onnx"
    command = [f"{networks}:network", "--out", str(out)]
    command += ["--input", "picture=n:1,3,h:16,w:12", "--input", "shift=n:1,4"]
    assert tool.main([*command, "--output", "normal", "--output", "same"]) == 0
    assert "error" in capsys.readouterr().out
    model = out.read_bytes()
    assert [spec.shape for spec in inputs_of(model, "out")] == [(-1, 3, -1, -1), (-1, 4)]
    assert b"networks_to_export" not in model
    random = np.random.default_rng(1)
    picture = random.normal(size=(3, 3, 20, 24)).astype(np.float32)
    shift = random.normal(size=(3, 4)).astype(np.float32)
    (got,) = compute(model, [{"picture": picture, "shift": shift}])
    with torch.inference_mode():
        wanted, _ = tool.load_factory(f"{networks}:network")()(
            torch.from_numpy(picture), torch.from_numpy(shift)
        )
    np.testing.assert_allclose(got["normal"], wanted.numpy(), atol=1e-4)


def test_a_graph_that_computes_something_else_is_never_written(tool: ModuleType, torch: ModuleType):
    class Relu(torch.nn.Module):
        def forward(self, x):
            # The trace and the check see different branches.
            return x.relu() if torch.compiler.is_compiling() else honest * x.relu()

    honest = 1.0

    network = Relu()
    specs = [tool.InputSpec("x", (1, 8), {})]
    exported = tool.export(network, specs, ["y"], name="relu")
    assert exported.num_nodes == 1
    honest = 2.0
    with pytest.raises(ModelError, match="must compute what PyTorch does, got: y is off by"):
        tool.export(network, specs, ["y"], name="relu")


def test_what_goes_wrong_is_one_line(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "network.onnx"
    assert tool.main(["nowhere:network", "--out", str(out), "--input", "x=1,3"]) == 5
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not out.exists()
