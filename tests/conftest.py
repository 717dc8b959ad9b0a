"""What tests of several folders need."""

from importlib import util
from pathlib import Path
from types import ModuleType

import pytest


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
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the kernels that were compiled for the host, once for all tests."""
    return tmp_path_factory.mktemp("compiled")
