import math

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.face_landmark import (
    FaceLandmark,
    square_from_detection,
    square_from_landmarks,
)
from engines.models.face_refinements import LEFT_EYE, LIPS, REFINEMENTS, RIGHT_EYE
from engines.models.square_crop import CropSquare
from engines.session import TensorSpec

F32 = np.dtype(np.float32)
CROP_PX = 192


def session_of(compute, swapped=False):
    """A landmark-shaped network: ``compute(crop) -> (points (468, 3), logit)``."""

    def run(inputs):
        points, logit = compute(inputs["crop"][0])
        return {
            "p": points.reshape(1, 1, 1, 1404).astype(np.float32),
            "l": np.full((1, 1, 1, 1), logit, np.float32),
        }

    outputs = (TensorSpec("p", (1, 1, 1, 1404), F32), TensorSpec("l", (1, 1, 1, 1), F32))
    return FakeSession(
        (TensorSpec("crop", (1, CROP_PX, CROP_PX, 3), F32),),
        outputs[::-1] if swapped else outputs,
        run,
    )


def second_look_session(points, **refined):
    """A network that looks twice: ``refined`` are its further outputs, in that order."""
    results = {"p": points.reshape(1, 1404), "l": np.zeros((1, 1)), **refined}
    results = {key: np.asarray(value, np.float32) for key, value in results.items()}
    outputs = tuple(TensorSpec(key, value.shape, F32) for key, value in results.items())
    crop = TensorSpec("crop", (1, CROP_PX, CROP_PX, 3), F32)
    return FakeSession((crop,), outputs, lambda inputs: results)


def finds_the_mark(crop):
    weight = crop.sum(axis=2)
    axis = np.arange(CROP_PX) + 0.5
    x, y = (weight.sum(axis=0) @ axis, weight.sum(axis=1) @ axis) / weight.sum()
    return np.tile([x, y, 0.0], (468, 1)), 0.0


@pytest.mark.parametrize("swapped", [False, True])
def test_points_and_score_come_back_in_image_pixels(swapped):
    rng = np.random.default_rng(1)
    points = rng.uniform(0, CROP_PX, (468, 3))
    face = FaceLandmark(session_of(lambda crop: (points, 1.5), swapped))
    square = CropSquare(x_px=310.0, y_px=95.0, side_px=120.0, angle_rad=0.4)
    out = np.full((468, 3), np.nan, np.float32)
    score = face.locate(np.zeros((200, 400, 3), np.uint8), square, out=out)
    assert score == pytest.approx(1 / (1 + math.exp(-1.5)))
    # The crop's own pixel centres lie half a pixel before the network's measure.
    matrix = square.crop_from_image(CROP_PX)
    back = out[:, :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    assert back == pytest.approx(points[:, :2], abs=1e-3)
    assert out[:, 2] == pytest.approx(points[:, 2] * 120 / CROP_PX, rel=1e-5)


WHOLE_CROP = CropSquare(CROP_PX / 2 - 0.5, CROP_PX / 2 - 0.5, CROP_PX, 0.0)
"""A square whose crop is the picture itself: what comes back is what the network said."""


def located(session):
    out = np.full((468, 3), np.nan, np.float32)
    picture = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    FaceLandmark(session).locate(picture, WHOLE_CROP, out=out)
    return out


def test_a_second_look_takes_the_place_of_the_first_in_x_and_y():
    rng = np.random.default_rng(2)
    points = rng.uniform(0, CROP_PX, (468, 3))
    lips, right, left = (rng.uniform(0, CROP_PX, (len(part), 2)) for part in REFINEMENTS)
    expected = located(second_look_session(points))
    plain = expected.copy()
    for part, values in ((LIPS, lips), (RIGHT_EYE, right), (LEFT_EYE, left)):
        expected[list(part), :2] = values - 0.5
    session = second_look_session(
        points,
        lips=lips.reshape(1, 1, 1, 160),
        left_eye=right.reshape(1, 142),
        right_eye=left.reshape(1, 1, 142),
        left_iris=np.full((1, 10), 7.0),
        right_iris=np.full((1, 10), 7.0),
    )
    got = located(session)
    np.testing.assert_allclose(got, expected, atol=1e-3)
    np.testing.assert_array_equal(got[:, 2], plain[:, 2])


def test_lips_alone_may_be_looked_at_again():
    points, lips = np.full((468, 3), 90.0), np.full((1, 160), 40.0)
    got = located(second_look_session(points, lips=lips))
    assert set(np.flatnonzero(got[:, 0] < 60)) == set(LIPS)


def test_the_tables_name_each_landmark_once():
    assert [len(part) for part in REFINEMENTS] == [80, 71, 71]
    numbers = [number for part in REFINEMENTS for number in part]
    assert len(set(numbers)) == 222
    assert 0 <= min(numbers) <= max(numbers) < 468


@pytest.mark.parametrize("logit", [-1e6, 1e6])
def test_an_extreme_logit_is_still_a_probability(logit):
    face = FaceLandmark(session_of(lambda crop: (np.zeros((468, 3)), logit)))
    out = np.zeros((468, 3), np.float32)
    score = face.locate(np.zeros((9, 9, 3), np.uint8), CropSquare(4, 4, 8, 0), out=out)
    assert score == pytest.approx(float(logit > 0), abs=1e-6)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, -135])
@pytest.mark.parametrize("side_px", [90, 250, 391, 801, 1700])
def test_a_mark_is_found_where_it_is_whatever_the_crop(side_px, angle_deg):
    image = np.zeros((1083, 1921, 3), np.uint8)
    half = side_px // 16
    image[500 - half : 501 + half, 900 - half : 901 + half] = 255
    square = CropSquare(900 + side_px / 7.3, 500 - side_px / 9.1, side_px, math.radians(angle_deg))
    out = np.zeros((468, 3), np.float32)
    FaceLandmark(session_of(finds_the_mark)).locate(image, square, out=out)
    assert out[0, :2] == pytest.approx([900, 500], abs=0.08 * max(1, side_px / CROP_PX))


def test_the_network_sees_rgb_from_zero_to_one_and_black_outside_the_picture():
    seen = []

    def compute(crop):
        seen.append(crop.copy())
        return np.zeros((468, 3)), 0.0

    image = np.zeros((100, 100, 3), np.uint8)
    image[:] = (51, 102, 255)
    out = np.zeros((468, 3), np.float32)
    face = FaceLandmark(session_of(compute))
    face.locate(image, CropSquare(0, 50, 90, 0), out=out)
    assert seen[0][96, 150] == pytest.approx([1.0, 0.4, 0.2], abs=1e-6)
    assert (seen[0][:, :90] == 0).all()
    # Large squares are made smaller first; far outside there is nothing to make smaller.
    for x_px in (-5000.0, 5000.0):
        face.locate(image, CropSquare(x_px, 50, 900, 0.2), out=out)
        assert (seen[-1] == 0).all()


def test_a_turned_square_is_seen_with_its_upper_edge_up():
    matrix = CropSquare(x_px=50, y_px=60, side_px=100, angle_rad=math.pi / 2).crop_from_image(101)
    # Turned clockwise by a quarter, the square's upper edge lies at the right in the picture.
    assert matrix @ [100, 60, 1] == pytest.approx([50, -0.5])
    assert matrix @ [50, 60, 1] == pytest.approx([50, 50])


def test_the_square_of_a_detection_lies_along_the_eyes_around_the_box():
    keypoints = np.array([[100, 100], [120, 120], [0, 0]], np.float32)
    square = square_from_detection(np.array([90, 80, 150, 120], np.float32), keypoints)
    assert (square.x_px, square.y_px, square.side_px) == (120, 100, 90)
    assert square.angle_rad == pytest.approx(math.pi / 4)


def test_the_square_of_landmarks_lies_along_the_outer_eye_corners():
    landmarks = np.tile(np.array([50, 40, 9], np.float32), (468, 1))
    landmarks[33], landmarks[263], landmarks[152] = (20, 40, 0), (80, 40, 0), (50, 120, 0)
    square = square_from_landmarks(landmarks)
    assert square == CropSquare(x_px=50, y_px=80, side_px=120, angle_rad=0.0)


@pytest.mark.parametrize(
    ("input_shape", "output_shapes"),
    [
        ((1, 3, 192, 192), ((1, 1404), (1, 1))),
        ((1, 192, 192, 3), ((1, 1404), (1, 2))),
        ((1, 192, 192, 3), ((1, 1434), (1, 1))),
    ],
)
def test_a_network_that_is_no_face_landmark_model_is_refused(input_shape, output_shapes):
    outputs = tuple(TensorSpec(str(i), shape, F32) for i, shape in enumerate(output_shapes))
    session = FakeSession((TensorSpec("in", input_shape, F32),), outputs, lambda inputs: {})
    with pytest.raises(ModelError, match=r"face landmark: .* must .* got .*Use the"):
        FaceLandmark(session)
