import numpy as np
import pytest
from onnx import helper

from engines import simplify as simplifying
from engines.errors import ModelError
from engines.graphs import parse_model
from engines.onnxruntime import compute
from engines.simplify import fold, simplify


@pytest.fixture
def sample():
    return {"x": np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32)}


@pytest.fixture
def wordy(build_model):
    """A convolution with a norm after it, a node that does nothing and a constant sum."""
    random = np.random.default_rng(1)
    constants = [
        ("w", random.normal(size=(4, 4, 3, 3)).astype(np.float32)),
        *((name, random.uniform(0.5, 2, 4).astype(np.float32)) for name in "smbv"),
        ("one", np.ones(1, np.float32)),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["conv", "s", "m", "b", "v"], ["normal"]),
        helper.make_node("Identity", ["normal"], ["same"]),
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Mul", ["same", "two"], ["y"]),
    ]
    shape = [1, 4, 8, 8]
    return build_model(nodes, [("x", shape)], [("y", shape)], constants)


def test_what_can_be_computed_beforehand_is_and_the_result_is_the_same(wordy, sample):
    found = simplify(wordy, [sample])
    assert (found.num_nodes_before, found.num_nodes) == (5, 2)
    assert found.error < 1e-6
    (wanted,), (got,) = (compute(model, [sample]) for model in (wordy, found.model))
    np.testing.assert_allclose(got["y"], wanted["y"], rtol=1e-5, atol=1e-5)


def test_a_network_can_be_simplified_without_being_run(wordy, sample, monkeypatch):
    wanted = simplify(wordy, [sample]).model
    monkeypatch.setattr(simplifying, "compute", None)
    assert fold(wordy) == wanted


def test_no_constant_and_no_operator_set_is_left_that_nothing_needs(wordy, sample):
    proto = parse_model(simplify(wordy, [sample]).model, "simple")
    used = {tensor for node in proto.graph.node for tensor in node.input}
    assert {constant.name for constant in proto.graph.initializer} <= used
    assert [one.domain for one in proto.opset_import] == [""]


def test_an_operator_the_standard_does_not_know_is_refused_by_name(build_model, sample):
    node = helper.make_node("Strange", ["x"], ["y"], domain="com.example")
    shape = [1, 4, 8, 8]
    model = build_model([node], [("x", shape)], [("y", shape)])
    with pytest.raises(ModelError, match=r"got com\.example\.Strange"):
        simplify(model, [sample], name="odd")
    with pytest.raises(ModelError, match=r"got com\.example\.Strange"):
        fold(model, name="odd")


def test_a_result_that_differs_is_never_handed_out(wordy, build_model, sample, monkeypatch):
    shape = [1, 4, 8, 8]
    wrong = build_model([helper.make_node("Neg", ["x"], ["y"])], [("x", shape)], [("y", shape)])
    monkeypatch.setattr(simplifying, "optimise", lambda model, name: wrong)
    with pytest.raises(ModelError, match="must compute the same when simplified, got: y is off by"):
        simplify(wordy, [sample])


def test_bytes_that_are_no_model_are_a_model_error(sample):
    with pytest.raises(ModelError, match="must be an ONNX model"):
        simplify(b"\xff\xff", [sample])
