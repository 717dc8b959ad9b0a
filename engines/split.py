"""Cutting a network in two where its picture is smallest.

Between the halves a caller can work on the features, for instance average them over time. Both
halves are ordinary ONNX models; run one after the other they compute what the whole does, see
``engines.split_session``.
"""

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, helper

from engines.errors import ModelError
from engines.graphs import (
    consumers,
    free_inputs,
    has_subgraphs,
    initializers,
    parse_model,
    producers,
    shape_of,
    with_shapes,
    write_model,
)
from engines.split_session import Split

_LEAST_SIDE = 4
"""Smaller maps are averages over the picture, as for weighing channels, and not places in it."""

_USUAL_SIDE_PX = 256

_Half = tuple[list[onnx.NodeProto], list[str], list[str]]
"""Nodes, and the names of what goes in and what comes out."""


def split(model: bytes, tensor: str | None = None, *, name: str = "model") -> Split:
    """Cuts a network at a tensor.

    Args:
        model: a serialised ONNX model without branches and loops.
        tensor: what to cut at; None: at its bottleneck, see ``bottleneck``.
        name: what error messages call the network.

    Raises:
        ModelError: there is no such tensor, nothing after it, or no bottleneck.
    """
    proto = parse_model(model, name)
    graph = proto.graph
    if has_subgraphs(graph):
        raise ModelError(
            f"{name}: must have no branches and loops to be split, got some. Run it whole."
        )
    cut = bottleneck(proto, name) if tensor is None else tensor
    after = _reached(graph, [cut])
    late, early = _shared_out(graph, cut, after, name)
    pictures = _reached(graph, _picture_inputs(graph))
    decoder_nodes, borders = _back_from(graph, late, cut, after, pictures)
    given = [value.name for value in free_inputs(graph)]
    crossing = tuple(border for border in borders if border != cut and border not in given)
    encoder_outputs = [cut, *crossing, *(one for one in early if one not in (cut, *crossing))]
    encoder_nodes, _ = _back_from(graph, encoder_outputs, "", set(), set())
    decoder_inputs = [cut, *crossing, *(one for one in given if one in borders)]
    read = _read_by(encoder_nodes)
    encoder_inputs = [one for one in given if one in read]
    values = _values(proto, name)
    shape, outputs = shape_of(_value(cut, values)), tuple(value.name for value in graph.output)
    encoder, decoder = _cut(
        proto,
        (encoder_nodes, encoder_inputs, encoder_outputs),
        (decoder_nodes, decoder_inputs, late),
        values,
        name,
    )
    return Split(encoder, decoder, cut, crossing, shape, tuple(given), outputs)


def _shared_out(
    graph: onnx.GraphProto, cut: str, after: set[str], name: str
) -> tuple[list[str], list[str]]:
    """The network's outputs that are the decoder's, and those that are the encoder's.

    Raises:
        ModelError: no node makes the tensor to split at, or no other output depends on it.
    """
    if cut not in producers(graph):
        raise ModelError(
            f"{name}: the tensor to split at must be one that a node makes, got {cut!r}. "
            "Name one of those between the inputs and the outputs."
        )
    outputs = [value.name for value in graph.output]
    late = [output for output in outputs if output in after and output != cut]
    if not late:
        raise ModelError(
            f"{name}: an output must depend on the tensor to split at, got none for {cut!r}. "
            "Name one further in front."
        )
    return late, [output for output in outputs if output not in late]


def bottleneck(proto: onnx.ModelProto, name: str = "model") -> str:
    """The tensor at which the picture is smallest on its way through the network.

    Of all maps of the least height times width it is one that the fewest other maps bypass, and of
    these the last: everything that happens at that size has then happened.

    Args:
        proto: the network.
        name: what error messages call it.

    Raises:
        ModelError: the network has no maps, or their sizes cannot be told.
    """
    graph = proto.graph
    shapes = {
        tensor: shape_of(value) for tensor, value in _values(_of_usual_size(proto), name).items()
    }
    on_the_way = _reached(graph, _picture_inputs(graph)) & _leading_to_outputs(graph)
    used_by = consumers(graph)
    live: dict[str, int] = {}
    best: tuple[int, int, int] | None = None
    found = ""
    for position, node in enumerate(graph.node):
        for tensor in set(node.input) & live.keys():
            live[tensor] -= 1
        live = {tensor: uses for tensor, uses in live.items() if uses > 0}
        for tensor in node.output:
            shape = shapes.get(tensor, ())
            if tensor not in on_the_way or len(shape) != 4:
                continue
            bypassing = len(live)
            live[tensor] = len(used_by[tensor])
            height, width = shape[2:]
            if min(height, width) < _LEAST_SIDE or not used_by[tensor]:
                continue
            score = (height * width, bypassing, -position)
            if best is None or score < best:
                best, found = score, tensor
    if best is None:
        raise ModelError(
            f"{name}: must be a network over pictures whose sizes are known, got one without "
            "maps. Name the tensor to split at."
        )
    return found


def _picture_inputs(graph: onnx.GraphProto) -> list[str]:
    return [value.name for value in free_inputs(graph) if len(shape_of(value)) == 4]


def _reached(graph: onnx.GraphProto, tensors: Iterable[str]) -> set[str]:
    """These tensors and all that depend on them; ONNX demands nodes in topological order."""
    reached = set(tensors)
    for node in graph.node:
        if reached.intersection(node.input):
            reached.update(output for output in node.output if output)
    return reached


def _leading_to_outputs(graph: onnx.GraphProto) -> set[str]:
    leading = {value.name for value in graph.output}
    for node in reversed(graph.node):
        if leading.intersection(node.output):
            leading.update(tensor for tensor in node.input if tensor)
    return leading


def _back_from(
    graph: onnx.GraphProto, outputs: list[str], cut: str, after: set[str], pictures: set[str]
) -> tuple[list[onnx.NodeProto], list[str]]:
    """The nodes needed for some outputs, and the tensors that they take from elsewhere.

    Args:
        graph: the whole network.
        outputs: what is to be computed.
        cut: where the way back ends; empty for only at the network's inputs.
        after: tensors that depend on the cut.
        pictures: tensors that depend on a picture; those not after the cut end the way back too,
            where there is a cut. What depends on neither is computed here, being cheap: it is how
            a style acts on its layers.
    """
    made_by, constants = producers(graph), initializers(graph)
    needed: set[str] = set()
    borders: dict[str, None] = {}
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        is_border = bool(cut) and (tensor == cut or (tensor in pictures and tensor not in after))
        if tensor in constants:
            continue
        if tensor not in made_by or is_border:
            borders[tensor] = None
            continue
        node = made_by[tensor]
        if node.name not in needed:
            needed.add(node.name)
            waiting.extend(one for one in node.input if one)
    order = {tensor: index for index, node in enumerate(graph.node) for tensor in node.output}
    nodes = [node for node in graph.node if node.name in needed]
    return nodes, sorted(borders, key=lambda one: order.get(one, -1))


def _of_usual_size(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose inputs have a definite size, so that those inside can be told."""
    if all(-1 not in shape_of(value) for value in free_inputs(proto.graph)):
        return proto
    sized = onnx.ModelProto()
    sized.CopyFrom(proto)
    del sized.graph.value_info[:]
    for value in free_inputs(sized.graph):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value"):
                dimension.dim_value = _USUAL_SIDE_PX if axis else 1
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    return sized


def _values(proto: onnx.ModelProto, name: str) -> dict[str, onnx.ValueInfoProto]:
    """Type and shape of every tensor, as far as they can be inferred."""
    graph = with_shapes(proto, name).graph
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}


def _cut(
    proto: onnx.ModelProto,
    first: _Half,
    second: _Half,
    values: Mapping[str, onnx.ValueInfoProto],
    name: str,
) -> tuple[bytes, bytes]:
    """Both halves, serialised. The network itself becomes the first one.

    Its weights, hundreds of megabytes, need not be copied then.
    """
    graph = proto.graph
    decoder = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    read = _read_by(second[0])
    decoder.graph.initializer.extend(one for one in graph.initializer if one.name in read)
    _become(decoder.graph, second, values)
    read = _read_by(first[0])
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in read:
            del graph.initializer[index]
    _become(graph, first, values)
    return write_model(proto, name), write_model(decoder, name)


def _read_by(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {tensor for node in nodes for tensor in node.input}


def _become(graph: onnx.GraphProto, half: _Half, values: Mapping[str, onnx.ValueInfoProto]) -> None:
    """Gives a graph other nodes, inputs and outputs; its constants stay."""
    nodes, inputs, outputs = half
    graph.name = graph.name or "half"
    for field, contents in (
        (graph.node, nodes),
        (graph.input, [_value(tensor, values) for tensor in inputs]),
        (graph.output, [_value(tensor, values) for tensor in outputs]),
        (graph.value_info, []),
    ):
        del field[:]
        field.extend(contents)


def _value(tensor: str, values: Mapping[str, onnx.ValueInfoProto]) -> onnx.ValueInfoProto:
    known = values.get(tensor)
    if known is not None:
        return known
    return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
