import importlib.util
import logging
import threading

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.onnxruntime import OnnxRuntimeSession
from engines.openvino import OpenVinoSession
from engines.session import TensorSpec
from engines.switching import SwitchingSession

WAIT_S = 10.0


def fake(factor, shape=(2,), dtype=np.float32):
    specs = [(TensorSpec(name, shape, np.dtype(dtype)),) for name in "xy"]
    return FakeSession(*specs, lambda arrays: {"y": factor * arrays["x"]})


def run(session):
    out = np.full(2, np.nan, np.float32)
    session.enqueue({"x": np.ones(2, np.float32)}, out={"y": out}, stream=0)
    return out[0]


def test_the_first_runs_at_once_and_the_better_one_from_the_next_run_after_it_is_ready():
    may_finish = threading.Event()

    def prepare(_is_wanted):
        assert may_finish.wait(WAIT_S)
        return fake(3)

    first = fake(2)
    session = SwitchingSession(first, prepare)
    assert [run(session), run(session)] == [2, 2]
    assert not session.is_settled
    may_finish.set()
    assert session.wait_until_ready(WAIT_S)
    assert [run(session), run(session)] == [3, 3]
    assert session.wait_until_settled(WAIT_S)
    assert session.is_settled
    assert first.calls == 2
    with pytest.raises(ModelError, match="must be open"):
        run(first)
    session.close()


@pytest.mark.parametrize(
    "error", [ModelError("the plan must be valid, got none."), ZeroDivisionError("oh")]
)
def test_a_preparation_that_fails_leaves_the_first_running_and_says_why_once(error, caplog):
    def prepare(_is_wanted):
        raise error

    with caplog.at_level(logging.WARNING, logger="engines.switching"):
        session = SwitchingSession(fake(2), prepare, name="swapper")
        assert session.wait_until_ready(WAIT_S)
        assert [run(session), run(session)] == [2, 2]
    assert str(error) in session.fault
    assert len(caplog.records) == 1
    assert "swapper: stays in fake:CPU" in caplog.text
    session.close()


@pytest.mark.parametrize(
    ("better", "fault"),
    [
        (fake(3, shape=(3,)), "x must be"),
        (fake(3, dtype=np.float64), "x must be"),
        (FakeSession((), (), dict, place="cuda"), "buffers lie on cpu, those of fake:CPU on cuda"),
    ],
    ids=["shape", "type", "place"],
)
def test_one_that_takes_something_else_is_not_switched_to_and_closed(better, fault):
    session = SwitchingSession(fake(2), lambda _: better)
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 2
    assert fault in session.fault
    with pytest.raises(ModelError, match="must be open"):
        run(better)
    session.close()


def test_one_whose_batch_is_open_may_take_over():
    session = SwitchingSession(fake(2), lambda _: fake(3, shape=(-1,)))
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 3
    session.close()


@pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)
def test_a_real_network_goes_over_from_one_runtime_to_another_in_the_same_arrays(doubling):
    session = SwitchingSession(
        OnnxRuntimeSession(doubling), lambda _: OpenVinoSession(doubling, precision="f32")
    )
    assert session.provider == "onnxruntime:CPU"
    assert session.wait_until_ready(WAIT_S)
    x = np.ones((2, 3), np.float32)
    out = {name: np.full((2, 3), np.nan, np.float32) for name in "yz"}
    session.enqueue({"x": x}, out=out, stream=0)
    assert session.provider == "openvino:CPU:f32"
    np.testing.assert_array_equal(out["y"], 2 * x)
    session.close()


def test_closing_tells_the_preparation_that_nobody_waits_any_more():
    told = threading.Event()
    better = fake(3)

    def prepare(is_wanted):
        while is_wanted():
            pass
        told.set()
        return better

    first = fake(2)
    session = SwitchingSession(first, prepare)
    session.close()
    assert told.is_set()
    for closed in (first, better):
        with pytest.raises(ModelError, match="must be open"):
            run(closed)
    session.close()


def test_the_better_one_has_run_on_such_arrays_before_a_caller_gets_it():
    may_finish, better = threading.Event(), fake(3, shape=(-1,))

    def prepare(_is_wanted):
        assert may_finish.wait(WAIT_S)
        return better

    session = SwitchingSession(fake(2), prepare)
    assert run(session) == 2
    may_finish.set()
    assert session.wait_until_ready(WAIT_S)
    assert better.calls == 1
    session.close()


def test_one_that_cannot_run_on_such_arrays_never_gets_to_the_caller():
    may_finish = threading.Event()

    def refuse(_arrays):
        raise ModelError("better: there must be room on the GPU, got none.")

    spec = (TensorSpec("x", (2,), np.dtype(np.float32)),)
    better = FakeSession(spec, (TensorSpec("y", (2,), np.dtype(np.float32)),), refuse)

    def prepare(_is_wanted):
        assert may_finish.wait(WAIT_S)
        return better

    session = SwitchingSession(fake(2), prepare)
    assert run(session) == 2
    may_finish.set()
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 2
    assert "there must be room" in session.fault
    with pytest.raises(ModelError, match="must be open"):
        run(better)
    session.close()


def test_no_run_waits_until_the_first_is_freed():
    may_close = threading.Event()

    class Slow(FakeSession):
        def close(self):
            assert may_close.wait(WAIT_S)
            super().close()

    spec = (TensorSpec("x", (2,), np.dtype(np.float32)),)
    result = (TensorSpec("y", (2,), np.dtype(np.float32)),)
    first = Slow(spec, result, lambda arrays: {"y": arrays["x"]})
    told = []
    session = SwitchingSession(first, lambda _: fake(3), name="swapper", say=told.append)
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 3
    assert not session.is_settled
    may_close.set()
    assert session.wait_until_settled(WAIT_S)
    with pytest.raises(ModelError, match="must be open"):
        run(first)
    assert told == ["swapper: now runs in fake:CPU"]
    session.close()
