"""Kernels on an NVIDIA GPU through CuPy: compiled at first use, kept on disk, queued on a stream.

CuPy keeps what it compiles in ``~/.cupy/kernel_cache`` by source, options, card and compiler, so
only the first run on a machine waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cuda_kernels.errors import GpuError
from cuda_kernels.launch import TILE, Argument, Array, check_arguments, num_blocks
from cuda_kernels.source import COMPILE_OPTIONS, Parameter, kernels_of, read_source

# DLDeviceType kDLCUDA of dlpack.h.
_DLPACK_CUDA = 2

_REMEDY = "Install the gpu extra and NVIDIA's driver, or use --device cpu."


@dataclass(frozen=True, slots=True)
class _Module:
    """A source and what CuPy made of it."""

    parameters: Mapping[str, tuple[Parameter, ...]]
    compiled: Any


class CupyDevice:
    """One GPU: the sources compiled for it, shared by its streams, and what work is ordered with.

    Raises:
        GpuError: CuPy is missing, or it finds no GPU.
    """

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            raise GpuError(
                f"GPU: CuPy must be importable, got {_one_line(error)}. {_REMEDY}"
            ) from error
        if not cupy.cuda.is_available():
            raise GpuError(f"GPU: CuPy must find one with its driver, got none. {_REMEDY}")
        self._cupy = cupy
        self._modules: dict[str, _Module] = {}

    def kernel(self, source: str, kernel: str) -> tuple[Any, tuple[Parameter, ...]]:
        """A kernel and its parameters; compiles the source where it is needed for the first time.

        Raises:
            GpuError: it cannot be compiled for this GPU.
        """
        if source not in self._modules:
            text = read_source(source)
            compiled = self._cupy.RawModule(code=text, options=COMPILE_OPTIONS)
            self._modules[source] = _Module(kernels_of(text), compiled)
        module = self._modules[source]
        try:
            return module.compiled.get_function(kernel), module.parameters[kernel]
        except (self._cupy.cuda.compiler.CompileException, RuntimeError) as error:
            raise GpuError(
                f"{source}.cu: must compile for this GPU, got {_one_line(error)}. {_REMEDY}"
            ) from error

    def new_stream(self) -> Any:
        """A ``cupy.cuda.Stream`` that waits for no other by itself."""
        return self._cupy.cuda.Stream(non_blocking=True)

    def new_event(self) -> Any:
        """A ``cupy.cuda.Event`` that lets the thread sleep while it waits, and takes no times."""
        return self._cupy.cuda.Event(block=True, disable_timing=True)

    def array(self, foreign: Any) -> Array:
        """An array of another library as the kernels take it; it stays where it is.

        Args:
            foreign: on the GPU, with ``__cuda_array_interface__`` (PyCUDA, Numba, PyTorch) or
                DLPack. What it is needed for must be done before it is freed.

        Raises:
            GpuError: it is neither, or lies elsewhere.
        """
        if hasattr(foreign, "__cuda_array_interface__"):
            return cast(Array, self._cupy.asarray(foreign))
        if hasattr(foreign, "__dlpack_device__") and foreign.__dlpack_device__()[0] == _DLPACK_CUDA:
            return cast(Array, self._cupy.from_dlpack(foreign))
        raise GpuError(
            "GPU: an array must lie there and have __cuda_array_interface__ or DLPack, got "
            f"{type(foreign).__name__}. Copy it to the GPU first."
        )


class CupyStream:
    """A ``Stream`` on an NVIDIA GPU.

    Args:
        device: the GPU that the stream belongs to.
        stream: from ``new_stream``; the default one would wait for all others.
    """

    def __init__(self, device: CupyDevice, stream: Any) -> None:
        self._device = device
        self._stream = stream

    def launch(
        self,
        source: str,
        kernel: str,
        arguments: Sequence[Argument],
        *,
        extent: tuple[int, int, int],
        block: tuple[int, int, int] = TILE,
    ) -> None:
        """Queues one kernel; see ``Stream``."""
        function, parameters = self._device.kernel(source, kernel)
        check_arguments(kernel, parameters, arguments)
        with self._stream:
            function(num_blocks(extent, block), block, tuple(arguments))


def _one_line(error: Exception) -> str:
    """What another library's error says, fit for the middle of a line."""
    return " ".join(str(error).split())[:300]
