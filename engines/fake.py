"""A network computed by a Python function, and a GPU made of main memory, for tests."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from engines.buffers import host_arrays
from engines.cuda_memory import CudaArray
from engines.errors import ModelError
from engines.session import Array, Buffer, DeviceArray, Place, TensorSpec

Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class FakeSession:
    """A session that calls a function; its ``calls`` are counted.

    Attributes:
        calls: number of runs so far.
        inputs, outputs, place: see ``Session``.
        provider: what it was told to call itself.
    """

    def __init__(
        self,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        compute: Compute,
        *,
        place: Place = "cpu",
        provider: str = "fake:CPU",
    ) -> None:
        """Declares the network.

        Args:
            inputs: what ``compute`` is given.
            outputs: what ``compute`` returns.
            compute: arrays by input name → arrays by output name, copied into the caller's.
            place: where it says that the buffers must lie; they lie in main memory all the same.
            provider: what it is to call itself.
        """
        self.calls = 0
        self.inputs: Final = inputs
        self.outputs: Final = outputs
        self._compute = compute
        self.place: Final = place
        self.provider: Final = provider
        self._is_open = True

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Calls the function and copies its results.

        Args:
            inputs: arrays by input name, of the declared shapes and dtypes.
            out: arrays by output name that are written.
            stream: 0; there are no streams here.

        Raises:
            ModelError: the session is closed, an array does not fit, or ``stream`` is not 0.
        """
        if not self._is_open or stream != 0:
            raise ModelError(
                f"fake: must be open with stream 0, got open {self._is_open}, stream {stream}."
            )
        given = host_arrays(self.inputs, inputs, "fake", written=False)
        wanted = host_arrays(self.outputs, out, "fake", written=True)
        self.calls += 1
        results = self._compute(given)
        for name, array in wanted.items():
            array[...] = results[name]

    def close(self) -> None:
        """Refuses further runs."""
        self._is_open = False


class FakeMemory:
    """A GPU's memory in main memory: what is queued happens when the stream is waited for.

    Attributes:
        queued: what is still to happen.
        is_open: whether it has not been closed yet.
    """

    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []
        self.is_open = True
        self._arrays: dict[int, Array] = {}

    @property
    def stream(self) -> int:
        """A handle that is not 0."""
        return 7

    @property
    def num_arrays(self) -> int:
        """How many arrays have been made."""
        return len(self._arrays)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> CudaArray:
        """A new array full of ones, at an address that is none."""
        address = 1 + len(self._arrays)
        self._arrays[address] = np.ones(shape, dtype)
        return CudaArray(address, shape, dtype)

    def contents(self, array: Buffer) -> Array:
        """What an array of this memory holds now."""
        if isinstance(array, np.ndarray):
            raise ModelError("fake: the array must lie on the GPU, got one in main memory.")
        return self._arrays[int(array.__cuda_array_interface__["data"][0])]

    def upload(self, source: Array, *, out: DeviceArray) -> None:
        """Queues a copy; see ``DeviceMemory``."""
        self.queued.append(lambda: np.copyto(self.contents(out), source))

    def download(self, source: DeviceArray, *, out: Array) -> None:
        """Queues a copy; see ``DeviceMemory``."""
        self.queued.append(lambda: np.copyto(out, self.contents(source)))

    def wait(self) -> None:
        """Does what is queued."""
        queued, self.queued = self.queued, []
        for work in queued:
            work()

    def close(self) -> None:
        """Notes that it was closed."""
        self.is_open = False


class FakeGpuSession:
    """A session on the GPU that a ``FakeMemory`` stands for.

    Attributes:
        inputs, outputs, place: see ``Session``.
        provider: what it was told to call itself.
    """

    def __init__(self, inner: FakeSession, memory: FakeMemory, provider: str = "fake:CUDA") -> None:
        """Takes what computes, and where its buffers lie.

        Args:
            inner: computes on what the memory's arrays hold.
            memory: of the GPU.
            provider: what it is to call itself.
        """
        self._inner = inner
        self._memory = memory
        self.inputs: Final = inner.inputs
        self.outputs: Final = inner.outputs
        self.place: Final[Place] = "cuda"
        self.provider: Final = provider

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Queues a run.

        Args:
            inputs: arrays of the memory by input name.
            out: arrays of the memory by output name that are written.
            stream: the memory's.

        Raises:
            ModelError: it is another stream, or an array lies elsewhere.
        """
        if stream != self._memory.stream:
            raise ModelError(f"fake: stream must be {self._memory.stream}, got {stream}.")
        given, wanted = (
            {name: self._memory.contents(array) for name, array in arrays.items()}
            for arrays in (inputs, out)
        )
        self._memory.queued.append(lambda: self._inner.enqueue(given, out=wanted, stream=0))

    def close(self) -> None:
        """Refuses further runs."""
        self._inner.close()
