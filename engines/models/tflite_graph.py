"""The ONNX graph under construction: names, layouts and constants.

TFLite computes in NHWC, ONNX in NCHW. Each activation has a name in either layout or both; an
operator asks for the layout it works in and a Transpose is written only where the other one is
missing. So transposes stand at the borders of the model and around operators that force a layout,
never in pairs. Activations that do not have four dimensions count as NHWC.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from engines.models.tflite_channels import stored_channels
from engines.models.tflite_reader import Tensor, TfliteGraph

Array = NDArray[Any]
Padding = tuple[int, int, int, int]
"""Rows and columns added around a picture: top, left, bottom, right."""

OPSET = 17
_IR_VERSION = 8
_NCHW_FROM_NHWC = (0, 3, 1, 2)
_NHWC_FROM_NCHW = (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class PaddedSource:
    """A tensor that is another one with zeros around its picture."""

    source: int
    padding: Padding


class GraphBuilder:
    """Collects the ONNX nodes and constants for one TFLite graph.

    Attributes:
        padded: tensors made by a zero PAD, so that a convolution can take the padding over.
    """

    def __init__(self, graph: TfliteGraph, *, constant_bytes_limit: int) -> None:
        """Starts with the graph's inputs and constants.

        Args:
            graph: what is converted.
            constant_bytes_limit: the constants of the result may take this much, ``ValueError``
                beyond; a small hostile file may not ask for gigabytes.
        """
        self.padded: dict[int, PaddedSource] = {}
        self._graph = graph
        self._bytes_left = constant_bytes_limit
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, Array] = {}
        self._folded: dict[int, Array] = {}
        self._nhwc = {index: graph.tensors[index].name for index in graph.inputs}
        self._nchw: dict[int, str] = {}
        self._nchw_exact: dict[int, str] = {}
        self._stored_channels = stored_channels(graph)

    def tensor(self, index: int) -> Tensor:
        """Shape, type and constant value of a tensor.

        Raises:
            ValueError: the input was left out.
        """
        if index < 0:
            raise ValueError("a required input is missing")
        return self._graph.tensors[index]

    def constant(self, index: int) -> Array | None:
        """The value of a constant tensor, folded ones included; None for an activation."""
        if index in self._folded:
            return self._folded[index]
        tensor = self.tensor(index)
        return None if tensor.sparsity else tensor.data

    def required_constant(self, index: int, what: str) -> Array:
        """The value of a tensor that must be constant.

        Raises:
            ValueError: it is computed.
        """
        value = self.constant(index)
        if value is None:
            raise ValueError(f"{what} must be constant")
        return value

    def fold(self, index: int, value: Array) -> None:
        """Records a tensor as constant."""
        self._folded[index] = value

    def reserve(self, num_bytes: int) -> None:
        """Counts bytes of constants against the limit, before they are allocated.

        Raises:
            ValueError: the model asks for more than its file can justify.
        """
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise ValueError("the constants are too large for the size of the file")

    def initializer(self, value: Array, name: str) -> str:
        """Stores a constant of the result under a name made unique, and returns that name."""
        self.reserve(value.nbytes)
        unique = f"{name}_{len(self._initializers)}"
        self._initializers[unique] = np.ascontiguousarray(value)
        return unique

    def nhwc(self, index: int) -> str:
        """Name of the tensor as TFLite lays it out."""
        if index not in self._nhwc:
            value = self.constant(index)
            if value is not None:
                self._nhwc[index] = self.initializer(value, f"c{index}")
            else:
                self._required(self._nchw, index)
                source = self.nchw(index)
                self._nhwc[index] = self._relayout(source, index, _NHWC_FROM_NCHW)
        return self._nhwc[index]

    def stored_channels(self, index: int) -> int:
        """Channels of an activation in ``nchw_stored``; its own come first. A scalar has one."""
        return self._stored_channels.get(index, (1, *self.tensor(index).shape)[-1])

    def nchw(self, index: int) -> str:
        """Name of a four-dimensional activation in NCHW, with just its own channels."""
        stored = self.nchw_stored(index)
        if index not in self._stored_channels:
            return stored
        if index not in self._nchw_exact:
            ends = [self.tensor(index).shape[3]]
            bounds = [self.initializer(np.array(v, np.int64), "bound") for v in ([0], ends, [1])]
            self._nchw_exact[index] = self.node("Slice", [stored, *bounds], f"t{index}_exact")
        return self._nchw_exact[index]

    def nchw_stored(self, index: int) -> str:
        """Name of a four-dimensional activation in NCHW, with zero channels behind its own."""
        if index not in self._nchw:
            if len(self.tensor(index).shape) != 4:
                raise ValueError(f"an input must have 4 dimensions, got {self.tensor(index).shape}")
            self._nchw[index] = self._relayout(self.nhwc(index), index, _NCHW_FROM_NHWC)
        return self._nchw[index]

    def prefers_nchw(self, index: int) -> bool:
        """Whether the tensor exists in NCHW already."""
        return index in self._nchw

    def emit(
        self, op_type: str, inputs: Sequence[str], output: int, *, nchw: bool, **attributes: Any
    ) -> None:
        """Writes the node that produces a TFLite tensor in the given layout."""
        if output in self._nhwc or output in self._nchw or self.constant(output) is not None:
            raise ValueError(f"tensor {output} is produced twice")
        if nchw and len(self.tensor(output).shape) != 4:
            raise ValueError(f"an output must have 4 dimensions, got {self.tensor(output).shape}")
        name = f"t{output}_nchw" if nchw else self._nhwc_name(output)
        (self._nchw if nchw else self._nhwc)[output] = self.node(
            op_type, inputs, name, **attributes
        )

    def alias(self, output: int, source: int) -> None:
        """Gives a tensor the stored NCHW value of another one, which must be as wide."""
        self._nchw[output] = self.nchw_stored(source)

    def node(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Writes a node and returns its output's name."""
        self._nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def temporary(self, output: int) -> str:
        """A fresh name for a value on the way to a tensor."""
        return f"t{output}_part{len(self._nodes)}"

    def build(self, name: str) -> onnx.ModelProto:
        """Finishes the model: inputs and outputs in TFLite's layout, unused nodes left out."""
        outputs = [self.nhwc(index) for index in self._graph.outputs]
        nodes = _live_nodes(self._nodes, outputs)
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            name,
            [self._value_info(self._nhwc[index], index) for index in self._graph.inputs],
            [self._value_info(self._nhwc[index], index) for index in self._graph.outputs],
            [
                numpy_helper.from_array(value, key)
                for key, value in self._initializers.items()
                if key in used
            ],
        )
        return helper.make_model(
            graph,
            producer_name="rt-swap",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
        )

    def expected_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape each named activation must have, as the TFLite file declares it."""
        shapes = {name: self.tensor(index).shape for index, name in self._nhwc.items()}
        for index, name in self._nchw.items():
            batch, height, width, _ = self.tensor(index).shape
            shapes[name] = (batch, self.stored_channels(index), height, width)
        return shapes

    def _value_info(self, name: str, index: int) -> onnx.ValueInfoProto:
        tensor = self.tensor(index)
        element = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        return helper.make_tensor_value_info(name, element, tensor.shape)

    def _nhwc_name(self, index: int) -> str:
        return self.tensor(index).name if index in self._graph.outputs else f"t{index}"

    def _required(self, names: dict[int, str], index: int) -> str:
        if index not in names:
            raise ValueError(f"tensor {index} is used before it is produced")
        return names[index]

    def _relayout(self, source: str, index: int, order: tuple[int, ...]) -> str:
        to_nhwc = order == _NHWC_FROM_NCHW
        output = self._nhwc_name(index) if to_nhwc else f"t{index}_nchw"
        _, height, width, channels = shape = self.tensor(index).shape
        if height * width == 1 or channels == 1:
            # The bytes stay where they are; a Reshape costs nothing.
            target = shape if to_nhwc else tuple(shape[axis] for axis in _NCHW_FROM_NHWC)
            wanted = self.initializer(np.array(target, np.int64), f"shape{index}")
            return self.node("Reshape", [source, wanted], output)
        return self.node("Transpose", [source], output, perm=order)


def _live_nodes(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in order."""
    needed = set(outputs)
    live: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            live.append(node)
            needed.update(node.input)
    return live[::-1]


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one dimension; the odd one goes to the end.

    Returns:
        Zeros before and after.
    """
    covered = (math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1
    total = max(covered - size, 0)
    return total // 2, total - total // 2
