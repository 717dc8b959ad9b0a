import numpy as np
import onnx
import pytest

from engines.errors import ModelError
from engines.models.tflite_import import onnx_from_tflite

CONV = {"StrideH": 1, "StrideW": 1, "Padding": 0, "DilationHFactor": 1, "DilationWFactor": 1}


@pytest.fixture
def residual(tiny):
    """Convolution, PRELU, residual ADD, convolution: the shape of a face network."""
    x, one = tiny.activation(1, 6, 6, 4), tiny.constant(np.ones((4, 3, 3, 4)) / 36)
    slope = tiny.constant(np.full((1, 1, 4), 0.25))
    first, bent, summed, last = (tiny.activation(1, 6, 6, 4) for _ in range(4))
    tiny.op("CONV_2D", [x, one], [first], "Conv2DOptions", **CONV)
    tiny.op("PRELU", [first, slope], [bent])
    tiny.op("ADD", [bent, first], [summed], "AddOptions")
    tiny.op("CONV_2D", [summed, one], [last], "Conv2DOptions", **CONV)
    return tiny.to_bytes([x], [last])


@pytest.fixture
def sparse(tiny):
    """A DENSIFY of a float16 matrix in compressed rows behind a fully connected layer."""
    tensor = tiny.Tensor((3, 4), np.array([1, 2, 3], np.float16), "float16", order=[0, 1])
    tensor.levels = [tiny.Level(3), tiny.Level(segments=[0, 2, 2, 3], indices=[0, 3, 1])]
    x = tiny.activation(1, 4)
    tiny.tensors.append(tensor)
    stored = len(tiny.tensors) - 1
    half, full = tiny.activation(3, 4, dtype="float16"), tiny.activation(3, 4)
    out = tiny.activation(1, 3)
    tiny.op("DENSIFY", [stored], [half])
    tiny.op("DEQUANTIZE", [half], [full], version=3)
    tiny.op("FULLY_CONNECTED", [x, full], [out], "FullyConnectedOptions")
    return tiny.to_bytes([x], [out])


def test_the_layout_changes_only_at_the_borders(residual):
    nodes = onnx.load_from_string(onnx_from_tflite(residual, name="tiny")).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("Transpose") == 2
    assert kinds[0] == kinds[-1] == "Transpose"


def test_inputs_and_outputs_keep_names_and_layout(residual):
    graph = onnx.load_from_string(onnx_from_tflite(residual, name="tiny")).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }
    assert shapes == {"tensor 0": [1, 6, 6, 4], "tensor 6": [1, 6, 6, 4]}


def test_the_same_file_gives_the_same_bytes(residual):
    assert onnx_from_tflite(residual, name="tiny") == onnx_from_tflite(residual, name="tiny")


def test_sparse_weights_are_stored_dense(sparse, convert_and_run):
    (got,) = convert_and_run(sparse, np.array([[1, 10, 100, 1000]], np.float32))
    np.testing.assert_array_equal(got, [[2001, 0, 30]])


def test_an_unknown_operator_is_named(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("COS", [x], [y])
    with pytest.raises(ModelError, match=r"operator 0 COS version 1: .*lacks"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_an_unknown_custom_operator_is_named(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("CUSTOM:Wobble", [x], [y])
    with pytest.raises(ModelError, match="CUSTOM:Wobble"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_newer_version_of_a_known_operator_is_refused(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [x], [y], version=9)
    with pytest.raises(ModelError, match=r"RELU version 9.*newest known version: 2"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_quantised_tensor_is_named_with_its_type(tiny):
    x, y = tiny.activation(1, 4, dtype="int8"), tiny.activation(1, 4, dtype="int8")
    tiny.op("RELU", [x], [y])
    with pytest.raises(ModelError, match="got type INT8 in 'tensor 0'"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_fused_activation_the_importer_lacks_is_refused(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("ADD", [x, x], [y], "AddOptions", FusedActivationFunction=4)
    with pytest.raises(ModelError, match="fused activation 4"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_shape_that_contradicts_the_operator_is_refused(tiny):
    x, w = tiny.activation(1, 6, 6, 4), tiny.constant(np.ones((4, 3, 3, 4)))
    y = tiny.activation(1, 5, 6, 4)
    tiny.op("CONV_2D", [x, w], [y], "Conv2DOptions", **CONV)
    with pytest.raises(ModelError, match="consistent"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_tensor_used_before_it_is_made_is_refused(tiny):
    x, y, z = tiny.activation(1, 4), tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [y], [z])
    tiny.op("RELU", [x], [y])
    with pytest.raises(ModelError, match="before it is produced"):
        onnx_from_tflite(tiny.to_bytes([x], [z]), name="tiny")


def test_a_tensor_made_twice_is_refused(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [x], [y])
    tiny.op("LOGISTIC", [x], [y])
    with pytest.raises(ModelError, match="produced twice"):
        onnx_from_tflite(tiny.to_bytes([x], [y]), name="tiny")


def test_a_small_file_that_asks_for_gigabytes_of_constants_is_refused(tiny):
    tensor = tiny.Tensor((1 << 14, 1 << 14), np.array([1], np.float16), "float16", order=[0, 1])
    tensor.levels = [tiny.Level(segments=[0, 1], indices=[5]) for _ in range(2)]
    x = tiny.activation(1, 4)
    tiny.tensors.append(tensor)
    dense, out = tiny.activation(1 << 14, 1 << 14, dtype="float16"), tiny.activation(1, 4)
    tiny.op("DENSIFY", [1], [dense])
    tiny.op("RELU", [x], [out])
    with pytest.raises(ModelError, match="too large for the size of the file"):
        onnx_from_tflite(tiny.to_bytes([x], [out]), name="tiny")


@pytest.fixture
def two_outputs(tiny):
    x, y, z = tiny.activation(1, 4), tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [x], [y])
    tiny.op("LOGISTIC", [x], [z])
    return tiny.to_bytes([x], [y, z])


def test_an_unused_output_is_left_out_with_what_is_computed_for_it(two_outputs):
    data = onnx_from_tflite(two_outputs, name="tiny", unused_outputs=["tensor 1"])
    graph = onnx.load_from_string(data).graph
    assert [output.name for output in graph.output] == ["tensor 2"]
    assert [node.op_type for node in graph.node] == ["Sigmoid"]


@pytest.mark.parametrize("unused", [["tensor 7"], ["tensor 1", "tensor 2"]])
def test_outputs_to_leave_out_must_be_there_and_not_all(two_outputs, unused):
    with pytest.raises(ModelError, match="must be some of tensor 1, tensor 2, got tensor"):
        onnx_from_tflite(two_outputs, name="tiny", unused_outputs=unused)


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 64, b"<html>not a model</html>", b"\x1c\x00\x00\x00TFL3"]
)
def test_bytes_that_are_no_model_are_refused_in_one_line(data):
    with pytest.raises(ModelError, match=r"^tiny: the (TFLite )?file must") as caught:
        onnx_from_tflite(data, name="tiny")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["residual", "sparse"])
def test_a_truncated_file_is_refused_wherever_it_ends(request, kind):
    data = request.getfixturevalue(kind)
    for length in range(0, len(data) - 64, 13):
        with pytest.raises(ModelError, match=r"^tiny: "):
            onnx_from_tflite(data[:length], name="tiny")


@pytest.mark.parametrize("kind", ["residual", "sparse"])
def test_flipped_bytes_never_end_in_anything_but_a_model_error(request, kind):
    data = request.getfixturevalue(kind)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        for position in rng.integers(8, len(data), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            onnx_from_tflite(bytes(damaged), name="tiny")
        except ModelError:
            refused += 1
    assert refused > 20
