from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.blaze_kinds import PALMS, anchor_centres
from engines.models.blazeface import BlazeFace
from engines.models.hand_finder import (
    HAND_NETWORKS,
    HandFinder,
    LocatedHand,
    is_same_hand,
    open_hand_finder,
)
from engines.models.hand_landmark import HandLandmark, square_from_hand
from engines.session import TensorSpec

F32 = np.dtype(np.float32)
CLIP = Path(__file__).parents[3].parent / "shared/assets/clips/asl_bird_hand_over_mouth.mkv"


def palm_network(palms):
    """Finds palms (x, y, side, score) of a 192 px picture that point up."""
    anchors = anchor_centres(192, PALMS) * 192

    def run(inputs):
        run.seen = inputs["in"].copy()
        boxes = np.zeros((1, 2016, 18), np.float32)
        scores = np.full((1, 2016, 1), -50, np.float32)
        for x, y, side, score in palms:
            index = int(np.abs(anchors - (x, y)).sum(axis=1).argmin())
            offset = np.array([x, y]) - anchors[index]
            keypoints = offset + np.array([[0, side / 2], [0, 0], [0, -side / 2], *[[0, 0]] * 4])
            boxes[0, index] = np.vstack([offset, [side, side], keypoints]).ravel()
            scores[0, index] = np.log(score / (1 - score))
        return {"boxes": boxes, "scores": scores}

    session = FakeSession(
        (TensorSpec("in", (1, 192, 192, 3), F32),),
        (TensorSpec("boxes", (1, 2016, 18), F32), TensorSpec("scores", (1, 2016, 1), F32)),
        run,
    )
    return session, run


def hand_network(presence):
    def run(inputs):
        axis = np.linspace(60, 160, 21)
        points = np.stack([axis, axis[::-1], 0 * axis], axis=1)
        return {
            "p": points.reshape(1, 63).astype(np.float32),
            "s": np.full((1, 1), presence, np.float32),
        }

    return FakeSession(
        (TensorSpec("in", (1, 224, 224, 3), F32),),
        (TensorSpec("p", (1, 63), F32), TensorSpec("s", (1, 1), F32)),
        run,
    )


def finder_of(palms, presence=0.9):
    return HandFinder(
        BlazeFace(palm_network(palms)[0], kind=PALMS), HandLandmark(hand_network(presence))
    )


def hand_at(x, y, size=40.0, turn=1.0):
    axis = np.linspace(-size / 2, size / 2, 21)
    points = np.stack([axis + x, turn * axis + y, 0 * axis], axis=1)
    return LocatedHand(points.astype(np.float32), 0.9)


def test_palms_come_as_squares_of_the_picture_the_surest_first():
    image = np.zeros((384, 384, 3), np.uint8)
    finder = finder_of([(40, 60, 20, 0.6), (120, 100, 30, 0.9), (160, 20, 20, 0.2)])
    squares = finder.detect(image, (0, 0, 384, 384), min_score=0.5)
    assert [round(square.side_px) for square in squares] == [156, 104]
    assert squares[0].x_px == pytest.approx(239.5, abs=0.6)
    # Half a box towards the fingers.
    assert squares[0].y_px == pytest.approx(199.5 - 30, abs=0.6)


def test_the_palm_detector_is_given_colours_from_0_to_1():
    session, run = palm_network([])
    detector = BlazeFace(session, kind=PALMS)
    assert len(detector.detect(np.full((192, 192, 3), (0, 51, 255), np.uint8))) == 0
    assert run.seen[0, 5, 5] == pytest.approx([1.0, 0.2, 0.0])


def test_only_what_the_landmark_network_calls_a_hand_is_one():
    image = np.zeros((192, 192, 3), np.uint8)
    square = finder_of([(96, 96, 40, 0.9)]).detect(image, (0, 0, 192, 192), min_score=0.5)[0]
    hand = finder_of([], presence=0.6).locate(image, square, min_score=0.5)
    assert hand is not None
    assert hand.score == pytest.approx(0.6)
    assert finder_of([], presence=0.4).locate(image, square, min_score=0.5) is None


def test_hands_are_told_apart_by_where_their_points_lie():
    assert is_same_hand(hand_at(50, 50), hand_at(53, 52))
    assert not is_same_hand(hand_at(50, 50), hand_at(75, 50))
    # Clasped: in the same place, pointing another way.
    assert not is_same_hand(hand_at(50, 50), hand_at(50, 50, turn=-1.0))


def test_a_face_network_is_no_palm_network():
    session = FakeSession(
        (TensorSpec("in", (1, 192, 192, 3), F32),),
        (TensorSpec("boxes", (1, 2304, 16), F32), TensorSpec("scores", (1, 2304, 1), F32)),
        lambda inputs: {},
    )
    with pytest.raises(ModelError, match=r"^blazepalm: .* got .*palm detection models\.$"):
        BlazeFace(session, kind=PALMS)


def test_the_networks_are_closed_with_the_finder():
    opened = {}

    def open_session(name):
        made = palm_network([])[0] if name == HAND_NETWORKS[0] else hand_network(0.5)
        opened[name] = made
        return made

    with open_hand_finder(open_session):
        assert set(opened) == set(HAND_NETWORKS)
    for session in opened.values():
        with pytest.raises(ModelError, match="open False"):
            session.enqueue({}, out={}, stream=0)


@pytest.mark.models
@pytest.mark.shared
def test_a_real_hand_before_a_mouth_is_found_and_followed(real_models):
    if not CLIP.is_file():
        pytest.skip(f"{CLIP} is not here")
    video = cv2.VideoCapture(str(CLIP))
    frames = [video.read()[1] for _ in range(31)]
    with open_hand_finder(real_models.session) as finder:
        squares = finder.detect(frames[28], (190, 30, 430, 270), min_score=0.35)
        hand = finder.locate(frames[28], squares[0], min_score=0.5)
        assert hand is not None
        again = finder.locate(frames[30], square_from_hand(hand.points), min_score=0.5)
    assert again is not None
    assert is_same_hand(hand, again)
    assert 255 < hand.middle[0] < 345
    assert 100 < hand.middle[1] < 190
