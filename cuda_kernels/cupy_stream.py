"""One NVIDIA GPU through CuPy: memory, streams, graphs, and kernels compiled at first use.

CuPy keeps what it compiles in ``~/.cupy/kernel_cache`` by source, options, card and compiler, so
only the first run on a machine waits.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike

from cuda_kernels.device import Work
from cuda_kernels.errors import GpuError
from cuda_kernels.launch import TILE, Argument, Array, Stream, check_arguments, num_blocks
from cuda_kernels.source import COMPILE_OPTIONS, Parameter, kernels_of, read_source

# DLDeviceType kDLCUDA of dlpack.h.
_DLPACK_CUDA = 2

_MOST_PINNED = 32
"""Pictures in main memory that are pinned where they lie; an engine has fewer, and each is held."""

_LOG = logging.getLogger(__name__)

_REMEDY = "Install the gpu extra and NVIDIA's driver, or use --device cpu."


@dataclass(frozen=True, slots=True)
class _Module:
    """A source, what CuPy made of it, and those of its kernels that were used already."""

    parameters: Mapping[str, tuple[Parameter, ...]]
    compiled: Any
    functions: dict[str, Any] = field(default_factory=dict)


class CudaDevice:
    """One GPU: its memory, the sources compiled for it, and what work is ordered with.

    Arrays come out of a pool of this object that takes no more memory after ``settle``. Nothing is
    queued on the default stream, which would wait for all others.

    Raises:
        GpuError: CuPy is missing, it finds no GPU, or the driver is too old for it.
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
        self._runtime = cupy.cuda.runtime
        needed, there = self._runtime.runtimeGetVersion(), self._runtime.driverGetVersion()
        # A driver serves every minor version of its own major one.
        if there // 1000 < needed // 1000:
            raise GpuError(
                f"GPU: the driver must support CUDA {needed // 1000}, got one for CUDA "
                f"{there // 1000}.{there % 1000 // 10}. Update it, or use --device cpu."
            )
        self._modules: dict[str, _Module] = {}
        self._pool = cupy.cuda.MemoryPool()
        self._opening = self.new_stream()
        self._pinned: dict[int, Array] = {}
        self._free_bytes = int(self._runtime.memGetInfo()[0])

    @property
    def place(self) -> Literal["cpu", "cuda"]:
        """``cuda``."""
        return "cuda"

    @property
    def used_bytes(self) -> int:
        """Of the card's memory since this object was made, by whomever; never waits."""
        return max(self._free_bytes - int(self._runtime.memGetInfo()[0]), 0)

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
            if kernel not in module.functions:
                module.functions[kernel] = module.compiled.get_function(kernel)
            return module.functions[kernel], module.parameters[kernel]
        except (self._cupy.cuda.compiler.CompileException, RuntimeError) as error:
            raise GpuError(
                f"{source}.cu: must compile for this GPU, got {_one_line(error)}. {_REMEDY}"
            ) from error

    def new_stream(self) -> Any:
        """A ``cupy.cuda.Stream`` that waits for no other by itself."""
        return self._cupy.cuda.Stream(non_blocking=True)

    def new_event(self, *, timed: bool = False) -> Any:
        """A ``cupy.cuda.Event`` that lets the thread sleep while it waits; times cost a little."""
        return self._cupy.cuda.Event(block=True, disable_timing=not timed)

    def elapsed_ms(self, first: Any, last: Any) -> float:
        """Time between what two timed events marked; both must be done."""
        return float(self._cupy.cuda.get_elapsed_time(first, last))

    def launcher(self, stream: Any) -> Stream:
        """What kernels are queued on a stream with."""
        return CupyStream(self, stream)

    def handle(self, stream: Any) -> int:
        """The stream's ``cudaStream_t``."""
        return int(stream.ptr)

    def adopt(self, foreign: Any, *, stream: Any) -> Array:
        """An array of another library as the kernels take it; it stays where it is.

        Args:
            foreign: on the GPU, with ``__cuda_array_interface__`` (PyCUDA, Numba, PyTorch) or
                DLPack. What it is needed for must be done before it is freed.
            stream: what is queued there from now on finds what DLPack's library has queued. With
                the interface it must be done already, unless the array names its stream.

        Raises:
            GpuError: it is neither, or lies elsewhere.
        """
        # Both libraries order their work by the stream that is current here.
        with stream:
            if hasattr(foreign, "__cuda_array_interface__"):
                return cast(Array, self._cupy.asarray(foreign))
            place = getattr(foreign, "__dlpack_device__", None)
            if place is not None and place()[0] == _DLPACK_CUDA:
                return cast(Array, self._cupy.from_dlpack(foreign))
        raise GpuError(
            "GPU: an array must lie there and have __cuda_array_interface__ or DLPack, got "
            f"{type(foreign).__name__}. Copy it to the GPU first."
        )

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array; it holds zeros once ``settle`` returns."""
        with self._cupy.cuda.using_allocator(self._pool.malloc), self._opening:
            return cast(Array, self._cupy.zeros(shape, dtype=dtype))

    def put(self, array: Array) -> Array:
        """A copy on the GPU; it is there once ``settle`` returns."""
        there = self.zeros(array.shape, array.dtype)
        # From memory that is not pinned the copy has read all of it on return.
        self.upload(np.ascontiguousarray(array), out=there, stream=self._opening)
        return there

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of zeros in main memory that the GPU reads and writes by itself."""
        num = int(np.prod(shape, dtype=np.int64))
        size = max(num * np.dtype(dtype).itemsize, 1)
        memory = self._cupy.cuda.alloc_pinned_memory(size)
        array = np.frombuffer(memory, dtype, num).reshape(shape)
        array.fill(0)
        return array

    def pin(self, array: Array) -> bool:
        """Lets the GPU read and write an array in main memory by itself; once is enough.

        Returns:
            Whether it may. Not where a part of it is pinned already, by whomever, where the
            system has no more memory to pin, and where a caller comes with ever new arrays.
        """
        address = array.ctypes.data
        if address in self._pinned:
            return self._pinned[address].nbytes >= array.nbytes
        if len(self._pinned) == _MOST_PINNED:
            return False
        try:
            self._runtime.hostRegister(address, array.nbytes, 0)
        except self._runtime.CUDARuntimeError as error:
            _LOG.info("a picture is copied to pinned memory: %s", error)
            return False
        # Held, so that its pages stay what they are until they are let go.
        self._pinned[address] = array
        return True

    def settle(self) -> None:
        """Waits for what ``zeros`` and ``put`` have queued; from now on no more memory is taken."""
        self._opening.synchronize()
        self._pool.set_limit(size=max(self._pool.total_bytes(), 1))

    def unsettle(self) -> None:
        """Lets memory be taken again, until the next ``settle``; gives back what nobody holds."""
        self._pool.set_limit(size=0)
        self._pool.free_all_blocks()

    def upload(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy to the GPU; both C-contiguous and of one size."""
        kind = self._runtime.memcpyHostToDevice
        self._runtime.memcpyAsync(_address(out), source.ctypes.data, out.nbytes, kind, stream.ptr)

    def download(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy from the GPU; both C-contiguous and of one size."""
        kind = self._runtime.memcpyDeviceToHost
        self._runtime.memcpyAsync(out.ctypes.data, _address(source), out.nbytes, kind, stream.ptr)

    def copy(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy on the GPU; both C-contiguous and of one size."""
        kind = self._runtime.memcpyDeviceToDevice
        self._runtime.memcpyAsync(_address(out), _address(source), out.nbytes, kind, stream.ptr)

    def capture(self, work: Work, *, stream: Any) -> Any:
        """Records what some work queues on a stream as a ``cupy.cuda.Graph``."""
        stream.begin_capture()
        try:
            work()
        except BaseException:
            # The stream must come out of the capture, or nothing can be queued on it any more; it
            # complains where the work has broken the capture.
            with suppress(RuntimeError):
                stream.end_capture()
            raise
        return stream.end_capture()

    def close(self) -> None:
        """Frees what nobody holds any more, and unpins; nothing may be in flight."""
        while self._pinned:
            address, _ = self._pinned.popitem()
            self._runtime.hostUnregister(address)
        self._pool.set_limit(size=0)
        self._pool.free_all_blocks()


class CupyStream:
    """A ``Stream`` on an NVIDIA GPU.

    Args:
        device: the GPU that the stream belongs to.
        stream: from ``new_stream``; the default one would wait for all others.
    """

    def __init__(self, device: CudaDevice, stream: Any) -> None:
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


def _address(array: Any) -> int:
    return int(array.data.ptr)


def _one_line(error: Exception) -> str:
    """What another library's error says, fit for the middle of a line."""
    return " ".join(str(error).split())[:300]
