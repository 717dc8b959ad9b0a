import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from realtime.device import choose_device, limit_threads
from realtime.errors import ConfigError


@pytest.fixture
def threads_before():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_the_processor_is_the_device():
    assert choose_device("auto") == choose_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"device\.kind"):
        choose_device("cuda")


@pytest.mark.usefixtures("threads_before")
def test_a_call_spreads_over_so_many_threads_and_a_matrix_product_over_none():
    limit_threads(2)
    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert cv2.getNumThreads() == 2
    assert pools
    assert {pool["num_threads"] for pool in pools} == {1}
