"""ONNX graphs: reading them, finding their way about in them, writing them out."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto, helper

from engines.errors import ModelError, one_line
from engines.session import TensorSpec

MAX_BYTES = 2**31 - 1
"""What one protocol buffer can hold."""

_IR_WITH_CONSTANTS_APART = 4

_SHAPE_SIZE = 1024
"""Constants of up to so many values may be shapes, which decide the shapes of other tensors."""

_STANDARD_DOMAINS = ("", "ai.onnx")


def parse_model(model: bytes, name: str) -> onnx.ModelProto:
    """Reads a serialised model; constants are no inputs in it, and every node has its own name.

    Raises:
        ModelError: the bytes are no ONNX model.
    """
    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as error:
        raise ModelError(
            f"{name}: must be an ONNX model, got {one_line(error)}. Pull the model again."
        ) from error
    if not proto.graph.node:
        raise ModelError(f"{name}: must have at least one node, got none. Use another model.")
    _give_names(proto.graph)
    # Old files list their constants as inputs, which could then be given and are never folded.
    _retain(proto.graph.input, free_inputs(proto.graph))
    proto.ir_version = max(proto.ir_version, _IR_WITH_CONSTANTS_APART)
    return proto


def write_model(proto: onnx.ModelProto, name: str) -> bytes:
    """Serialises a model.

    Raises:
        ModelError: it is larger than a protocol buffer can be.
    """
    try:
        return bytes(proto.SerializeToString())
    except (EncodeError, ValueError) as error:
        raise ModelError(
            f"{name}: must stay below {MAX_BYTES} bytes, got {one_line(error)}. "
            "Use a smaller model."
        ) from error


def _give_names(graph: onnx.GraphProto) -> None:
    taken = Counter(node.name for node in graph.node)
    for index, node in enumerate(graph.node):
        if not node.name or taken[node.name] > 1:
            node.name = f"{node.op_type}#{index}"


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each tensor; graph inputs and constants have none."""
    return {output: node for node in graph.node for output in node.output if output}


def consumers(graph: onnx.GraphProto) -> Mapping[str, list[onnx.NodeProto]]:
    """The nodes that use each tensor; nobody for a tensor that is not in it."""
    found: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for tensor in dict.fromkeys(node.input):
            if tensor:
                found[tensor].append(node)
    return found


def initializers(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    """The constants by name."""
    return {constant.name: constant for constant in graph.initializer}


def free_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs a caller must give; old files list their constants as inputs too."""
    constants = initializers(graph)
    return [value for value in graph.input if value.name not in constants]


def with_shapes(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A copy in which the types and shapes of tensors inside stand, as far as they can be told.

    Large constants keep their type and shape in it and lose their contents.

    Raises:
        ModelError: the graph contradicts itself, or names operators it does not import.
    """
    try:
        return onnx.shape_inference.infer_shapes(_without_weights(proto))
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(
            f"{name}: must be a consistent graph, got {one_line(error)}. Use another model."
        ) from error


def _without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy to tell shapes from, which takes no time where there are hundreds of megabytes."""
    light = onnx.ModelProto(ir_version=proto.ir_version)
    light.opset_import.extend(proto.opset_import)
    light.functions.extend(proto.functions)
    graph = proto.graph
    light.graph.name = graph.name
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(light.graph, field).extend(getattr(graph, field))
    for constant in graph.initializer:
        if math.prod(constant.dims) <= _SHAPE_SIZE:
            light.graph.initializer.append(constant)
        else:
            light.graph.initializer.add(
                name=constant.name, data_type=constant.data_type, dims=constant.dims
            )
    return light


def element_types(proto: onnx.ModelProto, name: str) -> dict[str, int]:
    """ONNX element type of every tensor that shape inference reaches.

    Raises:
        ModelError: the graph contradicts itself, or names operators it does not import.
    """
    graph = with_shapes(proto, name).graph
    types = {constant.name: int(constant.data_type) for constant in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        types[value.name] = int(value.type.tensor_type.elem_type)
    return types


def shape_of(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Shape of an input or output; -1 for a dimension that may vary."""
    return tuple(
        dimension.dim_value if dimension.HasField("dim_value") else -1
        for dimension in value.type.tensor_type.shape.dim
    )


def inputs_of(model: bytes, name: str) -> tuple[TensorSpec, ...]:
    """What a serialised ONNX model must be given.

    Raises:
        ModelError: the bytes are no model.
    """
    return tuple(
        TensorSpec(
            value.name,
            shape_of(value),
            helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in free_inputs(parse_model(model, name).graph)
    )


def has_subgraphs(graph: onnx.GraphProto) -> bool:
    """Whether any node holds a graph of its own, as branches and loops do."""
    return any(
        attribute.HasField("g") or attribute.graphs
        for node in graph.node
        for attribute in node.attribute
    )


def foreign_operators(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Operators that the ONNX standard does not know, as ``domain.Name``."""
    strange = {
        f"{node.domain}.{node.op_type}"
        for node in graph.node
        if node.domain not in _STANDARD_DOMAINS
    }
    return tuple(sorted(strange))


def drop_unused(proto: onnx.ModelProto) -> None:
    """Removes constants and operator sets that nothing in the graph needs."""
    graph = proto.graph
    if has_subgraphs(graph):
        return  # Their nodes see the constants of the graph around them.
    used = set(names_used(graph.node)) | {value.name for value in graph.output}
    _retain(graph.initializer, [one for one in graph.initializer if one.name in used])
    domains = {node.domain for node in graph.node}
    standard = any(domain in _STANDARD_DOMAINS for domain in domains)
    _retain(
        proto.opset_import,
        [
            one
            for one in proto.opset_import
            if one.domain in domains or (standard and one.domain in _STANDARD_DOMAINS)
        ],
    )


def names_used(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Every tensor that these nodes read."""
    for node in nodes:
        yield from (tensor for tensor in node.input if tensor)


def _retain(field: Any, kept: Sequence[Any]) -> None:
    if len(kept) != len(field):
        copies = list(kept)
        del field[:]
        field.extend(copies)
