import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from onnx import helper

from engines import openvino as adapter
from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession
from engines.openvino import OpenVinoSession, cpu_capabilities

installed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


@pytest.fixture
def convolution(build_model):
    """y = x convolved with 8 random 3x3 kernels of 16 channels."""
    weights = np.random.default_rng(3).normal(size=(8, 16, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    values = [("x", [1, 16, 9, 9])], [("y", [1, 8, 9, 9])]
    return build_model([node], *values, initializers=[("w", weights)])


def run(session, x):
    out = np.full((1, 8, 9, 9), np.nan, np.float32)
    session.enqueue({"x": x}, out={"y": out}, stream=0)
    return out


@installed
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_it_agrees_with_onnx_runtime_as_far_as_its_precision_goes(convolution, precision):
    if precision == "bf16" and "BF16" not in cpu_capabilities():
        pytest.skip("this processor has no bfloat16")
    x = np.random.default_rng(4).normal(size=(1, 16, 9, 9)).astype(np.float32)
    session = OpenVinoSession(convolution, precision=precision)
    wanted = run(OnnxRuntimeSession(convolution), x)
    error = np.linalg.norm(run(session, x) - wanted) / np.linalg.norm(wanted)
    assert session.provider == f"openvino:CPU:{precision}"
    # bfloat16 rounds to 8 bits: errors of 2^-9 at random signs.
    assert error < {"f32": 1e-5, "bf16": 4e-3}[precision]
    assert precision == "f32" or error > 1e-5


@installed
@pytest.mark.parametrize("has_bf16", [True, False])
def test_bfloat16_is_taken_by_itself_only_where_the_processor_has_it(
    convolution, monkeypatch, has_bf16
):
    able = frozenset({"FP32", "BF16"} if has_bf16 else {"FP32"})
    monkeypatch.setattr(adapter, "cpu_capabilities", lambda: able)
    provider = OpenVinoSession(convolution).provider
    assert provider == f"openvino:CPU:{'bf16' if has_bf16 else 'f32'}"


def test_bfloat16_asked_for_where_there_is_none_is_an_error(convolution, monkeypatch):
    monkeypatch.setattr(adapter, "cpu_capabilities", lambda: frozenset({"FP32"}))
    with pytest.raises(ModelError, match="must have instructions for bfloat16"):
        OpenVinoSession(convolution, precision="bf16")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r'Run: pip install "rt-swap\[openvino\]"'):
        cpu_capabilities()


@installed
def test_importing_it_reports_to_nobody():
    code = (
        "import sys; from engines.openvino import cpu_capabilities; cpu_capabilities(); "
        "sys.exit(any(m.startswith('openvino_telemetry.') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SIGNAL_AFTER_CLOSING = """
import signal, sys
from engines.openvino import OpenVinoSession, cpu_capabilities
model = sys.stdin.buffer.read()
cpu_capabilities()
sessions = [OpenVinoSession(model, threads=2) for _ in range(3)]
for session in sessions:
    session.close()
del session, sessions
seen = []
signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
signal.raise_signal(signal.SIGTERM)
sys.exit(0 if seen else 3)
"""


@installed
def test_a_signal_after_sessions_were_closed_in_the_order_they_came_is_no_crash(convolution):
    command = [sys.executable, "-c", SIGNAL_AFTER_CLOSING]
    done = subprocess.run(command, input=convolution, check=False)
    assert done.returncode == 0
