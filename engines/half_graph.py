"""Rewriting a graph so that some of its nodes compute in 16 bits."""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.graphs import initializers, write_model

_ALWAYS_FLOAT = frozenset({"Cast", "Constant", "ConstantOfShape", "NonMaxSuppression", "Range"})
_FLOAT_INPUTS: Mapping[str, Collection[int]] = {"Resize": (1, 2), "Upsample": (1,)}


def rounded(
    proto: onnx.ModelProto, types: Mapping[str, int], kept: Collection[str], name: str
) -> bytes:
    """The network in float32 with every value rounded that would be 16 bits wide."""
    return _Rewriting(proto, types, kept, emulated=True).model(name)


def halved(
    proto: onnx.ModelProto, types: Mapping[str, int], kept: Collection[str], name: str
) -> bytes:
    """The network in float16 except for the nodes kept; inputs and outputs as they were."""
    return _Rewriting(proto, types, kept, emulated=False).model(name)


class _Rewriting:
    """One pass over a graph that puts casts between its float32 and its float16 nodes."""

    def __init__(
        self,
        proto: onnx.ModelProto,
        types: Mapping[str, int],
        kept: Collection[str],
        *,
        emulated: bool,
    ) -> None:
        self._proto = proto
        self._types = types
        self._kept = kept
        self._emulated = emulated
        self._constants = initializers(proto.graph)
        self._nodes: list[onnx.NodeProto] = []
        self._halves: dict[str, str] = {}
        self._new_constants: list[TensorProto] = []

    def model(self, name: str) -> bytes:
        """The rewritten model.

        Raises:
            ModelError: it is larger than a protocol buffer can be.
        """
        for node in self._proto.graph.node:
            if self._is_half(node):
                self._add_half(node)
            else:
                self._nodes.append(node)
        result = self._without_nodes()
        used = {tensor for node in self._nodes for tensor in node.input}
        used |= {value.name for value in result.graph.output}
        result.graph.node.extend(
            node for node in self._nodes if node.op_type != "Cast" or node.output[0] in used
        )
        result.graph.initializer.extend(self._new_constants)
        result.graph.initializer.extend(
            constant for name, constant in self._constants.items() if name in used
        )
        return write_model(result, name)

    def _without_nodes(self) -> onnx.ModelProto:
        graph = self._proto.graph
        free = [value for value in graph.input if value.name not in self._constants]
        empty = helper.make_graph([], graph.name, free, list(graph.output))
        return helper.make_model(
            empty,
            opset_imports=self._proto.opset_import,
            ir_version=self._proto.ir_version,
        )

    def _is_half(self, node: onnx.NodeProto) -> bool:
        if node.name in self._kept or node.op_type in _ALWAYS_FLOAT:
            return False
        return any(self._is_float(tensor) for tensor in (*node.input, *node.output))

    def _is_float(self, tensor: str) -> bool:
        return self._types.get(tensor) == TensorProto.FLOAT

    def _add_half(self, node: onnx.NodeProto) -> None:
        """Adds a node that takes and makes 16-bit values, and the casts around it."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        stays = _FLOAT_INPUTS.get(node.op_type, ())
        for index, tensor in enumerate(node.input):
            if self._is_float(tensor) and index not in stays:
                copy.input[index] = self._half_of(tensor)
        self._nodes.append(copy)
        for index, tensor in enumerate(node.output):
            if not self._is_float(tensor):
                continue
            copy.output[index] = f"{tensor}/made"
            if self._emulated:
                # A cast to float16 and back is the rounding; the graph itself stays float32.
                self._cast(f"{tensor}/made", f"{tensor}/half", TensorProto.FLOAT16)
                self._cast(f"{tensor}/half", tensor, TensorProto.FLOAT)
                self._halves[tensor] = tensor
            else:
                self._cast(f"{tensor}/made", tensor, TensorProto.FLOAT)
                self._halves[tensor] = f"{tensor}/made"

    def _half_of(self, tensor: str) -> str:
        """The name of the 16-bit (or rounded) form of a float32 tensor, made if need be."""
        if tensor in self._halves:
            return self._halves[tensor]
        half = f"{tensor}/half"
        if tensor in self._constants:
            self._new_constants.append(self._half_constant(tensor, half))
        else:
            self._cast(tensor, half, TensorProto.FLOAT16)
            if self._emulated:
                self._cast(half, f"{tensor}/rounded", TensorProto.FLOAT)
                half = f"{tensor}/rounded"
        self._halves[tensor] = half
        return half

    def _half_constant(self, tensor: str, half: str) -> TensorProto:
        values = numpy_helper.to_array(self._constants[tensor])
        with np.errstate(over="ignore"):
            values = values.astype(np.float16)
        return numpy_helper.from_array(
            values.astype(np.float32) if self._emulated else values, half
        )

    def _cast(self, source: str, target: str, kind: int) -> None:
        self._nodes.append(helper.make_node("Cast", [source], [target], f"{target}/cast", to=kind))
