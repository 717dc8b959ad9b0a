"""The one face of every loaded network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Place = Literal["cpu", "cuda"]
"""Whose memory a session reads and writes: the machine's, or that of an NVIDIA GPU."""

_NUM_COLOURS = (1, 3, 4)


class DeviceArray(Protocol):
    """An array in the memory of a GPU, as CuPy, PyTorch and Numba make them.

    The interface is described at
    https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html.
    """

    @property
    def __cuda_array_interface__(self) -> Mapping[str, Any]:
        """Address, shape and type."""
        ...


Buffer = Array | DeviceArray
"""What a session reads and writes: NumPy arrays where its place is ``cpu``, else device arrays."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, shape and type of one input or output.

    Attributes:
        name: as in the graph.
        shape: -1 for a dimension that may vary.
        dtype: NumPy dtype of the elements.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def layout(self) -> Literal["NCHW", "NHWC", "NC", ""]:
        """The order of the dimensions, as far as the shape shows it.

        ``NCHW`` and ``NHWC`` for a batch of pictures or maps, told apart by where one, three or
        four colours stand; ``NCHW`` where that is open, as ONNX prescribes for convolutions.
        ``NC`` for a batch of vectors; empty for everything else.
        """
        if len(self.shape) == 2:
            return "NC"
        if len(self.shape) != 4:
            return ""
        is_last = self.shape[3] in _NUM_COLOURS and self.shape[1] not in _NUM_COLOURS
        return "NHWC" if is_last else "NCHW"


class HasTensors(Protocol):
    """What can say which tensors a network takes and gives."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The network's inputs in graph order."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs in graph order."""
        ...


class Session(Protocol):
    """A loaded network. Buffers belong to the caller; nothing is allocated per call.

    The addresses of the buffers are fixed at the first call with them: handing in the same array
    objects again costs next to nothing, handing in others binds those. The session keeps what it
    is bound to alive until then. One thread at a time.
    """

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The network's inputs in graph order."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs in graph order."""
        ...

    @property
    def provider(self) -> str:
        """What really runs the network, for example ``onnxruntime:CPU``."""
        ...

    @property
    def place(self) -> Place:
        """Where the buffers must lie."""
        ...

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Runs the network; on a CPU it has finished on return.

        Args:
            inputs: C-contiguous arrays by input name, of the session's shapes and dtypes.
            out: arrays by output name that are written.
            stream: CUDA stream handle the work is queued on; 0 on a CPU.
        """
        ...

    def close(self) -> None:
        """Frees the network."""
        ...
