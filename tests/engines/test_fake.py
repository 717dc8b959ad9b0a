import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.session import Session, TensorSpec

SPEC_IN = TensorSpec("x", (-1, 2), np.dtype(np.float32))
SPEC_OUT = TensorSpec("y", (-1, 2), np.dtype(np.float32))


@pytest.fixture
def session():
    return FakeSession((SPEC_IN,), (SPEC_OUT,), lambda arrays: {"y": 3 * arrays["x"]})


def test_results_are_copied_into_the_callers_array(session):
    out = np.full((3, 2), np.nan, np.float32)
    session.enqueue({"x": np.ones((3, 2), np.float32)}, out={"y": out}, stream=0)
    assert (out == 3).all()
    assert session.calls == 1


def test_it_is_a_session_like_the_real_ones(session):
    def described(network: Session) -> tuple[str, str]:
        return network.inputs[0].name, network.outputs[0].name

    assert described(session) == ("x", "y")
    assert session.provider == "fake:CPU"


def test_an_array_that_does_not_fit_is_refused(session):
    with pytest.raises(ModelError, match="x must be a C-contiguous float32"):
        session.enqueue({"x": np.ones((3, 3), np.float32)}, out={}, stream=0)
    assert session.calls == 0


def test_a_closed_session_refuses_to_run(session):
    session.close()
    with pytest.raises(ModelError, match="must be open"):
        session.enqueue({}, out={}, stream=0)
