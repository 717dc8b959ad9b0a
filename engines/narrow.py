"""Networks that ask for float64, in a form that asks for float32.

TensorRT has no float64: it reads such an input as float32 without a word, and a plan then takes
something else than the network it was built from. So whatever may change places with a plan is
opened in this form. CodeFormer's weight is such an input.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper

from engines.graphs import free_inputs, parse_model, write_model
from engines.session import Session

_WIDE = np.dtype(np.float64)
_DOUBLE = int(TensorProto.DOUBLE)


def open_narrow(open_network: Callable[[bytes], Session], model: bytes, *, name: str) -> Session:
    """Opens a network in this form.

    Args:
        open_network: opens the bytes it is given.
        model: a serialised ONNX model; is only read where the session asks for float64.
        name: what error messages call the network.

    Raises:
        ModelError: it cannot be opened.
    """
    session = open_network(model)
    if all(spec.dtype != _WIDE for spec in session.inputs):
        return session
    session.close()
    return open_network(narrowed(model, name=name))


def narrowed(model: bytes, *, name: str = "model") -> bytes:
    """The network with its float64 inputs as float32, and each widened again inside.

    Args:
        model: a serialised ONNX model.
        name: what error messages call the network.

    Returns:
        The new model; the one given where there is no such input.

    Raises:
        ModelError: the bytes are no model.
    """
    proto = parse_model(model, name)
    graph = proto.graph
    wide = [value for value in free_inputs(graph) if value.type.tensor_type.elem_type == _DOUBLE]
    if not wide:
        return model
    inside = {value.name: f"{value.name}/float64" for value in wide}
    for node in _nodes_of(graph.node):
        for place, tensor in enumerate(node.input):
            node.input[place] = inside.get(tensor, tensor)
    casts = []
    for value in wide:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
        widened = inside[value.name]
        casts.append(helper.make_node("Cast", [value.name], [widened], widened, to=_DOUBLE))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return write_model(proto, name)


def _nodes_of(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """These nodes and those of graphs inside them, which see the inputs of the whole graph."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes_of(graph.node)
