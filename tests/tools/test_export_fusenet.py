from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from engines.models.catalogue import bundled_catalogue  # noqa: E402
from engines.networks.fusenet.network import INPUTS, OUTPUTS, SHAPES, build  # noqa: E402
from engines.onnxruntime import compute  # noqa: E402
from tools.export_fusenet import MAX_BYTES, WEIGHTS, input_specs, load_average, main  # noqa: E402


@pytest.fixture
def checkpoint(tmp_path):
    """A network that has learnt something, as a training leaves it."""
    torch.manual_seed(1)
    network = build("lite")
    torch.nn.init.normal_(network.head.weight, std=0.02)
    path = tmp_path / "fusenet_lite.pt"
    torch.save({"kind": "lite", "average": network.state_dict(), "step": 1}, path)
    return path


def test_a_training_becomes_a_small_file_that_computes_the_same(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), "--out", str(tmp_path)]) == 0
    model = (tmp_path / "fusenet_lite.onnx").read_bytes()
    assert f"bytes: {len(model)}" in capsys.readouterr().out
    assert len(model) < MAX_BYTES["lite"]
    random = np.random.default_rng(1)
    given = {
        spec.name: random.random(spec.sizes, np.float32) for spec in input_specs(SHAPES["lite"])
    }
    assert tuple(given) == INPUTS
    (found,) = compute(model, [given])
    network = load_average(checkpoint).eval()
    with torch.inference_mode():
        wanted = network(*(torch.from_numpy(given[name]) for name in INPUTS))
    for name, tensor in zip(OUTPUTS, wanted, strict=True):
        # The weights were rounded to 16 bits.
        scale = max(1.0, float(tensor.abs().max()))
        assert np.abs(found[name] - tensor.numpy()).max() < 1e-2 * scale


def test_a_file_that_is_no_training_is_an_error_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "missing.pt"), "--out", str(tmp_path)]) != 0
    assert "missing.pt" in capsys.readouterr().err


def test_the_network_that_is_shipped_is_no_larger_than_it_may_be():
    entry = bundled_catalogue().models["fusenet_lite"]
    file = WEIGHTS / "fusenet_lite.onnx"
    assert entry.bytes == Path(file).stat().st_size <= MAX_BYTES["lite"]
