"""What every session on the CPU must do, whatever computes behind it."""

import statistics
import time
import tracemalloc

import numpy as np
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.session import TensorSpec

NUM_RUNS = 200


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 3, 128, 128), "NCHW"),
        ((-1, 3, -1, -1), "NCHW"),
        ((1, 192, 192, 3), "NHWC"),
        ((1, 1024, 32, 32), "NCHW"),
        ((1, 512), "NC"),
        ((7,), ""),
    ],
)
def test_the_layout_is_read_off_the_shape(shape, layout):
    assert TensorSpec("x", shape, np.dtype(np.float32)).layout == layout


@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_are_written_into_the_callers_arrays(open_session, doubling, poisoned, threads):
    session = open_session(doubling, threads=threads)
    x = np.arange(-3, 3, dtype=np.float32).reshape(2, 3)
    out = {"y": poisoned(), "z": poisoned()}
    session.enqueue({"x": x}, out=out, stream=0)
    np.testing.assert_array_equal(out["y"], 2 * x)
    np.testing.assert_array_equal(out["z"], np.maximum(x, 0))


def test_the_same_arrays_with_new_contents_give_new_results(open_session, doubling, poisoned):
    session = open_session(doubling)
    x, out = np.ones((2, 3), np.float32), {"y": poisoned(), "z": poisoned()}
    for value in (1, 5, -2):
        x[...] = value
        session.enqueue({"x": x}, out=out, stream=0)
        np.testing.assert_array_equal(out["y"], np.full((2, 3), 2 * value))


def test_other_arrays_are_bound_in_their_turn_and_the_earlier_ones_left_alone(
    open_session, doubling, poisoned
):
    session = open_session(doubling)
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


def test_an_array_given_up_by_its_owner_is_never_taken_for_the_one_in_its_place(
    open_session, doubling, poisoned
):
    session = open_session(doubling)
    out = {"y": poisoned(), "z": poisoned()}
    for value in range(20):
        session.enqueue({"x": np.full((2, 3), value, np.float32)}, out=out, stream=0)
        np.testing.assert_array_equal(out["y"], np.full((2, 3), 2 * value))


def test_a_varying_dimension_takes_what_the_caller_brings(open_session, build_model, poisoned):
    node = helper.make_node("Relu", ["x"], ["y"])
    session = open_session(build_model([node], [("x", ["n", 2])], [("y", ["n", 2])]))
    assert session.inputs[0].shape == (-1, 2)
    memory_in, memory_out = np.ones((4, 2), np.float32), poisoned((4, 2))
    for rows in (1, 4, 2):
        memory_out[...] = np.nan
        session.enqueue({"x": memory_in[:rows]}, out={"y": memory_out[:rows]}, stream=0)
        assert np.isnan(memory_out[:, 0]).tolist() == [False] * rows + [True] * (4 - rows)


def test_it_says_what_it_takes_what_runs_it_and_where(open_session, doubling):
    session = open_session(doubling)
    assert [(s.name, s.shape, s.dtype) for s in session.inputs] == [("x", (2, 3), np.float32)]
    assert [s.name for s in session.outputs] == ["y", "z"]
    assert session.provider in ("onnxruntime:CPU", "openvino:CPU:f32")
    assert session.place == "cpu"


def test_outputs_go_by_the_names_that_the_graph_gives_them(open_session, build_model, poisoned):
    nodes = [
        helper.make_node("Relu", ["x"], ["a_inner"]),
        helper.make_node("Identity", ["a_inner"], ["positive"]),
        helper.make_node("Neg", ["x"], ["b_inner"]),
        helper.make_node("Reshape", ["b_inner", "shape"], ["a_flat"]),
        helper.make_node("Identity", ["a_flat"], ["negative"]),
        helper.make_node("Identity", ["a_flat"], ["again"]),
    ]
    outputs = [("positive", [2, 3]), ("negative", [6]), ("again", [6])]
    shape = [("shape", np.array([6]))]
    session = open_session(build_model(nodes, [("x", [2, 3])], outputs, shape))
    assert [spec.name for spec in session.outputs] == ["positive", "negative", "again"]
    x = np.arange(-3, 3, dtype=np.float32).reshape(2, 3)
    out = {"positive": poisoned(), "negative": poisoned((6,)), "again": poisoned((6,))}
    session.enqueue({"x": x}, out=out, stream=0)
    np.testing.assert_array_equal(out["positive"], np.maximum(x, 0))
    np.testing.assert_array_equal(out["negative"], -x.reshape(6))
    np.testing.assert_array_equal(out["again"], -x.reshape(6))


class OnTheGpu:
    def __init__(self):
        self.__cuda_array_interface__ = {"data": (4096, 0), "shape": (2, 3), "typestr": "<f4"}


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.ones((3, 2), np.float32), "float32 of shape"),
        (np.ones((2, 3), np.float64), "float64"),
        (np.ones((3, 2), np.float32).T, "non-contiguous"),
        (OnTheGpu(), "a OnTheGpu, which is not in main memory"),
        (None, "nothing"),
    ],
    ids=["shape", "type", "layout", "place", "missing"],
)
def test_an_array_that_does_not_fit_is_refused(open_session, doubling, poisoned, array, got):
    session = open_session(doubling, name="doubling")
    inputs = {} if array is None else {"x": array}
    with pytest.raises(ModelError, match=f"doubling: x must be .*got {got}"):
        session.enqueue(inputs, out={"y": poisoned(), "z": poisoned()}, stream=0)


def test_an_output_left_out_is_refused_even_after_a_good_call(open_session, doubling, poisoned):
    session = open_session(doubling)
    inputs, out = {"x": np.ones((2, 3), np.float32)}, {"y": poisoned(), "z": poisoned()}
    session.enqueue(inputs, out=out, stream=0)
    with pytest.raises(ModelError, match="z must be"):
        session.enqueue(inputs, out={"y": out["y"]}, stream=0)


def test_a_read_only_output_is_refused(open_session, doubling, poisoned):
    session = open_session(doubling)
    out = {"y": poisoned(), "z": poisoned()}
    out["z"].flags.writeable = False
    with pytest.raises(ModelError, match="read-only"):
        session.enqueue({"x": np.ones((2, 3), np.float32)}, out=out, stream=0)


def test_a_read_only_input_is_read(open_session, doubling, poisoned):
    session = open_session(doubling)
    x, out = np.ones((2, 3), np.float32), {"y": poisoned(), "z": poisoned()}
    shown = np.broadcast_to(x, (2, 3))
    assert not shown.flags.writeable
    for value in (1, 4):
        x[...] = value
        session.enqueue({"x": shown}, out=out, stream=0)
        np.testing.assert_array_equal(out["y"], 2 * x)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08" * 100])
def test_bytes_that_are_no_model_are_a_one_line_error(open_session, data):
    with pytest.raises(ModelError, match="must be able to load") as caught:
        open_session(data, name="broken")
    assert "\n" not in str(caught.value)


def test_a_closed_session_refuses_to_run_and_closes_again(open_session, doubling, poisoned):
    session = open_session(doubling)
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.enqueue({"x": poisoned()}, out={}, stream=0)


def test_a_stream_other_than_zero_is_refused(open_session, doubling):
    with pytest.raises(ModelError, match="stream must be 0"):
        open_session(doubling).enqueue({}, out={}, stream=5)


def test_no_thread_at_all_is_refused(open_session, doubling):
    with pytest.raises(ModelError, match="threads must be at least 1"):
        open_session(doubling, threads=0)


def test_a_run_that_fails_is_a_model_error(open_session, build_model, poisoned):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    model = build_model(nodes, [("a", ["n"]), ("b", ["m"])], [("y", ["k"])])
    inputs = {"a": np.ones(3, np.float32), "b": np.ones(4, np.float32)}
    with pytest.raises(ModelError, match="the network must run"):
        open_session(model).enqueue(inputs, out={"y": poisoned((4,))}, stream=0)


def test_a_call_with_the_same_arrays_allocates_nothing(open_session, doubling, poisoned):
    session = open_session(doubling)
    inputs, out = {"x": np.ones((2, 3), np.float32)}, {"y": poisoned(), "z": poisoned()}
    session.enqueue(inputs, out=out, stream=0)
    tracemalloc.start()
    try:
        # Python's own free lists fill up first.
        for _ in range(2 * NUM_RUNS):
            session.enqueue(inputs, out=out, stream=0)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(NUM_RUNS):
            session.enqueue(inputs, out=out, stream=0)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Python's own bookkeeping of a call lives and dies within it; no array does even that.
    assert after - before <= 64
    assert peak - before < 1024


def test_the_adapter_adds_little_to_the_bare_call(open_session, doubling, poisoned):
    session = open_session(doubling)
    inputs, out = {"x": np.ones((2, 3), np.float32)}, {"y": poisoned(), "z": poisoned()}
    session.enqueue(inputs, out=out, stream=0)
    ours, bare = [], []
    for _ in range(NUM_RUNS):
        began_ns = time.perf_counter_ns()
        session.enqueue(inputs, out=out, stream=0)
        between_ns = time.perf_counter_ns()
        run_bare(session)
        ours.append(between_ns - began_ns)
        bare.append(time.perf_counter_ns() - between_ns)
    assert statistics.median(ours) - statistics.median(bare) <= 50_000


def run_bare(session):
    """The runtime's own call on what the session has bound."""
    if session.provider.startswith("onnxruntime"):
        session._session.run_with_iobinding(session._binding)
        return
    session._request.start_async()
    session._request.wait()
