"""Compiling and queuing through CuPy, on a stand-in that records; the real one's signatures."""

import inspect
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice, CupyStream
from cuda_kernels.errors import GpuError
from cuda_kernels.source import COMPILE_OPTIONS, read_source


class CompileException(Exception):  # noqa: N818
    pass


class FakeCupy:
    """Records what is compiled, and what is launched while which stream is current."""

    def __init__(self, *, has_gpu=True, error=None):
        self.compiled, self.launched, self.current = [], [], None
        self._error = error
        self.cuda = SimpleNamespace(
            is_available=lambda: has_gpu,
            compiler=SimpleNamespace(CompileException=CompileException),
            Stream=lambda **settings: ("stream", settings),
            Event=lambda **settings: ("event", settings),
        )

    def asarray(self, array):
        return "by interface", array

    def from_dlpack(self, array):
        return "by DLPack", array

    def RawModule(self, *, code, options):  # noqa: N802
        self.compiled.append((code, options))
        return SimpleNamespace(get_function=self._get_function)

    def _get_function(self, name):
        if self._error:
            raise self._error

        def launch(grid, block, args):
            self.launched.append((self.current, name, grid, block, args))

        return launch


class FakeStream:
    def __init__(self, cupy, name):
        self._cupy, self._name = cupy, name

    def __enter__(self):
        self._cupy.current = self._name

    def __exit__(self, *_):
        self._cupy.current = None


@pytest.fixture
def cupy(monkeypatch):
    fake = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def convert(stream):
    """Launches one kernel of 24 parameters."""
    plane, image = np.zeros((5, 7), np.uint8), np.zeros((5, 7, 3), np.uint8)
    numbers = [np.int32(number) for number in range(14)]
    arguments = [image, np.int32(21), plane, np.int32(7), plane, plane, *numbers[:2], *numbers]
    stream.launch("convert", "planes_from_bgr", arguments, extent=(33, 3, 1))
    return tuple(arguments)


def test_a_kernel_is_queued_on_its_stream_in_blocks_that_cover_the_extent(cupy):
    given = convert(CupyStream(CudaDevice(), FakeStream(cupy, "swap")))
    assert [launch[:4] for launch in cupy.launched] == [
        ("swap", "planes_from_bgr", (2, 1, 1), (32, 8, 1))
    ]
    assert all(a is b for a, b in zip(cupy.launched[0][4], given, strict=True))
    assert cupy.current is None


def test_a_source_is_compiled_once_for_all_streams_of_a_gpu(cupy):
    modules = CudaDevice()
    for name in ("detect", "swap"):
        convert(CupyStream(modules, FakeStream(cupy, name)))
    assert cupy.compiled == [(read_source("convert"), COMPILE_OPTIONS)]
    assert [launch[0] for launch in cupy.launched] == ["detect", "swap"]


def test_nothing_is_compiled_before_it_is_needed(cupy):
    CupyStream(CudaDevice(), FakeStream(cupy, "swap"))
    assert not cupy.compiled


@pytest.mark.parametrize("error", [CompileException("line 1:\n no"), RuntimeError("too old")])
def test_a_source_that_does_not_compile_is_told_in_one_line(monkeypatch, error):
    cupy = FakeCupy(error=error)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(
        GpuError, match=r"^convert.cu: must compile for this GPU, got .*--device cpu"
    ):
        convert(CupyStream(CudaDevice(), FakeStream(cupy, "swap")))


def test_without_cupy_or_a_gpu_it_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(GpuError, match=r"CuPy must be importable.*Install the gpu extra"):
        CudaDevice()
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(has_gpu=False))
    with pytest.raises(GpuError, match=r"must find one with its driver.*use --device cpu"):
        CudaDevice()


def test_streams_wait_for_no_other_and_events_let_the_thread_sleep(cupy):
    card = CudaDevice()
    assert card.new_stream() == ("stream", {"non_blocking": True})
    assert card.new_event() == ("event", {"block": True, "disable_timing": True})


def test_arrays_of_other_libraries_are_taken_where_they_lie(cupy):
    modules = CudaDevice()
    pycuda = SimpleNamespace(__cuda_array_interface__={})
    assert modules.adopt(pycuda) == ("by interface", pycuda)
    jax = SimpleNamespace(__dlpack_device__=lambda: (2, 0))
    assert modules.adopt(jax) == ("by DLPack", jax)
    for elsewhere in (np.zeros(3), [1, 2, 3]):
        with pytest.raises(GpuError, match=r"must lie there .* got (ndarray|list)\. Copy it"):
            modules.adopt(elsewhere)


def test_the_real_cupy_takes_what_the_fake_one_takes():
    cupy = pytest.importorskip("cupy")
    said = re.sub(r"\s+", " ", f"{cupy.RawModule.__doc__} {cupy.RawKernel.__call__.__doc__}")
    assert "RawModule(str code=None, *, str path=None, tuple options=()" in said
    assert "__call__(self, grid, block, args" in said
    assert callable(cupy.RawModule.get_function)
    assert issubclass(cupy.cuda.compiler.CompileException, Exception)
    assert isinstance(cupy.cuda.is_available(), bool)
    assert hasattr(cupy.cuda.Stream, "__enter__")
    assert "non_blocking" in inspect.signature(cupy.cuda.Stream.__init__).parameters
    assert {"block", "disable_timing"} <= {*inspect.signature(cupy.cuda.Event.__init__).parameters}
    assert callable(cupy.asarray)
    assert callable(cupy.from_dlpack)
    # Made without a GPU; nothing is compiled before a kernel is asked for.
    cupy.RawModule(code=read_source("convert"), options=COMPILE_OPTIONS)
