import importlib.util

import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import helper

from engines import choose
from engines import onnxruntime as ort_adapter
from engines import openvino as openvino_adapter
from engines.cache import PlanCache, PlanKey
from engines.choose import Seat, open_on_cpu, open_on_gpu, runtimes
from engines.errors import ModelError
from engines.fake import FakeMemory, FakeSession
from engines.hosted import open_hosted as open_on_memory
from engines.onnxruntime import OnnxRuntimeSession, cuda_fault
from engines.profiles import Limits
from engines.reference import Reference
from engines.session import TensorSpec
from engines.switching import SwitchingSession

STREAM = 7
WAIT_S = 10.0


class OnTheGpu(FakeSession):
    def __init__(self, name):
        spec = (TensorSpec("x", (1,), np.dtype(np.float32)),)
        super().__init__(spec, spec, dict, place="cuda", provider=name)


@pytest.fixture
def machine(monkeypatch):
    """Makes the machine look as if it had a GPU and these runtimes for it."""

    def has(*names, capability=(8, 9)):
        monkeypatch.setattr(choose, "compute_capability", lambda: capability)
        monkeypatch.setattr(
            choose, "_tensorrt_fault", lambda name, gpu: "" if name in names else "not here"
        )
        monkeypatch.setattr(
            ort_adapter, "cuda_fault", lambda: "" if "onnxruntime:CUDA" in names else "no CUDA"
        )

    key = PlanKey("0", "tensorrt_rtx", "1", "sm_89", Limits(), ())
    monkeypatch.setattr(choose, "key_of", lambda model, recipe, target: key)
    monkeypatch.setattr(choose, "_target", lambda module: "sm_89")
    monkeypatch.setattr(
        choose, "TensorRtSession", lambda plan, **options: OnTheGpu(f"plan {plan.decode()}")
    )
    monkeypatch.setattr(choose, "_in_onnx_runtime", lambda *_: OnTheGpu("onnxruntime:CUDA"))
    return has


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path)


def built_as(monkeypatch, text, known=b""):
    class Result:
        data = text
        reference = known
        key = PlanKey("0", "tensorrt_rtx", "1", "sm_89", Limits(), ())

    monkeypatch.setattr(choose, "build", lambda *arguments, **options: (Result,))


def test_every_runtime_says_why_it_cannot_be_used_and_the_cpu_always_can(monkeypatch):
    monkeypatch.setattr(choose, "compute_capability", lambda: None)
    found = {one.name: one for one in runtimes()}
    assert list(found) == [
        "tensorrt_rtx",
        "tensorrt",
        "onnxruntime:CUDA",
        "openvino:CPU",
        "onnxruntime:CPU",
    ]
    assert found["tensorrt_rtx"].fault == "no NVIDIA GPU with a driver"
    assert found["onnxruntime:CPU"].is_available
    for one in found.values():
        assert one.is_available == (one.fault == "")


@pytest.mark.parametrize(
    ("able", "provider"),
    [({"FP32", "BF16"}, "openvino:CPU:bf16"), ({"FP32"}, "onnxruntime:CPU")],
)
def test_openvino_is_taken_where_it_computes_in_bfloat16(doubling, monkeypatch, able, provider):
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    monkeypatch.setattr(openvino_adapter, "cpu_capabilities", lambda: frozenset(able))
    assert open_on_cpu(doubling).provider == provider


@pytest.mark.parametrize("has_vnni", [True, False])
def test_networks_of_8_bits_go_to_openvino_where_the_processor_has_vnni(
    doubling, build_model, monkeypatch, has_vnni
):
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    asked = []
    monkeypatch.setattr(cv2, "checkHardwareSupport", lambda what: asked.append(what) or has_vnni)
    monkeypatch.setattr(openvino_adapter, "cpu_capabilities", lambda: frozenset({"FP32", "INT8"}))
    steps = [("scale", np.float32(0.1)), ("zero", np.uint8(128))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    eight_bits = build_model(nodes, [("x", [2, 3])], [("y", [2, 3])], steps)
    wanted = "openvino:CPU" if has_vnni else "onnxruntime:CPU"
    assert open_on_cpu(eight_bits).provider.startswith(wanted)
    assert open_on_cpu(doubling).provider == "onnxruntime:CPU"
    assert {cv2.getHardwareFeatureName(what) for what in asked} == {"AVX512VNNI"}


def test_without_openvino_it_is_onnx_runtime(doubling, monkeypatch):
    def missing():
        raise ModelError("OpenVINO must be installed, got none.")

    monkeypatch.setattr(openvino_adapter, "cpu_capabilities", missing)
    assert open_on_cpu(doubling).provider == "onnxruntime:CPU"


def test_a_network_that_openvino_does_not_take_runs_in_onnx_runtime(doubling, monkeypatch):
    def refuse(*_, **__):
        raise ModelError("model: OpenVINO must be able to load the model, got no.")

    monkeypatch.setattr(openvino_adapter, "cpu_capabilities", lambda: frozenset({"BF16"}))
    monkeypatch.setattr(openvino_adapter, "OpenVinoSession", refuse)
    assert open_on_cpu(doubling).provider == "onnxruntime:CPU"


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)
def test_a_package_without_cuda_says_so():
    assert "has no CUDA" in cuda_fault()


def test_a_provider_that_does_not_start_is_no_runtime(monkeypatch):
    # The package names CUDA, but opening falls back: what it really runs on counts.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, sess_options, providers, enable_fallback: real(
            model, sess_options, providers=["CPUExecutionProvider"]
        ),
    )
    assert cuda_fault() == "ONNX Runtime fell back to ['CPUExecutionProvider']"


def test_a_plan_that_is_there_is_used_at_once(machine, cache, monkeypatch):
    machine("tensorrt_rtx", "onnxruntime:CUDA")
    cache.store(choose.key_of(b"", None, ""), b"cached", {})
    built_as(monkeypatch, b"cached")
    session = open_on_gpu(b"model", [], cache, Seat(STREAM))
    assert session.provider == "plan cached"


def of_another_card(monkeypatch, cache, fitting=b"new"):
    """A plan in the cache that this GPU does not take; what was built, and how often."""
    key, builds = choose.key_of(b"", None, ""), []
    cache.store(key, b"old", {})
    cache.store_kernels(key, b"of the other card")

    def build(*_, **__):
        cached = cache.load(key)
        if cached is None:
            builds.append(fitting)
        built_as(monkeypatch, cached or fitting)
        (result,) = choose.build()
        monkeypatch.setattr(choose, "build", build)
        return (result,)

    def opened(plan, *, runtime_cache, **_):
        if plan == b"old":
            raise ModelError("model: the plan must be valid for this GPU, got reason 3.")
        assert not runtime_cache
        return OnTheGpu(f"plan {plan.decode()}")

    monkeypatch.setattr(choose, "build", build)
    monkeypatch.setattr(choose, "TensorRtSession", opened)
    return builds


def test_a_plan_for_another_card_is_told_and_built_anew(machine, cache, monkeypatch):
    machine("tensorrt_rtx")
    builds, said = of_another_card(monkeypatch, cache), []
    session = open_on_gpu(b"model", [], cache, Seat(STREAM), name="swapper", say=said.append)
    assert session.provider == "plan new"
    assert builds == [b"new"]
    assert said == [
        "swapper: its plan does not fit any more and is built anew. model: the plan must be valid "
        "for this GPU, got reason 3."
    ]


def test_meanwhile_the_network_runs_in_onnx_runtime(machine, cache, monkeypatch):
    machine("tensorrt_rtx", "onnxruntime:CUDA")
    of_another_card(monkeypatch, cache)
    session = open_on_gpu(b"model", [], cache, Seat(STREAM))
    assert session.provider == "onnxruntime:CUDA"
    assert session.wait_until_ready(WAIT_S)
    arrays = {"x": np.ones(1, np.float32)}
    session.enqueue(arrays, out=arrays, stream=0)
    assert session.provider == "plan new"


def test_a_plan_that_does_not_fit_when_it_is_new_either_is_an_error(machine, cache, monkeypatch):
    machine("tensorrt_rtx")
    builds = of_another_card(monkeypatch, cache, fitting=b"old")
    with pytest.raises(ModelError, match="must be valid for this GPU"):
        open_on_gpu(b"model", [], cache, Seat(STREAM))
    assert builds == [b"old"]


def test_kernels_are_kept_from_run_to_run_and_a_full_disk_is_no_error(machine, cache, monkeypatch):
    kept = []
    machine("tensorrt_rtx")
    built_as(monkeypatch, b"new")
    key = choose.key_of(b"", None, "")
    cache.store_kernels(key, b"earlier")

    def session_that_compiles(plan, *, runtime_cache, keep_kernels, **_):
        kept.append(runtime_cache)
        keep_kernels(b"compiled")
        return OnTheGpu("plan")

    monkeypatch.setattr(choose, "TensorRtSession", session_that_compiles)
    open_on_gpu(b"model", [], cache, Seat(STREAM))
    assert kept == [b"earlier"]
    assert cache.load_kernels(key) == b"compiled"

    def full(*_):
        raise ModelError("there must be room, got a full disk.")

    monkeypatch.setattr(PlanCache, "store_kernels", full)
    open_on_gpu(b"model", [], cache, Seat(STREAM))


def test_without_a_plan_it_starts_in_onnx_runtime_and_goes_over(machine, cache, monkeypatch):
    machine("tensorrt_rtx", "onnxruntime:CUDA")
    built_as(monkeypatch, b"new")
    session = open_on_gpu(b"model", [], cache, Seat(STREAM))
    assert isinstance(session, SwitchingSession)
    assert session.provider == "onnxruntime:CUDA"
    assert session.wait_until_ready(WAIT_S)
    arrays = {"x": np.ones(1, np.float32)}
    session.enqueue(arrays, out=arrays, stream=0)
    assert session.provider == "plan new"


REFERENCE = Reference(
    samples=({"x": np.float32([3.0])},), outputs=({"x": np.float32([6.0])},)
).to_bytes()


class Plan(OnTheGpu):
    """Multiplies on a GPU made of main memory."""

    def __init__(self, memory, factor):
        super().__init__("plan")
        self.memory, self.factor = memory, factor

    def enqueue(self, inputs, *, out, stream):
        given, wanted = self.memory.contents(inputs["x"]), self.memory.contents(out["x"])
        self.memory.queued.append(lambda: np.multiply(given, self.factor, out=wanted))


@pytest.fixture
def plan_that(machine, monkeypatch):
    """Has a plan built that multiplies by a factor, while the network itself doubles."""
    machine("tensorrt_rtx")
    memories = []

    def run(factor):
        def hosted(open_network, *, name):
            memories.append(FakeMemory())
            return open_on_memory(open_network, name=name, take_memory=lambda: memories[-1])

        monkeypatch.setattr(choose, "open_hosted", hosted)
        monkeypatch.setattr(
            choose, "TensorRtSession", lambda plan, **options: Plan(memories[-1], factor)
        )
        built_as(monkeypatch, b"new", REFERENCE)
        return memories

    return run


def doubled():
    spec = (TensorSpec("x", (1,), np.dtype(np.float32)),)
    return FakeSession(spec, spec, lambda arrays: {"x": 2 * arrays["x"]})


def ran(session):
    out = {"x": np.zeros(1, np.float32)}
    session.enqueue({"x": np.ones(1, np.float32)}, out=out, stream=0)
    return out["x"][0]


@pytest.mark.parametrize("factor", [2.0, 2.05, 1.95])
def test_a_plan_that_computes_what_the_network_does_takes_over(plan_that, cache, factor):
    plan_that(factor)
    session = open_on_gpu(b"model", [], cache, Seat(meanwhile=doubled))
    assert session.wait_until_ready(WAIT_S)
    assert ran(session) == pytest.approx(factor)
    assert session.provider == "plan"
    session.close()


@pytest.mark.parametrize(
    ("factor", "fault"), [(2.2, "x is off by 0.1, more than 0.04"), (np.nan, "x holds NaN")]
)
def test_a_plan_that_computes_something_else_never_runs(plan_that, cache, caplog, factor, fault):
    memories = plan_that(factor)
    session = open_on_gpu(b"model", [], cache, Seat(meanwhile=doubled), name="swapper")
    assert session.wait_until_ready(WAIT_S)
    assert ran(session) == 2
    assert session.provider == "fake:CPU"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "swapper: stays in fake:CPU. swapper: the plan in plan must compute" in line
    assert fault in line
    assert not memories[-1].is_open
    session.close()


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_a_plan_with_buffers_on_the_gpu_is_compared_in_main_memory_first(plan_that, cache, factor):
    plan_that(factor)
    if factor == 2.0:
        assert open_on_gpu(b"model", [], cache, Seat(STREAM)).place == "cuda"
    else:
        with pytest.raises(ModelError, match="must compute what the network does"):
            open_on_gpu(b"model", [], cache, Seat(STREAM))


def test_without_onnx_runtime_on_the_gpu_it_waits_for_the_plan(machine, cache, monkeypatch):
    machine("tensorrt")
    built_as(monkeypatch, b"new")
    assert open_on_gpu(b"model", [], cache, Seat(STREAM)).provider == "plan new"


def test_onnx_runtime_on_the_gpu_takes_what_a_plan_will(twins, monkeypatch):
    def on_cpu(model, *, name, place, stream):
        assert (place, stream) == ("cuda", STREAM)
        return OnnxRuntimeSession(model, name=name)

    monkeypatch.setattr(ort_adapter, "OnnxRuntimeSession", on_cpu)
    session = choose._in_onnx_runtime(twins.restorer(256, weighted=True), "codeformer", STREAM)
    assert [spec.dtype for spec in session.inputs] == [np.float32, np.float32]
    session.close()


def test_without_tensorrt_it_is_onnx_runtime(machine, cache):
    machine("onnxruntime:CUDA")
    assert open_on_gpu(b"model", [], cache, Seat(STREAM)).provider == "onnxruntime:CUDA"


def test_with_nothing_for_the_gpu_the_error_names_what_is_missing(machine, cache):
    machine()
    with pytest.raises(ModelError, match="got tensorrt_rtx: not here; tensorrt: not here; onnx"):
        open_on_gpu(b"model", [], cache, Seat(STREAM))


@pytest.mark.rtx
@pytest.mark.parametrize(
    ("capability", "target"), [((8, 9), "sm_89"), ((9, 0), "portable"), (None, "portable")]
)
def test_the_target_is_the_gpu_here_where_the_module_knows_it(monkeypatch, capability, target):
    monkeypatch.setattr(choose, "compute_capability", lambda: capability)
    assert choose._target("tensorrt_rtx") == target
