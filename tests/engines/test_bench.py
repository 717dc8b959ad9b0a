import importlib.util
import itertools

import numpy as np
import pytest

from engines import bench
from engines.bench import Course, Skipped, Timing, gains_of_bfloat16
from engines.errors import ModelError
from engines.fake import FakeSession
from engines.graphs import inputs_of
from engines.profiles import Limits, samples_of
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

    def picture_made(self, model, samples, took_ms):
        """Stands for the first run in ONNX Runtime."""
        self.now_ns += took_ms * MS
        return [{"enlarged": doubled(samples[0]["picture"])}]


def doubled(picture):
    return picture.repeat(2, axis=2).repeat(2, axis=3)


def fake_opener(clock, takes_ms, error=0.0):
    """Opens sessions whose runs take so long, all but the untimed first one."""

    def open_fake(model, threads):
        left = itertools.chain([0], itertools.cycle(takes_ms))

        def compute(arrays):
            clock.now_ns += next(left) * MS
            return {"enlarged": doubled(arrays["picture"]) * (1 + error)}

        specs = inputs_of(model, "fake")
        out = (TensorSpec("enlarged", (-1, 3, -1, -1), np.dtype(np.float32)),)
        return FakeSession(specs, out, compute)

    return open_fake


@pytest.fixture
def measured_with(monkeypatch, model, crops):
    """Measures fake forms of a network whose first run takes so many milliseconds."""

    def measure(openers, clock, first_ms=0, **course):
        forms = {name: (model, opener) for name, opener in openers.items()}
        monkeypatch.setattr(bench, "_forms", lambda _: (dict(forms), {}))
        monkeypatch.setattr(
            bench, "compute", lambda m, samples, **_: clock.picture_made(m, samples, first_ms)
        )
        return split(bench.measure("net", model, crops, Course(clock=clock, **course)))

    return measure


def split(results):
    results = list(results)
    timings = [one for one in results if isinstance(one, Timing)]
    return timings, [one for one in results if isinstance(one, Skipped)]


def measure(model, crops, **course):
    return split(bench.measure("net", model, crops, Course(seconds=0, **course)))


def test_the_median_and_the_fastest_of_a_runtimes_runs_count(measured_with):
    clock = Clock()
    openers = {
        "quick": fake_opener(clock, [1, 9, 2]),
        "slow": fake_opener(clock, [20, 30, 10], error=0.01),
    }
    timings, skipped = measured_with(openers, clock, threads=(1,), seconds=0)
    found = {one.runtime: one for one in timings}
    assert (found["quick"].median_ms, found["quick"].least_ms) == (2, 1)
    assert (found["slow"].median_ms, found["slow"].num_runs) == (20, 3)
    assert found["quick"].error == 0
    assert found["slow"].error == pytest.approx(0.01, rel=1e-4)
    assert skipped == []


def test_what_begins_after_the_time_for_a_network_is_left_out_with_the_reason(measured_with):
    clock = Clock()
    openers = {"first": fake_opener(clock, [7000]), "second": fake_opener(clock, [8000])}
    timings, skipped = measured_with(openers, clock, first_ms=1000, budget_s=20)
    assert [(one.runtime, one.threads, one.num_runs) for one in timings] == [
        ("first", 1, 1),
        ("second", 1, 1),
        ("first", 2, 1),
        ("second", 2, 1),
    ]
    timings, skipped = measured_with(openers, clock, first_ms=1000, budget_s=10)
    assert [(one.runtime, one.threads) for one in timings] == [("first", 1), ("second", 1)]
    reason = "the 10 s of each network were too short with 2 threads"
    assert skipped == [Skipped("net", name, reason) for name in openers]


def test_of_a_network_that_uses_up_its_time_in_the_first_run_one_run_is_measured(measured_with):
    clock = Clock()
    openers = {"first": fake_opener(clock, [7000]), "second": fake_opener(clock, [8000])}
    timings, skipped = measured_with(openers, clock, first_ms=10_000, budget_s=10, threads=(1,))
    assert [(one.runtime, one.num_runs) for one in timings] == [("first", 1)]
    reason = "the 10 s of each network were too short with 1 thread"
    assert skipped == [Skipped("net", "second", reason)]


def test_an_8_bit_form_that_would_take_too_long_to_make_is_not_begun(measured_with, monkeypatch):
    monkeypatch.setattr(bench, "_forms_of_8_bits", lambda *_, known: dict(known))
    clock = Clock()
    openers = {"first": fake_opener(clock, [10])}
    limits = {"threads": (1,), "seconds": 0, "with_int8": True}
    _, skipped = measured_with(openers, clock, first_ms=1000, budget_s=20, **limits)
    assert skipped == []
    _, skipped = measured_with(openers, clock, first_ms=2000, budget_s=20, **limits)
    assert [one.runtime for one in skipped] == ["int8"]


def test_a_network_is_measured_in_every_runtime_there_is_and_8_bits_with_its_error(crops, model):
    timings, skipped = measure(model, crops, threads=(1, 2), with_int8=True)
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


def test_an_8_bit_form_is_made_from_other_pictures_than_its_error_is_told_of(
    crops, model, monkeypatch
):
    from engines import quantise

    seen = []
    real = quantise.quantise

    def look(model, samples, *, name):
        seen.extend(samples)
        return real(model, samples, name=name)

    monkeypatch.setattr(quantise, "quantise", look)
    pictures = [crops[0], 255 - crops[0]]
    measure(model, pictures, threads=(1,), with_int8=True)
    (first, *others) = samples_of(inputs_of(model, "net"), pictures, Limits())
    assert len(seen) == len(others) == 1
    np.testing.assert_array_equal(seen[0]["picture"], others[0]["picture"])
    assert not np.array_equal(seen[0]["picture"], first["picture"])


def test_what_comes_next_is_told(crops, model):
    steps = []
    course = Course((1, 2), seconds=0, with_int8=True)
    list(bench.measure("net", model, crops, course, report=steps.append))
    assert steps == [
        "runs for the first time",
        "gets an 8-bit form",
        "runs with 1 thread",
        "runs with 2 threads",
    ]


def test_the_gain_of_bfloat16_is_that_of_the_fastest_runs_where_it_is_least():
    def timing(network, runtime, threads, least_ms):
        return Timing(network, runtime, threads, 9 * least_ms, least_ms, 3, 0.0)

    timings = [
        timing("a", bench.FLOAT32, 1, 40.0),
        timing("a", bench.BFLOAT16, 1, 20.0),
        timing("a", bench.FLOAT32, 2, 27.0),
        timing("a", bench.BFLOAT16, 2, 18.0),
        timing("b", bench.FLOAT32, 1, 40.0),
        timing("b", "openvino f32", 1, 10.0),
    ]
    assert gains_of_bfloat16(iter(timings)) == {"a": 1.5}


def computes_in_bfloat16():
    if importlib.util.find_spec("openvino") is None:
        return False
    from engines.openvino import cpu_capabilities

    return "BF16" in cpu_capabilities()


@pytest.mark.slow
@pytest.mark.skipif(not computes_in_bfloat16(), reason="no bfloat16 here")
def test_bfloat16_in_openvino_is_nearly_twice_as_fast_as_onnx_runtime(crops):
    """The fastest runs count, and they take turns: what else the machine does meets all alike."""
    course = Course(threads=(1,), seconds=0.5)
    timings, _ = split(bench.measure(DENSE, TWINS[DENSE].make(), crops, course))
    assert gains_of_bfloat16(timings)[DENSE] >= 1.8


def test_a_runtime_that_does_not_take_the_network_is_left_out_with_the_reason(measured_with):
    def refuse(_model, _threads):
        raise ModelError("net: must be loadable, got no.")

    clock = Clock()
    openers = {"whole": fake_opener(clock, [1]), "odd": refuse}
    timings, skipped = measured_with(openers, clock, threads=(1, 2), seconds=0)
    assert {one.runtime for one in timings} == {"whole"}
    assert [(one.runtime, one.reason) for one in skipped] == [
        ("odd", "net: must be loadable, got no.")
    ]


def test_a_network_that_does_not_run_at_all_is_an_error(crops):
    with pytest.raises(ModelError):
        measure(b"\xff\xff", crops)
