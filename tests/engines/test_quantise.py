import logging

import numpy as np
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.graphs import inputs_of, parse_model
from engines.onnxruntime import compute
from engines.profiles import Extents, Limits, samples_of
from engines.quantise import quantise
from engines.self_check import compare
from engines.twins import depthwise_swapper


@pytest.fixture(scope="module")
def network():
    model = depthwise_swapper()
    crop = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    limits = Limits(side_px=Extents(64, 64, 64))
    return model, samples_of(inputs_of(model, "twin"), [crop], limits)


def test_the_weights_shrink_to_a_quarter_and_the_result_stays_near(network):
    model, samples = network
    small = quantise(model, samples)
    assert len(small) < 0.35 * len(model)
    assert inputs_of(small, "small") == inputs_of(model, "model")
    kinds = {node.op_type for node in parse_model(small, "small").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    found = compare(compute(model, samples), compute(small, samples), max_error=0.2)
    assert found.is_good
    assert found.error > 1e-4


def test_nothing_is_said_and_the_log_is_left_as_it_was(build_model, caplog):
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    constants = [("w", np.ones((2, 2, 1, 1), np.float32))]
    shape = [1, 2, 4, 4]
    model = build_model([node], [("x", shape)], [("y", shape)], constants)
    level = logging.getLogger().level
    quantise(model, [{"x": np.ones(shape, np.float32)}])
    assert caplog.records == []
    assert logging.getLogger().level == level


def test_a_network_that_cannot_be_quantised_is_a_model_error(build_model):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    model = build_model(nodes, [("x", [1, 4])], [("y", [1, 4])])
    with pytest.raises(ModelError, match="must be a network that can be quantised"):
        quantise(model, [])
