from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from engines.networks import srsn  # noqa: E402
from engines.onnxruntime import compute  # noqa: E402
from tools.export_srsn import main, stored_in_16_bits  # noqa: E402
from tools.srsn_recipe import load_recipe  # noqa: E402
from tools.srsn_training import Training, load_average, weights_in  # noqa: E402

NAME = "srsn_lite_x2_fidelity"


@pytest.fixture
def checkpoint(tmp_path):
    training = Training(load_recipe(NAME), "cpu", 1)
    random = np.random.default_rng(1)
    patches = [random.random((1, 3, side, side), np.float32) for side in (16, 32)]
    for _ in range(3):
        training.advance(*patches)
    training.save(tmp_path / f"{NAME}.pt")
    return tmp_path / f"{NAME}.pt"


def test_a_training_becomes_a_small_file_that_computes_the_same(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    model = (tmp_path / f"{NAME}.onnx").read_bytes()
    assert f"bytes: {len(model)}" in said
    assert len(model) < 100_000
    picture = np.random.default_rng(2).random((1, 3, 21, 34), np.float32)
    (found,) = compute(model, [{"picture": picture}])
    with torch.inference_mode():
        wanted = load_average(checkpoint).network(torch.from_numpy(picture)).numpy()
    # The weights were rounded to 16 bits.
    assert np.abs(found["enlarged"] - wanted).max() < 2e-3


def test_a_training_can_begin_with_the_weights_of_an_exported_file(checkpoint, tmp_path):
    assert main([str(checkpoint), "--out", str(tmp_path)]) == 0
    fresh = Training(load_recipe(NAME), "cpu", 2)
    fresh.start_from(tmp_path / f"{NAME}.onnx")
    wanted = load_average(checkpoint).network.state_dict()
    for network in (fresh.network, fresh.average):
        found = network.state_dict()
        assert set(found) == set(wanted)
        for name, weight in wanted.items():
            torch.testing.assert_close(found[name], weight.half().float(), rtol=0, atol=0)
    full = Training(load_recipe("srsn_full_x2_fidelity"), "cpu", 1)
    with pytest.raises(ValueError, match="must hold weights of a full network, got none"):
        full.start_from(tmp_path / f"{NAME}.onnx")


def test_another_file_s_weights_can_be_mixed_in(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), "--out", str(tmp_path)]) == 0
    own, shipped = tmp_path / f"{NAME}.onnx", Path(srsn.__file__).parent / f"{NAME}.onnx"
    first, second = weights_in(own), weights_in(shipped)
    mixing = ["--towards", str(shipped), "--share", "0.25"]
    assert main([str(checkpoint), "--out", str(tmp_path), *mixing]) == 0
    for name, weight in weights_in(own).items():
        if name in first:
            wanted = 0.25 * first[name] + 0.75 * second[name]
            torch.testing.assert_close(weight, wanted, rtol=2e-3, atol=2e-4)
    wide = shipped.with_name("srsn_lite_x4_fidelity.onnx")
    assert main([str(checkpoint), "--out", str(tmp_path), "--towards", str(wide)]) == 5
    assert "must hold " in capsys.readouterr().err


def test_only_constants_that_lose_nothing_are_stored_in_16_bits(twins):
    graph = twins.Graph()
    exact = graph.constant(np.array([0.5, 2.0], np.float32))
    odd = graph.constant(np.array([0.1, 0.3], np.float32))
    graph.node("Mul", graph.node("Add", "x", exact), odd, name="y")
    model = graph.model([("x", [2])], [("y", [2])])
    small = stored_in_16_bits(model, "tiny")
    sample = {"x": np.array([1.0, -1.0], np.float32)}
    (wanted,), (found,) = compute(model, [sample]), compute(small, [sample])
    np.testing.assert_array_equal(found["y"], wanted["y"])
    from engines.graphs import parse_model

    kinds = [constant.data_type for constant in parse_model(small, "tiny").graph.initializer]
    assert sorted(kinds) == [1, 10]


def test_what_was_not_trained_here_is_refused(tmp_path, capsys):
    assert main([str(tmp_path / "other.pt"), "--out", str(tmp_path)]) == 5
    assert "must be one of" in capsys.readouterr().err
