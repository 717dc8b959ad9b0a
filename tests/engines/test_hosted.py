import tracemalloc

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeGpuSession, FakeMemory, FakeSession
from engines.hosted import HostedSession, open_hosted
from engines.session import TensorSpec


def doubling(shape=(2, -1)):
    spec = TensorSpec("x", shape, np.dtype(np.float32)), TensorSpec("y", shape, np.dtype("f4"))
    return FakeSession((spec[0],), (spec[1],), lambda arrays: {"y": 2 * arrays["x"]})


@pytest.fixture
def memory():
    return FakeMemory()


@pytest.fixture
def hosted(memory):
    return HostedSession(FakeGpuSession(doubling(), memory), memory)


def run(session, columns=3):
    x = np.arange(2 * columns, dtype=np.float32).reshape(2, columns)
    y = np.full_like(x, np.nan)
    session.enqueue({"x": x}, out={"y": y}, stream=0)
    np.testing.assert_array_equal(y, 2 * x)


def test_a_network_of_the_gpu_takes_and_gives_arrays_of_main_memory(hosted):
    assert (hosted.place, hosted.provider) == ("cpu", "fake:CUDA")
    assert [spec.name for spec in (*hosted.inputs, *hosted.outputs)] == ["x", "y"]
    run(hosted)


def test_arrays_on_the_gpu_are_made_once_for_each_shape(hosted, memory):
    for columns in (3, 5, 3, 5, 3):
        run(hosted, columns)
    assert memory.num_arrays == 4


def test_nothing_grows_from_call_to_call(hosted):
    x, y = np.ones((2, 3), np.float32), np.empty((2, 3), np.float32)
    for _ in range(3):
        hosted.enqueue({"x": x}, out={"y": y}, stream=0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        hosted.enqueue({"x": x}, out={"y": y}, stream=0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1000


@pytest.mark.parametrize(
    ("inputs", "outputs", "why"),
    [
        ({}, (2, 3), "x must be a C-contiguous float32 array"),
        ({"x": np.ones((2, 3))}, (2, 3), "got float64"),
        ({"x": np.ones((2, 3), np.float32)}, (3, 3), "y must be"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_before_anything_is_queued(
    hosted, memory, inputs, outputs, why
):
    with pytest.raises(ModelError, match=why):
        hosted.enqueue(inputs, out={"y": np.empty(outputs, np.float32)}, stream=0)
    assert not memory.queued


def test_the_stream_is_its_own(hosted):
    with pytest.raises(ModelError, match="stream must be 0"):
        hosted.enqueue({}, out={}, stream=7)


def test_a_network_of_the_processor_needs_no_copies(memory):
    with pytest.raises(ModelError, match="must run on a GPU, got fake:CPU"):
        HostedSession(doubling(), memory)


def test_closing_closes_the_network_and_the_memory(memory):
    inner = doubling()
    session = HostedSession(FakeGpuSession(inner, memory), memory)
    run(session)
    session.close()
    session.close()
    assert not memory.is_open
    with pytest.raises(ModelError, match="must be open"):
        run(inner)


def test_it_is_opened_on_the_stream_of_its_memory(memory):
    streams = []

    def open_network(stream):
        streams.append(stream)
        return FakeGpuSession(doubling(), memory)

    run(open_hosted(open_network, take_memory=lambda: memory))
    assert streams == [memory.stream]


def test_a_network_that_cannot_be_opened_leaves_no_memory_behind(memory):
    def refuse(_stream):
        raise ModelError("model: must be loadable, got no.")

    with pytest.raises(ModelError, match="must be loadable"):
        open_hosted(refuse, take_memory=lambda: memory)
    assert not memory.is_open
