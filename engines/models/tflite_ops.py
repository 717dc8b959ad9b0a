"""One function for each TFLite operator: writes the ONNX nodes that compute the same.

Semantics follow TensorFlow Lite's reference kernels (``tensorflow/lite/kernels/internal``).
A ``ValueError`` says what does not fit; the importer turns it into a ``ModelError`` with the
operator's name. The operators that slide a window stand in ``tflite_windows``.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.models import tflite_attention as attention
from engines.models import tflite_windows as windows
from engines.models.tflite_fused import clip_bounds, emit_activated, picture_size, positive
from engines.models.tflite_graph import GraphBuilder, PaddedSource
from engines.models.tflite_reader import Operator
from engines.models.tflite_slice import strided_slice
from engines.models.tflite_sparse import densify

Array = NDArray[Any]
Emitter = Callable[[GraphBuilder, Operator], None]


def _elementwise(graph: GraphBuilder, op: Operator, op_type: str) -> None:
    """Binary operator with broadcasting, in NCHW where its operands already are."""
    computed = [index for index in op.inputs if graph.constant(index) is None]
    pictures = all(len(graph.tensor(index).shape) == 4 for index in computed)
    nchw = pictures and any(graph.prefers_nchw(index) for index in computed)
    alike = {(graph.tensor(i).shape, graph.stored_channels(i)) for i in (*op.inputs, *op.outputs)}
    inputs = [
        graph.nhwc(index)
        if not nchw
        else graph.nchw_stored(index)
        if len(alike) == 1
        else graph.nchw(index)
        if index in computed
        else graph.initializer(_nchw_operand(graph.required_constant(index, "operand")), "operand")
        for index in op.inputs
    ]
    emit_activated(graph, op, op_type, inputs, nchw)


def _nchw_operand(value: Array) -> Array:
    """A constant that broadcasts against NHWC, moved so that it does against NCHW."""
    if value.ndim > 4:
        raise ValueError(f"an operand has {value.ndim} dimensions")
    return value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(0, 3, 1, 2)


def add(graph: GraphBuilder, op: Operator) -> None:
    """Sum."""
    _elementwise(graph, op, "Add")


def sub(graph: GraphBuilder, op: Operator) -> None:
    """Difference."""
    _elementwise(graph, op, "Sub")


def mul(graph: GraphBuilder, op: Operator) -> None:
    """Product."""
    _elementwise(graph, op, "Mul")


def prelu(graph: GraphBuilder, op: Operator) -> None:
    """Rectifier with one learned slope for each channel.

    Written as ``x + (1 - slope) * relu(-x)`` with depthwise convolutions of one pixel: ONNX
    Runtime keeps those in its blocked layout and fuses them with their neighbours, whereas PRelu
    forces two changes of layout and runs three times as long as the rest of a face network.
    """
    data, output = op.inputs[0], op.outputs[0]
    slope = graph.required_constant(op.inputs[1], "the slope")
    channels = graph.tensor(data).shape[-1]
    if (
        len(graph.tensor(data).shape) != 4
        or slope.shape[-1:] != (channels,)
        or slope.size != channels
    ):
        _elementwise(graph, op, "PRelu")
        return
    source = graph.nchw(data)
    negated = _scale_channels(graph, source, np.full(channels, -1.0), output)
    below = graph.node("Relu", [negated], graph.temporary(output))
    correction = _scale_channels(graph, below, 1.0 - slope.ravel(), output)
    graph.emit("Add", [source, correction], output, nchw=True)


def _scale_channels(graph: GraphBuilder, source: str, factors: Array, output: int) -> str:
    """Multiplies each channel by a constant: a depthwise convolution of one pixel."""
    weights = graph.initializer(factors.astype(np.float32).reshape(-1, 1, 1, 1), "factors")
    return graph.node(
        "Conv",
        [source, weights],
        graph.temporary(output),
        kernel_shape=[1, 1],
        group=factors.size,
    )


def _unary(graph: GraphBuilder, op: Operator, op_type: str, *extra: str) -> None:
    data = op.inputs[0]
    nchw = graph.prefers_nchw(data)
    as_stored = graph.stored_channels(data) == graph.stored_channels(op.outputs[0])
    picture = graph.nchw_stored if as_stored else graph.nchw
    source = picture(data) if nchw else graph.nhwc(data)
    graph.emit(op_type, [source, *extra], op.outputs[0], nchw=nchw)


def relu(graph: GraphBuilder, op: Operator) -> None:
    """Rectifier."""
    _unary(graph, op, "Relu")


def relu6(graph: GraphBuilder, op: Operator) -> None:
    """Rectifier clipped at 6."""
    _unary(graph, op, "Clip", *clip_bounds(graph))


def logistic(graph: GraphBuilder, op: Operator) -> None:
    """Sigmoid."""
    _unary(graph, op, "Sigmoid")


def hard_swish(graph: GraphBuilder, op: Operator) -> None:
    """x * clip(x + 3, 0, 6) / 6."""
    _unary(graph, op, "HardSwish")


def dequantize(graph: GraphBuilder, op: Operator) -> None:
    """float16 constants become float32; nothing is left to compute."""
    value = graph.required_constant(op.inputs[0], "the input")
    if value.dtype != np.float16:
        raise ValueError(f"the input must be float16, got {value.dtype.name}")
    graph.reserve(value.size * 4)
    graph.fold(op.outputs[0], value.astype(np.float32))


def densify_constant(graph: GraphBuilder, op: Operator) -> None:
    """Sparse constants become dense; nothing is left to compute."""
    tensor = graph.tensor(op.inputs[0])
    if tensor.data is None or tensor.sparsity is None:
        raise ValueError("the input must be a sparse constant")
    graph.reserve(math.prod(tensor.shape) * tensor.dtype.itemsize)
    graph.fold(op.outputs[0], densify(tensor.data, tensor.shape, tensor.sparsity))


def pad(graph: GraphBuilder, op: Operator) -> None:
    """Zeros around the tensor; those around a picture are also offered to a convolution."""
    data, output = op.inputs[0], op.outputs[0]
    amounts = graph.required_constant(op.inputs[1], "the padding").astype(np.int64)
    shape = graph.tensor(data).shape
    if amounts.shape != (len(shape), 2) or (amounts < 0).any() or (amounts > 1 << 20).any():
        raise ValueError(f"the padding must be ({len(shape)}, 2) counts, got {amounts.shape}")
    if len(shape) == 4 and not amounts[[0, 3]].any():
        (top, bottom), (left, right) = amounts[1:3].tolist()
        graph.padded[output] = PaddedSource(data, (top, left, bottom, right))
    nchw = graph.prefers_nchw(data)
    if nchw and not amounts.ravel()[:7].any():
        _append_channels(graph, data, output)
        return
    source = graph.nchw(data) if nchw else graph.nhwc(data)
    pads = (amounts[[0, 3, 1, 2]] if nchw else amounts).T.ravel()
    graph.emit("Pad", [source, graph.initializer(pads, "pads")], output, nchw=nchw)


def _append_channels(graph: GraphBuilder, data: int, output: int) -> None:
    """Zero channels behind the tensor's own; free where they are stored already.

    Otherwise by a convolution of one pixel: a Pad would cost more, because it takes the residual
    path around it out of the runtime's blocked layout.
    """
    channels, wanted = graph.stored_channels(data), graph.stored_channels(output)
    if channels == wanted:
        graph.alias(output, data)
        return
    graph.reserve(4 * channels * wanted)
    weights = np.eye(wanted, channels, dtype=np.float32)[:, :, None, None]
    inputs = [graph.nchw_stored(data), graph.initializer(weights, "widening")]
    graph.emit("Conv", inputs, output, nchw=True, kernel_shape=[1, 1])


def concatenation(graph: GraphBuilder, op: Operator) -> None:
    """Joins tensors along an axis."""
    rank = len(graph.tensor(op.outputs[0]).shape)
    axis = _axis(op.options["Axis"], rank)
    nchw = rank == 4 and all(graph.prefers_nchw(index) for index in op.inputs)
    inputs = [graph.nchw(index) if nchw else graph.nhwc(index) for index in op.inputs]
    emit_activated(graph, op, "Concat", inputs, nchw, axis=_nchw_axis(axis) if nchw else axis)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank} dimensions")
    return axis % rank


def _nchw_axis(axis: int) -> int:
    return (0, 2, 3, 1)[axis]


def reshape(graph: GraphBuilder, op: Operator) -> None:
    """Another shape over the same NHWC bytes; the file declares it on the output."""
    shape = np.array(graph.tensor(op.outputs[0]).shape, np.int64)
    inputs = [graph.nhwc(op.inputs[0]), graph.initializer(shape, "shape")]
    graph.emit("Reshape", inputs, op.outputs[0], nchw=False)


def mean(graph: GraphBuilder, op: Operator) -> None:
    """Mean over axes."""
    rank = len(graph.tensor(op.inputs[0]).shape)
    axes = sorted({_axis(int(a), rank) for a in graph.required_constant(op.inputs[1], "axes").flat})
    keep = op.options["KeepDims"]
    # Without its spatial axes, or with those kept, the result reads the same in both layouts.
    nchw = graph.prefers_nchw(op.inputs[0]) and axes == [1, 2]
    source = graph.nchw(op.inputs[0]) if nchw else graph.nhwc(op.inputs[0])
    graph.emit(
        "ReduceMean",
        [source],
        op.outputs[0],
        nchw=bool(nchw and keep),
        axes=[2, 3] if nchw else axes,
        keepdims=keep,
    )


def fully_connected(graph: GraphBuilder, op: Operator) -> None:
    """Matrix product with (out, in) weights."""
    weights = graph.required_constant(op.inputs[1], "the weights")
    if weights.ndim != 2 or op.options["WeightsFormat"] != 0:
        raise ValueError(f"the weights must be a plain matrix, got {weights.shape}")
    output_shape = graph.tensor(op.outputs[0]).shape
    if len(output_shape) != 2:
        raise ValueError(f"the output must have 2 dimensions, got {output_shape}")
    source = graph.nhwc(op.inputs[0])
    if len(graph.tensor(op.inputs[0]).shape) != 2:
        rows = graph.initializer(np.array([-1, weights.shape[1]], np.int64), "shape")
        source = graph.node("Reshape", [source, rows], graph.temporary(op.outputs[0]))
    inputs = [source, graph.initializer(weights, "weights")]
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        inputs.append(graph.initializer(graph.required_constant(op.inputs[2], "bias"), "bias"))
    emit_activated(graph, op, "Gemm", inputs, False, transB=1)


def resize_bilinear(graph: GraphBuilder, op: Operator) -> None:
    """Bilinear resize with TensorFlow's three conventions for where pixels lie."""
    size, out_size = picture_size(graph, op.inputs[0]), picture_size(graph, op.outputs[0])
    mode = "asymmetric"
    if op.options["AlignCorners"]:
        mode = "align_corners"
    elif op.options["HalfPixelCenters"]:
        mode = "half_pixel"
    # Whole factors are given as scales: the runtime's fast kernels know only those.
    if out_size[0] % size[0] == 0 and out_size[1] % size[1] == 0:
        factors = [1, 1, out_size[0] // size[0], out_size[1] // size[1]]
        target = ["", graph.initializer(np.array(factors, np.float32), "scales")]
    else:
        channels = graph.tensor(op.inputs[0]).shape[3]
        wanted = [graph.tensor(op.inputs[0]).shape[0], channels, *out_size]
        target = ["", "", graph.initializer(np.array(wanted, np.int64), "sizes")]
    graph.emit(
        "Resize",
        [graph.nchw(op.inputs[0]), *target],
        op.outputs[0],
        nchw=True,
        mode="linear",
        coordinate_transformation_mode=mode,
    )


def depth_to_space(graph: GraphBuilder, op: Operator) -> None:
    """Channels become blocks of pixels, the depth outermost in a pixel's channels."""
    (block,) = positive(op, "BlockSize")
    inputs = [graph.nchw(op.inputs[0])]
    graph.emit("DepthToSpace", inputs, op.outputs[0], nchw=True, blocksize=block, mode="DCR")


def transpose(graph: GraphBuilder, op: Operator) -> None:
    """Reorders dimensions."""
    order = graph.required_constant(op.inputs[1], "the order")
    source = graph.nhwc(op.inputs[0])
    graph.emit("Transpose", [source], op.outputs[0], nchw=False, perm=order.tolist())


EMITTERS: Mapping[str, tuple[int, Emitter]] = MappingProxyType(
    {
        "ADD": (2, add),
        "AVERAGE_POOL_2D": (2, windows.average_pool_2d),
        "CONCATENATION": (2, concatenation),
        "CONV_2D": (5, windows.conv_2d),
        "CUSTOM:Convolution2DTransposeBias": (1, windows.transpose_conv_bias),
        "CUSTOM:Landmarks2TransformMatrix": (2, attention.landmarks_to_matrix),
        "CUSTOM:TransformLandmarks": (2, attention.move_landmarks),
        "CUSTOM:TransformTensorBilinear": (2, attention.cut_out),
        "DENSIFY": (1, densify_constant),
        "DEPTHWISE_CONV_2D": (4, windows.depthwise_conv_2d),
        "DEPTH_TO_SPACE": (2, depth_to_space),
        "DEQUANTIZE": (3, dequantize),
        "FULLY_CONNECTED": (5, fully_connected),
        "HARD_SWISH": (1, hard_swish),
        "LOGISTIC": (2, logistic),
        "MAX_POOL_2D": (2, windows.max_pool_2d),
        "MEAN": (2, mean),
        "MUL": (2, mul),
        "PAD": (2, pad),
        "PRELU": (1, prelu),
        "RELU": (2, relu),
        "RELU6": (2, relu6),
        "RESHAPE": (1, reshape),
        "RESIZE_BILINEAR": (3, resize_bilinear),
        "STRIDED_SLICE": (1, strided_slice),
        "SUB": (2, sub),
        "TRANSPOSE": (2, transpose),
        "TRANSPOSE_CONV": (3, windows.transpose_conv),
    }
)
"""TFLite operator → newest version with this meaning, and the function that writes it."""
