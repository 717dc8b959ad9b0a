"""Converts TFLite models into ONNX, bytes to bytes.

The result computes in NCHW with float32 constants, keeps the inputs and outputs of the TFLite file
(names and NHWC layout), and is the same bytes for the same input and importer version.
"""

from collections.abc import Sequence
from dataclasses import replace

import onnx

from engines.errors import ModelError
from engines.models.tflite_graph import GraphBuilder
from engines.models.tflite_ops import EMITTERS
from engines.models.tflite_reader import Operator, TfliteGraph, read_tflite

_CONSTANT_GROWTH = 64


def onnx_from_tflite(data: bytes, *, name: str, unused_outputs: Sequence[str] = ()) -> bytes:
    """Converts a TFLite file.

    Args:
        data: the file.
        name: what the graph and the error messages call it.
        unused_outputs: names of outputs to leave out.

    Returns:
        A serialised ONNX model, opset 17, that ``onnx.checker`` accepts.

    Raises:
        ModelError: the file is damaged, uses an operator, version or type the importer lacks, or
            has no such output.
    """
    graph = read_tflite(data, name=name)
    _check_names(graph, name)
    graph = _without_outputs(graph, unused_outputs, name)
    builder = GraphBuilder(graph, constant_bytes_limit=_CONSTANT_GROWTH * len(data))
    for number, operator in enumerate(graph.operators):
        _emit(builder, operator, number, name)
    try:
        model = builder.build(name)
        _check_shapes(model, builder.expected_shapes())
        onnx.checker.check_model(model, full_check=True)
    except (
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise ModelError(
            f"{name}: the TFLite graph must be consistent, got {_one_line(error)}. "
            "Use another model."
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _emit(builder: GraphBuilder, operator: Operator, number: int, name: str) -> None:
    where = f"{name}: operator {number} {operator.kind} version {operator.version}"
    newest, emitter = EMITTERS.get(operator.kind, (0, None))
    if emitter is None or not 1 <= operator.version <= newest:
        raise ModelError(
            f"{where}: the importer must know operator and version, got one it lacks "
            f"(newest known version: {newest}). Use another model."
        )
    if not operator.inputs or len(operator.outputs) != 1:
        raise ModelError(
            f"{where}: there must be inputs and one output, got {len(operator.inputs)} and "
            f"{len(operator.outputs)}. Use another model."
        )
    try:
        emitter(builder, operator)
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"{where}: must fit the graph, got {_one_line(error)}. Use another model."
        ) from error


def _check_names(graph: TfliteGraph, name: str) -> None:
    names = [graph.tensors[index].name for index in graph.inputs + graph.outputs]
    if not graph.inputs or not graph.outputs or len(set(names)) != len(names) or "" in names:
        raise ModelError(
            f"{name}: inputs and outputs must have distinct names, got {names[:8]}. "
            "Use another model."
        )


def _without_outputs(graph: TfliteGraph, unused: Sequence[str], name: str) -> TfliteGraph:
    names = {graph.tensors[index].name: index for index in graph.outputs}
    if not set(unused) < names.keys():
        raise ModelError(
            f"{name}: the outputs to leave out must be some of {', '.join(names)}, "
            f"got {', '.join(unused)}. Use another model."
        )
    kept = tuple(index for output, index in names.items() if output not in unused)
    return replace(graph, outputs=kept)


def _check_shapes(model: onnx.ModelProto, expected: dict[str, tuple[int, ...]]) -> None:
    """Compares what ONNX infers with what the file declares; a slip in padding shows here."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    for value in [*inferred.value_info, *inferred.output]:
        shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        if value.name in expected and shape != expected[value.name]:
            raise ValueError(
                f"shape {shape} instead of {expected[value.name]} of tensor {value.name}"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
