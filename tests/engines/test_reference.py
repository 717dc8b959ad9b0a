"""What a plan is held to, on the way to the disk and back, and the comparison itself."""

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.reference import MAX_PLAN_ERROR, Reference, hold_to
from engines.session import TensorSpec

REFERENCE = Reference(
    samples=({"x": np.float32([1, 2]), "a/b c": np.int64([3])}, {"x": np.float32([4, 5])}),
    outputs=({"y": np.float32([2, 4])}, {"y": np.float32([8, 10])}),
)


def multiplied(factor):
    x, y = (TensorSpec(name, (2,), np.dtype(np.float32)) for name in "xy")
    return FakeSession((x,), (y,), lambda arrays: {"y": factor * arrays["x"]})


def test_all_of_it_comes_back_from_bytes():
    found = Reference.from_bytes(REFERENCE.to_bytes())
    for wanted, got in (
        (REFERENCE.samples, found.samples),
        (REFERENCE.outputs, found.outputs),
    ):
        assert [list(part) for part in got] == [list(part) for part in wanted]
        for name, array in wanted[0].items():
            np.testing.assert_array_equal(got[0][name], array)
            assert got[0][name].dtype == array.dtype


def test_nothing_is_no_bytes_and_comes_back_as_nothing():
    assert Reference().to_bytes() == b""
    assert Reference.from_bytes(b"") == Reference()


@pytest.mark.parametrize("data", [b"\x00", b"PK\x03\x04", REFERENCE.to_bytes()[:-30]])
def test_what_no_build_wrote_is_refused_in_one_line(data):
    with pytest.raises(ModelError, match="Build the network again") as caught:
        Reference.from_bytes(data)
    assert "\n" not in str(caught.value)


def test_a_session_that_computes_the_same_gives_its_error():
    assert hold_to(multiplied(2), REFERENCE, name="net").error == 0
    near = hold_to(multiplied(2 * (1 + MAX_PLAN_ERROR / 2)), REFERENCE, name="net")
    assert near.error == pytest.approx(MAX_PLAN_ERROR / 2, rel=1e-3)


def test_a_session_that_computes_something_else_is_refused():
    with pytest.raises(ModelError, match=r"net: the plan in fake:CPU must .* y is off by 0\.05"):
        hold_to(multiplied(2.1), REFERENCE, name="net")
