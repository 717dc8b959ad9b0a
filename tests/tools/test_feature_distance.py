import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from engines.errors import ModelError
from tools.feature_distance import FeatureDistance


def network(side=16, size=None):
    """A convolution and a rectifier, twice."""
    random = np.random.default_rng(1)
    first, second = (
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("a", (8, 3, 3, 3)), ("b", (8, 8, 3, 3)))
    )
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["p"], pads=[1] * 4),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Conv", ["q", "b"], ["r"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    shape = size or [1, 3, side, side]
    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8, side // 2, side // 2])],
        [first, second],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def noise(side=40, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


def test_the_same_picture_is_at_no_distance_and_a_worse_one_is_farther():
    distance, picture = FeatureDistance(network()), noise()
    assert distance(picture, picture) == 0.0
    little, much = (
        np.clip(picture + step * (noise(seed=2) - 127.0), 0, 255) for step in (0.1, 0.8)
    )
    assert 0 < distance(little.astype(np.uint8), picture) < distance(much.astype(np.uint8), picture)


def test_the_tiles_lie_in_the_middle():
    distance, picture = FeatureDistance(network(16)), noise(40)
    edge, middle = picture.copy(), picture.copy()
    edge[:4] = 0
    middle[10:14] = 0
    assert distance(edge, picture) == 0.0
    assert distance(middle, picture) > 0.0


def test_pictures_smaller_than_the_network_s_input_are_refused():
    with pytest.raises(ModelError, match="16 px or more"):
        FeatureDistance(network())(noise(15), noise(15))


def test_a_network_without_activations_cannot_look(twins):
    with pytest.raises(ModelError, match="must have activations to compare"):
        FeatureDistance(twins.restorer(32))
