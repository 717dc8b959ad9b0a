"""Networks in ONNX Runtime on the CPU."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from engines.errors import ModelError
from engines.session import TensorSpec

Array = NDArray[Any]

_PROVIDER = "CPUExecutionProvider"
_SEVERITY_ERROR = 3
_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "tensor(float)": np.dtype(np.float32),
        "tensor(float16)": np.dtype(np.float16),
        "tensor(double)": np.dtype(np.float64),
        "tensor(uint8)": np.dtype(np.uint8),
        "tensor(int8)": np.dtype(np.int8),
        "tensor(int32)": np.dtype(np.int32),
        "tensor(int64)": np.dtype(np.int64),
        "tensor(bool)": np.dtype(np.bool_),
    }
)
_RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)


class OnnxRuntimeSession:
    """A network on the CPU that reads and writes the caller's arrays in place.

    One thread at a time; the bindings remember the addresses of the last call, so handing in the
    same arrays again costs nothing.
    """

    def __init__(self, model: bytes, *, threads: int = 1, name: str = "model") -> None:
        """Loads a network.

        Args:
            model: a serialised ONNX model; bytes rather than a path, so that what was hashed is
                what is loaded.
            threads: CPU threads for one run, at least 1.
            name: what error messages call the network.

        Raises:
            ModelError: the model cannot be loaded here.
        """
        if threads < 1:
            raise ModelError(f"{name}: threads must be at least 1, got {threads}. Use 1.")
        self._name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERITY_ERROR
        if threads > 1:
            # Spinning workers would take the cores that the capture and sink threads need.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=[_PROVIDER]
            )
        except _RUNTIME_ERRORS as error:
            raise ModelError(
                f"{name}: ONNX Runtime must be able to load the model, got {_one_line(error)}. "
                "Pull the model again or use another one."
            ) from error
        providers = self._session.get_providers()
        if providers != [_PROVIDER]:
            raise ModelError(
                f"{name}: ONNX Runtime must run on {_PROVIDER}, got {providers}. "
                "Reinstall onnxruntime."
            )
        self._inputs = tuple(_spec(node, name) for node in self._session.get_inputs())
        self._outputs = tuple(_spec(node, name) for node in self._session.get_outputs())
        self._binding = self._session.io_binding()
        self._bound: dict[str, tuple[int, tuple[int, ...]]] = {}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The network's inputs in graph order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs in graph order."""
        return self._outputs

    @property
    def provider(self) -> str:
        """What really runs the network."""
        return "onnxruntime:CPU"

    def enqueue(
        self, inputs: Mapping[str, Array], *, out: Mapping[str, Array], stream: int
    ) -> None:
        """Runs the network and returns when the outputs are written.

        Args:
            inputs: C-contiguous arrays by input name, of the session's shapes and dtypes.
            out: C-contiguous arrays by output name that are written; every output is needed.
            stream: 0; there are no streams on a CPU.

        Raises:
            ModelError: an array is missing or does not fit, the session is closed, or the run
                fails.
        """
        if self._binding is None:
            raise ModelError(f"{self._name}: the session must be open, got a closed one.")
        if stream != 0:
            raise ModelError(f"{self._name}: stream must be 0 on a CPU, got {stream}.")
        for spec in self._inputs:
            self._bind(spec, inputs, is_input=True)
        for spec in self._outputs:
            self._bind(spec, out, is_input=False)
        try:
            self._session.run_with_iobinding(self._binding)
        except _RUNTIME_ERRORS as error:
            raise ModelError(
                f"{self._name}: the network must run, got {_one_line(error)}. "
                "Check the shapes of its inputs."
            ) from error

    def close(self) -> None:
        """Frees the network; closing twice is fine."""
        self._binding = None
        self._session = None
        self._bound = {}

    def _bind(self, spec: TensorSpec, arrays: Mapping[str, Array], *, is_input: bool) -> None:
        array = arrays.get(spec.name)
        if array is None or not _fits(array, spec):
            got = "nothing" if array is None else _described(array)
            raise ModelError(
                f"{self._name}: {spec.name} must be a C-contiguous {spec.dtype.name} array of "
                f"shape {spec.shape}, got {got}."
            )
        address = (array.ctypes.data, array.shape)
        if self._bound.get(spec.name) == address:
            return
        if not is_input and not array.flags.writeable:
            raise ModelError(f"{self._name}: {spec.name} must be writable, got a read-only array.")
        bind = self._binding.bind_input if is_input else self._binding.bind_output
        bind(spec.name, "cpu", 0, spec.dtype.type, array.shape, array.ctypes.data)
        self._bound[spec.name] = address


def _fits(array: Array, spec: TensorSpec) -> bool:
    return (
        array.dtype == spec.dtype
        and array.flags.c_contiguous
        and len(array.shape) == len(spec.shape)
        and all(want in (-1, got) for want, got in zip(spec.shape, array.shape, strict=True))
    )


def _described(array: Array) -> str:
    layout = "" if array.flags.c_contiguous else "non-contiguous "
    return f"{layout}{array.dtype.name} of shape {array.shape}"


def _spec(node: Any, name: str) -> TensorSpec:
    if node.type not in _DTYPES:
        raise ModelError(
            f"{name}: {node.name} must be a plain tensor, got {node.type}. Use another model."
        )
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in node.shape)
    return TensorSpec(node.name, shape, _DTYPES[node.type])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
