import numpy as np
import onnx
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.graphs import (
    consumers,
    drop_unused,
    element_types,
    foreign_operators,
    free_inputs,
    inputs_of,
    parse_model,
    producers,
)


@pytest.fixture
def two_step(build_model):
    nodes = [
        helper.make_node("Add", ["x", "w"], ["t"]),
        helper.make_node("Mul", ["t", "t"], ["y"], name="square"),
    ]
    constants = [("w", np.ones(2, np.float32)), ("spare", np.ones(1, np.float32))]
    return build_model(nodes, [("x", ["n", 2])], [("y", ["n", 2])], constants)


def test_nodes_without_a_name_or_with_a_common_one_get_their_own(build_model):
    nodes = [helper.make_node("Relu", [a], [b], name="same") for a, b in ("xa", "ab", "by")]
    proto = parse_model(build_model(nodes, [("x", [1])], [("y", [1])]), "tiny")
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == 3


def test_makers_and_users_of_a_tensor_are_found(two_step):
    graph = parse_model(two_step, "tiny").graph
    assert producers(graph)["y"].name == "square"
    assert [node.name for node in consumers(graph)["t"]] == ["square"]
    assert consumers(graph)["y"] == []


def test_what_nothing_needs_is_dropped(two_step):
    proto = parse_model(two_step, "tiny")
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    drop_unused(proto)
    assert [one.name for one in proto.graph.initializer] == ["w"]
    assert [one.domain for one in proto.opset_import] == [""]


def test_constants_listed_as_inputs_need_not_be_given_and_are_inputs_no_more(two_step):
    old = onnx.load_model_from_string(two_step)
    old.graph.input.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [2]))
    old.ir_version = 3
    assert [value.name for value in free_inputs(old.graph)] == ["x"]
    proto = parse_model(old.SerializeToString(), "old")
    assert [value.name for value in proto.graph.input] == ["x"]
    assert proto.ir_version == 4
    drop_unused(proto)
    onnx.checker.check_model(proto)


def test_inputs_are_described_as_sessions_describe_them(two_step):
    (spec,) = inputs_of(two_step, "tiny")
    assert (spec.name, spec.shape, spec.dtype) == ("x", (-1, 2), np.float32)


def test_types_are_known_for_tensors_inside(two_step):
    assert element_types(parse_model(two_step, "tiny"), "tiny")["t"] == onnx.TensorProto.FLOAT


def test_a_graph_that_contradicts_itself_is_a_model_error(build_model):
    node = helper.make_node("Strange", ["x"], ["y"], domain="com.example")
    proto = parse_model(build_model([node], [("x", [1])], [("y", [1])]), "odd")
    with pytest.raises(ModelError, match="odd: must be a consistent graph"):
        element_types(proto, "odd")


def test_operators_outside_the_standard_are_named(build_model):
    nodes = [
        helper.make_node("Gelu", ["x"], ["t"], domain="com.microsoft"),
        helper.make_node("Relu", ["t"], ["y"], domain="ai.onnx"),
    ]
    graph = parse_model(build_model(nodes, [("x", [1])], [("y", [1])]), "tiny").graph
    assert foreign_operators(graph) == ("com.microsoft.Gelu",)


@pytest.mark.parametrize("data", [b"\xff\xff", b""])
def test_bytes_without_a_network_in_them_are_refused(data):
    with pytest.raises(ModelError, match=r"broken: must (be an ONNX model|have at least one node)"):
        parse_model(data, "broken")
