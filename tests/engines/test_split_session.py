import tracemalloc

import numpy as np
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.fake import FakeGpuSession, FakeMemory, FakeSession
from engines.onnxruntime import OnnxRuntimeSession, compute
from engines.split import split
from engines.split_session import SplitSession, open_split
from engines.twins import swapper

SIDE_PX = 128


@pytest.fixture(scope="module")
def model():
    return swapper((8, 16, 32, 64), 2)


@pytest.fixture(scope="module")
def sample(model):
    random = np.random.default_rng(3)
    session = OnnxRuntimeSession(model)
    return {
        spec.name: random.normal(size=np.maximum(spec.shape, 1)).astype(np.float32)
        for spec in session.inputs
    }


def open_half(model, name):
    return OnnxRuntimeSession(model, name=name)


@pytest.fixture
def session(model):
    opened = open_split(split(model), open_half, most_px=SIDE_PX // 2)
    yield opened
    opened.close()


def run(session, sample):
    out = {
        spec.name: np.full(np.maximum(spec.shape, 1), np.nan, spec.dtype)
        for spec in session.outputs
    }
    session.enqueue(sample, out=out, stream=0)
    return out


def test_without_work_the_halves_compute_what_the_whole_does(model, session, sample):
    (whole,) = compute(model, [sample])
    for _ in range(2):
        parts = run(session, sample)
        assert list(parts) == list(whole)
        for name, wanted in whole.items():
            np.testing.assert_allclose(parts[name], wanted, atol=1e-5)


def test_it_looks_like_the_whole_network(model, session):
    whole = OnnxRuntimeSession(model)
    assert [spec.name for spec in session.inputs] == [spec.name for spec in whole.inputs]
    assert (session.inputs, session.outputs) == (whole.inputs, whole.outputs)
    assert (session.place, session.provider) == ("cpu", "onnxruntime:CPU")


def test_the_work_sees_the_features_and_what_it_writes_goes_on(session, sample):
    before, seen = run(session, sample), []
    session.work_on_features(lambda features: seen.append(features.copy()))
    unchanged = run(session, sample)
    session.work_on_features(lambda features: features.fill(0.0))
    emptied = run(session, sample)
    assert seen[0].shape == session.features_shape
    assert seen[0].std() > 0
    (name,) = before
    np.testing.assert_array_equal(unchanged[name], before[name])
    assert np.abs(emptied[name] - before[name]).max() > 1e-3
    session.work_on_features(None)
    np.testing.assert_array_equal(run(session, sample)[name], before[name])


def test_outputs_of_the_first_half_and_skips_over_the_second_arrive(build_model):
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["mask"]),
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Tanh", ["small"], ["smooth"]),
        helper.make_node("Resize", ["smooth", "", "scales"], ["large"]),
        helper.make_node("Add", ["large", "mask"], ["y"]),
    ]
    shape = [1, 3, 16, 16]
    scales = [("scales", np.array([1, 1, 2, 2], np.float32))]
    outputs = [("mask", shape), ("small", [1, 3, 8, 8]), ("y", shape)]
    model = build_model(nodes, [("x", shape)], outputs, scales)
    sample = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    (whole,) = compute(model, [sample])
    for tensor in ("small", "smooth"):
        session = open_split(split(model, tensor), open_half, most_px=8)
        parts = run(session, sample)
        for name, wanted in whole.items():
            np.testing.assert_allclose(parts[name], wanted, atol=1e-6)


def test_nothing_is_taken_from_call_to_call(build_model):
    nodes = [
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Tanh", ["small"], ["y"]),
    ]
    model = build_model(nodes, [("x", [1, 3, 16, 16])], [("y", [1, 3, 8, 8])])
    session = open_split(split(model), open_half, most_px=8)
    given, out = {"x": np.ones((1, 3, 16, 16), np.float32)}, {"y": np.empty((1, 3, 8, 8), "f4")}
    tracemalloc.start()
    # Python's own free lists fill up first.
    for _ in range(400):
        session.enqueue(given, out=out, stream=0)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        session.enqueue(given, out=out, stream=0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown <= 64


def test_what_the_caller_forgets_is_named(session, sample):
    with pytest.raises(ModelError, match="source must be a C-contiguous float32 array"):
        run(session, {name: array for name, array in sample.items() if name != "source"})
    with pytest.raises(ModelError, match="output must be a C-contiguous float32 array"):
        session.enqueue(sample, out={}, stream=0)


def test_features_as_large_as_the_picture_are_none(model):
    halves = split(model)
    side_px = halves.shape[2]
    assert halves.shape == (1, 64, side_px, side_px)
    with pytest.raises(ModelError, match=f"maps of at most {side_px - 1} x {side_px - 1} pixels"):
        open_split(halves, open_half, most_px=side_px - 1)


def test_a_half_that_cannot_be_opened_closes_the_other(model):
    opened = []

    def open_one(part, name):
        if opened:
            raise ModelError(f"{name}: must be loadable, got no.")
        opened.append(FakeSession((), (), dict))
        return opened[0]

    with pytest.raises(ModelError, match="model, second half: must be loadable"):
        open_split(split(model), open_one, most_px=SIDE_PX)
    with pytest.raises(ModelError, match="must be open"):
        opened[0].enqueue({}, out={}, stream=0)


def test_halves_on_a_gpu_are_refused(model):
    there = FakeGpuSession(FakeSession((), (), dict), FakeMemory())
    with pytest.raises(ModelError, match="must take arrays of main memory, got cuda"):
        SplitSession(there, there, split(model))
