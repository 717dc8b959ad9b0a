import importlib.util

import numpy as np
import pytest

from engines import choose, opener
from engines import onnxruntime as ort_adapter
from engines.cache import PlanCache
from engines.errors import ModelError
from engines.fake import FakeGpuSession, FakeMemory, FakeSession
from engines.gpu import compute_capability
from engines.hosted import open_hosted
from engines.opener import BestOpener, RetreatingOpener, open_exactly, settled_device
from engines.session import TensorSpec
from engines.switching import SwitchingSession

WAIT_S = 10.0


def on_the_gpu(name, factor=2):
    """Opens a network on a GPU of main memory."""
    spec, result = ((TensorSpec(letter, (2, 3), np.dtype(np.float32)),) for letter in ("x", "y"))
    memory = FakeMemory()
    inner = FakeSession(spec, result, lambda arrays: {"y": factor * arrays["x"]})
    return memory, FakeGpuSession(inner, memory, name)


@pytest.fixture
def told():
    return []


@pytest.fixture
def open_best(told, tmp_path):
    return lambda kind: BestOpener(
        kind, crops=lambda: (), say=told.append, cache=PlanCache(tmp_path)
    )


@pytest.fixture
def one_output(build_model):
    from onnx import helper

    node = helper.make_node("Add", ["x", "x"], ["y"])
    return build_model([node], [("x", [2, 3])], [("y", [2, 3])])


@pytest.fixture
def gpu(monkeypatch):
    """Makes the machine look as if it had a GPU and these runtimes for it."""

    def has(*names):
        monkeypatch.setattr(choose, "compute_capability", lambda: (8, 9))
        monkeypatch.setattr(opener, "compute_capability", lambda: (8, 9))
        monkeypatch.setattr(
            choose, "_tensorrt_fault", lambda name, gpu: "" if name in names else "not here"
        )
        fault = "" if "onnxruntime:CUDA" in names else "no CUDA"
        monkeypatch.setattr(ort_adapter, "cuda_fault", lambda: fault)

    def hosted(provider):
        memory, session = on_the_gpu(provider)
        return open_hosted(lambda _: session, take_memory=lambda: memory)

    providers = {"_in_onnx_runtime": "onnxruntime:CUDA", "_in_tensorrt": "tensorrt_rtx:CUDA"}
    for function, provider in providers.items():
        monkeypatch.setattr(choose, function, lambda *_, p=provider: p)
    monkeypatch.setattr(choose, "open_hosted", lambda open_it, name: hosted(open_it(7)))
    monkeypatch.setattr(choose, "_target", lambda module: "sm_89")
    monkeypatch.setattr(choose, "key_of", lambda *_: None)
    monkeypatch.setattr(PlanCache, "load", lambda self, key: None)
    return has


def built(monkeypatch, outcome):
    class Result:
        data = b"plan"
        reference = b""

    def build(*_, on_progress, is_wanted, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return (Result,)

    monkeypatch.setattr(choose, "build", build)


def run(session):
    x, y = np.ones((2, 3), np.float32), np.full((2, 3), np.nan, np.float32)
    session.enqueue({"x": x}, out={"y": y}, stream=0)
    return float(y[0, 0])


@pytest.mark.parametrize("kind", ["auto", "cpu"])
def test_on_the_processor_it_says_once_what_runs_a_network(open_best, told, one_output, kind):
    session = open_best(kind)(one_output, threads=1, name="swapper", exact=False)
    assert told == [f"swapper: runs in {session.provider}"]
    assert run(session) == 2
    session.close()


@pytest.mark.parametrize("kind", ["auto", "cpu", "cuda"])
def test_exact_networks_are_in_onnx_runtime_on_every_machine(
    open_best, told, one_output, gpu, kind
):
    gpu("tensorrt_rtx", "onnxruntime:CUDA")
    session = open_best(kind)(one_output, threads=1, name="landmarks", exact=True)
    assert session.provider == "onnxruntime:CPU"
    assert told == []
    session.close()


def test_without_an_opener_of_ones_own_every_network_is_exact(one_output):
    session = open_exactly(one_output, threads=1, name="any", exact=False)
    assert session.provider == "onnxruntime:CPU"
    session.close()


@pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)
def test_pictures_go_to_openvino_where_that_computes_in_bfloat16(
    open_best, one_output, monkeypatch
):
    monkeypatch.setattr(choose, "_openvino_fault", lambda model: "")
    session = open_best("cpu")(one_output, threads=1, name="swapper", exact=False)
    assert session.provider.startswith("openvino:CPU")
    session.close()


def test_a_gpu_that_is_demanded_and_missing_is_an_error(open_best, one_output, monkeypatch):
    monkeypatch.setattr(choose, "compute_capability", lambda: None)
    with pytest.raises(ModelError, match="swapper: a runtime for the GPU must be there, got tens"):
        open_best("cuda")(one_output, threads=1, name="swapper", exact=False)
    with pytest.raises(ModelError, match=r"--device cuda: a runtime .* Use --device cpu"):
        settled_device("cuda", "--device cuda")
    assert [settled_device(kind, "") for kind in ("auto", "cpu")] == ["cpu", "cpu"]


def test_a_gpu_without_a_runtime_leaves_auto_on_the_processor_and_says_why(
    open_best, told, one_output, gpu
):
    gpu()
    session = open_best("auto")(one_output, threads=1, name="swapper", exact=False)
    assert session.provider.endswith(("CPU", "bf16"))
    assert told[0].startswith("swapper: not on the GPU. swapper: a runtime for the GPU must be")
    assert told[1:] == [f"swapper: runs in {session.provider}"]
    session.close()


@pytest.mark.parametrize("kind", ["auto", "cuda"])
def test_onnx_runtime_on_the_gpu_takes_arrays_of_main_memory(
    open_best, told, one_output, gpu, kind
):
    gpu("onnxruntime:CUDA")
    session = open_best(kind)(one_output, threads=1, name="swapper", exact=False)
    assert (session.place, session.provider) == ("cpu", "onnxruntime:CUDA")
    assert run(session) == 2
    assert told == ["swapper: runs in onnxruntime:CUDA"]
    assert settled_device(kind, "") == "cuda"


@pytest.mark.parametrize(
    ("names", "first"),
    [(("tensorrt_rtx", "onnxruntime:CUDA"), "onnxruntime:CUDA"), (("tensorrt_rtx",), "CPU")],
)
def test_until_the_plan_is_built_the_next_best_runs_at_once(
    open_best, told, one_output, gpu, monkeypatch, names, first
):
    gpu(*names)
    built(monkeypatch, "a plan")
    session = open_best("cuda")(one_output, threads=1, name="swapper", exact=False)
    assert isinstance(session, SwitchingSession)
    assert first in told[0]
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 2
    assert session.provider == "tensorrt_rtx:CUDA"
    assert told[1:] == ["swapper: now runs in tensorrt_rtx:CUDA"]
    session.close()


def test_what_runs_until_a_plan_is_built_takes_what_the_plan_will(
    open_best, twins, gpu, monkeypatch
):
    """TensorRT knows no float64, so a session that asks for it could never be replaced."""
    model = twins.restorer(256, weighted=True)
    alone = open_best("cpu")(model, threads=1, name="codeformer", exact=False)
    assert [spec.dtype for spec in alone.inputs] == [np.float32, np.float64]
    gpu("tensorrt_rtx")
    built(monkeypatch, ModelError("codeformer: not today."))
    meanwhile = open_best("cuda")(model, threads=1, name="codeformer", exact=False)
    assert [spec.dtype for spec in meanwhile.inputs] == [np.float32, np.float32]
    for session in (alone, meanwhile):
        session.close()


def test_a_plan_that_cannot_be_built_leaves_the_first_and_warns(
    told, one_output, gpu, monkeypatch, caplog, tmp_path
):
    gpu("tensorrt_rtx")
    steps = []
    built(monkeypatch, ModelError("swapper: must be buildable, got an unknown operator."))
    best = BestOpener("cuda", tuple, told.append, steps.append, PlanCache(tmp_path))
    session = best(one_output, threads=1, name="swapper", exact=False)
    assert session.wait_until_ready(WAIT_S)
    assert run(session) == 2
    assert "swapper: stays in" in caplog.text
    assert len(told) == 1
    assert [step.phase for step in steps] == ["failed"]
    session.close()


@pytest.mark.rtx
def test_a_real_plan_is_built_beside_the_running_network(
    told, one_output, monkeypatch, tmp_path, caplog
):
    """Without a GPU the plan is built all the same; then there is nothing to run it on."""
    for module in (choose, opener):
        monkeypatch.setattr(module, "compute_capability", lambda: (8, 9))
    steps, cache = [], PlanCache(tmp_path)
    crops = (np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8),)
    best = BestOpener("cuda", lambda: crops, say=told.append, on_progress=steps.append, cache=cache)
    session = best(one_output, threads=1, name="swapper", exact=False)
    assert run(session) == 2
    assert session.wait_until_ready(60.0)
    assert run(session) == 2
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert {"simplify", "build", "done"} <= {step.phase for step in steps}
    assert any(step.eta_s is not None for step in steps)
    if compute_capability() is None:
        assert list(tmp_path.glob("*.plan"))
        assert "the driver of an NVIDIA GPU must be there" in caplog.text
    session.close()


def test_after_a_retreat_networks_are_opened_in_the_other_way():
    def way(name):
        return lambda model, **how: (name, model, how["name"])

    opener = RetreatingOpener(way("GPU"), way("processor"))
    assert opener(b"m", threads=1, name="x", exact=False) == ("GPU", b"m", "x")
    opener.retreat()
    assert opener(b"m", threads=1, name="x", exact=False) == ("processor", b"m", "x")
