"""Tiny networks made on the spot, and the adapters that are installed here."""

import importlib.util
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from engines.session import Session

CPU_ADAPTERS = ("onnxruntime", "openvino")


def model_of(nodes, inputs, outputs, initializers=(), opset=17):
    """A serialised model; inputs and outputs are pairs of a name and a shape, all float32."""

    def infos(values):
        return [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in values
        ]

    constants = [onnx.numpy_helper.from_array(value, name) for name, value in initializers]
    graph = helper.make_graph(nodes, "tiny", infos(inputs), infos(outputs), constants)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def open_with(adapter: str, model: bytes, **options) -> Session:
    """The model in one of the CPU adapters, in float32."""
    if adapter == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeSession

        return OnnxRuntimeSession(model, **options)
    from engines.openvino import OpenVinoSession

    return OpenVinoSession(model, precision="f32", **options)


@pytest.fixture(params=CPU_ADAPTERS)
def open_session(request) -> Callable[..., Session]:
    """Opens a model with each adapter of the CPU in turn."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return lambda model, **options: open_with(request.param, model, **options)


@pytest.fixture
def build_model():
    return model_of


@pytest.fixture
def doubling():
    """y = x + x, z = relu(x), both (2, 3)."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    return model_of(nodes, [("x", [2, 3])], [("y", [2, 3]), ("z", [2, 3])])


@pytest.fixture
def poisoned():
    """Makes an array full of NaN, so that what is not written shows."""
    return lambda shape=(2, 3): np.full(shape, np.nan, np.float32)
