"""What tests of several folders need."""

from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What builds with TensorRT for RTX runs where it is installed."""
    if item.get_closest_marker("rtx") and util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt-rtx is not installed")


@pytest.fixture(scope="session")
def twins() -> ModuleType:
    """Makes networks with the signatures of the published ones and known or random weights."""
    spec = util.spec_from_file_location("twins", Path(__file__).with_name("twins.py"))
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def enlarged() -> Callable[[NDArray[np.uint8], tuple[int, ...]], NDArray[np.float64]]:
    """What halved chroma means: linear between samples in the middle of the pixels they are for."""

    def enlarge(plane: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.float64]:
        result = plane.astype(np.float64)
        for axis, length in enumerate(size):
            if plane.shape[axis] == length:
                continue
            places = np.clip((np.arange(length) - 0.5) / 2, 0, plane.shape[axis] - 1)
            low = np.floor(places).astype(int)
            high = np.minimum(low + 1, plane.shape[axis] - 1)
            share = (places - low).reshape([-1 if a == axis else 1 for a in range(2)])
            before, after = np.take(result, low, axis), np.take(result, high, axis)
            result = before * (1 - share) + after * share
        return np.floor(result + 0.5)

    return enlarge


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the kernels that were compiled for the host, once for all tests."""
    return tmp_path_factory.mktemp("compiled")
