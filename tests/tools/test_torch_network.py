import numpy as np
import pytest

from engines import twins
from engines.errors import ModelError
from engines.graph_writer import GraphWriter
from engines.onnxruntime import compute

torch = pytest.importorskip("torch")

from tools.torch_network import TorchNetwork, TorchSession  # noqa: E402

SMALL = {
    "swapper": (
        lambda: twins.swapper((8, 8, 16, 16), 1),
        {"target": (1, 3, 128, 128), "source": (1, 512)},
    ),
    "depthwise": (
        twins.depthwise_swapper,
        {"target": (1, 3, 128, 128), "source": (1, 512)},
    ),
    "detector": (
        lambda: twins.detector(8, (8, 8, 8, 8), (1, 1, 1, 1)),
        {"picture": (1, 3, 64, 96)},
    ),
    "recogniser": (lambda: twins.recogniser((1, 1, 1, 1)), {"face": (2, 3, 112, 112)}),
    "enlarger": (lambda: twins.enlarger(1, 8), {"picture": (1, 3, 17, 23)}),
    "masker": (lambda: twins.masker((4, 8, 8, 8)), {"face": (1, 3, 256, 256)}),
    "flow": (
        lambda: twins.flow(2, 4, 32),
        {"first": (1, 3, 32, 32), "second": (1, 3, 32, 32)},
    ),
}


@pytest.mark.parametrize("kind", SMALL)
def test_every_twin_computes_what_onnx_runtime_computes(kind):
    make, shapes = SMALL[kind]
    model, random = make(), np.random.default_rng(1)
    given = {n: random.uniform(0, 1, shape).astype(np.float32) for n, shape in shapes.items()}
    (wanted,) = compute(model, [given])
    network = TorchNetwork(model, "cpu", half=False)
    with torch.inference_mode():
        got = network({name: torch.from_numpy(array) for name, array in given.items()})
    assert [*got] == [*wanted]
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name].numpy(), array, rtol=2e-3, atol=2e-3)


def test_the_tensors_are_those_of_the_model():
    network = TorchNetwork(twins.enlarger(1, 8), "cpu", half=False)
    assert [(spec.name, spec.shape, spec.dtype) for spec in network.inputs] == [
        ("picture", (-1, 3, -1, -1), np.float32)
    ]


def test_an_operator_that_is_not_known_is_named():
    net = GraphWriter(1)
    model = net.model({"x": (1, 4)}, {"y": (net.op("Erf", "x"), (1, 4))})
    with pytest.raises(ModelError, match="must consist of operators known here, got Erf"):
        TorchNetwork(model, "cpu", half=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_a_session_says_so():
    with pytest.raises(ModelError, match="PyTorch must find a GPU, got none"):
        TorchSession(twins.enlarger(1, 8))
