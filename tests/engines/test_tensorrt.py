"""The session against a recording stand-in, and the stand-in against the real module."""

import sys
from enum import Enum
from types import ModuleType

import numpy as np
import pytest

from engines.errors import ModelError
from engines.plan import build_plan
from engines.tensorrt import TensorRtSession, load_module, new_logger
from engines.twins import enlarger

STREAM = 0xBEEF


class DeviceArray:
    """An array that says it lies on a GPU."""

    def __init__(self, address, shape, typestr="<f4", read_only=False):
        self.__cuda_array_interface__ = {
            "data": (address, read_only),
            "shape": shape,
            "typestr": typestr,
            "strides": None,
            "version": 3,
        }


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class EngineValidity(Enum):
    VALID = 0
    INVALID = 2


class DataType(Enum):
    FLOAT = 0
    BF16 = 7


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class Cache:
    def __init__(self, calls):
        self.calls = calls

    def deserialize(self, blob):
        self.calls.append(("cache", bytes(blob)))
        return blob == b"kernels"

    def serialize(self):
        return memoryview(b"new kernels")


class RuntimeConfig:
    def __init__(self, calls):
        self.calls = calls

    def create_runtime_cache(self):
        return Cache(self.calls)

    def set_runtime_cache(self, cache):
        return isinstance(cache, Cache)


class Context:
    def __init__(self, calls):
        self.calls = calls
        self.runs = True
        self.batch = -1

    def set_input_shape(self, name, shape):
        self.calls.append(("shape", name, shape))
        self.batch = shape[0]
        return shape[0] <= 4

    def get_tensor_shape(self, name):
        return (self.batch, 2)

    def set_tensor_address(self, name, memory):
        self.calls.append(("address", name, memory))
        return True

    def execute_async_v3(self, stream_handle):
        self.calls.append(("run", stream_handle))
        return self.runs


class Engine:
    num_io_tensors = 2

    def __init__(self, calls, dtype):
        self.calls = calls
        self.dtype = dtype
        self.context = Context(calls)

    def get_tensor_name(self, index):
        return "xy"[index]

    def get_tensor_mode(self, name):
        return {"x": TensorIOMode.INPUT, "y": TensorIOMode.OUTPUT}[name]

    def get_tensor_shape(self, name):
        return (-1, 2)

    def get_tensor_dtype(self, name):
        return self.dtype

    def create_runtime_config(self):
        return RuntimeConfig(self.calls)

    def create_execution_context(self, config=None):
        self.calls.append(("context", type(config).__name__))
        return self.context


class Runtime:
    def __init__(self, logger, calls, dtype):
        self.logger, self.engine = logger, Engine(calls, dtype)

    def get_engine_validity(self, buffer):
        valid = EngineValidity.INVALID if buffer == b"alien" else EngineValidity.VALID
        return valid, 3

    def deserialize_cuda_engine(self, plan):
        if plan == b"torn":
            self.logger.log(ILogger.ERROR, "Magic tag does\nnot match")
            return None
        return self.engine


@pytest.fixture
def calls():
    return []


@pytest.fixture
def stand_in(monkeypatch, calls):
    """Puts a stand-in in the place of a module; returns the function that does."""

    def put(name, version="11.0.0", dtype=DataType.FLOAT):
        def nptype(kind):
            if kind == DataType.BF16:
                raise TypeError("no NumPy type")
            return np.float32

        module = ModuleType(name)
        facts = {
            "__version__": version,
            "ILogger": ILogger,
            "TensorIOMode": TensorIOMode,
            "EngineValidity": EngineValidity,
            "nptype": nptype,
            "Runtime": lambda logger: Runtime(logger, calls, dtype),
        }
        for key, value in facts.items():
            setattr(module, key, value)
        monkeypatch.setitem(sys.modules, name, module)

    return put


MODULES = pytest.mark.parametrize("module", ["tensorrt_rtx", "tensorrt"])


@MODULES
def test_it_says_what_it_takes_what_runs_it_and_where(stand_in, module):
    stand_in(module)
    session = TensorRtSession(b"plan", module=module)
    assert [(s.name, s.shape, s.dtype) for s in session.inputs] == [("x", (-1, 2), np.float32)]
    assert [s.name for s in session.outputs] == ["y"]
    assert (session.provider, session.place) == (f"{module}:CUDA", "cuda")


@MODULES
def test_the_callers_memory_is_bound_once_and_runs_are_queued_on_the_callers_stream(
    stand_in, calls, module
):
    stand_in(module)
    session = TensorRtSession(b"plan", module=module)
    calls.clear()
    x, y = DeviceArray(4096, (3, 2)), DeviceArray(8192, (3, 2))
    session.enqueue({"x": x}, out={"y": y}, stream=STREAM)
    session.enqueue({"x": x}, out={"y": y}, stream=STREAM)
    assert calls == [
        ("shape", "x", (3, 2)),
        ("address", "x", 4096),
        ("address", "y", 8192),
        ("run", STREAM),
        ("run", STREAM),
    ]


def test_kernels_compiled_earlier_are_used_and_new_ones_handed_out(stand_in, calls):
    stand_in("tensorrt_rtx")
    session = TensorRtSession(b"plan", runtime_cache=b"kernels")
    assert calls == [("cache", b"kernels"), ("context", "RuntimeConfig")]
    assert session.runtime_cache() == b"new kernels"


def test_kernels_of_another_version_are_made_anew(stand_in):
    stand_in("tensorrt_rtx")
    assert TensorRtSession(b"plan", runtime_cache=b"old").runtime_cache() == b"new kernels"


def test_what_was_compiled_while_running_is_kept_on_closing(stand_in):
    stand_in("tensorrt_rtx")
    kept = []
    session = TensorRtSession(b"plan", keep_kernels=kept.append)
    session.close()
    assert kept == []
    session = TensorRtSession(b"plan", keep_kernels=kept.append)
    arrays = {"x": DeviceArray(1, (3, 2))}, {"y": DeviceArray(2, (3, 2))}
    session.enqueue(arrays[0], out=arrays[1], stream=STREAM)
    session.close()
    session.close()
    assert kept == [b"new kernels"]


def test_tensorrt_proper_keeps_no_kernels_from_run_to_run(stand_in, calls):
    stand_in("tensorrt")
    assert TensorRtSession(b"plan", module="tensorrt").runtime_cache() == b""
    assert calls == [("context", "NoneType")]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (b"alien", "must be valid for this GPU, got tensorrt_rtx: reason 3. Build it again here"),
        (b"torn", "must be loadable, got tensorrt_rtx: Magic tag does not match"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_with_the_reason(stand_in, plan, why):
    stand_in("tensorrt_rtx")
    with pytest.raises(ModelError, match=why):
        TensorRtSession(plan, name="swapper")


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (np.ones((3, 2), np.float32), None, "x must be .*which is not on the GPU"),
        (DeviceArray(4096, (5, 2)), None, "x must have a shape the plan was built for"),
        (DeviceArray(4096, (3, 2)), None, "y must be .*got nothing"),
        (DeviceArray(4096, (3, 2)), DeviceArray(1, (2, 2)), r"y must have the shape \(3, 2\)"),
        (DeviceArray(4096, (3, 2)), DeviceArray(1, (3, 2), "<f2"), "y must be .*got float16"),
        (DeviceArray(4096, (3, 2)), DeviceArray(1, (3, 2), read_only=True), "y must be writable"),
    ],
    ids=["place", "profile", "missing", "shape", "type", "read-only"],
)
def test_an_array_that_does_not_fit_is_refused(stand_in, x, y, why):
    stand_in("tensorrt_rtx")
    session = TensorRtSession(b"plan")
    with pytest.raises(ModelError, match=why):
        session.enqueue({"x": x}, out={} if y is None else {"y": y}, stream=STREAM)


def test_a_run_that_cannot_be_queued_is_a_model_error(stand_in):
    stand_in("tensorrt_rtx")
    session = TensorRtSession(b"plan")
    session._context.runs = False
    arrays = {"x": DeviceArray(1, (3, 2))}, {"y": DeviceArray(2, (3, 2))}
    with pytest.raises(ModelError, match="the network must run"):
        session.enqueue(arrays[0], out=arrays[1], stream=STREAM)


def test_a_closed_session_refuses_to_run_and_closes_again(stand_in):
    stand_in("tensorrt_rtx")
    session = TensorRtSession(b"plan")
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.enqueue({}, out={}, stream=STREAM)


def test_a_tensor_of_a_type_numpy_lacks_is_refused(stand_in):
    stand_in("tensorrt_rtx", dtype=DataType.BF16)
    with pytest.raises(ModelError, match="must be of a type that NumPy has"):
        TensorRtSession(b"plan")


def test_a_module_from_before_the_present_calls_is_refused(stand_in):
    stand_in("tensorrt", version="8.6.1")
    with pytest.raises(ModelError, match=r"must be version 10 or newer, got 8\.6\.1"):
        TensorRtSession(b"plan", module="tensorrt")


@pytest.mark.rtx
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Runtime, "Runtime"),
        (Engine, "ICudaEngine"),
        (Context, "IExecutionContext"),
        (RuntimeConfig, "IRuntimeConfig"),
        (Cache, "IRuntimeCache"),
        (TensorIOMode, "TensorIOMode"),
        (EngineValidity, "EngineValidity"),
        (DataType, "DataType"),
        (ILogger, "ILogger"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_stand_in_has_nothing_that_the_real_module_lacks(ours, theirs):
    real = getattr(load_module("tensorrt_rtx"), theirs)
    made_here = {"name", "value"} if issubclass(ours, Enum) else set()
    for name in vars(ours):
        if not name.startswith("_") and name not in made_here:
            assert hasattr(real, name), name


@pytest.mark.rtx
@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("IExecutionContext.execute_async_v3", "stream_handle: "),
        ("IExecutionContext.set_tensor_address", "name: str, memory: "),
        ("IRuntimeConfig.set_runtime_cache", "cache: "),
        ("IRuntimeCache.deserialize", "blob: "),
        ("Runtime.get_engine_validity", "buffer: "),
    ],
)
def test_the_calls_take_what_they_are_given(method, signature):
    kind, name = method.split(".")
    documented = getattr(getattr(load_module("tensorrt_rtx"), kind), name).__doc__
    assert signature in documented.splitlines()[0]


@pytest.mark.rtx
def test_without_a_gpu_a_real_plan_is_refused_with_the_drivers_words():
    if _has_gpu():
        pytest.skip("there is a GPU")
    profile = {"picture": ((1, 3, 32, 32), (1, 3, 32, 32), (1, 3, 32, 32))}
    plan = build_plan(enlarger(1, 4), profile).data
    with pytest.raises(ModelError, match=r"must be valid for this GPU, got tensorrt_rtx: .*cuda"):
        TensorRtSession(plan)


@pytest.mark.rtx
def test_what_the_module_reports_is_kept_for_the_error_message(caplog):
    trt = load_module("tensorrt_rtx")
    log = new_logger(trt)
    log.log(trt.ILogger.WARNING, "a warning")
    assert log.last_error == ""
    log.log(trt.ILogger.ERROR, "no\nroom")
    assert log.last_error == "no room"


def _has_gpu():
    from engines.gpu import compute_capability

    return compute_capability() is not None
