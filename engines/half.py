"""Networks in 16-bit floating point, except where that would spoil them.

Three things stay in float32: the statistics of normalisation (means and variances over a whole
picture: their sums leave the range of float16, and a small variance loses its digits), the
coordinates that pictures are looked up at (11 bits of mantissa are a tenth of a pixel at 256), and
layers whose values were seen near the end of the range. Inputs and outputs keep their types.

Processors without float16 arithmetic compute such a graph in float32 throughout, so its result
there proves nothing. What stands in for it is ``rounded``: the graph in float32 with every value
that would be float16 rounded to it and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.graphs import (
    consumers,
    element_types,
    has_subgraphs,
    parse_model,
    producers,
    write_model,
)
from engines.half_graph import halved, rounded
from engines.onnxruntime import compute
from engines.self_check import compare
from engines.session import Array

MAX_SEEN = 16_384.0
"""Largest value a layer may show on the samples, a quarter of what float16 can hold."""

_NORMS = frozenset(
    {
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "LpNormalization",
        "MeanVarianceNormalization",
    }
)
_REDUCTIONS = frozenset({"ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"})
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True, slots=True)
class Half:
    """What became of a network on the way to 16 bits.

    Attributes:
        model: the serialised ONNX model; float32 throughout where ``fault`` says why.
        error: of the 16-bit form on the samples, see ``engines.self_check``.
        fault: why float32 is kept; empty where 16 bits are good.
        kept: names of the nodes that compute in float32.
    """

    model: bytes
    error: float
    fault: str
    kept: frozenset[str]


def convert(
    model: bytes, samples: Sequence[Mapping[str, Array]], *, threads: int = 1, name: str = "model"
) -> Half:
    """Converts a network to 16 bits and checks it; falls back to float32 if it does not pass.

    Args:
        model: a serialised ONNX model in float32, simplified.
        samples: arrays by input name, as like real ones as possible; at least one.
        threads: CPU threads for the check.
        name: what error messages call the network.

    Raises:
        ModelError: the model cannot be read or run.
    """
    proto = parse_model(model, name)
    if has_subgraphs(proto.graph):
        return Half(model, 0.0, "it has branches or loops", frozenset())
    types = element_types(proto, name)
    unknown = [
        one for node in proto.graph.node for one in node.output if one and not types.get(one)
    ]
    if unknown:
        return Half(model, 0.0, f"the type of {unknown[0]} cannot be told", frozenset())
    wanted, large = _watched(proto, types, samples, threads, name)
    kept = statistics(proto.graph) | coordinates(proto.graph) | _touching(proto.graph, large)
    emulated = rounded(proto, types, kept, name)
    found = compare(wanted, compute(emulated, samples, threads=threads, name=name))
    if not found.is_good:
        return Half(model, found.error, found.fault, frozenset())
    return Half(halved(proto, types, kept, name), found.error, "", kept)


def statistics(graph: onnx.GraphProto) -> frozenset[str]:
    """Nodes that normalise: as one operator, or spelled out around a mean.

    Spelled out it is ``Sub`` of the mean, a square, its mean, a small constant added, a root, and a
    ``Div`` or ``Mul`` by that, as in instance normalisation (Ulyanov et al. 2016) and its adaptive
    form (Huang and Belongie 2017).
    """
    made_by, used_by = producers(graph), consumers(graph)
    found = {node.name for node in graph.node if node.op_type in _NORMS}
    for node in graph.node:
        if node.op_type not in _REDUCTIONS:
            continue
        found.add(node.name)
        square = made_by.get(node.input[0])
        if square is not None and _is_square(square):
            found.add(square.name)
            centred = made_by.get(square.input[0])
            if centred is not None and centred.op_type == "Sub":
                found.add(centred.name)
        found |= _after_a_mean(node, used_by)
    return frozenset(found)


def _is_square(node: onnx.NodeProto) -> bool:
    is_product = node.op_type == "Mul" and node.input[0] == node.input[1]
    return is_product or node.op_type in ("Pow", "Abs")


def _after_a_mean(mean: onnx.NodeProto, used_by: Mapping[str, list[onnx.NodeProto]]) -> set[str]:
    """What makes a deviation of a mean of squares, and what subtracts or divides by either."""
    found, is_root = set[str](), mean.op_type == "ReduceL2"
    current: onnx.NodeProto | None = mean
    while current is not None:
        following = None
        for node in used_by.get(current.output[0], []):
            if node.op_type == "Sub" or (is_root and node.op_type in ("Div", "Mul")):
                found.add(node.name)
            elif node.op_type in ("Add", "Sqrt", "Max", "Clip", "Reciprocal", "Pow"):
                found.add(node.name)
                is_root = is_root or node.op_type in ("Sqrt", "Pow", "Reciprocal")
                following = node
        current = following
    return found


def coordinates(graph: onnx.GraphProto) -> frozenset[str]:
    """Nodes that look pictures up, and those that work out where, back to the layers before."""
    made_by = producers(graph)
    found: set[str] = set()
    for node in graph.node:
        if node.op_type != "GridSample":
            continue
        found.add(node.name)
        open_tensors = [node.input[1]]
        while open_tensors:
            maker = made_by.get(open_tensors.pop())
            if maker is None or maker.op_type in _LAYERS or maker.name in found:
                continue
            found.add(maker.name)
            open_tensors.extend(maker.input)
    return frozenset(found)


def _watched(
    proto: onnx.ModelProto,
    types: Mapping[str, int],
    samples: Sequence[Mapping[str, Array]],
    threads: int,
    name: str,
) -> tuple[list[dict[str, Array]], set[str]]:
    """The network's outputs, and the tensors seen near the end of float16's range on the way."""
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    shown = [value.name for value in watched.graph.output]
    for node in proto.graph.node:
        for tensor in node.output:
            if types.get(tensor) == TensorProto.FLOAT and tensor not in shown:
                info = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
                watched.graph.output.append(info)
    large = {
        constant.name
        for constant in proto.graph.initializer
        if constant.data_type == TensorProto.FLOAT and _is_large(numpy_helper.to_array(constant))
    }
    model = write_model(watched, name)
    wanted: list[dict[str, Array]] = []
    for sample in samples:
        (seen,) = compute(model, [sample], threads=threads, name=name)
        wanted.append({tensor: seen[tensor] for tensor in shown})
        large |= {tensor for tensor, array in seen.items() if _is_large(array)}
    return wanted, large


def _touching(graph: onnx.GraphProto, tensors: set[str]) -> frozenset[str]:
    """Nodes that make or take any of these tensors."""
    return frozenset(node.name for node in graph.node if tensors & {*node.input, *node.output})


def _is_large(array: Array) -> bool:
    """Whether values come near the end of float16's range."""
    return array.dtype == np.float32 and array.size > 0 and bool(np.abs(array).max() > MAX_SEEN)
