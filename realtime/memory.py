"""Arrays that live as long as the pipeline is open, and memory that is of no more use."""

import ctypes
import sys
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray


def give_back_freed() -> None:
    """Hands the pages that nothing uses any more back to the system.

    GNU's allocator keeps what was freed between pieces still in use, and preparing a face frees
    about a hundred megabytes in such a way. Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Memory:
    """Gives out arrays while the pipeline opens and lets them go when it closes.

    What a stage needs in ``process`` it takes here in ``open``, so that a running pipeline
    allocates nothing and its size can be read off one number. All calls come from the thread
    that opens and closes the pipeline. An array given out stays valid for as long as its holder
    keeps it; closing drops the memory's own hold on it.
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[Any]] = []
        self._closed = False

    @property
    def live_bytes(self) -> int:
        """Bytes given out and not let go yet."""
        return sum(array.nbytes for array in self._arrays)

    def host(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array in main memory.

        Args:
            shape: extents; each at least 0.
            dtype: NumPy type of the elements.

        Returns:
            A C-contiguous array of zeros whose pages have been touched, so that the first frame
            does not pay for them.

        Raises:
            RuntimeError: the memory has been closed.
        """
        if self._closed:
            raise RuntimeError("Memory.host: the memory must be open, got a closed one.")
        array = np.empty(shape, dtype)
        array.fill(0)
        self._arrays.append(array)
        return array

    def close(self) -> None:
        """Lets every array go; closing twice is harmless."""
        self._arrays.clear()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
