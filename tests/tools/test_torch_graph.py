import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

torch = pytest.importorskip("torch")

from engines.errors import ModelError  # noqa: E402
from engines.onnxruntime import compute  # noqa: E402
from tools.torch_graph import TorchGraph, load_torch_graph  # noqa: E402


def recogniser(last="Reshape"):
    """Convolutions of both kinds, a shortcut and a flattening."""
    random = np.random.default_rng(1)

    def held(name, values):
        return numpy_helper.from_array(np.asarray(values, np.float32), name)

    weights = [
        held("w", random.standard_normal((4, 3, 3, 3))),
        held("b", random.standard_normal(4)),
        held("d", random.standard_normal((4, 1, 3, 3))),
    ]
    shape = numpy_helper.from_array(np.array([1, -1], np.int64), "shape")
    low, high = (held(name, value) for name, value in (("low", -1.0), ("high", 2.0)))
    nodes = [
        helper.make_node("Constant", [], ["at_least"], value=low),
        helper.make_node(
            "Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], group=1
        ),
        helper.make_node("Clip", ["a", "at_least", "high"], ["c"]),
        helper.make_node("Conv", ["c", "d"], ["e"], pads=[1, 1, 1, 1], strides=[1, 1], group=4),
        helper.make_node("Relu", ["e"], ["f"]),
        helper.make_node("Add", ["c", "f"], ["g"]),
        helper.make_node(last, ["g", "shape"] if last == "Reshape" else ["g"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [*weights, high, shape],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def test_a_graph_computes_in_pytorch_what_it_does_in_onnx_runtime():
    picture = np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (wanted,) = compute(recogniser(), [{"x": picture}])
    found = TorchGraph(recogniser(), "recogniser")(torch.from_numpy(picture))
    np.testing.assert_allclose(found.numpy(), wanted["y"], atol=1e-5)


def test_gradients_reach_the_picture_and_no_weight_is_trained():
    graph = TorchGraph(recogniser(), "recogniser")
    picture = torch.rand(2, 3, 8, 8, requires_grad=True)
    made = graph(picture)
    assert made.shape[0] == 2
    made.sum().backward()
    assert picture.grad.abs().sum() > 0
    assert not list(graph.parameters())


def test_an_unknown_operator_is_named():
    with pytest.raises(ModelError, match=r"must consist of Add.*got Sigmoid"):
        TorchGraph(recogniser("Sigmoid"), "recogniser")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"missing\.onnx: the network must be readable"):
        load_torch_graph(tmp_path / "missing.onnx")
