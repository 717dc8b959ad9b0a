"""Detectors of five points in the place of BlazeFace, on pictures whose points are marked."""

import numpy as np
import pytest

from engines.families.boxes import FaceBoxes
from engines.models.face_landmark import square_from_detection
from engines.models.five_detector import FivePointDetector, box_as_detected

POINTS = np.array([[31, 40], [51, 42], [40, 55], [34, 66], [49, 67]], np.float32)
SHAPE = (101, 83)


class MarkDetector:
    """Finds the five marks of a picture, whichever way it is turned."""

    def __init__(self):
        self.asked = []

    def detect(self, image, *, min_score):
        self.asked.append(min_score)
        rows, columns = np.nonzero(image[..., 0])
        order = np.argsort(image[rows, columns, 0])
        points = np.stack([columns[order], rows[order]], axis=-1).astype(np.float32)
        low, high = points.min(axis=0) - 10, points.max(axis=0) + 10
        boxes = np.concatenate([low, high])[None]
        return FaceBoxes(boxes, points[None], np.array([0.8], np.float32))


@pytest.fixture
def picture():
    image = np.zeros((*SHAPE, 3), np.uint8)
    for number, (x, y) in enumerate(POINTS.astype(int), start=1):
        image[y, x] = number
    return image


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3, 5])
def test_points_come_back_to_the_picture_from_every_turn(picture, quarter_turns):
    inner = MarkDetector()
    found = FivePointDetector(inner).detect(picture, min_score=0.3, quarter_turns=quarter_turns)
    np.testing.assert_array_equal(found.keypoints, POINTS[None])
    assert inner.asked == [0.3]
    assert found.scores[0] == np.float32(0.8)
    left, top, right, bottom = found.boxes[0]
    assert right - left == pytest.approx(bottom - top)
    assert left < POINTS[:, 0].min()
    assert bottom > POINTS[:, 1].max()


def test_the_box_is_where_the_landmarks_of_an_upright_face_will_be(picture):
    """A detection of landmarks as they were leads back to the square around these."""
    landmarks = np.array([20.0, 25.0, 60.0, 75.0])
    as_detected = box_as_detected(landmarks)

    class Given(MarkDetector):
        def detect(self, image, *, min_score):
            boxes = as_detected.astype(np.float32)[None]
            return FaceBoxes(boxes, POINTS[None], np.array([0.8], np.float32))

    found = FivePointDetector(Given()).detect(picture)
    square = square_from_detection(found.boxes[0], found.keypoints[0])
    assert (square.x_px, square.y_px) == pytest.approx((40.0, 50.0), abs=1e-3)
    assert square.side_px == pytest.approx(1.5 * 50.0, rel=1e-4)
    assert square.angle_rad == pytest.approx(np.arctan2(2, 20))


def test_nobody_is_found_as_nobody(picture):
    class Nobody:
        def detect(self, image, *, min_score):
            empty = np.empty((0,), np.float32)
            return FaceBoxes(empty.reshape(0, 4), empty.reshape(0, 5, 2), empty)

    for quarter_turns in range(4):
        found = FivePointDetector(Nobody()).detect(picture, quarter_turns=quarter_turns)
        assert len(found) == 0
        assert found.keypoints.shape == (0, 5, 2)
