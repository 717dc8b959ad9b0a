"""Compiling and queuing through CuPy, on a stand-in that records; the real one's signatures."""

import inspect
import re
import sys
from importlib import util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib.array_utils import byte_bounds

from cuda_kernels.cupy_stream import CudaDevice, CupyStream
from cuda_kernels.errors import GpuError
from cuda_kernels.source import COMPILE_OPTIONS, read_source

_SPEC = util.spec_from_file_location("fake_cupy", Path(__file__).with_name("fake_cupy.py"))
fake_cupy = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fake_cupy)
FakeCupy = fake_cupy.FakeCupy


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
    card = CudaDevice()
    stream = card.new_stream()
    image, *_ = convert(CupyStream(card, stream))
    (step,) = cupy.steps
    assert (step.what, step.where, step.name) == ("work", stream.name, "planes_from_bgr")
    assert byte_bounds(image) in step.reads
    assert byte_bounds(image) not in step.writes
    assert cupy.launches == [("planes_from_bgr", (2, 1, 1), (32, 8, 1))]
    assert not cupy.current


def test_a_source_is_compiled_once_for_all_streams_of_a_gpu(cupy):
    card = CudaDevice()
    streams = [card.new_stream() for _ in range(2)]
    for stream in streams:
        convert(CupyStream(card, stream))
    assert cupy.compiled == [(read_source("convert"), COMPILE_OPTIONS)]
    assert [step.where for step in cupy.steps] == [stream.name for stream in streams]


def test_nothing_is_compiled_before_it_is_needed(cupy):
    card = CudaDevice()
    CupyStream(card, card.new_stream())
    assert not cupy.compiled


@pytest.mark.parametrize(
    "error", [fake_cupy.CompileException("line 1:\n no"), RuntimeError("too old")]
)
def test_a_source_that_does_not_compile_is_told_in_one_line(monkeypatch, error):
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(compile_error=error))
    card = CudaDevice()
    with pytest.raises(
        GpuError, match=r"^convert.cu: must compile for this GPU, got .*--device cpu"
    ):
        convert(CupyStream(card, card.new_stream()))


def test_without_cupy_or_a_gpu_it_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(GpuError, match=r"CuPy must be importable.*Install the gpu extra"):
        CudaDevice()
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(has_gpu=False))
    with pytest.raises(GpuError, match=r"must find one with its driver.*use --device cpu"):
        CudaDevice()


def test_a_driver_that_is_too_old_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(driver=12080, runtime=13000))
    with pytest.raises(GpuError, match=r"must support CUDA 13, got one for CUDA 12\.8\. Update it"):
        CudaDevice()
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(driver=13000, runtime=13020))
    CudaDevice()


def test_events_let_the_thread_sleep_and_take_times_only_where_asked(cupy):
    card = CudaDevice()
    assert card.new_event().settings == {"block": True, "disable_timing": True}
    assert card.new_event(timed=True).settings == {"block": True, "disable_timing": False}


def test_what_is_put_on_the_gpu_is_there_and_comes_back(cupy):
    card = CudaDevice()
    stream, given = card.new_stream(), np.arange(15, dtype=np.float32).reshape(3, 5)
    there, copy = card.put(given), card.zeros((3, 5), np.float32)
    card.settle()
    back = card.pinned((3, 5), np.float32)
    card.copy(there, out=copy, stream=stream)
    card.download(copy, out=back, stream=stream)
    np.testing.assert_array_equal(back, given)
    assert card.used_bytes == 2 * given.nbytes


def test_after_settling_no_more_memory_is_taken_until_it_is_allowed(cupy):
    card = CudaDevice()
    card.zeros((100,), np.uint8)
    card.settle()
    with pytest.raises(fake_cupy.OutOfMemoryError):
        card.zeros((1,), np.uint8)
    card.unsettle()
    card.zeros((1,), np.uint8)


def test_memory_is_pinned_once_and_let_go_on_closing(cupy):
    card, image = CudaDevice(), np.zeros((4, 5, 3), np.uint8)
    assert card.pin(image)
    assert card.pin(image)
    assert cupy.registered == {image.ctypes.data: 60}
    card.close()
    card.close()
    assert not cupy.registered


def test_memory_that_cannot_be_pinned_is_told_and_of_ever_new_pictures_few_are_held(cupy):
    card, image = CudaDevice(), np.zeros((4, 5, 3), np.uint8)
    cupy.failures["register"] = 1
    assert not card.pin(image)
    assert card.pin(image)
    # A longer picture at the same address is pinned in part only.
    short = np.zeros((5, 5, 3), np.uint8)[:4]
    assert card.pin(short)
    assert not card.pin(short.base)
    later = [np.zeros((4, 5, 3), np.uint8) for _ in range(40)]
    told = [card.pin(one) for one in later]
    assert told == sorted(told, reverse=True)
    assert not told[-1]
    assert len(cupy.registered) == 32
    assert card.pin(image)


def test_work_is_captured_once_and_done_at_each_launch(cupy):
    card = CudaDevice()
    stream = card.new_stream()
    graph = card.capture(lambda: convert(CupyStream(card, stream)), stream=stream)
    assert not cupy.steps
    graph.launch(stream)
    graph.launch(stream)
    assert [step.name for step in cupy.steps] == ["planes_from_bgr"] * 2


def test_a_capture_that_fails_leaves_the_stream_usable(cupy):
    card = CudaDevice()
    stream = card.new_stream()
    with pytest.raises(ZeroDivisionError):
        card.capture(lambda: 1 / 0, stream=stream)
    assert cupy.capturing is None


def test_arrays_of_other_libraries_are_taken_where_they_lie(cupy):
    card = CudaDevice()
    stream = card.new_stream()
    pycuda = SimpleNamespace(__cuda_array_interface__={})
    assert card.adopt(pycuda, stream=stream) == ("by interface", pycuda, stream.name)
    jax = SimpleNamespace(__dlpack_device__=lambda: (2, 0))
    # What JAX has queued is waited for on the stream that is current meanwhile.
    assert card.adopt(jax, stream=stream) == ("by DLPack", jax, stream.name)
    for elsewhere in (np.zeros(3), [1, 2, 3]):
        with pytest.raises(GpuError, match=r"must lie there .* got (ndarray|list)\. Copy it"):
            card.adopt(elsewhere, stream=stream)


def test_the_real_cupy_takes_what_the_fake_one_takes():
    cupy = pytest.importorskip("cupy")
    said = re.sub(r"\s+", " ", f"{cupy.RawModule.__doc__} {cupy.RawKernel.__call__.__doc__}")
    assert "RawModule(str code=None, *, str path=None, tuple options=()" in said
    assert "__call__(self, grid, block, args" in said
    assert callable(cupy.RawModule.get_function)
    assert issubclass(cupy.cuda.compiler.CompileException, Exception)
    assert isinstance(cupy.cuda.is_available(), bool)
    assert callable(cupy.asarray)
    assert callable(cupy.from_dlpack)
    for ours, theirs in (
        (fake_cupy.Stream, cupy.cuda.Stream),
        (fake_cupy.Event, cupy.cuda.Event),
        (fake_cupy.Graph, cupy.cuda.Graph),
    ):
        for name, method in vars(ours).items():
            if callable(method) and name != "__init__":
                _expect_same(method, getattr(theirs, name))
    for ours, theirs in ((fake_cupy.Stream, cupy.cuda.Stream), (fake_cupy.Event, cupy.cuda.Event)):
        assert {*inspect.signature(ours).parameters} - {"cupy"} <= {
            *inspect.signature(theirs.__init__).parameters
        }
    assert inspect.isdatadescriptor(cupy.cuda.Event.done)
    runtime = cupy.cuda.runtime
    for call, ours in (
        ("memcpyAsync", fake_cupy.FakeCupy._memcpy),
        ("hostRegister", fake_cupy.FakeCupy._register),
        ("hostUnregister", fake_cupy.FakeCupy._unregister),
    ):
        listed = getattr(runtime, call).__doc__.split("(", 1)[1].split(")", 1)[0]
        wanted = [*inspect.signature(ours).parameters][1:]
        assert [part.split()[-1] for part in listed.split(",")] == wanted
    assert (
        runtime.memcpyHostToDevice,
        runtime.memcpyDeviceToHost,
        runtime.memcpyDeviceToDevice,
    ) == (fake_cupy.H2D, fake_cupy.D2H, fake_cupy.D2D)
    assert issubclass(runtime.CUDARuntimeError, RuntimeError)
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    pool = cupy.cuda.MemoryPool
    assert pool.set_limit.__doc__.startswith("MemoryPool.set_limit(self, size=None, fraction=None)")
    assert callable(pool.total_bytes)
    assert callable(pool.free_all_blocks)
    assert callable(cupy.cuda.alloc_pinned_memory)
    assert cupy.cuda.get_elapsed_time.__doc__.startswith("get_elapsed_time(start_event, end_event)")
    # Made without a GPU; nothing is compiled before a kernel is asked for.
    cupy.RawModule(code=read_source("convert"), options=COMPILE_OPTIONS)


def _expect_same(ours, theirs):
    """Raises where two methods do not take the same, as far as the other one says what it takes."""
    try:
        wanted = [*inspect.signature(theirs).parameters]
    except ValueError:
        listed = (theirs.__doc__ or "").split("(", 1)[1].split(")", 1)[0]
        wanted = [part.split("=")[0].split()[-1] for part in listed.split(",")]
    assert [*inspect.signature(ours).parameters] == wanted
