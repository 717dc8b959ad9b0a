"""A stream that runs the kernels' unmodified sources on the processor, compiled with g++."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from cuda_kernels.launch import TILE, Argument, check_arguments, num_blocks
from cuda_kernels.source import Parameter, kernels_of, read_source

SANITIZE = "CUDA_KERNELS_SANITIZE"
"""Set to 1 in the environment, sources are compiled with the address and other sanitizers."""

_HERE = Path(__file__).parent
_FLAGS = ("-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Werror")
_MAY_BE_UNUSED = ("-Wno-unused-function", "-Wno-unused-variable")
_QUICK = ("-O1",)
# Most of the time goes into compiling, where optimising costs more than it saves.
_SANITIZERS = (
    "-O0",
    "-g1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
)
_C_TYPES = {
    "u1": "unsigned char",
    "i1": "signed char",
    "u2": "unsigned short",
    "i4": "int",
    "u4": "unsigned int",
    "u8": "unsigned long long",
    "f4": "float",
}


def is_possible() -> bool:
    """Whether there is g++, and a processor whose stacks the shim can switch."""
    return shutil.which("g++") is not None and platform.machine() in ("x86_64", "AMD64")


class HostStream:
    """Launches at once. Sources are compiled into a folder at first use, unless they lie there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources: dict[str, tuple[ctypes.CDLL, dict[str, tuple[Parameter, ...]]]] = {}

    def launch(
        self,
        source: str,
        kernel: str,
        arguments: Sequence[Argument],
        *,
        extent: tuple[int, int, int],
        block: tuple[int, int, int] = TILE,
    ) -> None:
        if source not in self._sources:
            text = read_source(source)
            place = resources.files("cuda_kernels").joinpath("src", f"{source}.cu")
            self.compile(source, text, f'#include "{place}"')
        library, kernels = self._sources[source]
        check_arguments(kernel, kernels[kernel], arguments)
        for parameter, argument in zip(kernels[kernel], arguments, strict=True):
            assert not parameter.is_written or argument.flags.writeable
        holders = [
            ctypes.c_void_p(argument.ctypes.data)
            if parameter.is_array
            else ctypes.create_string_buffer(argument.tobytes())
            for parameter, argument in zip(kernels[kernel], arguments, strict=True)
        ]
        places = (ctypes.c_void_p * len(holders))(*(ctypes.addressof(h) for h in holders))
        sizes = (ctypes.c_uint * 6)(*num_blocks(extent, block), *block)
        getattr(library, f"launch_{kernel}")(sizes, places)

    def compile(self, name: str, text: str, included: str) -> None:
        """Makes a library of a source; ``included`` brings its text in."""
        kernels = kernels_of(text)
        has_barriers = "true" if "__syncthreads" in text else "false"
        lines = ['#include "cushim.h"', included]
        for kernel, parameters in kernels.items():
            given = ", ".join(
                f"*static_cast<{_c_type(parameter)}*>(a[{index}])"
                for index, parameter in enumerate(parameters)
            )
            lines.append(
                f'extern "C" void launch_{kernel}(const unsigned* s, void** a) {{\n'
                f"  shim::launch(dim3(s[0], s[1], s[2]), dim3(s[3], s[4], s[5]), {has_barriers},"
                f" [&] {{ {kernel}({given}); }});\n}}"
            )
        content = "\n".join(lines) + "\n"
        flags = [*_FLAGS, *_MAY_BE_UNUSED, *(_SANITIZERS if os.environ.get(SANITIZE) else _QUICK)]
        key = hashlib.sha256("\0".join([text, content, *flags]).encode()).hexdigest()[:16]
        library = self._folder / f"{name}-{key}.so"
        if not library.exists():
            self._build(library, content, flags)
        self._sources[name] = ctypes.CDLL(str(library)), kernels

    def _build(self, library: Path, content: str, flags: Sequence[str]) -> None:
        host = library.with_suffix(".cpp")
        host.write_text(content)
        done = subprocess.run(
            ["g++", *flags, f"-I{_HERE}", "-o", library, host],
            capture_output=True,
            text=True,
            check=False,
            # The compiler itself need not run with the sanitizer that may be loaded here.
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
        )
        assert done.returncode == 0, done.stderr


def _c_type(parameter: Parameter) -> str:
    const = "" if parameter.is_written or not parameter.is_array else "const "
    star = "*" if parameter.is_array else ""
    return f"{const}{_C_TYPES[np.dtype(parameter.dtype).str[1:]]}{star}"
