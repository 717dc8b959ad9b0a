"""TFLite's strided slice as an ONNX node."""

import numpy as np

from engines.models.tflite_graph import GraphBuilder
from engines.models.tflite_reader import Operator


def strided_slice(graph: GraphBuilder, op: Operator) -> None:
    """Every so many elements from a begin to an end, in each dimension."""
    masks = op.options
    if any(masks[name] for name in ("EllipsisMask", "NewAxisMask", "ShrinkAxisMask")):
        raise ValueError("dimensions that come or go are not supported")
    data = op.inputs[0]
    shape = graph.tensor(data).shape
    begin, end, step = (
        graph.required_constant(index, what).astype(np.int64)
        for index, what in zip(op.inputs[1:4], ("begin", "end", "step"), strict=True)
    )
    if not begin.shape == end.shape == step.shape == (len(shape),) or (step <= 0).any():
        raise ValueError("begin, end and a positive step must be given for each dimension")
    axes = np.arange(len(shape))
    # A bit that is set stands for a bound that is not used.
    begin = np.where(masks["BeginMask"] >> axes & 1, 0, begin)
    end = np.where(masks["EndMask"] >> axes & 1, shape, end)
    operands = [graph.initializer(value, "slice") for value in (begin, end, axes, step)]
    graph.emit("Slice", [graph.nhwc(data), *operands], op.outputs[0], nchw=False)
