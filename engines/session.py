"""The one face of every loaded network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


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


class Session(Protocol):
    """A loaded network. Buffers belong to the caller; nothing is allocated per call."""

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

    def enqueue(
        self, inputs: Mapping[str, Array], *, out: Mapping[str, Array], stream: int
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
