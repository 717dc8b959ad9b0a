"""TFLite's convolutions and pools: the operators that slide a window over a picture.

Semantics follow TensorFlow Lite's reference kernels (``tensorflow/lite/kernels/internal``).
A ``ValueError`` says what does not fit; the importer turns it into a ``ModelError`` with the
operator's name.
"""

import math
import struct
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from engines.models.tflite_fused import emit_activated, picture_size, positive
from engines.models.tflite_graph import GraphBuilder, Padding, same_padding
from engines.models.tflite_reader import Operator

Array = NDArray[Any]

_NO_PADDING: Padding = (0, 0, 0, 0)
# TfLitePadding in a custom operator's options, unlike Padding in the schema, counts from 1.
_CUSTOM_SAME, _CUSTOM_VALID = 1, 2


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


def _convolve(graph: GraphBuilder, op: Operator, weights: Array, group: int) -> None:
    """Shared by both convolutions; ``weights`` is (out, in / group, height, width)."""
    stride = positive(op, "StrideH", "StrideW")
    dilation = positive(op, "DilationHFactor", "DilationWFactor")
    data = op.inputs[0]
    own = _window_padding(
        op.options["Padding"], picture_size(graph, data), weights.shape[2:], stride, dilation
    )
    outer = _NO_PADDING
    if data in graph.padded:
        data, outer = graph.padded[data].source, graph.padded[data].padding
    num_out, per_group = graph.stored_channels(op.outputs[0]), weights.shape[1]
    source = graph.nchw(data)
    if group == 1:
        source, per_group = graph.nchw_stored(data), graph.stored_channels(data)
    elif per_group == 1 and num_out == graph.stored_channels(data):
        source, group = graph.nchw_stored(data), num_out
    wide = _zero_extended(graph, weights, (num_out, per_group))
    inputs = [source, graph.initializer(wide, "weights")]
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = _zero_extended(graph, graph.required_constant(op.inputs[2], "bias"), (num_out,))
        inputs.append(graph.initializer(bias, "bias"))
    emit_activated(
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


def _zero_extended(graph: GraphBuilder, value: Array, sizes: tuple[int, ...]) -> Array:
    """Zeros behind the first dimensions up to the given sizes, for channels stored beyond."""
    missing = [size - have for size, have in zip(sizes, value.shape, strict=False)]
    if not any(missing):
        return value
    if min(missing) < 0:
        raise ValueError(f"{value.shape[0]} filters for {sizes[0]} channels")
    rest = [(0, 0)] * (value.ndim - len(missing))
    graph.reserve(value.itemsize * math.prod(sizes) * math.prod(value.shape[len(sizes) :]))
    return np.pad(value, [(0, count) for count in missing] + rest)


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
    size, out_size = picture_size(graph, data), picture_size(graph, op.outputs[0])
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
    emit_activated(
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
    _deconvolve(graph, op, op.inputs[2], bias, positive(op, "StrideH", "StrideW"), same)


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
    stride = positive(op, "StrideH", "StrideW")
    kernel = positive(op, "FilterHeight", "FilterWidth")
    size = picture_size(graph, op.inputs[0])
    padding = _window_padding(op.options["Padding"], size, kernel, stride)
    stored = op_type == "MaxPool"
    inputs = [(graph.nchw_stored if stored else graph.nchw)(op.inputs[0])]
    if op_type == "AveragePool" and kernel == size and padding == _NO_PADDING:
        emit_activated(graph, op, "GlobalAveragePool", inputs, True)
        return
    emit_activated(
        graph, op, op_type, inputs, True, kernel_shape=kernel, strides=stride, pads=padding, **attrs
    )


def max_pool_2d(graph: GraphBuilder, op: Operator) -> None:
    """Maximum over windows; SAME padding never wins."""
    _pool(graph, op, "MaxPool")


def average_pool_2d(graph: GraphBuilder, op: Operator) -> None:
    """Mean over windows; SAME padding does not count."""
    _pool(graph, op, "AveragePool", count_include_pad=0)
