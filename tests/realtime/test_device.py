import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from engines import choose
from engines.errors import ModelError
from realtime.device import choose_device, limit_threads
from realtime.errors import ConfigError


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(choose, "compute_capability", lambda: None)


@pytest.mark.parametrize("has_networks", [True, False])
@pytest.mark.parametrize("kind", ["auto", "cpu"])
def test_without_a_gpu_the_processor_computes(kind, has_networks):
    assert choose_device(kind, has_networks=has_networks) == "cpu"


def test_a_gpu_that_is_demanded_and_missing_ends_the_program():
    with pytest.raises(ModelError, match="got tensorrt_rtx: no NVIDIA GPU with a driver"):
        choose_device("cuda", has_networks=True)


def test_a_gpu_that_is_demanded_where_nothing_uses_one_is_a_mistake():
    with pytest.raises(ConfigError, match=r"without a swapping network .* choose one with --swap"):
        choose_device("cuda", has_networks=False)


def test_what_auto_finds_is_taken(monkeypatch):
    monkeypatch.setattr(choose, "compute_capability", lambda: (8, 9))
    monkeypatch.setattr(choose, "_tensorrt_fault", lambda name, gpu: "")
    assert choose_device("auto", has_networks=True) == "cuda"
    assert choose_device("auto", has_networks=False) == "cpu"


@pytest.fixture
def threads_before():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("threads_before")
def test_a_call_spreads_over_so_many_threads_and_a_matrix_product_over_none():
    limit_threads(2)
    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert cv2.getNumThreads() == 2
    assert pools
    assert {pool["num_threads"] for pool in pools} == {1}
