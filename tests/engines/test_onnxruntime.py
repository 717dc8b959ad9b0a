import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession, compute

STREAM = 0xBEEF


class DeviceArray:
    """An array that says it lies on a GPU."""

    def __init__(self, address, shape=(2, 3), typestr="<f4", strides=None, read_only=False):
        self.__cuda_array_interface__ = {
            "data": (address, read_only),
            "shape": shape,
            "typestr": typestr,
            "strides": strides,
            "version": 3,
        }


@pytest.fixture
def cuda(monkeypatch):
    """ONNX Runtime as if it had its CUDA provider; what is bound and run is recorded."""
    calls = []

    class Binding:
        def bind_input(self, *arguments):
            calls.append(("input", *arguments))

        def bind_output(self, *arguments):
            calls.append(("output", *arguments))

    class OnCuda:
        def __init__(self, model, sess_options, providers, enable_fallback):
            calls.append(("open", providers, enable_fallback))
            self._cpu = REAL(model, sess_options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

        def get_inputs(self):
            return self._cpu.get_inputs()

        def get_outputs(self):
            return self._cpu.get_outputs()

        def io_binding(self):
            return Binding()

        def run_with_iobinding(self, binding, options):
            key = "disable_synchronize_execution_providers"
            calls.append(("run", options.get_run_config_entry(key)))

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCuda)
    return calls


REAL = onnxruntime.InferenceSession


def test_on_a_gpu_the_callers_device_memory_is_bound_and_the_run_only_queued(doubling, cuda):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)
    assert (session.provider, session.place) == ("onnxruntime:CUDA", "cuda")
    arrays = {"x": DeviceArray(4096)}, {"y": DeviceArray(8192), "z": DeviceArray(12288)}
    session.enqueue(arrays[0], out=arrays[1], stream=STREAM)
    session.enqueue(arrays[0], out=arrays[1], stream=STREAM)
    options = {"device_id": "0", "user_compute_stream": str(STREAM)}
    assert cuda == [
        ("open", [("CUDAExecutionProvider", options), "CPUExecutionProvider"], 0),
        ("input", "x", "cuda", 0, np.float32, (2, 3), 4096),
        ("output", "y", "cuda", 0, np.float32, (2, 3), 8192),
        ("output", "z", "cuda", 0, np.float32, (2, 3), 12288),
        ("run", "1"),
        ("run", "1"),
    ]


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (DeviceArray(4096, shape=(3, 2)), "float32 of shape"),
        (DeviceArray(4096, typestr="<f2"), "float16"),
        (DeviceArray(4096, strides=(4, 8)), "non-contiguous"),
        (np.ones((2, 3), np.float32), "a ndarray, which is not on the GPU"),
        (None, "nothing"),
    ],
    ids=["shape", "type", "layout", "place", "missing"],
)
def test_on_a_gpu_an_array_that_does_not_fit_is_refused(doubling, cuda, array, got):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)
    with pytest.raises(ModelError, match=f"x must be .*got {got}"):
        session.enqueue({"x": array}, out={}, stream=STREAM)


def test_strides_that_are_those_of_a_contiguous_array_will_do(doubling, cuda):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)
    out = {"y": DeviceArray(8192), "z": DeviceArray(12288)}
    session.enqueue({"x": DeviceArray(4096, strides=(12, 4))}, out=out, stream=STREAM)
    assert cuda[-1] == ("run", "1")


def test_on_a_gpu_a_read_only_output_is_refused(doubling, cuda):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)
    out = {"y": DeviceArray(8192, read_only=True)}
    with pytest.raises(ModelError, match="y must be writable"):
        session.enqueue({"x": DeviceArray(4096)}, out=out, stream=STREAM)


def test_a_stream_other_than_the_sessions_is_refused(doubling, cuda):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)
    with pytest.raises(ModelError, match=f"stream must be {STREAM} of the session, got 7"):
        session.enqueue({}, out={}, stream=7)


@pytest.mark.parametrize(("place", "stream"), [("cuda", 0), ("cpu", STREAM)])
def test_a_gpu_needs_a_stream_and_a_cpu_none(doubling, place, stream):
    with pytest.raises(ModelError, match="stream must be given on a GPU and 0 on a CPU"):
        OnnxRuntimeSession(doubling, place=place, stream=stream)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)
def test_the_cpu_is_never_taken_in_silence_where_cuda_was_asked_for(doubling):
    with pytest.raises(ModelError, match=r"must run on CUDAExecutionProvider, got \['CPU"):
        OnnxRuntimeSession(doubling, place="cuda", stream=STREAM)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)
def test_where_the_cpu_is_allowed_instead_the_session_says_so_and_works(doubling, poisoned):
    session = OnnxRuntimeSession(doubling, place="cuda", stream=STREAM, allow_cpu=True)
    assert (session.provider, session.place) == ("onnxruntime:CPU", "cpu")
    x, out = np.ones((2, 3), np.float32), {"y": poisoned(), "z": poisoned()}
    session.enqueue({"x": x}, out=out, stream=0)
    np.testing.assert_array_equal(out["y"], 2 * x)


def test_networks_are_run_without_a_report_to_anybody(tmp_path):
    code = (
        "import sys; from realtime.doctor.computing import run_trial; "
        "sys.exit(run_trial()[1] != [0.0, 0.0, 2.5])"
    )
    # ONNX Runtime also keeps quiet where it believes that it is being tested.
    asked = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
    environment = {name: value for name, value in os.environ.items() if name not in asked}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_fails_on_a_cpu_is_raised_and_nothing_is_printed(build_model, capfd):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    model = build_model(nodes, [("a", ["n"]), ("b", ["m"])], [("y", ["k"])])
    sample = {"a": np.ones(3, np.float32), "b": np.ones(4, np.float32)}
    with pytest.raises(ModelError, match="Attempting"):
        compute(model, [sample])
    with pytest.raises(ModelError, match="Attempting"):
        OnnxRuntimeSession(model).enqueue(sample, out={"y": np.empty(4, np.float32)}, stream=0)
    assert capfd.readouterr().err == ""
