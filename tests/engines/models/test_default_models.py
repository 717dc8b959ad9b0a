"""The real models: converted, run, and held to LiteRT and to other conversions."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from engines.onnxruntime import OnnxRuntimeSession

SHARED = Path(__file__).parents[3].parent / "shared"
NAMES = [
    "face_detection_short_range",
    "face_detection_full_range",
    "face_landmark",
    "iris_landmark",
    "selfie_segmentation",
    "palm_detection_lite",
    "palm_detection_full",
    "hand_landmark_lite",
    "hand_landmark_full",
]
pytestmark = pytest.mark.models


@pytest.fixture
def picture(real_models):
    """The portrait as network input: (size, size, 3) f32 RGB in 0 to 1, for any size."""
    image = cv2.imread(str(real_models.path("portrait_astronaut")), cv2.IMREAD_COLOR_RGB)

    def at(size):
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) / np.float32(255)

    return at


def run(session, x):
    out = {spec.name: np.full(spec.shape, np.nan, np.float32) for spec in session.outputs}
    session.enqueue({session.inputs[0].name: x}, out=out, stream=0)
    return out


def inputs_for(shape, picture):
    scaled = picture(shape[1])[None]
    yield "picture", scaled
    yield "mirrored", np.ascontiguousarray(scaled[:, :, ::-1])
    yield "noise", np.random.default_rng(5).random(shape, dtype=np.float32)


def assert_close(got, expected, where, limit=1e-3):
    """Relative to the largest value; a probability is never asked for more than 0.1 %."""
    scale = max(np.abs(expected).max(), 1.0)
    assert np.abs(got - expected).max() <= limit * scale, where


@pytest.mark.parametrize("name", NAMES)
def test_a_converted_model_computes_what_litert_computes(real_models, picture, name):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    reference = litert.Interpreter(model_path=str(real_models.path(name)), num_threads=1)
    reference.allocate_tensors()
    session = real_models.session(name)
    for kind, x in inputs_for(session.inputs[0].shape, picture):
        reference.set_tensor(reference.get_input_details()[0]["index"], x)
        reference.invoke()
        got = run(session, x)
        for detail in reference.get_output_details():
            expected = reference.get_tensor(detail["index"])
            assert_close(got[detail["name"]], expected, (name, detail["name"], kind))


@pytest.mark.parametrize("name", NAMES)
def test_no_two_layout_changes_follow_each_other(real_models, name):
    graph = onnx.load_from_string(real_models.load(name)).graph
    made_by = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Transpose":
            source = made_by.get(node.input[0])
            assert source is None or source.op_type != "Transpose"
    assert sum(node.op_type == "Transpose" for node in graph.node) <= 1 + len(graph.output) * 2


@pytest.fixture
def other_conversion():
    """Opens the file that another converter made of a model, by the model's name."""

    def open_session(name):
        path = SHARED / "assets" / "models" / f"mediapipe_{name}.onnx"
        if not path.is_file():
            pytest.skip(f"{path} is not here")
        return OnnxRuntimeSession(path.read_bytes())

    return open_session


@pytest.mark.shared
@pytest.mark.parametrize("name", ["face_detection_short_range", "iris_landmark"])
def test_another_conversion_of_the_same_file_agrees(real_models, picture, other_conversion, name):
    ours, theirs = real_models.session(name), other_conversion(name)
    for kind, x in inputs_for(ours.inputs[0].shape, picture):
        got, expected = run(ours, x), run(theirs, x)
        assert got.keys() == expected.keys()
        for output, values in got.items():
            assert_close(values, expected[output], (name, output, kind))


# Of the next two the other files come from another training of the same network, so they agree
# on the face and not on the digits.


@pytest.mark.shared
def test_another_training_of_the_full_range_detector_finds_the_same_face(
    real_models, picture, other_conversion
):
    x = picture(192)[None] * 2 - 1
    ours = run(real_models.session("face_detection_full_range"), x)
    theirs = run(other_conversion("face_detection_full_range"), x)
    (boxes, scores), (other_boxes, other_scores) = ours.values(), theirs.values()
    assert scores.argmax() == other_scores.argmax()
    best = scores.argmax()
    np.testing.assert_allclose(boxes[0, best], other_boxes[0, best], atol=2)


@pytest.mark.shared
def test_another_training_of_the_landmarks_lies_within_a_few_pixels(
    real_models, picture, other_conversion
):
    crop = picture(512)[10:240, 110:340]
    x = cv2.resize(crop, (192, 192), interpolation=cv2.INTER_AREA)[None]
    ours = next(iter(run(real_models.session("face_landmark"), x).values()))
    theirs = next(iter(run(other_conversion("face_landmark"), x).values()))
    points, others = ours.reshape(468, 3)[:, :2], theirs.reshape(468, 3)[:, :2]
    assert np.linalg.norm(points - others, axis=1).mean() < 192 * 0.04


def test_the_portrait_is_the_picture_it_should_be(picture):
    assert picture(512).shape == (512, 512, 3)
    assert 0.3 < picture(512).mean() < 0.6
