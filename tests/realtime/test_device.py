import pytest

from engines import choose
from engines.errors import ModelError
from realtime.device import choose_device
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
