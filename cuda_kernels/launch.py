"""How a kernel is handed to whatever runs it."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.source import Parameter

Array = NDArray[Any]
"""Of NumPy on a processor; on a GPU an array of the stream's device that behaves like one."""

Argument = Array | np.generic
"""What a kernel takes: arrays, and numbers of exactly the kernel's types."""

TILE = (32, 8, 1)
"""Threads of a block for pictures: a warp lies along a row, so that it reads neighbours."""

LINE = (256, 1, 1)
"""Threads of a block for lists."""


class Stream(Protocol):
    """Queues kernels, in order. Used by one thread at a time."""

    def launch(
        self,
        source: str,
        kernel: str,
        arguments: Sequence[Argument],
        *,
        extent: tuple[int, int, int],
        block: tuple[int, int, int] = TILE,
    ) -> None:
        """Queues one kernel and returns.

        Args:
            source: name of the file in ``src`` without its ending.
            kernel: name of the function in it.
            arguments: as the kernel lists them. Arrays must live until the kernel has run.
            extent: number of threads wanted along x, y and z, rounded up to whole blocks.
            block: threads of a block along x, y and z.

        Raises:
            ValueError: the arguments are not those of the kernel.
            GpuError: the source cannot be compiled.
        """
        ...


def num_blocks(extent: tuple[int, int, int], block: tuple[int, int, int]) -> tuple[int, int, int]:
    """Blocks along x, y and z that cover an extent."""
    x, y, z = (-(-num // size) for num, size in zip(extent, block, strict=True))
    return x, y, z


def row_step(where: str, array: Array, dtype: type[np.generic], ndim: int) -> np.int32:
    """Elements from one row of a picture to the next, for a kernel that reads or writes it.

    Args:
        where: name for the error.
        array: a picture; its rows may be padded or be part of wider ones.
        dtype: that it must have.
        ndim: number of dimensions that it must have.

    Raises:
        ValueError: it is another kind of array, or its rows are not dense.
    """
    inner, is_dense = array.itemsize, True
    for size, stride in zip(array.shape[:0:-1], array.strides[:0:-1], strict=True):
        is_dense = is_dense and (stride == inner or size == 1)
        inner *= size
    step, odd = divmod(array.strides[0] if array.shape[0] > 1 else inner, array.itemsize)
    if (
        array.dtype != dtype
        or array.ndim != ndim
        or not is_dense
        or odd
        or step * array.itemsize < inner
    ):
        raise ValueError(
            f"{where}: must be {np.dtype(dtype)} with {ndim} dimensions and dense rows, got "
            f"{array.dtype} {array.shape} with strides {array.strides}. Copy it first."
        )
    return np.int32(step)


def expect_shape(where: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raises where an array does not have the shape that the others ask for.

    Raises:
        ValueError: it does not.
    """
    if array.shape != shape:
        raise ValueError(f"{where}: must have shape {shape}, got {array.shape}. Give another one.")


def dense(where: str, array: Array, shape: tuple[int, ...]) -> Array:
    """An array that a kernel reads as one piece of memory.

    Raises:
        ValueError: it has another shape, or gaps.
    """
    expect_shape(where, array, shape)
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{where}: must be C-contiguous, got strides {array.strides}. Copy it first."
        )
    return array


def expect_scratch(where: str, scratch: Array, num: int) -> None:
    """Raises where scratch is too small to be cut into what a kernel needs.

    Raises:
        ValueError: it is, or it has gaps.
    """
    if scratch.ndim != 1 or scratch.size < num or not scratch.flags.c_contiguous:
        raise ValueError(
            f"{where}: scratch must be dense and have {num} elements or more, got {scratch.size} "
            f"in shape {scratch.shape}. Ask for the size that is needed."
        )


def check_arguments(
    kernel: str, parameters: Sequence[Parameter], arguments: Sequence[Argument]
) -> None:
    """Raises where arguments are not those of a kernel; a GPU would read past an array's end.

    Raises:
        ValueError: they are not.
    """
    if len(arguments) != len(parameters):
        raise ValueError(
            f"{kernel}: must get {len(parameters)} arguments, got {len(arguments)}. "
            "Give those of its source."
        )
    for parameter, argument in zip(parameters, arguments, strict=True):
        is_array = not isinstance(argument, np.generic)
        if is_array != parameter.is_array or argument.dtype != parameter.dtype:
            kind = "an array" if parameter.is_array else "a number"
            raise ValueError(
                f"{kernel}: {parameter.name} must be {kind} of {parameter.dtype}, got "
                f"{type(argument).__name__} of {argument.dtype}. Convert it first."
            )
