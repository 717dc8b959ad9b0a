"""Networks in OpenVINO on the CPU, in bfloat16 where the processor computes with it."""

import ctypes
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from engines.buffers import bind_changed, expect_threads, host_array
from engines.errors import ModelError, one_line
from engines.memory_file import as_file
from engines.session import Array, Buffer, Place, TensorSpec
from engines.signal_stack import signal_stack_kept

Precision = Literal["auto", "f32", "bf16"]

_DEVICE = "CPU"
_OUTPUT_SUFFIX = "/sink_port_0"


def cpu_capabilities() -> frozenset[str]:
    """What OpenVINO finds this processor able to do fast, for example ``BF16`` or ``INT8``.

    ``BF16`` means instructions for bfloat16 (AVX512_BF16 or AMX).

    Raises:
        ModelError: OpenVINO is not installed.
    """
    openvino = _openvino()
    with signal_stack_kept():
        found = openvino.Core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return frozenset(found)


def _openvino() -> Any:
    """The OpenVINO package.

    Raises:
        ModelError: it is not installed, or cannot be loaded.
    """
    # On import, OpenVINO reports to a statistics server of its makers; without this package of
    # theirs it does not. None is how Python marks a module that must not be found.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            f"OpenVINO must be installed, got {one_line(error)}. "
            'Run: pip install "rt-swap[openvino]"'
        ) from error
    return openvino


class OpenVinoSession:
    """A network on the CPU that reads and writes the caller's arrays in place.

    Inputs and outputs keep their types whatever the precision inside. One thread at a time.

    Attributes:
        inputs, outputs, place: see ``Session``.
        provider: ``openvino:CPU:bf16`` or ``openvino:CPU:f32``.
    """

    def __init__(
        self,
        model: bytes,
        *,
        threads: int = 1,
        name: str = "model",
        precision: Precision = "auto",
    ) -> None:
        """Loads and compiles a network, which takes from tenths of a second to several.

        Args:
            model: a serialised ONNX model; bytes rather than a path, so that what was hashed is
                what is loaded.
            threads: CPU threads for one run, at least 1.
            name: what error messages call the network.
            precision: of the inner arithmetic. ``auto``: bfloat16, with 8 bits of mantissa,
                where the processor has instructions for it, else float32.

        Raises:
            ModelError: the model cannot be loaded here, or not in this precision.
        """
        expect_threads(threads, name)
        self._name = name
        has_bf16 = "BF16" in cpu_capabilities()
        if precision == "bf16" and not has_bf16:
            raise ModelError(
                f"{name}: the processor must have instructions for bfloat16, got one without. "
                "Use auto or f32."
            )
        is_bf16 = has_bf16 and precision != "f32"
        self.place: Final[Place] = "cpu"
        self.provider: Final = f"openvino:{_DEVICE}:{'bf16' if is_bf16 else 'f32'}"
        self._tensor: Any = _openvino().Tensor
        compiled = _compile(model, threads, name, is_bf16=is_bf16)
        self.inputs: Final = tuple(_spec(port) for port in compiled.inputs)
        self.outputs: Final = tuple(_spec(port) for port in compiled.outputs)
        self._request: Any = compiled.create_infer_request()
        self._bound: dict[str, Buffer] = {}

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
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
        if self._request is None:
            raise ModelError(f"{self._name}: the session must be open, got a closed one.")
        if stream != 0:
            raise ModelError(f"{self._name}: stream must be 0 on a CPU, got {stream}.")
        try:
            bind_changed(self.inputs, inputs, self._bound, self._bind_input)
            bind_changed(self.outputs, out, self._bound, self._bind_output)
            # Not infer(), which wraps every output in a new array.
            self._request.start_async()
            self._request.wait()
        except RuntimeError as error:
            raise ModelError(
                f"{self._name}: the network must run, got {one_line(error)}. "
                "Check the shapes of its inputs."
            ) from error

    def close(self) -> None:
        """Frees the network; closing twice is fine."""
        self._request = None
        self._bound = {}

    def _bind_input(self, spec: TensorSpec, array: Buffer | None) -> None:
        fitting = host_array(array, spec, self._name, written=False)
        tensor = self._tensor(_as_writable(fitting), shared_memory=True)
        self._request.set_input_tensor(self.inputs.index(spec), tensor)

    def _bind_output(self, spec: TensorSpec, array: Buffer | None) -> None:
        fitting = host_array(array, spec, self._name, written=True)
        tensor = self._tensor(fitting, shared_memory=True)
        self._request.set_output_tensor(self.outputs.index(spec), tensor)


def _as_writable(array: Array) -> Array:
    """The same memory, as an array that OpenVINO takes.

    It refuses read-only arrays even as inputs, which it does not write. Who uses the result keeps
    the array itself alive.
    """
    if array.flags.writeable:
        return array
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    alias: Array = np.frombuffer(memory, array.dtype).reshape(array.shape)
    return alias


def _compile(model: bytes, threads: int, name: str, *, is_bf16: bool) -> Any:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": "bf16" if is_bf16 else "f32",
        # Threads tied to a core could not move away from the capture and sink threads.
        "ENABLE_CPU_PINNING": "NO",
    }
    openvino = _openvino()
    try:
        # Its CPU plugin installs a signal stack, and when several are freed in the order they came
        # it reinstalls one that is gone (OpenVINO 2026.4).
        with signal_stack_kept():
            core = openvino.Core()
            with as_file(model) as path:
                # Bytes not through a stream, which would be copied once more.
                read = core.read_model(path or model, weights="" if path else b"")
            return core.compile_model(read, _DEVICE, settings)
    except RuntimeError as error:
        raise ModelError(
            f"{name}: OpenVINO must be able to load the model, got {one_line(error)}. "
            "Pull the model again or use ONNX Runtime."
        ) from error


def _spec(port: Any) -> TensorSpec:
    shape = tuple(extent.get_length() if extent.is_static else -1 for extent in port.partial_shape)
    return TensorSpec(_graph_name(port), shape, np.dtype(port.element_type.to_dtype()))


def _graph_name(port: Any) -> str:
    """What the ONNX graph calls an input or output.

    A port goes by the names of all tensors that came out as the same one; which of them the graph
    gave to the output stands in the name of the node behind it.
    """
    names = port.get_names()
    of_node = port.get_node().get_friendly_name().removesuffix(_OUTPUT_SUFFIX)
    return str(of_node if of_node in names else min(names))
