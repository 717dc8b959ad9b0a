"""The CUDA C++ of the kernels: its text, the options it is compiled with, what its kernels take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

COMPILE_OPTIONS = ("-std=c++17", "--fmad=false")
"""For NVRTC. Without fused multiply-add a kernel rounds on every card as it does on a processor;
kernels that wait for memory lose nothing by it."""

_TYPES: Mapping[str, np.dtype[Any]] = {
    "unsigned char": np.dtype(np.uint8),
    "signed char": np.dtype(np.int8),
    "unsigned short": np.dtype(np.uint16),
    "int": np.dtype(np.int32),
    "unsigned int": np.dtype(np.uint32),
    "unsigned long long": np.dtype(np.uint64),
    "float": np.dtype(np.float32),
}

_INCLUDE = re.compile(r'^#include "([a-z_]+\.cuh)"$', re.MULTILINE)
_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
_PARAMETER = re.compile(r"(const )?([a-z ]+?)(?:\*(?: __restrict__)?)? (\w+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        name: in the source.
        dtype: of the number, or of what the pointer leads to.
        is_array: whether it is a pointer.
        is_written: whether the kernel may write through it.
    """

    name: str
    dtype: np.dtype[Any]
    is_array: bool
    is_written: bool


def read_source(name: str) -> str:
    """The text of ``src/<name>.cu`` with the project's headers in place of their ``#include``.

    One text without files beside it is what a compiler's cache can tell from another by its hash.

    Raises:
        FileNotFoundError: there is no such source.
    """
    folder = resources.files("cuda_kernels").joinpath("src")
    text = folder.joinpath(f"{name}.cu").read_text("utf-8")
    return _INCLUDE.sub(lambda found: folder.joinpath(found[1]).read_text("utf-8"), text)


def kernels_of(text: str) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a source by name, with their parameters in order.

    Raises:
        ValueError: a parameter's type is none that a kernel of ours may have.
    """
    return {name: _parameters(name, listed) for name, listed in _KERNEL.findall(text)}


def _parameters(kernel: str, listed: str) -> tuple[Parameter, ...]:
    parameters = []
    for part in listed.split(","):
        written = " ".join(part.split())
        found = _PARAMETER.fullmatch(written)
        if found is None or found[2] not in _TYPES:
            raise ValueError(
                f"{kernel}: a parameter must have one of the types "
                f"{', '.join(_TYPES)}, got {written!r}. Change the kernel."
            )
        is_array = "*" in written
        is_written = is_array and found[1] is None
        parameters.append(Parameter(found[3], _TYPES[found[2]], is_array, is_written))
    return tuple(parameters)
