"""The network that looks twice at lips and eyes against the one that looks once; both are real."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.models.face_finder import Wanted, open_face_finder
from engines.models.face_landmark import square_from_landmarks

ASSETS = Path(__file__).parents[3].parent / "shared" / "assets"
MOUTH_OPENS = ASSETS / "clips" / "lp_d18_man_mouth_open.mp4"
FIRST, LAST, SHUT = 50, 69, 58
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def finders(real_models):
    """Finders with the network that looks once, and the one that looks twice."""
    names = ("face_landmark", "face_landmark_attention")
    with (
        open_face_finder(real_models.session, landmark=names[0]) as once,
        open_face_finder(real_models.session, landmark=names[1]) as twice,
    ):
        yield once, twice


def found(finder, image):
    nobody = np.zeros((0, 4), np.float32)
    (face,) = finder.search(image, Wanted(nobody, 1, 0.3, 0.5))
    return face


def eye_distance_px(landmarks):
    return float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))


def mouth_gap(landmarks):
    gap_px = float(np.linalg.norm(landmarks[13, :2] - landmarks[14, :2]))
    return gap_px / eye_distance_px(landmarks)


def expect_agreement(finders, image):
    once, twice = (found(finder, image) for finder in finders)
    away_px = np.linalg.norm(once.landmarks[:, :2] - twice.landmarks[:, :2], axis=1)
    assert min(once.score, twice.score) > 0.9
    assert away_px.mean() < 0.05 * eye_distance_px(once.landmarks)


def test_both_find_the_same_face_in_the_portrait(real_models, finders):
    expect_agreement(finders, cv2.imread(str(real_models.path("portrait_astronaut"))))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["female_00", "female_17", "male_05", "male_19"])
def test_both_find_the_same_faces_elsewhere(finders, name):
    path = ASSETS / "faces" / "synthetic" / f"{name}.jpg"
    if not path.is_file():
        pytest.skip("the development media are not here")
    expect_agreement(finders, cv2.imread(str(path)))


@pytest.mark.shared
def test_a_mouth_opens_earlier_and_wider_where_lips_are_looked_at_twice(finders):
    if not MOUTH_OPENS.is_file():
        pytest.skip("the development media are not here")
    clip = cv2.VideoCapture(str(MOUTH_OPENS))
    pictures = [clip.read()[1] for _ in range(LAST + 1)][FIRST:]
    clip.release()
    gaps = []
    for finder in finders:
        landmarks = found(finder, pictures[0]).landmarks
        gaps.append([])
        for picture in pictures:
            landmarks = finder.follow(
                picture, square_from_landmarks(landmarks), min_score=0.3
            ).landmarks
            gaps[-1].append(mouth_gap(landmarks))
    once, twice = np.array(gaps)
    assert twice[: SHUT - FIRST].max() < 0.03
    assert np.argmax(twice > 0.05) < np.argmax(once > 0.05)
    assert twice[-3:].min() > 1.2 * once[-3:].max()
