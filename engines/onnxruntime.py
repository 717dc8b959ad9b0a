"""Networks in ONNX Runtime, on the CPU or on an NVIDIA GPU."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from engines.buffers import bind_changed, device_region, expect_threads, host_region
from engines.errors import ModelError, one_line
from engines.memory_file import as_file
from engines.session import Array, Buffer, Place, TensorSpec

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

_SEVERITY_ERROR = 3
"""Why a provider cannot be had is printed, and raised only in part."""

_SEVERITY_FATAL = 4
"""On a CPU every error is raised in full, and an attempt that may fail is no news to anybody."""

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
RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)
"""Everything ONNX Runtime raises over a model it cannot load or run."""


_SMALLEST_MODEL = bytes.fromhex(
    "08073a330a0c0a0178120179220452656c751201675a0f0a0178120a0a0808011204"
    "0a020801620f0a0179120a0a08080112040a02080142040a00100d"
)
"""A serialised ``y = relu(x)`` over one float32, to see whether a provider starts."""


class OnnxRuntimeSession:
    """A network that reads and writes the caller's arrays in place.

    One thread at a time; the bindings remember the arrays of the last call, so handing in the
    same ones again costs nothing.

    Attributes:
        inputs, outputs, place: see ``Session``.
        provider: ``onnxruntime:CPU`` or ``onnxruntime:CUDA``.
    """

    def __init__(
        self,
        model: bytes,
        *,
        threads: int = 1,
        name: str = "model",
        place: Place = "cpu",
        stream: int = 0,
        allow_cpu: bool = False,
    ) -> None:
        """Loads a network.

        Args:
            model: a serialised ONNX model; bytes rather than a path, so that what was hashed is
                what is loaded.
            threads: CPU threads for one run, at least 1.
            name: what error messages call the network.
            place: what computes, and where the buffers lie.
            stream: handle of the CUDA stream that every run is queued on; ONNX Runtime takes it
                once and for all, and none but a real one. 0 on a CPU.
            allow_cpu: where CUDA cannot be had, the CPU will do; ``provider`` and ``place`` then
                say so.

        Raises:
            ModelError: the model cannot be loaded, or not where it was asked for.
        """
        expect_threads(threads, name)
        if (place == "cuda") != (stream != 0):
            raise ModelError(
                f"{name}: a CUDA stream must be given on a GPU and 0 on a CPU, "
                f"got {stream} on {place}."
            )
        self._name = name
        self._session = _load(model, threads, name, stream)
        self.place: Final = _settled_place(self._session, name, place, allow_cpu=allow_cpu)
        is_cuda = self.place == "cuda"
        self.provider: Final = f"onnxruntime:{self.place.upper()}"
        self._stream = stream if is_cuda else 0
        self._locate = device_region if is_cuda else host_region
        self.inputs: Final = tuple(_spec(node, name) for node in self._session.get_inputs())
        self.outputs: Final = tuple(_spec(node, name) for node in self._session.get_outputs())
        self._binding = self._session.io_binding()
        self._run_options: Any = None
        if is_cuda:
            self._run_options = onnxruntime.RunOptions()
            # The run is queued; who needs the outputs waits for the stream.
            self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._bound: dict[str, Buffer] = {}

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Runs the network; on a CPU it returns when the outputs are written.

        Args:
            inputs: C-contiguous arrays by input name, of the session's shapes and dtypes.
            out: C-contiguous arrays by output name that are written; every output is needed.
            stream: the one the session was opened with; 0 on a CPU.

        Raises:
            ModelError: an array is missing or does not fit, the session is closed, or the run
                fails.
        """
        if self._binding is None:
            raise ModelError(f"{self._name}: the session must be open, got a closed one.")
        if stream != self._stream:
            where = "of the session" if self._stream else "on a CPU"
            raise ModelError(f"{self._name}: stream must be {self._stream} {where}, got {stream}.")
        bind_changed(self.inputs, inputs, self._bound, self._bind_input)
        bind_changed(self.outputs, out, self._bound, self._bind_output)
        try:
            self._session.run_with_iobinding(self._binding, self._run_options)
        except RUNTIME_ERRORS as error:
            raise ModelError(
                f"{self._name}: the network must run, got {one_line(error)}. "
                "Check the shapes of its inputs."
            ) from error

    def close(self) -> None:
        """Frees the network; closing twice is fine."""
        self._binding = None
        self._session = None
        self._bound = {}

    def _bind_input(self, spec: TensorSpec, array: Buffer | None) -> None:
        region = self._locate(array, spec, self._name, written=False)
        where = (self.place, 0, spec.dtype.type, region.shape, region.address)
        self._binding.bind_input(spec.name, *where)

    def _bind_output(self, spec: TensorSpec, array: Buffer | None) -> None:
        region = self._locate(array, spec, self._name, written=True)
        where = (self.place, 0, spec.dtype.type, region.shape, region.address)
        self._binding.bind_output(spec.name, *where)


def cuda_fault() -> str:
    """Why ONNX Runtime cannot compute on the GPU here; empty where it can. Tries it."""
    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "the onnxruntime here has no CUDA. Install onnxruntime-gpu in its place"
    try:
        options = _options(1, _SEVERITY_ERROR)
        session = _open(_SMALLEST_MODEL, options, [CUDA_PROVIDER, CPU_PROVIDER], "CUDA")
    except ModelError as error:
        return str(error)
    got = session.get_providers()
    return "" if got[:1] == [CUDA_PROVIDER] else f"ONNX Runtime fell back to {got}"


def compute(
    model: bytes, samples: Sequence[Mapping[str, Array]], *, threads: int = 1, name: str = "model"
) -> list[dict[str, Array]]:
    """Runs a network on the CPU once for each sample, into new arrays.

    For checks, where shapes of outputs are not known beforehand and speed does not matter.

    Args:
        model: a serialised ONNX model.
        samples: arrays by input name.
        threads: CPU threads for one run.
        name: what error messages call the network.

    Returns:
        For each sample arrays by output name.

    Raises:
        ModelError: the model cannot be loaded or run.
    """
    session = _load(model, threads, name, stream=0)
    names = [node.name for node in session.get_outputs()]
    try:
        return [
            dict(zip(names, session.run(names, dict(sample)), strict=True)) for sample in samples
        ]
    except RUNTIME_ERRORS as error:
        raise ModelError(f"{name}: the network must run, got {one_line(error)}.") from error


def optimise(model: bytes, *, name: str = "model") -> bytes:
    """Folds constants, merges norms into convolutions and removes nodes that do nothing.

    Only what the ONNX standard can express is done, so that other runtimes take the result.

    Raises:
        ModelError: the model cannot be loaded.
    """
    options = _options(threads=1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="rt-swap-") as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        _open(model, options, [CPU_PROVIDER], name)
        return path.read_bytes()


def _load(model: bytes, threads: int, name: str, stream: int) -> Any:
    """Opens the model, on CUDA where a stream is given and the package has that provider."""
    providers: list[Any] = [CPU_PROVIDER]
    severity = _SEVERITY_FATAL
    if stream and CUDA_PROVIDER in onnxruntime.get_available_providers():
        cuda = {"device_id": "0", "user_compute_stream": str(stream)}
        providers.insert(0, (CUDA_PROVIDER, cuda))
        severity = _SEVERITY_ERROR
    return _open(model, _options(threads, severity), providers, name)


def _open(model: bytes, options: Any, providers: list[Any], name: str) -> Any:
    try:
        # Of a path it keeps no copy. Without enable_fallback=0 a failure would be printed and the
        # CPU taken in silence.
        with as_file(model) as path:
            return onnxruntime.InferenceSession(
                path or model, sess_options=options, providers=providers, enable_fallback=0
            )
    except RUNTIME_ERRORS as error:
        raise ModelError(
            f"{name}: ONNX Runtime must be able to load the model, got {one_line(error)}. "
            "Pull the model again or use another one."
        ) from error


def _options(threads: int, severity: int = _SEVERITY_FATAL) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = severity
    if threads > 1:
        # Spinning workers would take the cores that the capture and sink threads need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Work is split in shrinking blocks instead of one per thread, so that a worker whose core
        # is busy with something else does not hold up the rest.
        options.add_session_config_entry("session.dynamic_block_base", "4")
    return options


def _settled_place(session: Any, name: str, place: Place, *, allow_cpu: bool) -> Place:
    """Where the session really runs.

    Raises:
        ModelError: not where it was asked to, and the CPU will not do.
    """
    got = session.get_providers()
    if got == [CPU_PROVIDER] and (place == "cpu" or allow_cpu):
        return "cpu"
    if place == "cuda" and got[:1] == [CUDA_PROVIDER]:
        return "cuda"
    wanted = CPU_PROVIDER if place == "cpu" else CUDA_PROVIDER
    cure = "onnxruntime" if place == "cpu" else "onnxruntime-gpu and an NVIDIA driver"
    raise ModelError(f"{name}: ONNX Runtime must run on {wanted}, got {got}. Install {cure}.")


def _spec(node: Any, name: str) -> TensorSpec:
    if node.type not in _DTYPES:
        raise ModelError(
            f"{name}: {node.name} must be a plain tensor, got {node.type}. Use another model."
        )
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in node.shape)
    return TensorSpec(node.name, shape, _DTYPES[node.type])
