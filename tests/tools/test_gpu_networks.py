from contextlib import ExitStack

import pytest

from cuda_kernels.device import CpuDevice
from engines.errors import ModelError
from tools import gpu_networks
from tools.gpu_networks import SMALL, Runtime, Sizes, network_shapes, open_networks

SHAPES = {"picture": (1, 3, 64, 64)}


class Session:
    provider = "test"

    def close(self):
        pass


@pytest.fixture
def ways(monkeypatch):
    """Which runtimes fail, by name."""
    faults = {}

    def way(name):
        def open_it(*args, **kwargs):
            if name in faults:
                raise ModelError(faults[name])
            return Session()

        return open_it

    def in_tensorrt(self, module, name, shapes):
        return way(module)()

    monkeypatch.setattr(Runtime, "_in_tensorrt", in_tensorrt)
    monkeypatch.setattr(Runtime, "_half", lambda self, name, shapes: b"")
    monkeypatch.setattr(gpu_networks, "cuda_fault", lambda: faults.get("onnxruntime:CUDA", ""))
    monkeypatch.setattr(gpu_networks, "OnnxRuntimeSession", way("onnxruntime:CUDA"))
    monkeypatch.setattr(gpu_networks, "_in_torch", way("torch"))
    return faults


def test_the_first_runtime_that_takes_the_card_runs_all_networks(ways):
    ways |= {"tensorrt_rtx": "sm_90 is not for it", "tensorrt": "not installed"}
    runtime = Runtime("cuda")
    runtime.open("enlarger_small", SHAPES, 7)
    assert runtime.chosen == "onnxruntime:CUDA"
    assert runtime.faults == {"tensorrt_rtx": "sm_90 is not for it", "tensorrt": "not installed"}
    # Chosen once: what came before it is not tried again.
    ways.clear()
    runtime.open("enlarger_small", SHAPES, 8)
    assert runtime.chosen == "onnxruntime:CUDA"


def test_where_none_takes_it_all_of_them_are_told(ways):
    ways |= dict.fromkeys(("tensorrt_rtx", "tensorrt", "onnxruntime:CUDA", "torch"), "no")
    with pytest.raises(ModelError, match=r"got tensorrt_rtx: no; tensorrt: no; .*; torch: no"):
        Runtime("cuda").open("enlarger_small", SHAPES, 7)


def test_on_the_processor_the_small_networks_fit_a_pipeline():
    device = CpuDevice()
    streams = {stage: device.new_stream() for stage in ("detect", "swap", "enlarge")}
    with ExitStack() as stack:
        runtime = Runtime("cpu")
        networks = open_networks(runtime, device, SMALL, streams, stack, enlarge=True)
        assert runtime.chosen == "onnxruntime:CPU"
        assert networks.drawn_px == 256
        assert networks.edge.shape == (256, 256)
        assert networks.edge[0, 0] == 0
        assert networks.edge[128, 128] == 255


def test_shapes_are_those_of_the_networks_that_were_named():
    assert network_shapes(Sizes()) == {
        "detector": {"picture": (1, 3, 640, 640)},
        "swapper": {"target": (1, 3, 128, 128), "source": (1, 512)},
        "enlarger": {"picture": (1, 3, 256, 256)},
    }
