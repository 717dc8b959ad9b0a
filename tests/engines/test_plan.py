import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.half import convert
from engines.plan import Phases, build_plan, targets
from engines.profiles import Limits, samples_of
from engines.twins import TWINS, enlarger

OPEN = {"picture": ((1, 3, 64, 64), (1, 3, 128, 128), (4, 3, 256, 256))}


def test_progress_counts_the_steps_of_inner_phases_and_never_goes_back():
    phases = Phases()
    phases.start("all", None, 2)
    phases.start("first", "all", 4)
    seen = []
    for step in range(4):
        phases.step("first", step)
        seen.append(phases.fraction)
    phases.finish("first")
    phases.step("all", 0)
    seen.append(phases.fraction)
    phases.start("second", "all", 2)
    phases.start("inner", "second", 2)
    phases.step("inner", 0)
    seen.append(phases.fraction)
    phases.step("first", 0)
    phases.step("inner", 0)
    seen.append(phases.fraction)
    assert seen == [0.125, 0.25, 0.375, 0.5, 0.5, 0.625, 0.625]


def test_a_phase_nobody_began_changes_nothing():
    phases = Phases()
    phases.step("unknown", 3)
    phases.finish("unknown")
    assert phases.fraction == 0


@pytest.mark.rtx
@pytest.mark.parametrize("target", ["sm_86", "sm_89", "portable"])
def test_a_plan_is_built_ahead_of_time_without_a_gpu_for_sizes_that_vary(target):
    seen = []
    plan = build_plan(
        enlarger(1, 8), OPEN, target=target, report=lambda done: seen.append(done) or True
    )
    assert len(plan.data) > 1000
    assert plan.timing_cache == b""
    assert seen == sorted(seen)
    assert 0.5 < seen[-1] <= 1


@pytest.mark.rtx
def test_a_plan_in_16_bits_is_smaller(light_swapper):
    model, samples = light_swapper
    half = convert(model, samples)
    sizes = [len(build_plan(one, {}, target="sm_86").data) for one in (half.model, model)]
    assert sizes[0] < 0.7 * sizes[1]


@pytest.fixture
def light_swapper():
    model = TWINS["swapper_depthwise"].make()
    crop = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    return model, samples_of(inputs_of(model, "twin"), [crop], Limits())[:1]


@pytest.mark.rtx
def test_the_targets_are_those_that_the_module_names():
    import tensorrt_rtx

    assert {"sm_86", "sm_89", "sm_120"} <= set(targets(tensorrt_rtx))


@pytest.mark.rtx
@pytest.mark.parametrize(
    ("model", "profile", "target", "why"),
    [
        (b"no model", {}, "sm_86", "must be a network that TensorRT can read"),
        (enlarger(1, 8), {}, "sm_86", "no optimization profile has been defined"),
        (enlarger(1, 8), OPEN, "sm_90", "the target must be one of portable, sm_75"),
    ],
    ids=["model", "profile", "target"],
)
def test_what_cannot_be_built_is_a_one_line_error(model, profile, target, why):
    with pytest.raises(ModelError, match=why) as caught:
        build_plan(model, profile, target=target, name="odd")
    assert "\n" not in str(caught.value)


@pytest.mark.rtx
def test_a_build_that_is_not_wanted_any_more_ends():
    with pytest.raises(ModelError, match="BuildCanceled"):
        build_plan(enlarger(1, 8), OPEN, report=lambda _: False)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="it is installed")
def test_a_module_that_is_not_installed_is_an_error_that_says_how_to_get_it():
    with pytest.raises(ModelError, match='Run: pip install "tensorrt"'):
        build_plan(b"", {}, module="tensorrt")


class TimingCache:
    def __init__(self, blob):
        self.blob = blob

    def serialize(self):
        return memoryview(self.blob + b"+measured")


class Config:
    """The real one, with the timing cache that only TensorRT proper has."""

    def __init__(self, real):
        vars(self)["real"] = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def __setattr__(self, name, value):
        setattr(self.real, name, value)

    def create_timing_cache(self, blob):
        return TimingCache(blob)

    def set_timing_cache(self, cache, ignore_mismatch):
        vars(self)["cache"] = cache
        return not ignore_mismatch

    def get_timing_cache(self):
        return self.cache


class Builder:
    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def create_builder_config(self):
        return Config(self.real.create_builder_config())

    def build_serialized_network(self, network, config):
        return self.real.build_serialized_network(network, config.real)


@pytest.fixture
def as_tensorrt(monkeypatch):
    """The real module under the other's name: the calls that both share, for real."""
    import tensorrt_rtx

    module = ModuleType("tensorrt")
    facts = {
        "__version__": "11.4.0",
        "Builder": lambda log: Builder(tensorrt_rtx.Builder(log)),
    }
    vars(module).update(vars(tensorrt_rtx) | facts)
    monkeypatch.setitem(sys.modules, "tensorrt", module)


@pytest.mark.rtx
def test_tensorrt_proper_goes_on_from_the_kernels_it_measured_before(as_tensorrt):
    plan = build_plan(enlarger(1, 8), OPEN, module="tensorrt", timing_cache=b"before")
    assert len(plan.data) > 1000
    assert plan.timing_cache == b"before+measured"


@pytest.mark.rtx
def test_tensorrt_proper_builds_for_no_gpu_but_the_one_here(as_tensorrt):
    with pytest.raises(ModelError, match="must build for the GPU in this machine"):
        build_plan(enlarger(1, 8), OPEN, module="tensorrt", target="sm_86")
