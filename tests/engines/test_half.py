import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.graphs import parse_model
from engines.half import convert, coordinates, statistics
from engines.onnxruntime import compute
from engines.twins import TWINS, flow, swapper

SIDE = 16


@pytest.fixture
def picture():
    return np.random.default_rng(0).uniform(0, 1, (1, 2, SIDE, SIDE)).astype(np.float32)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], output, **attributes)


def instance_norm(x, y):
    """The chain of nodes that instance normalisation is exported as, without its scale."""
    return [
        node("ReduceMean", [x], "mean", axes=[2, 3]),
        node("Sub", [x, "mean"], "centred"),
        node("Pow", ["centred", "two"], "square"),
        node("ReduceMean", ["square"], "variance", axes=[2, 3]),
        node("Add", ["variance", "tiny"], "sum"),
        node("Sqrt", ["sum"], "deviation"),
        node("Div", ["centred", "deviation"], y),
    ]


CONSTANTS = [("two", np.array(2, np.float32)), ("tiny", np.array(1e-5, np.float32))]


@pytest.fixture
def normalising(build_model):
    """Large values, normalised and halved; their squares do not fit 16 bits."""
    nodes = [
        node("Mul", ["x", "gain"], "large"),
        *instance_norm("large", "normal"),
        node("Mul", ["normal", "half"], "y"),
    ]
    shape = [1, 2, SIDE, SIDE]
    constants = [
        *CONSTANTS,
        ("gain", np.array(3000, np.float32)),
        ("half", np.array(0.5, np.float32)),
    ]
    return build_model(nodes, [("x", shape)], [("y", shape)], constants)


def test_every_node_of_a_spelled_out_normalisation_is_found_and_no_other(normalising):
    found = statistics(parse_model(normalising, "tiny").graph)
    assert found == {"mean", "centred", "square", "variance", "sum", "deviation", "normal"}


def test_the_swappers_style_blocks_keep_their_seven_nodes_each():
    graph = parse_model(swapper((8, 8, 8, 8), 2), "swapper").graph
    kinds = [one.op_type for one in graph.node if one.name in statistics(graph)]
    chain = ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div"]
    assert kinds == chain * 4


def test_a_normalisation_as_one_operator_is_found(build_model):
    shape = [1, 2, SIDE, SIDE]
    one = node("InstanceNormalization", ["x", "scale", "shift"], "y")
    constants = [("scale", np.ones(2, np.float32)), ("shift", np.zeros(2, np.float32))]
    model = build_model([one], [("x", shape)], [("y", shape)], constants)
    assert statistics(parse_model(model, "tiny").graph) == {"y"}


def test_a_mean_that_only_weighs_channels_keeps_nothing_after_it(build_model):
    shape = [1, 2, SIDE, SIDE]
    nodes = [
        node("ReduceMean", ["x"], "mean", axes=[2, 3]),
        node("Sigmoid", ["mean"], "weight"),
        node("Mul", ["x", "weight"], "y"),
    ]
    model = build_model(nodes, [("x", shape)], [("y", shape)])
    assert statistics(parse_model(model, "tiny").graph) == {"mean"}


def test_what_leads_to_the_places_a_picture_is_looked_up_at_stays_exact():
    graph = parse_model(flow(2, 4, 32), "flow").graph
    kept = coordinates(graph)
    kinds = {one.op_type for one in graph.node if one.name in kept}
    assert {"GridSample", "Transpose", "Add", "Resize"} <= kinds
    assert "Conv" not in kinds


def test_squares_that_would_overflow_are_computed_in_float32(normalising, picture):
    half = convert(normalising, [{"x": picture}])
    assert half.fault == ""
    assert half.error < 2e-3
    assert "square" in half.kept
    assert "y" not in half.kept


def test_the_result_is_a_valid_graph_with_its_old_inputs_and_outputs(normalising, picture):
    half = convert(normalising, [{"x": picture}])
    onnx.checker.check_model(half.model, full_check=True)
    graph = parse_model(half.model, "half").graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    types = {constant.name: constant.data_type for constant in graph.initializer}
    assert types["half/half"] == TensorProto.FLOAT16
    assert types["two"] == TensorProto.FLOAT
    (wanted,), (got,) = (compute(m, [{"x": picture}]) for m in (normalising, half.model))
    np.testing.assert_allclose(got["y"], wanted["y"], atol=2e-3)


def test_a_layer_seen_near_the_end_of_the_range_stays_in_float32(build_model, picture):
    nodes = [node("Mul", ["x", "gain"], "large"), node("Mul", ["large", "loss"], "y")]
    constants = [("gain", np.array(1e6, np.float32)), ("loss", np.array(1e-6, np.float32))]
    shape = [1, 2, SIDE, SIDE]
    model = build_model(nodes, [("x", shape)], [("y", shape)], constants)
    half = convert(model, [{"x": picture}])
    assert half.kept == {"large", "y"}
    assert half.fault == ""


def test_a_network_that_16_bits_spoil_falls_back_to_float32_and_says_why(build_model, picture):
    # A small difference of large values: their last digits are all there is to see.
    nodes = [node("Add", ["x", "much"], "sum"), node("Sub", ["sum", "much"], "y")]
    shape = [1, 2, SIDE, SIDE]
    model = build_model(
        nodes, [("x", shape)], [("y", shape)], [("much", np.array(1000, np.float32))]
    )
    half = convert(model, [{"x": picture}])
    assert half.model == model
    assert half.fault.startswith("y is off by")


def test_a_network_with_branches_stays_as_it_is(build_model, picture):
    shape = [1, 2, SIDE, SIDE]
    body = helper.make_graph(
        [node("Identity", ["x"], "z")],
        "body",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)],
    )
    branch = node("If", ["always"], "y", then_branch=body, else_branch=body)
    model = build_model([branch], [("x", shape)], [("y", shape)], [("always", np.array(True))])
    half = convert(model, [{"x": picture}])
    assert (half.model, half.fault) == (model, "it has branches or loops")


def test_a_network_whose_types_cannot_be_told_stays_as_it_is(build_model, picture):
    nodes = [
        helper.make_node("Strange", ["x"], ["odd"], domain="com.example"),
        helper.make_node("Relu", ["odd"], ["y"]),
    ]
    shape = [1, 2, SIDE, SIDE]
    proto = parse_model(build_model(nodes, [("x", shape)], [("y", shape)]), "odd")
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    model = proto.SerializeToString()
    half = convert(model, [{"x": picture}])
    assert (half.model, half.fault) == (model, "the type of odd cannot be told")


@pytest.mark.parametrize("name", ["detector", "enlarger_small", "masker", "swapper_depthwise"])
def test_the_twins_pass(name):
    from engines.graphs import inputs_of
    from engines.profiles import Extents, Limits, samples_of

    model = TWINS[name].make()
    crop = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    limits = Limits(side_px=Extents(64, 64, 64))
    half = convert(model, samples_of(inputs_of(model, name), [crop], limits)[:1])
    assert half.fault == ""
    assert len(half.model) < 0.55 * len(model)
