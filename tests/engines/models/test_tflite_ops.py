"""Each operator against its definition, written as loops over single values in float64."""

import math
import struct

import numpy as np
import onnx
import pytest

from engines.models.tflite_import import onnx_from_tflite

SAME, VALID = 0, 1
RELU, RELU6 = 1, 3
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def convolve(x, weights, bias, stride, padding, dilation=1, depthwise=False):
    """TensorFlow's definition; SAME puts the odd zero behind. Weights are OHWI or 1HW(CM)."""
    _, rows, columns, channels = x.shape
    kernel_h, kernel_w = weights.shape[1:3]
    size_h, size_w = (kernel_h - 1) * dilation + 1, (kernel_w - 1) * dilation + 1
    if padding == SAME:
        out_h, out_w = math.ceil(rows / stride), math.ceil(columns / stride)
        top = max((out_h - 1) * stride + size_h - rows, 0) // 2
        left = max((out_w - 1) * stride + size_w - columns, 0) // 2
    else:
        out_h, out_w = (rows - size_h) // stride + 1, (columns - size_w) // stride + 1
        top = left = 0
    num_out = weights.shape[3] if depthwise else weights.shape[0]
    out = np.zeros((1, out_h, out_w, num_out)) + bias
    for oy, ox in np.ndindex(out_h, out_w):
        for ky, kx in np.ndindex(kernel_h, kernel_w):
            y, c = oy * stride - top + ky * dilation, ox * stride - left + kx * dilation
            if not (0 <= y < rows and 0 <= c < columns):
                continue
            if depthwise:
                spread = np.repeat(x[0, y, c].astype(np.float64), num_out // channels)
                out[0, oy, ox] += spread * weights[0, ky, kx]
            else:
                out[0, oy, ox] += weights[:, ky, kx].astype(np.float64) @ x[0, y, c]
    return out


def conv_options(stride, padding, dilation=1, fused=0):
    return {
        "StrideH": stride,
        "StrideW": stride,
        "Padding": padding,
        "DilationHFactor": dilation,
        "DilationWFactor": dilation,
        "FusedActivationFunction": fused,
    }


@pytest.mark.parametrize(
    ("rows", "columns", "kernel", "stride", "padding", "dilation"),
    [
        (8, 7, 3, 2, SAME, 1),
        (7, 8, 5, 2, SAME, 1),
        (9, 10, 2, 3, SAME, 1),
        (9, 7, 3, 1, SAME, 2),
        (9, 7, 3, 2, VALID, 1),
    ],
)
def test_a_convolution_pads_as_tensorflow_does(
    tiny, convert_and_run, rng, rows, columns, kernel, stride, padding, dilation
):
    x, weights, bias = (
        normal(rng, 1, rows, columns, 3),
        normal(rng, 5, kernel, kernel, 3),
        normal(rng, 5),
    )
    expected = convolve(x, weights, bias, stride, padding, dilation)
    a, w, b = tiny.activation(*x.shape), tiny.constant(weights), tiny.constant(bias)
    out = tiny.activation(*expected.shape)
    tiny.op("CONV_2D", [a, w, b], [out], "Conv2DOptions", **conv_options(stride, padding, dilation))
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, expected, **CLOSE)


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding"), [(2, SAME), (1, SAME), (2, VALID)])
def test_a_depthwise_convolution_repeats_each_channel_multiplier_times(
    tiny, convert_and_run, rng, multiplier, stride, padding
):
    x, weights = normal(rng, 1, 6, 9, 4), normal(rng, 1, 3, 3, 4 * multiplier)
    bias = normal(rng, 4 * multiplier)
    expected = convolve(x, weights, bias, stride, padding, depthwise=True)
    a, w, b = tiny.activation(*x.shape), tiny.constant(weights), tiny.constant(bias)
    out = tiny.activation(*expected.shape)
    options = {**conv_options(stride, padding), "DepthMultiplier": multiplier}
    tiny.op("DEPTHWISE_CONV_2D", [a, w, b], [out], "DepthwiseConv2DOptions", **options)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, expected, **CLOSE)


@pytest.mark.parametrize("amounts", [[(0, 1), (0, 1)], [(2, 0), (1, 3)]])
def test_a_spatial_pad_moves_into_the_convolution_behind_it(tiny, convert_and_run, rng, amounts):
    x, weights, bias = normal(rng, 1, 8, 8, 3), normal(rng, 4, 3, 3, 3), normal(rng, 4)
    padded = np.pad(x, [(0, 0), *amounts, (0, 0)])
    expected = convolve(padded, weights, bias, 2, VALID)
    a, w, b = tiny.activation(*x.shape), tiny.constant(weights), tiny.constant(bias)
    amounts_t = tiny.constant([(0, 0), *amounts, (0, 0)])
    middle, out = tiny.activation(*padded.shape), tiny.activation(*expected.shape)
    tiny.op("PAD", [a, amounts_t], [middle], "PadOptions")
    tiny.op("CONV_2D", [middle, w, b], [out], "Conv2DOptions", **conv_options(2, VALID))
    data = tiny.to_bytes([a], [out])
    (got,) = convert_and_run(data, x)
    np.testing.assert_allclose(got, expected, **CLOSE)
    nodes = onnx.load_from_string(onnx_from_tflite(data, name="tiny")).graph.node
    assert "Pad" not in [node.op_type for node in nodes]


@pytest.mark.parametrize("extra", [(0, 6), (0, 2), (1, 2)])
def test_channels_padded_behind_a_convolution_are_zero(tiny, convert_and_run, rng, extra):
    x, weights = normal(rng, 1, 5, 4, 3), normal(rng, 6, 1, 1, 3)
    a, w = tiny.activation(*x.shape), tiny.constant(weights)
    middle, amounts = tiny.activation(1, 5, 4, 6), tiny.constant([(0, 0)] * 3 + [extra])
    out = tiny.activation(1, 5, 4, 6 + sum(extra))
    tiny.op("CONV_2D", [a, w], [middle], "Conv2DOptions", **conv_options(1, SAME))
    tiny.op("PAD", [middle, amounts], [out], "PadOptions")
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    expected = np.pad(convolve(x, weights, 0, 1, SAME), [(0, 0)] * 3 + [extra])
    np.testing.assert_allclose(got, expected, **CLOSE)


@pytest.mark.parametrize(("narrow", "wide"), [(5, 7), (14, 18), (4, 8)])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_residual_path_that_gains_channels_keeps_its_values(
    tiny, convert_and_run, rng, narrow, wide, pooled
):
    x, first = normal(rng, 1, 6, 6, 3), normal(rng, narrow, 3, 3, 3)
    depthwise, pointwise = normal(rng, 1, 3, 3, narrow), normal(rng, wide, 1, 1, narrow)
    bias, stride = normal(rng, wide), 2 if pooled else 1
    entry = np.maximum(convolve(x, first, 0, 1, SAME), 0)
    deep = convolve(entry, depthwise, 0, stride, SAME, depthwise=True)
    shortcut = entry.reshape(1, 3, 2, 3, 2, narrow).max(axis=(2, 4)) if pooled else entry
    widened = np.pad(shortcut, [(0, 0)] * 3 + [(0, wide - narrow)])
    expected = np.maximum(convolve(deep, pointwise, bias, 1, SAME) + widened, 0)

    size = 6 // stride
    a, bent = tiny.activation(1, 6, 6, 3), tiny.activation(1, 6, 6, narrow)
    deep_t, narrow_t = tiny.activation(1, size, size, narrow), bent
    wide_t, point_t, out = (tiny.activation(1, size, size, wide) for _ in range(3))
    weights = [tiny.constant(w) for w in (first, depthwise, pointwise, bias)]
    options = conv_options(1, SAME, fused=RELU)
    tiny.op("CONV_2D", [a, weights[0]], [bent], "Conv2DOptions", **options)
    options = {**conv_options(stride, SAME), "DepthMultiplier": 1}
    tiny.op("DEPTHWISE_CONV_2D", [bent, weights[1]], [deep_t], "DepthwiseConv2DOptions", **options)
    if pooled:
        narrow_t = tiny.activation(1, size, size, narrow)
        window = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
        tiny.op("MAX_POOL_2D", [bent], [narrow_t], "Pool2DOptions", Padding=SAME, **window)
    amounts = tiny.constant([(0, 0)] * 3 + [(0, wide - narrow)])
    tiny.op("PAD", [narrow_t, amounts], [wide_t], "PadOptions")
    options = conv_options(1, SAME)
    tiny.op("CONV_2D", [deep_t, *weights[2:]], [point_t], "Conv2DOptions", **options)
    tiny.op("ADD", [wide_t, point_t], [out], "AddOptions", FusedActivationFunction=RELU)
    data = tiny.to_bytes([a], [out, bent, deep_t, narrow_t] if pooled else [out, bent, deep_t])
    got = convert_and_run(data, x)
    for values, wanted in zip(got, [expected, entry, deep, shortcut], strict=False):
        np.testing.assert_allclose(values, wanted, **CLOSE)
    nodes = onnx.load_from_string(onnx_from_tflite(data, name="tiny")).graph.node
    assert "Pad" not in [node.op_type for node in nodes]


@pytest.mark.parametrize("slope_shape", [(1, 1, 6), (5, 4, 6), (6,)])
def test_prelu_scales_negative_values_by_any_slope(tiny, convert_and_run, rng, slope_shape):
    x, slope = normal(rng, 1, 5, 4, 6), 3 * normal(rng, *slope_shape)
    assert slope.min() < 0
    assert slope.max() > 1
    a, s, out = tiny.activation(*x.shape), tiny.constant(slope), tiny.activation(*x.shape)
    tiny.op("PRELU", [a, s], [out])
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, np.where(x > 0, x, x * slope), **CLOSE)


def resize(x, out_h, out_w, align_corners, half_pixel):
    """Bilinear interpolation as in TFLite's reference_ops::ResizeBilinear."""
    _, rows, columns, channels = x.shape
    out = np.zeros((1, out_h, out_w, channels))

    def neighbours(position, size, out_size):
        scale = (size - 1) / (out_size - 1) if align_corners and out_size > 1 else size / out_size
        at = (position + 0.5) * scale - 0.5 if half_pixel else position * scale
        low, high = max(math.floor(at), 0), min(math.ceil(at), size - 1)
        return low, high, max(at, 0) - low

    for oy, ox in np.ndindex(out_h, out_w):
        y0, y1, fy = neighbours(oy, rows, out_h)
        x0, x1, fx = neighbours(ox, columns, out_w)
        top = x[0, y0, x0] * (1 - fx) + x[0, y0, x1] * fx
        bottom = x[0, y1, x0] * (1 - fx) + x[0, y1, x1] * fx
        out[0, oy, ox] = top * (1 - fy) + bottom * fy
    return out


@pytest.mark.parametrize(("align", "half"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("size", [(10, 14), (9, 5), (3, 4), (15, 7)])
def test_bilinear_resize_follows_each_pixel_convention(
    tiny, convert_and_run, rng, size, align, half
):
    x = normal(rng, 1, 5, 7, 2)
    a, target = tiny.activation(*x.shape), tiny.constant(list(size))
    out = tiny.activation(1, *size, 2)
    tiny.op(
        "RESIZE_BILINEAR",
        [a, target],
        [out],
        "ResizeBilinearOptions",
        version=3,
        AlignCorners=align,
        HalfPixelCenters=half,
    )
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, resize(x, *size, align, half), **CLOSE)


def deconvolve(x, weights, bias, stride, out_h, out_w):
    """Scatters each input pixel; the output is cut as the forward SAME convolution padded it."""
    _, rows, columns, _ = x.shape
    kernel_h, kernel_w = weights.shape[1:3]
    top = max((rows - 1) * stride + kernel_h - out_h, 0) // 2
    left = max((columns - 1) * stride + kernel_w - out_w, 0) // 2
    out = np.zeros((1, out_h, out_w, weights.shape[0])) + bias
    for iy, ix, ky, kx in np.ndindex(rows, columns, kernel_h, kernel_w):
        y, c = iy * stride - top + ky, ix * stride - left + kx
        if 0 <= y < out_h and 0 <= c < out_w:
            out[0, y, c] += weights[:, ky, kx].astype(np.float64) @ x[0, iy, ix]
    return out


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (5, 3), (2, 3)])
@pytest.mark.parametrize("custom", [True, False])
def test_a_transposed_convolution_scatters_each_pixel(
    tiny, convert_and_run, rng, kernel, stride, custom
):
    x, weights, bias = normal(rng, 1, 4, 5, 3), normal(rng, 2, kernel, kernel, 3), normal(rng, 2)
    size = (4 * stride, 5 * stride)
    expected = deconvolve(x, weights, bias, stride, *size)
    a, w, b = tiny.activation(*x.shape), tiny.constant(weights), tiny.constant(bias)
    out = tiny.activation(*expected.shape)
    if custom:
        options = struct.pack("<3i", 1, stride, stride)
        tiny.op("CUSTOM:Convolution2DTransposeBias", [a, w, b], [out], custom=options)
    else:
        shape = tiny.constant(list(expected.shape))
        tiny.op(
            "TRANSPOSE_CONV",
            [shape, w, a, b],
            [out],
            "TransposeConvOptions",
            version=3,
            Padding=SAME,
            StrideH=stride,
            StrideW=stride,
        )
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, expected, **CLOSE)


@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, SAME), (3, 2, SAME), (2, 1, VALID)]
)
def test_a_pool_does_not_count_its_padding(
    tiny, convert_and_run, rng, kind, kernel, stride, padding
):
    x = normal(rng, 1, 5, 7, 3) - 10
    window = np.eye(3)[:, None, None] * np.ones((1, kernel, kernel, 1))
    total_in_window = convolve(x, window, 0, stride, padding)
    expected = total_in_window / convolve(np.ones_like(x), window, 0, stride, padding)
    if kind == "MAX_POOL_2D":
        total = max((expected.shape[1] - 1) * stride + kernel - 5, 0) if padding == SAME else 0
        wide = max((expected.shape[2] - 1) * stride + kernel - 7, 0) if padding == SAME else 0
        around = [(0, 0), (total // 2, total), (wide // 2, wide), (0, 0)]
        padded = np.pad(x, around, constant_values=-np.inf)
        for oy, ox in np.ndindex(expected.shape[1:3]):
            y, c = oy * stride, ox * stride
            expected[0, oy, ox] = padded[0, y : y + kernel, c : c + kernel].max(axis=(0, 1))
    a, out = tiny.activation(*x.shape), tiny.activation(*expected.shape)
    tiny.op(
        kind,
        [a],
        [out],
        "Pool2DOptions",
        Padding=padding,
        StrideH=stride,
        StrideW=stride,
        FilterHeight=kernel,
        FilterWidth=kernel,
    )
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, expected, **CLOSE)


def test_an_average_over_the_whole_picture_is_its_mean(tiny, convert_and_run, rng):
    x = normal(rng, 1, 4, 4, 3)
    a, out = tiny.activation(*x.shape), tiny.activation(1, 1, 1, 3)
    tiny.op(
        "AVERAGE_POOL_2D",
        [a],
        [out],
        "Pool2DOptions",
        Padding=VALID,
        StrideH=4,
        StrideW=4,
        FilterHeight=4,
        FilterWidth=4,
    )
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, x.mean(axis=(1, 2), keepdims=True), **CLOSE)


def test_depth_to_space_takes_the_block_from_the_outer_depth(tiny, convert_and_run):
    x = np.arange(2 * 3 * 12, dtype=np.float32).reshape(1, 2, 3, 12)
    a, out = tiny.activation(*x.shape), tiny.activation(1, 4, 6, 3)
    tiny.op("DEPTH_TO_SPACE", [a], [out], "DepthToSpaceOptions", BlockSize=2)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    expected = np.zeros((1, 4, 6, 3))
    for y, c, d in np.ndindex(4, 6, 3):
        expected[0, y, c, d] = x[0, y // 2, c // 2, (y % 2) * 6 + (c % 2) * 3 + d]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("behind_convolution", [True, False])
@pytest.mark.parametrize(
    ("kind", "table", "compute"),
    [
        ("ADD", "AddOptions", np.add),
        ("SUB", "SubOptions", np.subtract),
        ("MUL", "MulOptions", np.multiply),
    ],
)
@pytest.mark.parametrize("operand_shape", [(3,), (1, 4, 3), (5, 1, 1), ()])
def test_binary_operators_broadcast_constants_in_either_layout(
    tiny, convert_and_run, rng, behind_convolution, kind, table, compute, operand_shape
):
    x, operand = normal(rng, 1, 5, 4, 3), normal(rng, *operand_shape)
    a = source = tiny.activation(*x.shape)
    constant, out = tiny.constant(np.asarray(operand)), tiny.activation(*x.shape)
    if behind_convolution:
        source = tiny.activation(*x.shape)
        identity = tiny.constant(np.eye(3, dtype=np.float32)[:, None, None])
        tiny.op("CONV_2D", [a, identity], [source], "Conv2DOptions", **conv_options(1, SAME))
    tiny.op(kind, [source, constant], [out], table, FusedActivationFunction=RELU)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, np.maximum(compute(x, operand), 0), **CLOSE)


@pytest.mark.parametrize(
    ("kind", "compute"),
    [
        ("RELU", lambda x: np.maximum(x, 0)),
        ("RELU6", lambda x: np.clip(x, 0, 6)),
        ("LOGISTIC", lambda x: 1 / (1 + np.exp(-x))),
        ("HARD_SWISH", lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ],
)
def test_activations_follow_their_formulas(tiny, convert_and_run, kind, compute):
    x = np.linspace(-8, 8, 31, dtype=np.float32)[None]
    a, out = tiny.activation(*x.shape), tiny.activation(*x.shape)
    tiny.op(kind, [a], [out])
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, compute(x.astype(np.float64)), **CLOSE)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation_joins_the_axis_it_names_in_either_layout(tiny, convert_and_run, rng, axis):
    x = normal(rng, 1, 4, 5, 3)
    a = tiny.activation(*x.shape)
    identity = tiny.constant(np.eye(3, dtype=np.float32)[:, None, None])
    parts = [tiny.activation(*x.shape) for _ in range(2)]
    for part in parts:
        tiny.op("CONV_2D", [a, identity], [part], "Conv2DOptions", **conv_options(1, SAME))
    expected = np.concatenate([x, x], axis)
    joined, raw = tiny.activation(*expected.shape), tiny.activation(*expected.shape)
    tiny.op("CONCATENATION", parts, [joined], "ConcatenationOptions", Axis=axis)
    tiny.op("CONCATENATION", [a, a], [raw], "ConcatenationOptions", Axis=axis)
    for got in convert_and_run(tiny.to_bytes([a], [joined, raw]), x):
        np.testing.assert_allclose(got, expected, **CLOSE)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [[1, 2], [3], [-1, 1]])
def test_mean_runs_over_the_axes_it_names(tiny, convert_and_run, rng, axes, keep):
    x = normal(rng, 1, 4, 5, 3)
    a, middle = tiny.activation(*x.shape), tiny.activation(*x.shape)
    identity = tiny.constant(np.eye(3, dtype=np.float32)[:, None, None])
    expected = x.mean(axis=tuple(axes), keepdims=keep)
    which, out = tiny.constant(axes), tiny.activation(*expected.shape)
    tiny.op("CONV_2D", [a, identity], [middle], "Conv2DOptions", **conv_options(1, SAME))
    tiny.op("MEAN", [middle, which], [out], "ReducerOptions", KeepDims=keep)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, expected, **CLOSE)


def test_fully_connected_reads_pictures_in_their_own_order(tiny, convert_and_run, rng):
    x, weights, bias = normal(rng, 1, 2, 3, 4), normal(rng, 5, 24), normal(rng, 5)
    a, w, b = tiny.activation(*x.shape), tiny.constant(weights), tiny.constant(bias)
    out = tiny.activation(1, 5)
    tiny.op(
        "FULLY_CONNECTED", [a, w, b], [out], "FullyConnectedOptions", FusedActivationFunction=RELU6
    )
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    expected = np.clip(x.reshape(1, 24).astype(np.float64) @ weights.T + bias, 0, 6)
    np.testing.assert_allclose(got, expected, **CLOSE)


def test_reshape_and_transpose_see_the_layout_of_the_file(tiny, convert_and_run, rng):
    x = normal(rng, 1, 4, 5, 3)
    a, middle = tiny.activation(*x.shape), tiny.activation(*x.shape)
    identity = tiny.constant(np.eye(3, dtype=np.float32)[:, None, None])
    flat, turned = tiny.activation(1, 60), tiny.activation(3, 1, 5, 4)
    order = tiny.constant([3, 0, 2, 1])
    tiny.op("CONV_2D", [a, identity], [middle], "Conv2DOptions", **conv_options(1, SAME))
    tiny.op("RESHAPE", [middle], [flat])
    tiny.op("TRANSPOSE", [middle, order], [turned])
    got_flat, got_turned = convert_and_run(tiny.to_bytes([a], [flat, turned]), x)
    np.testing.assert_allclose(got_flat, x.reshape(1, 60), **CLOSE)
    np.testing.assert_allclose(got_turned, x.transpose(3, 0, 2, 1), **CLOSE)


def test_float16_weights_behind_dequantize_become_float32_constants(tiny, convert_and_run, rng):
    x, weights = normal(rng, 1, 4, 4, 3), normal(rng, 2, 1, 1, 3).astype(np.float16)
    a, half = tiny.activation(*x.shape), tiny.constant(weights)
    full, out = tiny.activation(2, 1, 1, 3), tiny.activation(1, 4, 4, 2)
    tiny.op("DEQUANTIZE", [half], [full], version=3)
    tiny.op("CONV_2D", [a, full], [out], "Conv2DOptions", **conv_options(1, SAME))
    data = tiny.to_bytes([a], [out])
    (got,) = convert_and_run(data, x)
    np.testing.assert_allclose(got, x @ weights.reshape(2, 3).T.astype(np.float32), **CLOSE)
    model = onnx.load_from_string(onnx_from_tflite(data, name="tiny"))
    assert {i.data_type for i in model.graph.initializer} == {onnx.TensorProto.FLOAT}
