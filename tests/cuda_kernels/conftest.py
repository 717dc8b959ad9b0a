"""Where the kernels run in tests: the CPU twin, the CUDA source on the host, and a GPU."""

import os
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice, CupyStream
from cuda_kernels.errors import GpuError

_SPEC = util.spec_from_file_location("host_stream", Path(__file__).with_name("host_stream.py"))
host_stream = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(host_stream)

POISON = 0xA5


def pytest_collection_modifyitems(items):
    """Under a sanitizer, which is slow, the last case of each test will do: the largest."""
    if host_stream.SANITIZE not in os.environ:
        return
    # One looks at the sources on the host, the other one, NVIDIA's, at those on the GPU.
    kind = "gpu" if os.environ[host_stream.SANITIZE] == "gpu" else "shim"
    cases = {
        (item.path, item.originalname): item
        for item in items
        if kind in item.fixturenames or kind in item.name
    }
    items[:] = cases.values()


class Device:
    """Memory and a stream; arrays of the processor belong to the CPU twin and the shim."""

    def __init__(self, kind, stream=None, cupy=None):
        self.kind = kind
        self.stream = stream
        self._cupy = cupy

    def put(self, array):
        """A copy in its own memory, which ends where the array ends."""
        copy = np.array(array, order="C")
        if self._cupy is None:
            return copy
        there = self._cupy.asarray(copy)
        # The copy is queued on another stream than the kernels.
        self._cupy.cuda.Device().synchronize()
        return there

    def poisoned(self, shape, dtype=np.uint8):
        """An array to be written: floats are NaN, bytes 0xA5."""
        dtype = np.dtype(dtype)
        poison = np.nan if dtype.kind == "f" else POISON
        return self.put(np.full(shape, poison, dtype))

    def take(self, array):
        """The array on the processor, when all that was queued is done."""
        if self._cupy is None:
            return array
        self._cupy.cuda.Device().synchronize()
        return self._cupy.asnumpy(array)


@pytest.fixture(scope="session")
def shim(compiled):
    """A stream that runs CUDA sources on the host."""
    if not host_stream.is_possible():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("the kernels' sources run on the host with g++ on x86-64 only")
    return host_stream.HostStream(compiled)


@pytest.fixture(scope="session")
def gpu():
    """A device with a real GPU; skipped without one unless ``REQUIRE_GPU=1``."""
    try:
        card = CudaDevice()
    except GpuError as error:
        if os.environ.get("REQUIRE_GPU") == "1":
            pytest.fail(f"REQUIRE_GPU=1, but: {error}")
        pytest.skip(str(error))
    import cupy

    return Device("gpu", CupyStream(card, card.new_stream()), cupy)


@pytest.fixture(params=["cpu", "shim", "gpu"])
def device(request):
    """Each of the three in turn."""
    return _device(request)


@pytest.fixture(params=["shim", "gpu"])
def launcher(request):
    """Those of them that launch kernels."""
    return _device(request)


def _device(request):
    if request.param == "gpu":
        return request.getfixturevalue("gpu")
    if request.param == "shim":
        return Device("shim", request.getfixturevalue("shim"))
    return Device("cpu")
