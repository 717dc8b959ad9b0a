"""Writing an ONNX graph down layer by layer, with random weights."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from engines.session import Array

_OPSET = 17
_IR_VERSION = 8

Shape = tuple[int | str, ...]
"""Of an input or output; a name stands for a dimension that may vary."""

_SAMPLING: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "linear": {"coordinate_transformation_mode": "half_pixel"},
        "nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    }
)


class GraphWriter:
    """A graph being written down, layer by layer; tensors go by their names."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, value: Array) -> str:
        """Adds a constant tensor."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def floats(self, *values: float) -> str:
        """Adds a float32 vector."""
        return self.constant(np.array(values, np.float32))

    def integers(self, *values: int) -> str:
        """Adds an int64 vector."""
        return self.constant(np.array(values, np.int64))

    def weights(self, *shape: int, fan_in: int, gain: float = 1) -> str:
        """Adds random weights that keep the spread of what comes out of a rectifier.

        The rule is that of He et al. 2015, times ``gain``.
        """
        values = self._random.standard_normal(shape, np.float32)
        return self.constant(values * np.float32(gain * math.sqrt(2 / fan_in)))

    def conv(
        self,
        x: str,
        num_in: int,
        num_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        gain: float = 1,
    ) -> str:
        """Adds a convolution that keeps the extent, or divides it by its stride.

        Args:
            x: what it is applied to.
            num_in: channels of that.
            num_out: channels of the result.
            kernel: extent of the weights, odd.
            stride: by how much the extent shrinks.
            groups: into how many groups the channels fall.
            gain: how much more the result spreads than what it is applied to.
        """
        fan_in = num_in // groups * kernel * kernel
        weights = self.weights(num_out, num_in // groups, kernel, kernel, fan_in=fan_in, gain=gain)
        bias = self.constant(np.zeros(num_out, np.float32))
        pads = [kernel // 2] * 4
        strides = [stride, stride]
        return self.op("Conv", x, weights, bias, pads=pads, strides=strides, group=groups)

    def prelu(self, x: str, num_channels: int) -> str:
        """Adds a leaky rectifier with a slope for each channel."""
        slopes = np.full((num_channels, 1, 1), 0.25, np.float32)
        return self.op("PRelu", x, self.constant(slopes))

    def upsample(self, x: str, mode: str = "linear") -> str:
        """Adds a doubling of height and width."""
        scales = self.floats(1, 1, 2, 2)
        return self.op("Resize", x, "", scales, mode=mode, **_SAMPLING[mode])

    def reflect(self, x: str, border_px: int) -> str:
        """Adds a mirrored border."""
        pads = self.integers(0, 0, border_px, border_px, 0, 0, border_px, border_px)
        return self.op("Pad", x, pads, mode="reflect")

    def model(self, inputs: Mapping[str, Shape], outputs: Mapping[str, tuple[str, Shape]]) -> bytes:
        """The finished model; outputs are given by their names as a tensor and its shape."""
        for name, (tensor, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name], f"to_{name}"))
        graph = helper.make_graph(
            self._nodes,
            "twin",
            [_info(name, shape) for name, shape in inputs.items()],
            [_info(name, shape) for name, (_, shape) in outputs.items()],
            self._constants,
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def _info(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
