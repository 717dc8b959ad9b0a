import importlib.util

import numpy as np
import pytest

from engines import bench
from engines.bench import measure
from engines.errors import ModelError
from engines.fake import FakeSession
from engines.graphs import inputs_of
from engines.session import TensorSpec
from engines.twins import TWINS, enlarger

MS = 1_000_000
DENSE = "swapper_quarter"
"""A twin that is all dense convolutions, of a size that is soon measured."""


@pytest.fixture
def crops():
    return [np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)]


@pytest.fixture(scope="module")
def model():
    return enlarger(1, 4)


class Clock:
    """Stands still but for what the fake sessions say they took."""

    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


def fake_opener(clock, durations_ms, error=0.0):
    """Opens sessions that take these times in turn, after an untimed first run."""

    def open_fake(model, threads):
        left = iter([0, *durations_ms])

        def compute(arrays):
            clock.now_ns += next(left) * MS
            picture = arrays["picture"]
            return {"enlarged": picture.repeat(2, axis=2).repeat(2, axis=3) * (1 + error)}

        specs = inputs_of(model, "fake")
        out = (TensorSpec("enlarged", (-1, 3, -1, -1), np.dtype(np.float32)),)
        return FakeSession(specs, out, compute)

    return open_fake


def test_runtimes_take_turns_and_the_median_of_their_runs_counts(crops, model, monkeypatch):
    clock = Clock()
    quick, slow = [1, 9, 2], [20, 30, 10]
    forms = {
        "quick": (model, fake_opener(clock, quick)),
        "slow": (model, fake_opener(clock, slow, error=0.01)),
    }
    monkeypatch.setattr(bench, "_forms", lambda *_, **__: (forms, []))
    monkeypatch.setattr(
        bench,
        "compute",
        lambda _model, samples, **_: [
            {"enlarged": samples[0]["picture"].repeat(2, axis=2).repeat(2, axis=3)}
        ],
    )
    timings, skipped = measure("net", model, crops, threads=(1,), seconds=0, clock=clock)
    found = {one.runtime: one for one in timings}
    assert (found["quick"].median_ms, found["quick"].least_ms) == (2, 1)
    assert (found["slow"].median_ms, found["slow"].num_runs) == (20, 3)
    assert found["quick"].error == 0
    assert found["slow"].error == pytest.approx(0.01, rel=1e-4)
    assert skipped == []


def test_a_network_is_measured_in_every_runtime_there_is_and_8_bits_with_its_error(crops, model):
    timings, skipped = measure("net", model, crops, threads=(1, 2), seconds=0, with_int8=True)
    runtimes = {(one.runtime, one.threads) for one in timings}
    assert {("onnxruntime f32", 1), ("onnxruntime f32", 2), ("onnxruntime int8", 1)} <= runtimes
    errors = {one.runtime: one.error for one in timings}
    assert errors["onnxruntime f32"] == 0
    assert 1e-4 < errors["onnxruntime int8"] < 0.3
    if importlib.util.find_spec("openvino") is None:
        assert [one.runtime for one in skipped] == ["openvino"]
    else:
        assert errors["openvino f32"] < 1e-5
        assert {("openvino f32", 1), ("openvino int8", 2)} <= runtimes


def computes_in_bfloat16():
    if importlib.util.find_spec("openvino") is None:
        return False
    from engines.openvino import cpu_capabilities

    return "BF16" in cpu_capabilities()


@pytest.mark.slow
@pytest.mark.skipif(not computes_in_bfloat16(), reason="no bfloat16 here")
def test_bfloat16_in_openvino_is_nearly_twice_as_fast_as_onnx_runtime(crops):
    """The fastest runs count, and they take turns: what else the machine does meets all alike."""
    timings, _ = measure(DENSE, TWINS[DENSE].make(), crops, threads=(1,), seconds=0.5)
    least_ms = {one.runtime: one.least_ms for one in timings}
    assert least_ms["onnxruntime f32"] >= 1.8 * least_ms["openvino bf16"]


def test_a_runtime_that_does_not_take_the_network_is_left_out_with_the_reason(
    crops, model, monkeypatch
):
    def refuse(_model, _threads):
        raise ModelError("net: must be loadable, got no.")

    forms = {"whole": (model, bench._in_onnx_runtime), "odd": (model, refuse)}
    monkeypatch.setattr(bench, "_forms", lambda *_, **__: (forms, []))
    timings, skipped = measure("net", model, crops, threads=(1, 2), seconds=0)
    assert {one.runtime for one in timings} == {"whole"}
    assert [(one.runtime, one.reason) for one in skipped] == [
        ("odd", "net: must be loadable, got no.")
    ]


def test_a_network_that_does_not_run_at_all_is_an_error(crops):
    with pytest.raises(ModelError):
        measure("net", b"\xff\xff", crops)
