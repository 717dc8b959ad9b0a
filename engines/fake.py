"""A network computed by a Python function, for tests."""

from collections.abc import Callable, Mapping

from engines.buffers import host_array
from engines.errors import ModelError
from engines.session import Array, Buffer, Place, TensorSpec

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

    @property
    def place(self) -> Place:
        """Where the buffers must lie."""
        return "cpu"

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
        given = {
            spec.name: host_array(inputs.get(spec.name), spec, "fake", written=False)
            for spec in self._inputs
        }
        wanted = {
            spec.name: host_array(out.get(spec.name), spec, "fake", written=True)
            for spec in self._outputs
        }
        self.calls += 1
        results = self._compute(given)
        for name, array in wanted.items():
            array[...] = results[name]

    def close(self) -> None:
        """Refuses further runs."""
        self._is_open = False
