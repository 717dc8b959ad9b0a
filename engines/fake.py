"""A network computed by a Python function, for tests."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from engines.errors import ModelError
from engines.session import TensorSpec

Array = NDArray[Any]
Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class FakeSession:
    """A session that calls a function; its ``calls`` are counted.

    Attributes:
        calls: number of runs so far.
    """

    def __init__(
        self,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        compute: Compute,
    ) -> None:
        """Declares the network.

        Args:
            inputs: what ``compute`` is given.
            outputs: what ``compute`` returns.
            compute: arrays by input name → arrays by output name, copied into the caller's.
        """
        self.calls = 0
        self._inputs = inputs
        self._outputs = outputs
        self._compute = compute
        self._is_open = True

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The declared inputs."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The declared outputs."""
        return self._outputs

    @property
    def provider(self) -> str:
        """Says that nothing real runs."""
        return "fake:CPU"

    def enqueue(
        self, inputs: Mapping[str, Array], *, out: Mapping[str, Array], stream: int
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
        for spec, arrays in [(s, inputs) for s in self._inputs] + [(s, out) for s in self._outputs]:
            array = arrays.get(spec.name)
            if array is None or array.dtype != spec.dtype or not _matches(array.shape, spec.shape):
                raise ModelError(
                    f"fake: {spec.name} must be {spec.dtype.name} of shape {spec.shape}, "
                    f"got {None if array is None else (array.dtype.name, array.shape)}."
                )
        self.calls += 1
        results = self._compute(inputs)
        for spec in self._outputs:
            out[spec.name][...] = results[spec.name]

    def close(self) -> None:
        """Refuses further runs."""
        self._is_open = False


def _matches(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want in (-1, got) for want, got in zip(wanted, shape, strict=True)
    )
