"""One function for each TFLite operator: writes the ONNX nodes that compute the same.

Semantics follow TensorFlow Lite's reference kernels (``tensorflow/lite/kernels/internal``).
A ``ValueError`` says what does not fit; the importer turns it into a ``ModelError`` with the
operator's name.
"""

import math
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from engines.models.tflite_graph import GraphBuilder, PaddedSource, Padding, same_padding
from engines.models.tflite_reader import Operator
from engines.models.tflite_sparse import densify

Array = NDArray[Any]
Emitter = Callable[[GraphBuilder, Operator], None]

_NO_PADDING: Padding = (0, 0, 0, 0)
# TfLitePadding in a custom operator's options, unlike Padding in the schema, counts from 1.
_CUSTOM_SAME, _CUSTOM_VALID = 1, 2


def _emit_activated(
    graph: GraphBuilder, op: Operator, op_type: str, inputs: list[str], nchw: bool, **attrs: Any
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
        graph.emit("Clip", [value, *_clip_bounds(graph)], output, nchw=nchw)
    else:
        raise ValueError(f"fused activation {fused} is not supported")


def _clip_bounds(graph: GraphBuilder) -> list[str]:
    return [graph.initializer(np.array(v, np.float32), "bound") for v in (0.0, 6.0)]


def _positive(op: Operator, *fields: str) -> tuple[int, ...]:
    values = tuple(op.options[field] for field in fields)
    if any(value < 1 for value in values):
        raise ValueError(f"{', '.join(fields)} must be positive, got {values}")
    return values


def _window_padding(
    padding: int,
    size: tuple[int, int],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...] = (1, 1),
) -> Padding:
    """Padding of a window operator whose option is SAME or VALID."""
    if padding == tflite.Padding.VALID:
        return _NO_PADDING
    if padding != tflite.Padding.SAME:
        raise ValueError(f"padding must be SAME or VALID, got {padding}")
    top, bottom = same_padding(size[0], kernel[0], stride[0], dilation[0])
    left, right = same_padding(size[1], kernel[1], stride[1], dilation[1])
    return top, left, bottom, right


def _picture_size(graph: GraphBuilder, index: int) -> tuple[int, int]:
    shape = graph.tensor(index).shape
    if len(shape) != 4:
        raise ValueError(f"the input must have 4 dimensions, got {shape}")
    return shape[1], shape[2]


def _convolve(graph: GraphBuilder, op: Operator, weights: Array, group: int) -> None:
    """Shared by both convolutions; ``weights`` is (out, in / group, height, width)."""
    stride = _positive(op, "StrideH", "StrideW")
    dilation = _positive(op, "DilationHFactor", "DilationWFactor")
    data = op.inputs[0]
    own = _window_padding(
        op.options["Padding"], _picture_size(graph, data), weights.shape[2:], stride, dilation
    )
    outer = _NO_PADDING
    if data in graph.padded:
        data, outer = graph.padded[data].source, graph.padded[data].padding
    inputs = [graph.nchw(data), graph.initializer(weights, "weights")]
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        inputs.append(graph.initializer(graph.required_constant(op.inputs[2], "bias"), "bias"))
    _emit_activated(
        graph,
        op,
        "Conv",
        inputs,
        True,
        kernel_shape=weights.shape[2:],
        strides=stride,
        dilations=dilation,
        group=group,
        pads=[a + b for a, b in zip(own, outer, strict=True)],
    )


def conv_2d(graph: GraphBuilder, op: Operator) -> None:
    """Convolution; weights are (out, height, width, in / groups)."""
    weights = _filter(graph, op.inputs[1])
    channels = graph.tensor(op.inputs[0]).shape[-1]
    if channels % weights.shape[3]:
        raise ValueError(f"{channels} channels do not divide into filters of {weights.shape}")
    _convolve(graph, op, weights.transpose(0, 3, 1, 2), channels // weights.shape[3])


def depthwise_conv_2d(graph: GraphBuilder, op: Operator) -> None:
    """Depthwise convolution; weights are (1, height, width, channels * multiplier)."""
    weights = _filter(graph, op.inputs[1])
    channels = graph.tensor(op.inputs[0]).shape[-1]
    if weights.shape[0] != 1 or weights.shape[3] % channels:
        raise ValueError(f"filters of {weights.shape} do not fit {channels} channels")
    _convolve(graph, op, weights.transpose(3, 0, 1, 2), channels)


def _filter(graph: GraphBuilder, index: int) -> Array:
    weights = graph.required_constant(index, "the filter")
    if weights.ndim != 4 or weights.dtype != np.float32:
        raise ValueError(f"the filter must be float32 of 4 dimensions, got {weights.shape}")
    return weights


def _deconvolve(
    graph: GraphBuilder, op: Operator, data: int, bias: int, stride: tuple[int, ...], same: bool
) -> None:
    """Transposed convolution; weights are (out, height, width, in)."""
    weights = _filter(graph, op.inputs[1])
    size, out_size = _picture_size(graph, data), _picture_size(graph, op.outputs[0])
    begins, ends, extra = [], [], []
    for i in range(2):
        full = (size[i] - 1) * stride[i] + weights.shape[1 + i]
        total = max(full - out_size[i], 0)
        if not same and total:
            raise ValueError("a VALID transposed convolution must keep its whole output")
        begins.append(total // 2)
        ends.append(total - total // 2)
        extra.append(max(out_size[i] - full, 0))
    inputs = [graph.nchw(data), graph.initializer(weights.transpose(3, 0, 1, 2), "weights")]
    if bias >= 0:
        inputs.append(graph.initializer(graph.required_constant(bias, "bias"), "bias"))
    _emit_activated(
        graph,
        op,
        "ConvTranspose",
        inputs,
        True,
        kernel_shape=weights.shape[1:3],
        strides=stride,
        pads=begins + ends,
        output_padding=extra,
    )


def transpose_conv(graph: GraphBuilder, op: Operator) -> None:
    """TensorFlow's transposed convolution: inputs are output shape, weights, data, bias."""
    bias = op.inputs[3] if len(op.inputs) > 3 else -1
    same = op.options["Padding"] == tflite.Padding.SAME
    _deconvolve(graph, op, op.inputs[2], bias, _positive(op, "StrideH", "StrideW"), same)


def transpose_conv_bias(graph: GraphBuilder, op: Operator) -> None:
    """MediaPipe's custom ``Convolution2DTransposeBias``: inputs are data, weights, bias."""
    if len(op.custom_options) != 12:
        raise ValueError(f"12 bytes of options are needed, got {len(op.custom_options)}")
    padding, stride_w, stride_h = struct.unpack("<3i", op.custom_options)
    if padding not in (_CUSTOM_SAME, _CUSTOM_VALID) or stride_w < 1 or stride_h < 1:
        raise ValueError(f"options {(padding, stride_w, stride_h)}")
    _deconvolve(
        graph, op, op.inputs[0], op.inputs[2], (stride_h, stride_w), padding == _CUSTOM_SAME
    )


def _pool(graph: GraphBuilder, op: Operator, op_type: str, **attrs: Any) -> None:
    stride = _positive(op, "StrideH", "StrideW")
    kernel = _positive(op, "FilterHeight", "FilterWidth")
    size = _picture_size(graph, op.inputs[0])
    padding = _window_padding(op.options["Padding"], size, kernel, stride)
    inputs = [graph.nchw(op.inputs[0])]
    if op_type == "AveragePool" and kernel == size and padding == _NO_PADDING:
        _emit_activated(graph, op, "GlobalAveragePool", inputs, True)
        return
    _emit_activated(
        graph, op, op_type, inputs, True, kernel_shape=kernel, strides=stride, pads=padding, **attrs
    )


def max_pool_2d(graph: GraphBuilder, op: Operator) -> None:
    """Maximum over windows; SAME padding never wins."""
    _pool(graph, op, "MaxPool")


def average_pool_2d(graph: GraphBuilder, op: Operator) -> None:
    """Mean over windows; SAME padding does not count."""
    _pool(graph, op, "AveragePool", count_include_pad=0)


def _elementwise(graph: GraphBuilder, op: Operator, op_type: str) -> None:
    """Binary operator with broadcasting, in NCHW where its operands already are."""
    computed = [index for index in op.inputs if graph.constant(index) is None]
    pictures = all(len(graph.tensor(index).shape) == 4 for index in computed)
    nchw = pictures and any(graph.prefers_nchw(index) for index in computed)
    inputs = [
        graph.nhwc(index)
        if not nchw
        else graph.nchw(index)
        if index in computed
        else graph.initializer(_nchw_operand(graph.required_constant(index, "operand")), "operand")
        for index in op.inputs
    ]
    _emit_activated(graph, op, op_type, inputs, nchw)


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
    """Rectifier with one learned slope for each channel."""
    graph.required_constant(op.inputs[1], "the slope")
    _elementwise(graph, op, "PRelu")


def _unary(graph: GraphBuilder, op: Operator, op_type: str, *extra: str) -> None:
    data = op.inputs[0]
    nchw = graph.prefers_nchw(data)
    source = graph.nchw(data) if nchw else graph.nhwc(data)
    graph.emit(op_type, [source, *extra], op.outputs[0], nchw=nchw)


def relu(graph: GraphBuilder, op: Operator) -> None:
    """Rectifier."""
    _unary(graph, op, "Relu")


def relu6(graph: GraphBuilder, op: Operator) -> None:
    """Rectifier clipped at 6."""
    _unary(graph, op, "Clip", *_clip_bounds(graph))


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
    amounts = graph.required_constant(op.inputs[1], "the padding").astype(np.int64)
    rank = len(graph.tensor(op.inputs[0]).shape)
    if amounts.shape != (rank, 2) or (amounts < 0).any() or (amounts > 1 << 20).any():
        raise ValueError(f"the padding must be ({rank}, 2) of small counts, got {amounts.shape}")
    if rank == 4 and not amounts[[0, 3]].any():
        (top, bottom), (left, right) = amounts[1:3].tolist()
        graph.padded[op.outputs[0]] = PaddedSource(op.inputs[0], (top, left, bottom, right))
    nchw = graph.prefers_nchw(op.inputs[0])
    source = graph.nchw(op.inputs[0]) if nchw else graph.nhwc(op.inputs[0])
    ordered = amounts[[0, 3, 1, 2]] if nchw else amounts
    graph.emit(
        "Pad", [source, graph.initializer(ordered.T.ravel(), "pads")], op.outputs[0], nchw=nchw
    )


def concatenation(graph: GraphBuilder, op: Operator) -> None:
    """Joins tensors along an axis."""
    rank = len(graph.tensor(op.outputs[0]).shape)
    axis = _axis(op.options["Axis"], rank)
    nchw = rank == 4 and all(graph.prefers_nchw(index) for index in op.inputs)
    inputs = [graph.nchw(index) if nchw else graph.nhwc(index) for index in op.inputs]
    _emit_activated(graph, op, "Concat", inputs, nchw, axis=_nchw_axis(axis) if nchw else axis)


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
    _emit_activated(graph, op, "Gemm", inputs, False, transB=1)


def resize_bilinear(graph: GraphBuilder, op: Operator) -> None:
    """Bilinear resize with TensorFlow's three conventions for where pixels lie."""
    size, out_size = _picture_size(graph, op.inputs[0]), _picture_size(graph, op.outputs[0])
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
    (block,) = _positive(op, "BlockSize")
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
        "AVERAGE_POOL_2D": (2, average_pool_2d),
        "CONCATENATION": (2, concatenation),
        "CONV_2D": (5, conv_2d),
        "CUSTOM:Convolution2DTransposeBias": (1, transpose_conv_bias),
        "DENSIFY": (1, densify_constant),
        "DEPTHWISE_CONV_2D": (4, depthwise_conv_2d),
        "DEPTH_TO_SPACE": (2, depth_to_space),
        "DEQUANTIZE": (3, dequantize),
        "FULLY_CONNECTED": (5, fully_connected),
        "HARD_SWISH": (1, hard_swish),
        "LOGISTIC": (2, logistic),
        "MAX_POOL_2D": (2, max_pool_2d),
        "MEAN": (2, mean),
        "MUL": (2, mul),
        "PAD": (2, pad),
        "PRELU": (1, prelu),
        "RELU": (2, relu),
        "RELU6": (2, relu6),
        "RESHAPE": (1, reshape),
        "RESIZE_BILINEAR": (3, resize_bilinear),
        "SUB": (2, sub),
        "TRANSPOSE": (2, transpose),
        "TRANSPOSE_CONV": (3, transpose_conv),
    }
)
"""TFLite operator → newest version with this meaning, and the function that writes it."""
