"""Work on a GPU that comes again and again, queued as one."""

from collections.abc import Hashable
from typing import Any

from cuda_kernels.device import Device, Graph, Work
from cuda_kernels.launch import Array
from engines.session import Session, TensorSpec
from realtime.device_networks import is_capturable


class GraphBook:
    """Queues work step by step the first time, captures it the second, then launches the graph.

    The first time kernels are compiled and networks bind their arrays and take their memory, none
    of which may happen inside a capture. Used by one thread.
    """

    def __init__(self, device: Device) -> None:
        """Begins empty.

        Args:
            device: captures.
        """
        self._device = device
        self._graphs: dict[Hashable, Graph | None] = {}

    @property
    def num_graphs(self) -> int:
        """How many pieces of work have been captured."""
        return sum(graph is not None for graph in self._graphs.values())

    def run(self, key: Hashable, work: Work, *, stream: Any) -> None:
        """Queues a piece of work.

        Args:
            key: of the work; whatever kernels and addresses depend on is part of it.
            work: queues it on the stream.
            stream: the device's.
        """
        if key not in self._graphs:
            work()
            self._graphs[key] = None
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._graphs[key] = self._device.capture(work, stream=stream)
        graph.launch(stream)

    def forget(self) -> None:
        """Drops all graphs, because an array or a size has changed; nothing may be in flight."""
        self._graphs.clear()


def tensor_buffer(device: Device, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """An array for a tensor of a network.

    Raises:
        ValueError: it does not take that shape.
    """
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, extent) for wanted, extent in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{spec.name}: must take the shape {shape}, got {spec.shape}.")
    return device.zeros(shape, spec.dtype)


def around_network(
    graphs: GraphBook,
    key: tuple[Hashable, ...],
    session: Session,
    before: Work,
    run: Work,
    after: Work,
    stream: Any,
) -> None:
    """Queues a network between its kernels: as one graph where it can be captured, else in parts.

    Another runtime that takes a network over is another key, so that it is captured anew.
    """

    def whole() -> None:
        before()
        run()
        after()

    if is_capturable(session):
        graphs.run((*key, session.provider), whole, stream=stream)
        return
    graphs.run((*key, "before"), before, stream=stream)
    run()
    graphs.run((*key, "after"), after, stream=stream)
