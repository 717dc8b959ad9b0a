"""A frozen ONNX network as a PyTorch module, so that gradients go through it.

Knows the few operators that recognisers of the MobileFaceNet kind consist of.
"""

from pathlib import Path

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from engines.errors import ModelError
from engines.graphs import parse_model

_KNOWN = frozenset({"Constant", "Conv", "Clip", "Add", "Relu", "Reshape"})


class TorchGraph(nn.Module):  # type: ignore[misc]
    """Computes what an ONNX graph does; its weights are never trained.

    Args:
        model: the serialised graph, with one input and one output.
        name: what error messages call it.

    Raises:
        ModelError: it has an operator that is not known here.
    """

    def __init__(self, model: bytes, name: str) -> None:
        super().__init__()
        graph = parse_model(model, name).graph
        unknown = {node.op_type for node in graph.node} - _KNOWN
        if unknown:
            raise ModelError(
                f"{name}: must consist of {', '.join(sorted(_KNOWN))}, got "
                f"{', '.join(sorted(unknown))}. Add them to tools/torch_graph.py."
            )
        held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                (value,) = node.attribute
                held[node.output[0]] = numpy_helper.to_array(value.t)
        self._places = {key: f"held_{number}" for number, key in enumerate(held)}
        for key, values in held.items():
            self.register_buffer(self._places[key], torch.from_numpy(values.copy()))
        self._nodes = [node for node in graph.node if node.op_type != "Constant"]
        self._input = next(one.name for one in graph.input if one.name not in held)
        self._output = graph.output[0].name

    def forward(self, x: Tensor) -> Tensor:
        """The graph's output for its input."""
        values = {key: getattr(self, place) for key, place in self._places.items()}
        values[self._input] = x
        for node in self._nodes:
            given = [values[key] for key in node.input]
            values[node.output[0]] = _computed(node, given)
        return values[self._output]


def load_torch_graph(path: Path) -> TorchGraph:
    """Reads a network.

    Raises:
        ModelError: it cannot be read or has unknown operators.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: the network must be readable, got: {error.strerror}. Name another file."
        ) from error
    return TorchGraph(model, path.name)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _computed(node: onnx.NodeProto, given: list[Tensor]) -> Tensor:
    if node.op_type == "Add":
        return given[0] + given[1]
    if node.op_type == "Relu":
        return torch.relu(given[0])
    if node.op_type == "Clip":
        return torch.clamp(given[0], given[1], given[2])
    if node.op_type == "Reshape":
        return given[0].reshape(given[0].shape[0], -1)
    attributes = _attributes(node)
    pads: list[int] = attributes["pads"]  # type: ignore[assignment]
    padded = nn.functional.pad(given[0], (pads[1], pads[3], pads[0], pads[2]))
    bias = given[2] if len(given) > 2 else None
    return nn.functional.conv2d(
        padded, given[1], bias, attributes["strides"], 0, 1, attributes["group"]
    )
