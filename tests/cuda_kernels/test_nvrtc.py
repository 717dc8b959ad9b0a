"""Every kernel compiles for every card we name, with the options it is compiled with there."""

import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import resources, util
from pathlib import Path

import pytest

from cuda_kernels.source import COMPILE_OPTIONS, kernels_of, read_source

ARCHITECTURES = ("sm_75", "sm_86", "sm_89", "sm_90", "sm_120")
SOURCES = sorted(
    entry.name.removesuffix(".cu")
    for entry in resources.files("cuda_kernels").joinpath("src").iterdir()
    if entry.name.endswith(".cu")
)
# CuPy adds this one to the options.
CUPY_OPTIONS = ("-ftz=true",)


class Nvrtc:
    """The few functions of NVRTC that compile a program."""

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))

    def compile(self, text, name, architecture):
        """The machine code, or the compiler's words as an exception."""
        program = ctypes.c_void_p()
        self._call("CreateProgram", ctypes.byref(program), text.encode(), name.encode(), 0, 0, 0)
        options = [*COMPILE_OPTIONS, *CUPY_OPTIONS, f"-arch={architecture}"]
        listed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        try:
            if self._library.nvrtcCompileProgram(program, len(options), listed):
                raise ValueError(self._output(program, "ProgramLog").decode())
            return self._output(program, "CUBIN")
        finally:
            self._call("DestroyProgram", ctypes.byref(program))

    def _output(self, program, kind):
        size = ctypes.c_size_t()
        self._call(f"Get{kind}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"Get{kind}", program, text)
        return text.raw

    def _call(self, function, *arguments):
        assert getattr(self._library, f"nvrtc{function}")(*arguments) == 0, function


@pytest.fixture(scope="module")
def nvrtc():
    spec = util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations) if spec else []
    found = [path for folder in folders for path in Path(folder).glob("*/lib/libnvrtc.so.1*")]
    if not found and os.environ.get("CI"):
        pytest.fail("the development extra brings nvidia-cuda-nvrtc, got none")
    if not found:
        pytest.skip("needs nvidia-cuda-nvrtc")
    return Nvrtc(found[0])


@pytest.mark.parametrize("source", SOURCES)
def test_it_compiles_for_every_architecture(nvrtc, source):
    text = read_source(source)
    assert kernels_of(text)
    with ThreadPoolExecutor(2) as pool:
        codes = pool.map(functools.partial(nvrtc.compile, text, f"{source}.cu"), ARCHITECTURES)
    for code in codes:
        assert code.startswith(b"\x7fELF")
        for kernel in kernels_of(text):
            assert kernel.encode() in code


def test_an_error_in_a_kernel_is_told(nvrtc):
    with pytest.raises(ValueError, match=r"broken\.cu.*nothing"):
        nvrtc.compile("__global__ void f() { nothing; }", "broken.cu", "sm_86")
