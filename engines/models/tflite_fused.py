"""What several TFLite operators share: fused activations and checked options."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite

from engines.models.tflite_graph import GraphBuilder
from engines.models.tflite_reader import Operator


def emit_activated(
    graph: GraphBuilder, op: Operator, op_type: str, inputs: Sequence[str], nchw: bool, **attrs: Any
) -> None:
    """Writes a node and, behind it, the activation fused into the TFLite operator."""
    output = op.outputs[0]
    fused = op.options.get("FusedActivationFunction", 0)
    if fused == tflite.ActivationFunctionType.NONE:
        graph.emit(op_type, inputs, output, nchw=nchw, **attrs)
        return
    value = graph.node(op_type, inputs, graph.temporary(output), **attrs)
    if fused == tflite.ActivationFunctionType.RELU:
        graph.emit("Relu", [value], output, nchw=nchw)
    elif fused == tflite.ActivationFunctionType.RELU6:
        graph.emit("Clip", [value, *clip_bounds(graph)], output, nchw=nchw)
    else:
        raise ValueError(f"fused activation {fused} is not supported")


def clip_bounds(graph: GraphBuilder) -> list[str]:
    """Names of the constants 0 and 6, the bounds of RELU6."""
    return [graph.initializer(np.array(v, np.float32), "bound") for v in (0.0, 6.0)]


def positive(op: Operator, *fields: str) -> tuple[int, ...]:
    """Options that must be at least 1, such as strides.

    Raises:
        ValueError: one is not.
    """
    values = tuple(op.options[field] for field in fields)
    if any(value < 1 for value in values):
        raise ValueError(f"{', '.join(fields)} must be positive, got {values}")
    return values


def picture_size(graph: GraphBuilder, index: int) -> tuple[int, int]:
    """Height and width of a four-dimensional tensor.

    Raises:
        ValueError: it has another number of dimensions.
    """
    shape = graph.tensor(index).shape
    if len(shape) != 4:
        raise ValueError(f"the input must have 4 dimensions, got {shape}")
    return shape[1], shape[2]
