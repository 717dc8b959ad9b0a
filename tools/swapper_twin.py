"""Writes a swapper with the published architecture and random weights, and a recogniser for it.

Nothing of anybody's weights is in them: they show how fast such networks are on a machine, and
that everything around them works. At full width the swapper has 554 MB and 175 GFLOPs a face.

    python -m tools.swapper_twin folder
    rt-swap models import folder/swapper_twin.onnx --family inswapper
    rt-swap models import folder/recogniser_twin.onnx --family arcface
    rt-swap --camera synthetic --face synthetic --output null --seconds 30 --stats s.json \
        --swapper swapper_twin --set neural.recogniser=recogniser_twin
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

FULL_WIDTHS = (128, 256, 512, 1024)
"""Channels after each of the four convolutions that go down."""

FULL_BLOCKS = 6
CROP_PX = 128
DIMENSIONS = 512

_OPSET = 17
_IR_VERSION = 8
_RECOGNISER_PX = 112
_CELL_PX = 16


class _Graph:
    """Collects the nodes and constants of a network.

    Args:
        seed: of the random weights.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        output = name or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def halves(self, source: str) -> tuple[str, str]:
        """The two halves of a tensor along its second axis."""
        names = f"{source}_first", f"{source}_second"
        self._nodes.append(helper.make_node("Split", [source], names, axis=1))
        return names

    def constant(self, value: NDArray[Any], name: str | None = None) -> str:
        """Adds a constant; returns its name."""
        name = name or f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def weights(self, *shape: int) -> NDArray[np.float32]:
        """Random weights that leave the size of a signal about as it is."""
        spread = np.float32(1 / math.sqrt(math.prod(shape[1:])))
        return np.asarray(self._random.standard_normal(shape, np.float32) * spread)

    def model(self, inputs: dict[str, Sequence[int]], outputs: dict[str, Sequence[int]]) -> bytes:
        """The network as an ONNX file."""

        def infos(shapes: dict[str, Sequence[int]]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
            ]

        graph = helper.make_graph(
            self._nodes, "twin", infos(inputs), infos(outputs), initializer=self._constants
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def make_swapper(
    widths: Sequence[int] = FULL_WIDTHS, blocks: int = FULL_BLOCKS, seed: int = 3
) -> bytes:
    """The published 128 px swapper with random weights.

    Convolutions go down to a quarter of the size; residual blocks follow whose instance
    normalisation is styled by the source (AdaIN, Huang and Belongie 2017); then it goes up again
    by bilinear enlargement. The matrix for the embedding is the last constant of the graph.

    Args:
        widths: four numbers of channels, from the first convolution on.
        blocks: how many residual blocks.
        seed: of the weights.

    Returns:
        ``target (1, 3, 128, 128) f32`` 0..1 and ``source (1, 512) f32`` in, ``output`` as the
        target.
    """
    graph = _Graph(seed)
    first, second, third, fourth = widths
    x = _leak(graph, _convolve(graph, _reflect(graph, "target"), 3, first, kernel=7, pad=0))
    x = _leak(graph, _convolve(graph, x, first, second))
    x = _leak(graph, _convolve(graph, x, second, third, stride=2))
    x = _leak(graph, _convolve(graph, x, third, fourth, stride=2))
    for _ in range(blocks):
        inner = graph.node("Relu", _style(graph, _convolve(graph, x, fourth, fourth), fourth))
        x = graph.node("Add", x, _style(graph, _convolve(graph, inner, fourth, fourth), fourth))
    x = _leak(graph, _convolve(graph, _enlarge(graph, x), fourth, third))
    x = _leak(graph, _convolve(graph, _enlarge(graph, x), third, second))
    x = _leak(graph, _convolve(graph, x, second, first))
    x = graph.node("Tanh", _convolve(graph, _reflect(graph, x), first, 3, kernel=7, pad=0))
    x = graph.node("Add", x, graph.constant(np.float32(1.0).reshape(1)))
    graph.node("Mul", x, graph.constant(np.float32(0.5).reshape(1)), name="output")
    graph.constant(graph.weights(DIMENSIONS, DIMENSIONS), "emap")
    crop = (1, 3, CROP_PX, CROP_PX)
    return graph.model({"target": crop, "source": (1, DIMENSIONS)}, {"output": crop})


def make_recogniser(seed: int = 5) -> bytes:
    """A network with the tensors of the recogniser: means of the crop's cells, mixed at random.

    Returns:
        ``input (1, 3, 112, 112) f32`` in, ``output (1, 512) f32``.
    """
    graph = _Graph(seed)
    cell = [_CELL_PX, _CELL_PX]
    pooled = graph.node("AveragePool", "input", kernel_shape=cell, strides=cell)
    count = 3 * (_RECOGNISER_PX // _CELL_PX) ** 2
    flat = graph.node("Reshape", pooled, graph.constant(np.array([1, count])))
    mixing = graph.constant(graph.weights(DIMENSIONS, count).T.copy())
    graph.node("MatMul", flat, mixing, name="output")
    crop = (1, 3, _RECOGNISER_PX, _RECOGNISER_PX)
    return graph.model({"input": crop}, {"output": (1, DIMENSIONS)})


def _convolve(
    graph: _Graph,
    x: str,
    given: int,
    wanted: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    pad: int = 1,
) -> str:
    return graph.node(
        "Conv",
        x,
        graph.constant(graph.weights(wanted, given, kernel, kernel)),
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=[pad] * 4,
    )


def _leak(graph: _Graph, x: str) -> str:
    return graph.node("LeakyRelu", x, alpha=0.2)


def _reflect(graph: _Graph, x: str) -> str:
    pads = np.array([0, 0, 3, 3, 0, 0, 3, 3])
    return graph.node("Pad", x, graph.constant(pads), mode="reflect")


def _enlarge(graph: _Graph, x: str) -> str:
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    return graph.node("Resize", x, "", scales, mode="linear")


def _style(graph: _Graph, x: str, channels: int) -> str:
    """Normalises each channel and gives it the gain and bias that the source asks for."""
    centred = graph.node("Sub", x, graph.node("ReduceMean", x, axes=[2, 3]))
    power = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes=[2, 3])
    floor = graph.constant(np.float32(1e-6).reshape(1))
    spread = graph.node("Sqrt", graph.node("Add", power, floor))
    mixing = graph.constant(graph.weights(DIMENSIONS, 2 * channels))
    asked = graph.node("MatMul", "source", mixing)
    # The first 0 keeps the batch: several crops can go through at once.
    asked = graph.node("Reshape", asked, graph.constant(np.array([0, -1, 1, 1])))
    gain, bias = graph.halves(asked)
    scaled = graph.node("Mul", graph.node("Div", centred, spread), gain)
    return graph.node("Add", scaled, bias)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes both files.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="receives the two files")
    parser.add_argument(
        "--narrow", type=int, default=1, help="divide every number of channels by this"
    )
    options = parser.parse_args(arguments)
    widths = [max(1, width // options.narrow) for width in FULL_WIDTHS]
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "swapper_twin.onnx").write_bytes(make_swapper(widths))
    (options.folder / "recogniser_twin.onnx").write_bytes(make_recogniser())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
