import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.graphs import inputs_of
from engines.narrow import narrowed, open_narrow
from engines.onnxruntime import OnnxRuntimeSession, compute
from engines.session import TensorSpec

WIDE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)


@pytest.fixture
def weighted(build_model):
    """y = x * w, where w is float64."""
    nodes = [
        helper.make_node("Cast", ["w"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "single"], ["y"]),
    ]
    return widened(build_model(nodes, [("x", [1, 3]), ("w", [1])], [("y", [1, 3])]))


def widened(model):
    proto = onnx.load_model_from_string(model)
    proto.graph.input[1].type.tensor_type.elem_type = TensorProto.DOUBLE
    return proto.SerializeToString()


def test_it_computes_the_same_from_float32(weighted):
    result = narrowed(weighted)
    onnx.checker.check_model(onnx.load_model_from_string(result), full_check=True)
    assert [(one.name, one.dtype) for one in inputs_of(result, "m")] == [
        ("x", SINGLE),
        ("w", SINGLE),
    ]
    x = np.array([[1, 2, 3]], np.float32)
    ((before,), (after,)) = (
        compute(model, [{"x": x, "w": np.array([0.25], dtype)}])
        for model, dtype in ((weighted, WIDE), (result, SINGLE))
    )
    np.testing.assert_array_equal(after["y"], before["y"])


def test_one_without_such_inputs_stays_byte_for_byte(doubling):
    assert narrowed(doubling) is doubling


def test_graphs_inside_nodes_see_the_same_input(build_model):
    """y = x * w where x is positive, else x; the branch takes w from the graph around it."""

    def branch(nodes):
        output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
        return helper.make_graph(nodes, "branch", [], [output])

    times = branch(
        [
            helper.make_node("Cast", ["w"], ["single"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["x", "single"], ["z"]),
        ]
    )
    same = branch([helper.make_node("Identity", ["x"], ["z"])])
    nodes = [
        helper.make_node("Cast", ["x"], ["is"], to=TensorProto.BOOL),
        helper.make_node("If", ["is"], ["y"], then_branch=times, else_branch=same),
    ]
    model = widened(build_model(nodes, [("x", [1]), ("w", [1])], [("y", [1])]))
    sample = {"x": np.array([4], np.float32), "w": np.array([0.5], np.float32)}
    (found,) = compute(narrowed(model), [sample])
    assert found["y"].tolist() == [2.0]


def test_a_network_is_opened_once_unless_it_asks_for_float64(weighted, doubling):
    opened = []

    def open_network(model):
        opened.append(OnnxRuntimeSession(model))
        return opened[-1]

    assert open_narrow(open_network, doubling, name="m") is opened[0]
    session = open_narrow(open_network, weighted, name="m")
    assert len(opened) == 3
    assert [spec.dtype for spec in session.inputs] == [SINGLE, SINGLE]
    with pytest.raises(ModelError, match="closed"):
        opened[1].enqueue({}, out={}, stream=0)
    for one in opened:
        one.close()


def test_what_is_opened_is_not_read_unless_it_must_be():
    spec = TensorSpec("x", (1,), SINGLE)
    session = FakeSession((spec,), (spec,), lambda given: given)
    assert open_narrow(lambda _: session, b"no model at all", name="m") is session
