"""Whether the caller's arrays fit a network's tensors, and where they lie."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.errors import ModelError
from engines.session import Array, Buffer, TensorSpec

Bind = Callable[[TensorSpec, Buffer | None], None]
"""Tells a runtime which array is a tensor's from now on."""


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of memory a tensor is bound to.

    Attributes:
        address: of the first byte, in the memory of the array's own device.
        shape: of the tensor; none of it varies any more.
    """

    address: int
    shape: tuple[int, ...]


def matches(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is one that is wanted, where -1 stands for any extent."""
    return len(shape) == len(wanted) and all(
        want in (-1, got) for want, got in zip(wanted, shape, strict=True)
    )


def host_array(array: Buffer | None, spec: TensorSpec, name: str, *, written: bool) -> Array:
    """The array itself, if it lies in main memory and fits the tensor.

    Args:
        array: what the caller handed in for the tensor; None for nothing.
        spec: the tensor.
        name: what error messages call the network.
        written: whether the network writes into it.

    Raises:
        ModelError: it is missing, does not fit, or must be written and cannot.
    """
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != spec.dtype
        or not array.flags.c_contiguous
        or not matches(array.shape, spec.shape)
    ):
        raise _misfit(spec, name, _described_on_host(array))
    if written and not array.flags.writeable:
        raise ModelError(f"{name}: {spec.name} must be writable, got a read-only array.")
    return array


def host_arrays(
    specs: Iterable[TensorSpec], arrays: Mapping[str, Buffer], name: str, *, written: bool
) -> dict[str, Array]:
    """The arrays of several tensors by name; arguments and errors as of ``host_array``."""
    return {
        spec.name: host_array(arrays.get(spec.name), spec, name, written=written) for spec in specs
    }


def host_region(array: Buffer | None, spec: TensorSpec, name: str, *, written: bool) -> Region:
    """Where a NumPy array lies; arguments and errors as of ``host_array``."""
    fitting = host_array(array, spec, name, written=written)
    return Region(fitting.ctypes.data, fitting.shape)


def device_region(array: Buffer | None, spec: TensorSpec, name: str, *, written: bool) -> Region:
    """Where an array of a GPU lies; arguments and errors as of ``host_array``."""
    if array is None or not hasattr(array, "__cuda_array_interface__"):
        got = "nothing" if array is None else f"a {type(array).__name__}, which is not on the GPU"
        raise _misfit(spec, name, got)
    interface = array.__cuda_array_interface__
    address, is_read_only = interface["data"]
    shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
    strides = interface.get("strides")
    contiguous = strides is None or tuple(strides) == _c_strides(shape, dtype.itemsize)
    if dtype != spec.dtype or not contiguous or not matches(shape, spec.shape):
        layout = "" if contiguous else "non-contiguous "
        raise _misfit(spec, name, f"{layout}{dtype.name} of shape {shape}")
    if written and is_read_only:
        raise ModelError(f"{name}: {spec.name} must be writable, got a read-only array.")
    return Region(int(address), shape)


def bind_changed(
    specs: Iterable[TensorSpec],
    arrays: Mapping[str, Buffer],
    bound: dict[str, Buffer],
    bind: Bind,
) -> None:
    """Binds those tensors whose array is another object than the last time.

    Args:
        specs: the tensors.
        arrays: the caller's, by name.
        bound: those of the last time, kept up to date here; it keeps them alive as well.
        bind: binds one tensor; raises ``ModelError`` where the array is missing or does not fit.
    """
    for spec in specs:
        array = arrays.get(spec.name)
        if array is None or bound.get(spec.name) is not array:
            bind(spec, array)
            if array is not None:
                bound[spec.name] = array


def expect_threads(threads: int, name: str) -> None:
    """Checks how many CPU threads a run may take.

    Raises:
        ModelError: it is less than one.
    """
    if threads < 1:
        raise ModelError(f"{name}: threads must be at least 1, got {threads}. Use 1.")


def _misfit(spec: TensorSpec, name: str, got: str) -> ModelError:
    return ModelError(
        f"{name}: {spec.name} must be a C-contiguous {spec.dtype.name} array of "
        f"shape {spec.shape}, got {got}."
    )


def _described_on_host(array: Any) -> str:
    if array is None:
        return "nothing"
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}, which is not in main memory"
    layout = "" if array.flags.c_contiguous else "non-contiguous "
    return f"{layout}{array.dtype.name} of shape {array.shape}"


def _c_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
