"""Each operator of the second look against its definition, written in float64."""

import math

import numpy as np
import pytest
from flatbuffers import flexbuffers

from engines.errors import ModelError
from engines.models.tflite_import import onnx_from_tflite

TO_MATRIX, CUT_OUT, MOVE = (
    f"CUSTOM:{name}"
    for name in ("Landmarks2TransformMatrix", "TransformTensorBilinear", "TransformLandmarks")
)
SUBSET = [3, 1, 6, 4]
OPTIONS = {
    "subset_idxs": SUBSET,
    "left_rotation_idx": 2,
    "right_rotation_idx": 5,
    "target_rotation_radians": 0.3,
    "output_width": 6,
    "output_height": 4,
    "scale_x": 1.5,
    "scale_y": 1.25,
}
MATRIX = [[0.8, -0.5, 0.0, 3.1], [0.4, 0.7, 0.0, 0.2], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def options(**changes):
    """Options as the files have them: a map with a typed vector."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in (OPTIONS | changes).items():
            if value is None:
                continue
            builder.Key(key)
            if isinstance(value, list):
                builder.TypedVectorFromElements(value)
            else:
                builder.Add(value)
    return bytes(builder.Finish())


def matrix_of(landmarks, target, width, height, scale_x, scale_y):
    """MediaPipe's LandmarksToTransformMatrixV2."""
    (left_x, left_y), (right_x, right_y) = landmarks[2, :2], landmarks[5, :2]
    turn = target - math.atan2(right_y - left_y, right_x - left_x)

    def rotation(angle):
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    turned = landmarks[SUBSET, :2].astype(np.float64) @ rotation(turn).T
    low, high = turned.min(axis=0), turned.max(axis=0)
    middle = rotation(-turn) @ ((low + high) / 2)
    result = np.eye(4)
    result[:2, :2] = rotation(-turn) * (high - low) * [scale_x / width, scale_y / height]
    result[:2, 3] = middle - result[:2, :2] @ [width / 2, height / 2]
    return result


@pytest.mark.parametrize("target", [0.0, 0.3, -2.5])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_matrix_is_that_of_the_box_along_the_line_between_two_landmarks(
    tiny, convert_and_run, rng, target, mirrored
):
    x = rng.uniform(0, 48, (1, 7, 3)).astype(np.float32)
    if mirrored:
        x[0, :, 0] = 48 - x[0, :, 0]
    a, out = tiny.activation(1, 7, 3), tiny.activation(1, 4, 4)
    custom = options(target_rotation_radians=target)
    tiny.op(TO_MATRIX, [a], [out], version=2, custom=custom)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    expected = matrix_of(x[0].astype(np.float64), target, 6, 4, 1.5, 1.25)
    np.testing.assert_allclose(got[0], expected, rtol=1e-4, atol=1e-4)


def test_landmarks_in_one_place_give_a_matrix_of_numbers(tiny, convert_and_run):
    a, out = tiny.activation(1, 7, 3), tiny.activation(1, 4, 4)
    tiny.op(TO_MATRIX, [a], [out], version=2, custom=options())
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), np.full((1, 7, 3), 5, np.float32))
    assert np.isfinite(got).all()


def sample(data, matrix, height, width):
    """MediaPipe's TransformTensorBilinearV2; also how near each place is to the border."""
    rows, columns, channels = data.shape
    out, margin = np.zeros((height, width, channels)), np.inf
    for oy, ox in np.ndindex(height, width):
        x, y = matrix[:2] @ [ox + 0.5, oy + 0.5, 0, 1] - 0.5
        margin = min(margin, *(abs(v) for v in (x, y, x - columns + 1, y - rows + 1)))
        if not (0 <= x <= columns - 1 and 0 <= y <= rows - 1):
            continue
        x0, y0 = math.floor(x), math.floor(y)
        for yy, xx in ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1)):
            if yy < rows and xx < columns:
                weight = (1 - abs(x - xx)) * (1 - abs(y - yy))
                out[oy, ox] += weight * data[yy, xx]
    return out, margin


@pytest.mark.parametrize("shift", [(4.1, -1.2), (-2.4, 1.3), (4.7, -3.3)])
def test_features_are_cut_out_through_the_matrix_and_zero_beyond_the_border(
    tiny, convert_and_run, rng, shift
):
    x = rng.standard_normal((1, 7, 9, 3)).astype(np.float32) + 3
    matrix = np.array(MATRIX)
    matrix[:2, 3] = shift
    expected, margin = sample(x[0].astype(np.float64), matrix, 6, 5)
    assert margin > 1e-3
    assert (expected == 0).any()
    assert (expected != 0).any()
    a, m = tiny.activation(1, 7, 9, 3), tiny.activation(1, 4, 4)
    out = tiny.activation(1, 6, 5, 3)
    custom = options(output_height=6, output_width=5)
    tiny.op(CUT_OUT, [a, m], [out], version=2, custom=custom)
    (got,) = convert_and_run(tiny.to_bytes([a, m], [out]), x, matrix[None].astype(np.float32))
    np.testing.assert_allclose(got[0], expected, atol=1e-4)


def test_a_matrix_of_ones_copies_the_features_up_to_their_border(tiny, convert_and_run, rng):
    x = rng.standard_normal((1, 4, 4, 2)).astype(np.float32)
    a, m, out = tiny.activation(1, 4, 4, 2), tiny.constant([np.eye(4)]), tiny.activation(1, 4, 4, 2)
    custom = options(output_height=4, output_width=4)
    tiny.op(CUT_OUT, [a, m], [out], version=2, custom=custom)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_allclose(got, x, atol=1e-6)


def test_landmarks_are_moved_by_the_matrix(tiny, convert_and_run, rng):
    x = rng.uniform(0, 16, (1, 5, 2)).astype(np.float32)
    a, m, out = tiny.activation(1, 5, 2), tiny.activation(1, 4, 4), tiny.activation(1, 5, 2)
    tiny.op(MOVE, [a, m], [out], version=2)
    (got,) = convert_and_run(tiny.to_bytes([a, m], [out]), x, np.array([MATRIX], np.float32))
    matrix = np.array(MATRIX)
    expected = x[0].astype(np.float64) @ matrix[:2, :2].T + matrix[:2, 3]
    np.testing.assert_allclose(got[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale_x": 0.0}, "must be positive"),
        ({"output_width": -6}, "must be positive"),
        ({"scale_y": math.nan}, "'scale_y' must be finite"),
        ({"scale_y": None}, "must give a number 'scale_y'"),
        ({"scale_y": [1]}, "must give a number 'scale_y'"),
        ({"subset_idxs": 3}, "must give integers 'subset_idxs'"),
        ({"subset_idxs": [3, 7]}, "numbered 0 to 6"),
        ({"subset_idxs": [3, -1]}, "numbered 0 to 6"),
        ({"subset_idxs": []}, "numbered 0 to 6"),
        ({"subset_idxs": [0] * 5000}, "5000 values"),
        ({"left_rotation_idx": 7}, "numbered 0 to 6"),
    ],
)
def test_options_that_do_not_fit_are_refused(tiny, changes, message):
    a, out = tiny.activation(1, 7, 3), tiny.activation(1, 4, 4)
    tiny.op(TO_MATRIX, [a], [out], version=2, custom=options(**changes))
    with pytest.raises(ModelError, match=message):
        onnx_from_tflite(tiny.to_bytes([a], [out]), name="tiny")


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_damaged_options_are_refused(tiny, length):
    a, out = tiny.activation(1, 7, 3), tiny.activation(1, 4, 4)
    tiny.op(TO_MATRIX, [a], [out], version=2, custom=options()[:length])
    with pytest.raises(ModelError, match=r"operator 0 .* the options? "):
        onnx_from_tflite(tiny.to_bytes([a], [out]), name="tiny")


@pytest.mark.parametrize(
    ("kind", "shapes", "out_shape", "message"),
    [
        (TO_MATRIX, [(1, 7, 2)], (1, 4, 4), r"landmarks must be \(1, N, 3\)"),
        (CUT_OUT, [(7, 9, 3), (1, 4, 4)], (1, 4, 6, 3), "features must be"),
        (CUT_OUT, [(1, 7, 9, 3), (1, 3, 3)], (1, 4, 6, 3), "the matrix must be"),
        (CUT_OUT, [(1, 7, 9, 3), (1, 4, 4)], (1, 6, 4, 3), "the options say"),
        (CUT_OUT, [(1, 7, 9, 3)], (1, 4, 6, 3), "must fit the graph"),
        (MOVE, [(1, 5, 3), (1, 4, 4)], (1, 5, 3), r"landmarks must be \(1, N, 2\)"),
        (MOVE, [(1, 5, 2), (4, 4)], (1, 5, 2), "the matrix must be"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tiny, kind, shapes, out_shape, message):
    inputs, out = [tiny.activation(*shape) for shape in shapes], tiny.activation(*out_shape)
    tiny.op(kind, inputs, [out], version=2, custom=options())
    with pytest.raises(ModelError, match=message):
        onnx_from_tflite(tiny.to_bytes(inputs, [out]), name="tiny")


def test_a_small_file_that_asks_for_a_huge_cut_out_is_refused(tiny):
    a, m = tiny.activation(1, 7, 9, 3), tiny.activation(1, 4, 4)
    out = tiny.activation(1, 1 << 14, 1 << 14, 1)
    custom = options(output_height=1 << 14, output_width=1 << 14)
    tiny.op(CUT_OUT, [a, m], [out], version=2, custom=custom)
    with pytest.raises(ModelError, match="too large for the size of the file"):
        onnx_from_tflite(tiny.to_bytes([a, m], [out]), name="tiny")


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (TO_MATRIX, [(1, 7, 3)]),
        (CUT_OUT, [(1, 7, 9, 3), (1, 4, 4)]),
        (MOVE, [(1, 5, 2), (1, 4, 4)]),
    ],
)
def test_the_first_version_means_something_else_and_is_refused(tiny, kind, shapes):
    inputs, out = [tiny.activation(*shape) for shape in shapes], tiny.activation(1, 4, 4)
    tiny.op(kind, inputs, [out], version=1, custom=options())
    with pytest.raises(ModelError, match="version 2 is supported only"):
        onnx_from_tflite(tiny.to_bytes(inputs, [out]), name="tiny")


@pytest.mark.parametrize(
    ("bounds", "masks", "expected"),
    [
        (([0, 1, 2, 0], [1, 4, 5, 3], [1, 1, 2, 1]), {}, np.s_[:, 1:4, 2:5:2, :]),
        (([0, -3, 0, 1], [1, -1, 99, 3], [1, 1, 3, 1]), {}, np.s_[:, -3:-1, ::3, 1:]),
        (([0, 2, 1, 1], [1, 3, 4, 2], [1, 1, 1, 1]), {"BeginMask": 6}, np.s_[:, :3, :4, 1:2]),
        (([0, 2, 1, 1], [1, 3, 4, 2], [1, 1, 1, 1]), {"EndMask": 10}, np.s_[:, 2:, 1:4, 1:]),
    ],
)
def test_a_strided_slice_takes_what_numpy_takes(
    tiny, convert_and_run, rng, bounds, masks, expected
):
    x = rng.standard_normal((1, 5, 6, 3)).astype(np.float32)
    a, operands = tiny.activation(*x.shape), [tiny.constant(values) for values in bounds]
    out = tiny.activation(*x[expected].shape)
    tiny.op("STRIDED_SLICE", [a, *operands], [out], "StridedSliceOptions", **masks)
    (got,) = convert_and_run(tiny.to_bytes([a], [out]), x)
    np.testing.assert_array_equal(got, x[expected])


@pytest.mark.parametrize(
    ("step", "masks", "message"),
    [
        ([1, 1, 1, -1], {}, "a positive step"),
        ([1, 1, 1], {}, "for each dimension"),
        ([1, 1, 1, 1], {"ShrinkAxisMask": 1}, "come or go"),
        ([1, 1, 1, 1], {"NewAxisMask": 2}, "come or go"),
        ([1, 1, 1, 1], {"EllipsisMask": 4}, "come or go"),
    ],
)
def test_slices_that_the_importer_lacks_are_refused(tiny, step, masks, message):
    a, out = tiny.activation(1, 5, 6, 3), tiny.activation(1, 5, 6, 3)
    operands = [tiny.constant(values) for values in ([0] * 4, [1, 5, 6, 3], step)]
    tiny.op("STRIDED_SLICE", [a, *operands], [out], "StridedSliceOptions", **masks)
    with pytest.raises(ModelError, match=message):
        onnx_from_tflite(tiny.to_bytes([a], [out]), name="tiny")
