import math

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.hand_landmark import HandLandmark, square_from_hand, square_from_palm
from engines.models.square_crop import CropSquare
from engines.session import TensorSpec

F32 = np.dtype(np.float32)
OUTPUTS = (
    TensorSpec("points", (1, 63), F32),
    TensorSpec("presence", (1, 1), F32),
    TensorSpec("handedness", (1, 1), F32),
    TensorSpec("world", (1, 63), F32),
)


def session_of(points, presence, outputs=OUTPUTS, shape=(1, 224, 224, 3)):
    def run(inputs):
        return {
            "points": points.reshape(1, 63).astype(np.float32),
            "presence": np.full((1, 1), presence, np.float32),
            "handedness": np.full((1, 1), 0.123, np.float32),
            "world": np.full((1, 63), 77, np.float32),
        }

    return FakeSession((TensorSpec("crop", shape, F32),), outputs, run)


def upright_hand():
    """A flat hand that points up: wrist at the bottom, fingers one unit apart."""
    points = np.zeros((21, 3), np.float32)
    points[0] = (0, 0, 0)
    points[1:5, :2] = [(1.2, -0.6), (1.9, -1.2), (2.3, -1.8), (2.6, -2.3)]
    for finger in range(4):
        x = 1.0 - 0.7 * finger
        points[5 + 4 * finger : 9 + 4 * finger, :2] = [(x, -3 - step) for step in range(4)]
    return points


def turned(points, angle_rad, scale=10.0, shift=(200.0, 150.0)):
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    out = points * np.float32(scale)
    out[:, :2] = out[:, :2] @ np.array([[cos, sin], [-sin, cos]], np.float32) + np.float32(shift)
    return out


def test_points_and_presence_come_back_in_image_pixels():
    points = np.random.default_rng(1).uniform(0, 224, (21, 3)).astype(np.float32)
    hand = HandLandmark(session_of(points, 0.75))
    out = np.full((21, 3), np.nan, np.float32)
    square = CropSquare(310.0, 95.0, 112.0, 0.0)
    assert hand.locate(np.zeros((200, 400, 3), np.uint8), square, out=out) == pytest.approx(0.75)
    assert out[:, :2] == pytest.approx(points[:, :2] / 2 + (310 - 56, 95 - 56), abs=1e-3)
    assert out[:, 2] == pytest.approx(points[:, 2] / 2)


@pytest.mark.parametrize("angle_deg", [0, 35, 90, 180, -120])
def test_the_square_of_a_hand_turns_and_goes_with_it(angle_deg):
    angle_rad = math.radians(angle_deg)
    still = square_from_hand(turned(upright_hand(), 0.0))
    square = square_from_hand(turned(upright_hand(), angle_rad))
    assert square.side_px == pytest.approx(still.side_px, rel=1e-4)
    assert math.cos(square.angle_rad - still.angle_rad - angle_rad) == pytest.approx(1.0, abs=1e-5)
    placed = turned(upright_hand(), angle_rad)[:, :2]
    matrix = square.crop_from_image(100)
    inside = placed @ matrix[:, :2].T + matrix[:, 2]
    assert inside.min() > 5
    assert inside.max() < 95


def test_the_square_of_a_palm_reaches_over_the_fingers():
    keypoints = np.zeros((7, 2), np.float32)
    keypoints[0], keypoints[2] = (100, 140), (100, 100)
    square = square_from_palm(np.array([80, 90, 120, 130], np.float32), keypoints)
    assert square == CropSquare(100.0, 90.0, pytest.approx(104.0), 0.0)


def test_a_palm_that_points_to_the_right_is_a_quarter_turn_clockwise():
    keypoints = np.zeros((7, 2), np.float32)
    keypoints[0], keypoints[2] = (100, 100), (140, 100)
    square = square_from_palm(np.array([90, 80, 130, 120], np.float32), keypoints)
    assert square.angle_rad == pytest.approx(math.pi / 2)
    assert square.x_px == pytest.approx(130.0)


@pytest.mark.parametrize(
    ("shape", "outputs"),
    [((1, 224, 192, 3), OUTPUTS), ((1, 224, 224, 1), OUTPUTS), ((1, 224, 224, 3), OUTPUTS[1:3])],
)
def test_a_network_that_places_no_hand_is_refused(shape, outputs):
    with pytest.raises(ModelError, match=r"^hand landmark: the network must have"):
        HandLandmark(session_of(np.zeros((21, 3)), 0.5, outputs, shape))
