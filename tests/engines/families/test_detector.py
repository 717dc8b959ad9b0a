"""Against twins that see a face wherever a picture has a dot of one colour."""

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.boxes import choose
from engines.families.detector import Detector
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

FAMILIES = bundled_catalogue().families
RED, BLUE = (0, 0, 255), (255, 0, 0)


def dotted(size, dots, colour):
    """A picture whose only colour is at these pixels; red and blue are absent elsewhere."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in dots:
        image[y, x] = colour
    return image


def detector(twins, name, twin):
    return Detector(OnnxRuntimeSession(twin), FAMILIES[name])


def anchored(twins, x, y, stride):
    """The five points of the twins around a place: ``(5, 2)``."""
    return np.array([x, y]) + twins.POINTS.reshape(5, 2) * stride


@pytest.mark.parametrize(
    ("size_px", "options"),
    [
        (None, {}),
        (640, {"ranked": True}),
        (640, {}),
        # The 10 GFLOPs detector takes any size, and states its outputs for 640 px.
        (640, {"open_input": True}),
    ],
)
def test_scrfd_reads_distances_from_anchors(twins, size_px, options):
    found = detector(twins, "scrfd", twins.scrfd(size_px, **options))
    side = size_px or FAMILIES["scrfd"].size_px
    assert found.input_px == side
    # Only the finest stride has a cell that begins at (200, 120): 8 divides it, 16 does not.
    faces = found.detect(dotted((side, side), [(200, 120)], RED), min_score=0.6)
    assert len(faces) == 1
    left, top, right, bottom = twins.BOX * 8
    np.testing.assert_allclose(
        faces.boxes[0],
        np.array([200 - left, 120 - top, 200 + right, 120 + bottom]) - 0.5,
        atol=1e-3,
    )
    np.testing.assert_allclose(faces.points[0], anchored(twins, 200, 120, 8) - 0.5, atol=1e-3)
    # Red is (255 - 127.5) / 128 in the tensor.
    assert faces.scores[0] == pytest.approx((127.5 / 128 + 1) / 2)


@pytest.mark.parametrize("stride", [16, 32])
def test_each_stride_is_read_in_its_own_units(twins, stride):
    found = detector(twins, "scrfd", twins.scrfd())
    faces = found.detect(dotted((480, 480), [(13 * stride, 3 * stride)], RED), min_score=0.6)
    sides = np.sort(np.ptp(faces.boxes.reshape(-1, 2, 2), axis=1)[:, 0])
    # The dot begins a cell of its stride and of every finer one; the boxes overlap too little.
    widths = [(twins.BOX[0] + twins.BOX[2]) * s for s in (8, 16, 32) if s <= stride]
    np.testing.assert_allclose(sides, widths[-len(sides) :], rtol=1e-5)
    assert widths[-1] == pytest.approx(float(sides[-1]), rel=1e-5)


def test_yunet_reads_priors_and_takes_blue_as_it_is(twins):
    found = detector(twins, "yunet", twins.yunet())
    faces = found.detect(dotted((640, 640), [(200, 120)], BLUE), min_score=0.9)
    assert len(faces) == 1
    middle = np.array([200 + 0.25 * 8, 120 + 0.5 * 8])
    half = np.array([3.0, 4.0]) * 8 / 2
    expected = np.concatenate([middle - half, middle + half]) - 0.5
    np.testing.assert_allclose(faces.boxes[0], expected, atol=1e-3)
    np.testing.assert_allclose(faces.points[0], anchored(twins, 200, 120, 8) - 0.5, atol=1e-3)
    assert faces.scores[0] == pytest.approx(1.0)


def test_yolo_face_reads_columns(twins):
    found = detector(twins, "yolo_face", twins.yolo())
    faces = found.detect(dotted((640, 640), [(200, 120)], RED), min_score=0.6)
    assert len(faces) == 1
    middle, half = np.array([204, 124]), np.array([3.0, 4.0]) * 8 / 2
    expected = np.concatenate([middle - half, middle + half]) - 0.5
    np.testing.assert_allclose(faces.boxes[0], expected, atol=1e-3)
    np.testing.assert_allclose(faces.points[0], anchored(twins, 204, 124, 8) - 0.5, atol=1e-3)


@pytest.mark.parametrize("size", [(320, 240), (960, 540), (1280, 720), (101, 643)])
def test_faces_are_reported_in_pixels_of_the_picture(twins, size):
    """A dot large enough to survive the resizing, where the square has the corner of a cell."""
    found = detector(twins, "yunet", twins.yunet())
    scale = 640 / max(size)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = round(size[0] * 0.4), round(size[1] * 0.6)
    radius = int(np.ceil(6 / scale)) + 1
    image[y - radius : y + radius + 1, x - radius : x + radius + 1] = BLUE
    faces = found.detect(image, min_score=0.5)
    assert len(faces) >= 1
    middles = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    assert np.abs(middles - (x, y)).max(axis=1).min() <= (6 + 4) / scale + 2


def test_a_dark_picture_shows_nobody(twins):
    for name, twin in (
        ("scrfd", twins.scrfd()),
        ("yunet", twins.yunet()),
        ("yolo_face", twins.yolo()),
    ):
        faces = detector(twins, name, twin).detect(np.zeros((90, 160, 3), np.uint8), min_score=0.6)
        assert len(faces) == 0
        assert faces.points.shape == (0, 5, 2)


def test_of_overlapping_boxes_the_likelier_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 0, 40, 10]], np.float32)
    points = np.zeros((3, 5, 2), np.float32)
    scores = np.array([0.6, 0.9, 0.7], np.float32)
    faces = choose(boxes, points, scores, (2.0, 3.0))
    np.testing.assert_array_equal(faces.scores, np.array([0.9, 0.7], np.float32))
    expected = np.array([[2, 3, 22, 33], [60, 0, 80, 30]], np.float32) - 0.5
    np.testing.assert_allclose(faces.boxes, expected)


@pytest.mark.parametrize(
    ("inputs", "num_outputs", "message"),
    [
        ((1, 3, 240, 320), 9, "a square whose side is a multiple of 32"),
        ((1, 3, 100, 100), 9, "a square whose side is a multiple of 32"),
        ((1, 1, 640, 640), 9, r"an input of shape \?×3×\?×\?"),
        ((1, 3, 640, 640), 2, "must have 9 outputs, got 2"),
    ],
)
def test_another_signature_is_refused(inputs, num_outputs, message):
    f32 = np.dtype(np.float32)
    session = FakeSession(
        (TensorSpec("x", inputs, f32),),
        tuple(TensorSpec(f"o{n}", (12800, 1), f32) for n in range(num_outputs)),
        lambda given: given,
    )
    with pytest.raises(ModelError, match=message):
        Detector(session, FAMILIES["scrfd"])
