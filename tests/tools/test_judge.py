import numpy as np
import pytest

from engines.errors import ModelError
from engines.session import TensorSpec
from tools.judge import (
    _ARCFACE_POINTS,
    DETECTOR_PX,
    Detection,
    Detector,
    Recogniser,
    arcface_from_image,
    iou,
    open_judge,
)

STRIDES = (8, 16, 32)
TEMPLATE = np.array(_ARCFACE_POINTS, np.float32)


class ScriptedDetectorNetwork:
    """Answers with anchors put in by hand; remembers its input."""

    inputs = (TensorSpec("input", (1, 3, -1, -1), np.dtype(np.float32)),)
    outputs = tuple(
        TensorSpec(f"{kind} {stride}", (-1, width), np.dtype(np.float32))
        for kind, width in (("score", 1), ("box", 4), ("points", 10))
        for stride in STRIDES
    )
    provider = "test"

    def __init__(self, anchors):
        self.anchors = anchors
        self.seen = None

    def enqueue(self, inputs, *, out, stream):
        self.seen = inputs["input"].copy()
        for array in out.values():
            array[:] = 0
        for stride, row, column, which, score, sides, points in self.anchors:
            index = (row * (DETECTOR_PX // stride) + column) * 2 + which
            out[f"score {stride}"][index] = score
            out[f"box {stride}"][index] = sides
            out[f"points {stride}"][index] = points

    def close(self):
        pass


def anchor(stride, row, column, *, which=0, score=0.9, sides=(1, 2, 3, 4), points=range(10)):
    return stride, row, column, which, score, sides, list(points)


def detect(anchors, size=(DETECTOR_PX, DETECTOR_PX)):
    return Detector(ScriptedDetectorNetwork(anchors)).detect(np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize("stride", STRIDES)
def test_box_and_points_lie_around_their_anchor_in_units_of_the_stride(stride):
    (face,) = detect([anchor(stride, 3, 5, which=1)])
    x, y = 5 * stride, 3 * stride
    sides = [x - stride, y - 2 * stride, x + 3 * stride, y + 4 * stride]
    assert face.box == pytest.approx(sides)
    offsets = np.arange(10).reshape(5, 2) * stride
    assert face.points == pytest.approx(offsets + np.array([x, y]))
    assert face.score == pytest.approx(0.9)


def test_a_large_picture_is_shrunk_and_its_faces_come_in_its_own_pixels():
    (face,) = detect([anchor(16, 4, 6)], size=(2 * DETECTOR_PX, 3 * DETECTOR_PX))
    assert face.box == pytest.approx(np.array([80, 32, 144, 128]) * 3)


def test_the_network_sees_the_picture_in_the_top_left_corner_as_centred_rgb():
    network = ScriptedDetectorNetwork([])
    image = np.zeros((DETECTOR_PX // 2, DETECTOR_PX, 3), np.uint8)
    image[:] = (0, 100, 255)
    Detector(network).detect(image)
    assert network.seen.shape == (1, 3, DETECTOR_PX, DETECTOR_PX)
    assert network.seen[0, :, 0, 0] == pytest.approx([127.5 / 128, -27.5 / 128, -127.5 / 128])
    assert network.seen[0, :, -1, -1] == pytest.approx(-127.5 / 128)


def test_nothing_of_the_picture_before_is_left_on_the_canvas():
    network = ScriptedDetectorNetwork([])
    detector = Detector(network)
    detector.detect(np.full((DETECTOR_PX, DETECTOR_PX, 3), 255, np.uint8))
    detector.detect(np.zeros((DETECTOR_PX // 2, DETECTOR_PX, 3), np.uint8))
    assert network.seen.max() < 0


def test_unlikely_faces_are_left_out_and_of_overlapping_ones_the_likeliest_stays():
    near = [anchor(8, 9, 9, score=0.7), anchor(8, 9, 9, which=1, score=0.8)]
    faces = detect([*near, anchor(32, 9, 9, score=0.49)])
    assert [face.score for face in faces] == pytest.approx([0.8])


def test_the_largest_face_comes_first():
    faces = detect([anchor(8, 2, 2, score=0.95), anchor(32, 8, 8, score=0.6)])
    assert [face.score for face in faces] == pytest.approx([0.6, 0.95])


def test_an_empty_picture_shows_no_face():
    assert detect([]) == []


def detection(*box):
    return Detection(np.array(box, np.float32), np.zeros((5, 2), np.float32), 1.0)


def test_overlap_is_intersection_over_union():
    assert iou(detection(0, 0, 4, 4), detection(2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert iou(detection(0, 0, 4, 4), detection(0, 0, 4, 4)) == pytest.approx(1)
    assert iou(detection(0, 0, 4, 4), detection(5, 5, 6, 6)) == 0


@pytest.mark.parametrize(
    ("angle_deg", "scale", "shift"), [(0, 1, (0, 0)), (30, 2.5, (400, 90)), (-170, 0.3, (-5, 60))]
)
def test_alignment_undoes_turn_scale_and_shift(angle_deg, scale, shift):
    angle = np.radians(angle_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE @ turn.T + shift).astype(np.float32)
    matrix = arcface_from_image(points)
    assert points @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(TEMPLATE, abs=1e-3)


def test_alignment_of_points_that_fit_no_template_has_the_least_squared_error():
    points = TEMPLATE + np.random.default_rng(0).normal(0, 6, (5, 2)).astype(np.float32)
    # The same similarity as a linear system in a, b, x, y with matrix [[a, -b, x], [b, a, y]].
    x, y = points.T.astype(np.float64)
    zero, one = np.zeros(5), np.ones(5)
    system = np.vstack([np.c_[x, -y, one, zero], np.c_[y, x, zero, one]])
    a, b, dx, dy = np.linalg.lstsq(system, TEMPLATE.T.ravel().astype(np.float64))[0]
    assert arcface_from_image(points) == pytest.approx(np.array([[a, -b, dx], [b, a, dy]]))


class ScriptedRecogniserNetwork:
    """Answers with the mean of each channel, and two numbers more."""

    inputs = (TensorSpec("input0", (1, 3, 112, 112), np.dtype(np.float32)),)
    outputs = (TensorSpec("output0", (1, 128), np.dtype(np.float32)),)
    provider = "test"

    def enqueue(self, inputs, *, out, stream):
        self.seen = inputs["input0"].copy()
        out["output0"][:] = np.arange(128)

    def close(self):
        pass


def test_an_embedding_has_length_one_and_is_the_callers_own():
    recogniser = Recogniser(ScriptedRecogniserNetwork())
    image = np.zeros((200, 200, 3), np.uint8)
    first, second = recogniser.embed(image, TEMPLATE), recogniser.embed(image, TEMPLATE)
    assert np.linalg.norm(first) == pytest.approx(1)
    assert not np.shares_memory(first, second)


def test_the_recogniser_sees_the_aligned_face_normalised_as_imagenet():
    network = ScriptedRecogniserNetwork()
    image = np.full((300, 300, 3), (10, 20, 30), np.uint8)
    image[100:212, 50:162] = (0, 51, 255)
    Recogniser(network).embed(image, TEMPLATE + np.float32([50, 100]))
    expected = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    assert network.seen.shape == (1, 3, 112, 112)
    assert network.seen[0].transpose(1, 2, 0) == pytest.approx(
        np.broadcast_to(expected, (112, 112, 3)), abs=1e-4
    )


def test_a_missing_network_is_named_with_what_to_do(tmp_path):
    with pytest.raises(ModelError, match=r"scrfd_2\.5g.*--models"):
        open_judge(tmp_path)
