"""How many channels to store for each activation, so that padding channels costs nothing.

BlazeFace widens its residual path by a few zero channels in every block. Written as Pad, each one
takes the path out of ONNX Runtime's blocked layout (16 channels) and back. So tensors that are
added to each other or padded into each other within one block are stored with the channels of the
widest; the convolutions in front write zeros into the extra ones, and the Pad becomes a new name.
"""

from collections.abc import Mapping

from engines.models.tflite_reader import Operator, TfliteGraph

_BLOCK = 16
_ZERO_STAYS_ZERO = ("RELU", "RELU6", "MAX_POOL_2D")


def stored_channels(graph: TfliteGraph) -> Mapping[int, int]:
    """Channels of the activations that are stored wider than they are, by tensor index.

    The channels beyond a tensor's own are zero.
    """
    produced = {output for op in graph.operators for output in op.outputs} - set(graph.inputs)
    groups = {index: [index] for index in range(len(graph.tensors))}
    free: set[int] = set()
    for op in graph.operators:
        joined = _joined(graph, op, produced)
        if joined is None:
            continue
        free.add(op.outputs[0])
        for index in joined:
            _merge(groups, index, op.outputs[0])
    widths = {}
    for index, members in groups.items():
        if free.issuperset(members):
            widest = max(graph.tensors[member].shape[3] for member in members)
            if widest > graph.tensors[index].shape[3]:
                widths[index] = widest
    return widths


def _merge(groups: dict[int, list[int]], a: int, b: int) -> None:
    if groups[a] is not groups[b]:
        groups[a].extend(groups[b])
        for member in groups[b]:
            groups[member] = groups[a]


def _joined(graph: TfliteGraph, op: Operator, produced: set[int]) -> tuple[int, ...] | None:
    """Inputs that must be stored as wide as the output; None if the output cannot be wider."""
    if len(op.outputs) != 1 or not op.inputs or op.inputs[0] not in produced:
        return () if _is_first_convolution(graph, op) else None
    data, shape = op.inputs[0], graph.tensors[op.inputs[0]].shape
    out_shape = graph.tensors[op.outputs[0]].shape
    if len(shape) != 4 or len(out_shape) != 4:
        return None
    if op.kind in _ZERO_STAYS_ZERO:
        return (data,)
    if op.kind == "ADD":
        same = all(graph.tensors[i].shape == shape and i in produced for i in op.inputs)
        return op.inputs if same else None
    if op.kind == "PAD" and _only_appends_channels(graph, op):
        same_block = -(-shape[3] // _BLOCK) == -(-out_shape[3] // _BLOCK)
        return (data,) if same_block else ()
    filters = graph.tensors[op.inputs[1]].shape if len(op.inputs) > 1 else ()
    if op.kind == "DEPTHWISE_CONV_2D" and filters[3:] == shape[3:] == out_shape[3:]:
        return (data,)
    if op.kind == "CONV_2D" and filters[3:] == shape[3:]:
        return ()
    return None


def _is_first_convolution(graph: TfliteGraph, op: Operator) -> bool:
    """Whether it reads an input of the graph; its output may be as wide as needed."""
    if op.kind != "CONV_2D" or len(op.inputs) < 2 or len(op.outputs) != 1:
        return False
    data, filters, out = (graph.tensors[i].shape for i in (*op.inputs[:2], op.outputs[0]))
    is_picture = len(data) == len(filters) == len(out) == 4
    return op.inputs[0] in graph.inputs and is_picture and data[3] == filters[3]


def _only_appends_channels(graph: TfliteGraph, op: Operator) -> bool:
    amounts = graph.tensors[op.inputs[1]].data if len(op.inputs) > 1 else None
    if amounts is None or amounts.shape != (4, 2) or amounts.ravel()[:7].any():
        return False
    shape, out_shape = (graph.tensors[index].shape for index in (op.inputs[0], op.outputs[0]))
    return out_shape == (*shape[:3], shape[3] + int(amounts[3, 1]))
