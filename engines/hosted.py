"""A network of a GPU for callers whose arrays lie in main memory."""

from collections.abc import Callable, Mapping
from typing import Final

from engines.buffers import host_arrays
from engines.cuda_memory import CudaMemory, DeviceMemory
from engines.errors import ModelError
from engines.session import Array, Buffer, DeviceArray, Place, Session

OpenOnStream = Callable[[int], Session]
"""Opens a network whose buffers lie on the GPU, given the stream that it will run on."""


def open_hosted(
    open_network: OpenOnStream,
    *,
    name: str = "model",
    take_memory: Callable[[], DeviceMemory] = CudaMemory,
) -> "HostedSession":
    """A network of the GPU, with a stream and arrays of its own there.

    Args:
        open_network: opens the network.
        name: what error messages call it.
        take_memory: gives the stream and the arrays.

    Raises:
        ModelError: the GPU cannot be used, or the network not be opened on it.
    """
    memory = take_memory()
    try:
        return HostedSession(open_network(memory.stream), memory, name=name)
    except ModelError:
        memory.close()
        raise


class HostedSession:
    """Copies what goes in to the GPU and what comes out back, around another session.

    Both copies and the run are queued on one stream, and each call waits for its end. Arrays on
    the GPU are made once for each shape, so nothing is allocated from call to call.

    Attributes:
        inputs, outputs, place: see ``Session``.
        provider: what really runs the network.
    """

    def __init__(self, inner: Session, memory: DeviceMemory, *, name: str = "model") -> None:
        """Takes both; they are closed with this session.

        Args:
            inner: a network whose buffers lie on the GPU.
            memory: of the same GPU; the network runs on its stream.
            name: what error messages call the network.

        Raises:
            ModelError: the network does not run on a GPU.
        """
        if inner.place != "cuda":
            raise ModelError(
                f"{name}: the network must run on a GPU, got {inner.provider}. Use it as it is."
            )
        self._inner = inner
        self.inputs: Final = inner.inputs
        self.outputs: Final = inner.outputs
        self.place: Final[Place] = "cpu"
        self.provider: Final = inner.provider
        self._memory = memory
        self._name = name
        self._mirrors: dict[tuple[str, tuple[int, ...]], DeviceArray] = {}
        self._given: dict[str, DeviceArray] = {}
        self._wanted: dict[str, DeviceArray] = {}

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Runs the network and returns when the outputs are written.

        Args:
            inputs: C-contiguous arrays by input name, of the session's shapes and dtypes.
            out: C-contiguous arrays by output name that are written; every output is needed.
            stream: 0; the stream is the session's own.

        Raises:
            ModelError: an array is missing or does not fit, or the run fails.
        """
        if stream != 0:
            raise ModelError(f"{self._name}: stream must be 0 on a CPU, got {stream}.")
        given = host_arrays(self.inputs, inputs, self._name, written=False)
        wanted = host_arrays(self.outputs, out, self._name, written=True)
        for name, array in wanted.items():
            self._wanted[name] = self._mirror(name, array)
        for name, array in given.items():
            self._given[name] = self._mirror(name, array)
            self._memory.upload(array, out=self._given[name])
        self._inner.enqueue(self._given, out=self._wanted, stream=self._memory.stream)
        for name, array in wanted.items():
            self._memory.download(self._wanted[name], out=array)
        self._memory.wait()

    def close(self) -> None:
        """Frees the network and its arrays on the GPU; closing twice is fine."""
        self._inner.close()
        self._mirrors.clear()
        self._given.clear()
        self._wanted.clear()
        self._memory.close()

    def _mirror(self, name: str, array: Array) -> DeviceArray:
        """The array on the GPU that stands for one of the caller's."""
        key = (name, array.shape)
        if key not in self._mirrors:
            self._mirrors[key] = self._memory.array(array.shape, array.dtype)
        return self._mirrors[key]
