"""What a pipeline of kernels needs of the device it runs on, and the processor as such a device."""

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import DTypeLike

from cuda_kernels.launch import Array, Stream

Work = Callable[[], None]
"""Queues something, always at the same addresses."""


class Graph(Protocol):
    """Work that was captured once and is queued as one."""

    def launch(self, stream: Any) -> None:
        """Queues all of it."""
        ...


class Device(Protocol):
    """Memory, streams and events of one device. One thread at a time.

    Arrays are taken while a pipeline opens; ``upload``, ``download`` and ``copy`` only queue.
    """

    @property
    def place(self) -> Literal["cpu", "cuda"]:
        """Whose memory the arrays lie in."""
        ...

    @property
    def used_bytes(self) -> int:
        """Of the device's memory since this object was made, by whomever."""
        ...

    def new_stream(self) -> Any:
        """A stream that waits for no other by itself."""
        ...

    def new_event(self, *, timed: bool = False) -> Any:
        """An event that has marked nothing yet; ``elapsed_ms`` is told of timed ones."""
        ...

    def elapsed_ms(self, first: Any, last: Any) -> float:
        """Time between what two timed events marked; both must be done."""
        ...

    def launcher(self, stream: Any) -> Stream | None:
        """What kernels are queued on a stream with; None where they are computed at once."""
        ...

    def handle(self, stream: Any) -> int:
        """What networks call the stream; 0 on a processor."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of the device, C-contiguous; it holds zeros once ``settle`` returns."""
        ...

    def put(self, array: Array) -> Array:
        """A copy on the device; it is there once ``settle`` returns."""
        ...

    def adopt(self, foreign: Any, *, stream: Any) -> Array:
        """An array of another library that lies on the device; it stays where it is.

        Args:
            foreign: the array.
            stream: what is queued there from now on finds what DLPack's library has queued.

        Raises:
            GpuError: it lies elsewhere.
        """
        ...

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of zeros in main memory that the device reads and writes by itself."""
        ...

    def pin(self, array: Array) -> bool:
        """Lets the device read and write an array in main memory by itself; once is enough.

        Returns:
            Whether it may; if not, the array must be copied from and to a ``pinned`` one.
        """
        ...

    def settle(self) -> None:
        """Waits for what ``zeros`` and ``put`` have queued; from now on no more memory is taken."""
        ...

    def unsettle(self) -> None:
        """Lets memory be taken again, until the next ``settle``."""
        ...

    def upload(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy of a pinned array to the device; both C-contiguous and of one size."""
        ...

    def download(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy to a pinned array."""
        ...

    def copy(self, source: Array, *, out: Array, stream: Any) -> None:
        """Queues a copy on the device."""
        ...

    def capture(self, work: Work, *, stream: Any) -> Graph:
        """Records what some work queues on a stream instead of doing it."""
        ...

    def close(self) -> None:
        """Frees everything; nothing may be in flight. Closing twice is fine."""
        ...


class CpuStream:
    """The order in which a processor does things anyway."""

    def wait_event(self, event: Any) -> None:
        """What an event marks on a processor is done."""


class CpuEvent:
    """A mark behind what is done already."""

    def __init__(self) -> None:
        self.at_ns = 0

    @property
    def done(self) -> bool:
        """True."""
        return True

    def record(self, stream: Any) -> None:  # noqa: ARG002
        """Marks what is done."""
        self.at_ns = time.perf_counter_ns()

    def synchronize(self) -> None:
        """Returns at once."""


class CpuGraph:
    """Work that is done anew each time."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def launch(self, stream: Any) -> None:  # noqa: ARG002
        """Does it."""
        self._work()


class CpuDevice:
    """The processor: the kernels' twins compute at once, and main memory is the device's."""

    def __init__(self) -> None:
        self._used_bytes = 0

    @property
    def place(self) -> Literal["cpu", "cuda"]:
        """``cpu``."""
        return "cpu"

    @property
    def used_bytes(self) -> int:
        """Of the arrays given out."""
        return self._used_bytes

    def new_stream(self) -> CpuStream:
        """A stream of nothing."""
        return CpuStream()

    def new_event(self, *, timed: bool = False) -> CpuEvent:  # noqa: ARG002
        """An event of nothing."""
        return CpuEvent()

    def elapsed_ms(self, first: CpuEvent, last: CpuEvent) -> float:
        """Time between two marks."""
        return (last.at_ns - first.at_ns) / 1e6

    def launcher(self, stream: Any) -> Stream | None:  # noqa: ARG002
        """None: kernels are computed at once."""
        return None

    def handle(self, stream: Any) -> int:  # noqa: ARG002
        """0."""
        return 0

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of zeros."""
        array = np.zeros(shape, dtype)
        self._used_bytes += array.nbytes
        return array

    def put(self, array: Array) -> Array:
        """A copy."""
        copy = np.array(array, order="C")
        self._used_bytes += copy.nbytes
        return copy

    def adopt(self, foreign: Any, *, stream: Any) -> Array:  # noqa: ARG002
        """The same array: the device's memory is NumPy's."""
        return np.asarray(foreign)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of zeros."""
        return np.zeros(shape, dtype)

    def pin(self, array: Array) -> bool:  # noqa: ARG002
        """True: main memory is the device's."""
        return True

    def settle(self) -> None:
        """Nothing is queued."""

    def unsettle(self) -> None:
        """Memory may always be taken."""

    def upload(self, source: Array, *, out: Array, stream: Any) -> None:  # noqa: ARG002
        """Copies."""
        np.copyto(out, source)

    def download(self, source: Array, *, out: Array, stream: Any) -> None:  # noqa: ARG002
        """Copies."""
        np.copyto(out, source)

    def copy(self, source: Array, *, out: Array, stream: Any) -> None:  # noqa: ARG002
        """Copies."""
        np.copyto(out, source)

    def capture(self, work: Work, *, stream: Any) -> CpuGraph:  # noqa: ARG002
        """Keeps the work, to do it each time."""
        return CpuGraph(work)

    def close(self) -> None:
        """Lets nothing go that is still held elsewhere."""
        self._used_bytes = 0
