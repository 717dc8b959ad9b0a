"""Against a driver made of Python whose memory is the machine's own."""

import ctypes

import numpy as np
import pytest

from engines.cuda_memory import CudaArray, CudaMemory
from engines.errors import ModelError

OUT_OF_MEMORY = 2


class Driver:
    """The calls of the CUDA driver that are made; copies happen when the stream is waited for."""

    def __init__(self):
        self.calls, self.blocks, self.queued = [], {}, []
        self.refused = ""

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            if name == self.refused:
                return OUT_OF_MEMORY
            done = getattr(type(self), f"_{name}", None)
            return 0 if done is None else done(self, *arguments)

        return call

    def _cuDevicePrimaryCtxRetain(self, context, device):  # noqa: N802
        context._obj.value = 11
        return 0

    def _cuStreamCreate(self, stream, flags):  # noqa: N802
        assert flags.value == 1
        stream._obj.value = 77
        return 0

    def _cuMemAlloc_v2(self, address, size):  # noqa: N802
        block = (ctypes.c_char * size.value)()
        address._obj.value = ctypes.addressof(block)
        self.blocks[address._obj.value] = block
        return 0

    def _cuMemFree_v2(self, address):  # noqa: N802
        del self.blocks[address.value]
        return 0

    def _cuMemcpyHtoDAsync_v2(self, target, source, size, stream):  # noqa: N802
        return self._queue(target, source, size, stream)

    def _cuMemcpyDtoHAsync_v2(self, target, source, size, stream):  # noqa: N802
        return self._queue(target, source, size, stream)

    def _queue(self, target, source, size, stream):
        assert stream.value == 77
        self.queued.append((target.value, source.value, size.value))
        return 0

    def _cuStreamSynchronize(self, stream):  # noqa: N802
        for copy in self.queued:
            ctypes.memmove(*copy)
        self.queued.clear()
        return 0


@pytest.fixture
def driver(monkeypatch):
    fake = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    return fake


def test_what_is_uploaded_comes_back_once_the_stream_is_waited_for(driver):
    memory = CudaMemory()
    picture = np.arange(15, dtype=np.float32).reshape(3, 5)
    there = memory.array(picture.shape, picture.dtype)
    back = np.full_like(picture, np.nan)
    memory.upload(picture, out=there)
    memory.download(there, out=back)
    assert np.isnan(back).all()
    memory.wait()
    np.testing.assert_array_equal(back, picture)
    assert memory.stream == 77


def test_every_call_is_made_in_the_context_that_the_runtimes_use(driver):
    memory = CudaMemory()
    there = memory.array((2,), np.dtype(np.float32))
    memory.upload(np.zeros(2, np.float32), out=there)
    memory.wait()
    needing = ("cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuStreamSynchronize", "cuStreamCreate")
    for name in needing:
        assert driver.calls[driver.calls.index(name) - 1] == "cuCtxSetCurrent"


def test_an_array_says_where_it_lies_as_other_libraries_expect_it(driver):
    array = CudaMemory().array((3, 5), np.dtype(np.float16))
    described = array.__cuda_array_interface__
    assert described["shape"] == (3, 5)
    assert described["typestr"] == "<f2"
    assert described["data"] == (array.address, False)
    assert len(driver.blocks[array.address]) == array.num_bytes == 30


def test_closing_frees_everything_once(driver):
    memory = CudaMemory()
    memory.array((4,), np.dtype(np.uint8))
    memory.array((0,), np.dtype(np.uint8))
    memory.close()
    memory.close()
    assert not driver.blocks
    assert driver.calls.count("cuStreamDestroy_v2") == 1
    assert driver.calls.count("cuDevicePrimaryCtxRelease_v2") == 1


@pytest.mark.parametrize("refused", ["cuInit", "cuDevicePrimaryCtxRetain", "cuStreamCreate"])
def test_a_gpu_that_cannot_be_used_is_one_line(driver, refused):
    driver.refused = refused
    with pytest.raises(ModelError, match=f"{refused}: the NVIDIA driver must do it, got error 2"):
        CudaMemory()
    released = driver.calls.count("cuDevicePrimaryCtxRelease_v2")
    assert released == (refused == "cuStreamCreate")


def test_a_gpu_without_room_is_one_line(driver):
    memory = CudaMemory()
    driver.refused = "cuMemAlloc_v2"
    with pytest.raises(ModelError, match="Close other programs that use the GPU"):
        memory.array((4,), np.dtype(np.uint8))


def test_without_a_driver_the_error_says_so():
    with pytest.raises(ModelError, match="the driver of an NVIDIA GPU must be there"):
        CudaMemory("libno-such-driver.so.1")


def test_an_array_is_a_value():
    array = CudaArray(5, (2, 3), np.dtype(np.float32))
    assert array == CudaArray(5, (2, 3), np.dtype(np.float32))
