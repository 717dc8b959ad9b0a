"""Memory and a queue of an NVIDIA GPU, through the driver's own library and nothing else.

What the calls do and take: CUDA Driver API, https://docs.nvidia.com/cuda/cuda-driver-api/.
"""

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engines.errors import ModelError
from engines.gpu import DRIVER, SUCCESS
from engines.session import Array, DeviceArray

_NON_BLOCKING = 1
"""``CU_STREAM_NON_BLOCKING``: the stream does not wait for the one everybody shares."""

_FIRST_GPU = 0


class DeviceMemory(Protocol):
    """Arrays of one GPU and one stream to fill and read them on. One thread at a time."""

    @property
    def stream(self) -> int:
        """Handle of the stream; never 0."""
        ...

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> DeviceArray:
        """A new array of undefined contents; lives until ``close``."""
        ...

    def upload(self, source: Array, *, out: DeviceArray) -> None:
        """Queues a copy to the GPU; ``source`` must stay as it is until ``wait`` returns."""
        ...

    def download(self, source: DeviceArray, *, out: Array) -> None:
        """Queues a copy from the GPU; ``out`` is written when ``wait`` returns."""
        ...

    def wait(self) -> None:
        """Waits for everything queued on the stream."""
        ...

    def close(self) -> None:
        """Frees the arrays and the stream; closing twice is fine."""
        ...


@dataclass(frozen=True, slots=True)
class CudaArray:
    """A C-contiguous array in the memory of a GPU.

    Attributes:
        address: of the first byte.
        shape: of the array.
        dtype: of its elements.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Size of the contents."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> Mapping[str, Any]:
        """As https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html has it."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "version": 3,
        }


class CudaMemory:
    """The memory of the first GPU, in the context that CUDA's runtime API uses too.

    So networks of TensorRT and ONNX Runtime in this process read and write it.
    """

    def __init__(self, library: str = DRIVER) -> None:
        """Takes the context and makes the stream.

        Args:
            library: the driver's shared library.

        Raises:
            ModelError: there is no driver or no GPU, or it has no room.
        """
        try:
            self._driver = ctypes.CDLL(library)
        except OSError as error:
            raise ModelError(
                f"{library}: the driver of an NVIDIA GPU must be there, got {error}. "
                "Install it, or use --device cpu."
            ) from error
        self._arrays: list[CudaArray] = []
        self._context, stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._device = ctypes.c_int()
        self._call("cuInit", ctypes.c_uint(0))
        self._call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(_FIRST_GPU))
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        try:
            self._use()
            self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        except ModelError:
            self._call("cuDevicePrimaryCtxRelease_v2", self._device)
            raise
        self._stream = int(stream.value or 0)
        self._is_open = True

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return self._stream

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> CudaArray:
        """A new array of undefined contents; lives until ``close``.

        Raises:
            ModelError: the GPU has no room for it.
        """
        self._use()
        address = ctypes.c_uint64()
        num_bytes = math.prod(shape) * dtype.itemsize
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(num_bytes, 1)))
        array = CudaArray(int(address.value), shape, dtype)
        self._arrays.append(array)
        return array

    def upload(self, source: Array, *, out: DeviceArray) -> None:
        """Queues a copy to the GPU.

        Args:
            source: C-contiguous; must stay as it is until ``wait`` returns.
            out: as large, of this memory.

        Raises:
            ModelError: the GPU fails.
        """
        self._use()
        self._call(
            "cuMemcpyHtoDAsync_v2",
            ctypes.c_uint64(_address(out)),
            ctypes.c_void_p(source.ctypes.data),
            ctypes.c_size_t(source.nbytes),
            ctypes.c_void_p(self._stream),
        )

    def download(self, source: DeviceArray, *, out: Array) -> None:
        """Queues a copy from the GPU.

        Args:
            source: of this memory.
            out: C-contiguous and as large; written when ``wait`` returns.

        Raises:
            ModelError: the GPU fails.
        """
        self._use()
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(out.ctypes.data),
            ctypes.c_uint64(_address(source)),
            ctypes.c_size_t(out.nbytes),
            ctypes.c_void_p(self._stream),
        )

    def wait(self) -> None:
        """Waits for everything queued on the stream.

        Raises:
            ModelError: some of it failed.
        """
        self._use()
        self._call("cuStreamSynchronize", ctypes.c_void_p(self._stream))

    def close(self) -> None:
        """Frees the arrays, the stream and the hold on the context; closing twice is fine."""
        if not self._is_open:
            return
        self._is_open = False
        self._use()
        for array in self._arrays:
            self._call("cuMemFree_v2", ctypes.c_uint64(array.address))
        self._arrays.clear()
        self._call("cuStreamDestroy_v2", ctypes.c_void_p(self._stream))
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _use(self) -> None:
        """Makes the context that of the calling thread, which may be another one each time."""
        self._call("cuCtxSetCurrent", self._context)

    def _call(self, name: str, *arguments: Any) -> None:
        """One call of the driver.

        Raises:
            ModelError: it says that it failed.
        """
        status = getattr(self._driver, name)(*arguments)
        if status != SUCCESS:
            raise ModelError(
                f"{name}: the NVIDIA driver must do it, got error {status}. "
                "Close other programs that use the GPU, or use --device cpu."
            )


def _address(array: DeviceArray) -> int:
    return int(array.__cuda_array_interface__["data"][0])
