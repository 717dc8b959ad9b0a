import numpy as np
import onnx
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession


def model_of(nodes, inputs, outputs):
    def infos(values):
        return [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in values
        ]

    graph = helper.make_graph(nodes, "tiny", infos(inputs), infos(outputs))
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture
def doubling():
    """y = x + x, z = relu(x), both (2, 3)."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    return model_of(nodes, [("x", [2, 3])], [("y", [2, 3]), ("z", [2, 3])])


def poisoned(shape=(2, 3)):
    return np.full(shape, np.nan, np.float32)


@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_are_written_into_the_callers_arrays(doubling, threads):
    session = OnnxRuntimeSession(doubling, threads=threads)
    x = np.arange(-3, 3, dtype=np.float32).reshape(2, 3)
    out = {"y": poisoned(), "z": poisoned()}
    session.enqueue({"x": x}, out=out, stream=0)
    np.testing.assert_array_equal(out["y"], 2 * x)
    np.testing.assert_array_equal(out["z"], np.maximum(x, 0))


def test_the_same_arrays_with_new_contents_give_new_results(doubling):
    session = OnnxRuntimeSession(doubling)
    x, out = np.ones((2, 3), np.float32), {"y": poisoned(), "z": poisoned()}
    for value in (1, 5, -2):
        x[...] = value
        session.enqueue({"x": x}, out=out, stream=0)
        np.testing.assert_array_equal(out["y"], np.full((2, 3), 2 * value))


def test_other_arrays_are_bound_in_their_turn_and_the_earlier_ones_left_alone(doubling):
    session = OnnxRuntimeSession(doubling)
    sets = [
        (np.full((2, 3), value, np.float32), {"y": poisoned(), "z": poisoned()}) for value in (1, 2)
    ]
    for x, out in sets:
        session.enqueue({"x": x}, out=out, stream=0)
    x, out = sets[0]
    x[...] = 7
    session.enqueue({"x": x}, out=out, stream=0)
    np.testing.assert_array_equal(out["y"], np.full((2, 3), 14))
    np.testing.assert_array_equal(sets[1][1]["y"], np.full((2, 3), 4))


def test_a_varying_dimension_takes_what_the_caller_brings():
    node = helper.make_node("Relu", ["x"], ["y"])
    session = OnnxRuntimeSession(model_of([node], [("x", ["n", 2])], [("y", ["n", 2])]))
    assert session.inputs[0].shape == (-1, 2)
    memory_in, memory_out = np.ones((4, 2), np.float32), poisoned((4, 2))
    for rows in (1, 4, 2):
        memory_out[...] = np.nan
        session.enqueue({"x": memory_in[:rows]}, out={"y": memory_out[:rows]}, stream=0)
        assert np.isnan(memory_out[:, 0]).tolist() == [False] * rows + [True] * (4 - rows)


def test_it_says_what_it_takes_and_what_runs_it(doubling):
    session = OnnxRuntimeSession(doubling)
    assert [(s.name, s.shape, s.dtype) for s in session.inputs] == [("x", (2, 3), np.float32)]
    assert [s.name for s in session.outputs] == ["y", "z"]
    assert session.provider == "onnxruntime:CPU"


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.ones((3, 2), np.float32), "float32 of shape"),
        (np.ones((2, 3), np.float64), "float64"),
        (np.ones((3, 2), np.float32).T, "non-contiguous"),
        (None, "nothing"),
    ],
    ids=["shape", "type", "layout", "missing"],
)
def test_an_array_that_does_not_fit_is_refused(doubling, array, got):
    session = OnnxRuntimeSession(doubling, name="doubling")
    inputs = {} if array is None else {"x": array}
    with pytest.raises(ModelError, match=f"doubling: x must be .*got {got}"):
        session.enqueue(inputs, out={"y": poisoned(), "z": poisoned()}, stream=0)


def test_an_output_left_out_is_refused(doubling):
    session = OnnxRuntimeSession(doubling)
    with pytest.raises(ModelError, match="z must be"):
        session.enqueue({"x": poisoned()}, out={"y": poisoned()}, stream=0)


def test_a_read_only_output_is_refused(doubling):
    session = OnnxRuntimeSession(doubling)
    out = {"y": poisoned(), "z": poisoned()}
    out["z"].flags.writeable = False
    with pytest.raises(ModelError, match="read-only"):
        session.enqueue({"x": np.ones((2, 3), np.float32)}, out=out, stream=0)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08" * 100])
def test_bytes_that_are_no_model_are_a_one_line_error(data):
    with pytest.raises(ModelError, match="must be able to load") as caught:
        OnnxRuntimeSession(data, name="broken")
    assert "\n" not in str(caught.value)


def test_a_closed_session_refuses_to_run_and_closes_again(doubling):
    session = OnnxRuntimeSession(doubling)
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.enqueue({"x": poisoned()}, out={}, stream=0)


def test_a_stream_other_than_zero_is_refused(doubling):
    with pytest.raises(ModelError, match="stream must be 0"):
        OnnxRuntimeSession(doubling).enqueue({}, out={}, stream=5)


def test_no_thread_at_all_is_refused(doubling):
    with pytest.raises(ModelError, match="threads must be at least 1"):
        OnnxRuntimeSession(doubling, threads=0)


def test_a_run_that_fails_is_a_model_error():
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4]),
            helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [2]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = OnnxRuntimeSession(model.SerializeToString())
    inputs = {"x": np.ones(4, np.float32), "shape": np.array([3, 3], np.int64)}
    with pytest.raises(ModelError, match="the network must run"):
        session.enqueue(inputs, out={"y": poisoned((3, 3))}, stream=0)
