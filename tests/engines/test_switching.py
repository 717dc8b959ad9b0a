import logging
import threading

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
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


class OnTheGpu(FakeSession):
    place = "cuda"


@pytest.mark.parametrize(
    ("better", "fault"),
    [
        (fake(3, shape=(3,)), "x must be"),
        (fake(3, dtype=np.float64), "x must be"),
        (OnTheGpu((), (), dict), "buffers lie on cpu, those of fake:CPU on cuda"),
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
