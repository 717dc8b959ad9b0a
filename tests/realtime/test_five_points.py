from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.families.detector import Detector
from engines.models.catalogue import bundled_catalogue
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from engines.onnxruntime import OnnxRuntimeSession
from realtime.five_points import five_points
from realtime.identity import find_faces

SHARED = Path(__file__).parents[2].parent / "shared" / "assets"
# With the largest median difference of any point, in distances between the eyes. YuNet is the
# coarsest: it differs from SCRFD by as much.
DETECTORS = [
    ("scrfd", "scrfd_2.5g_bnkps.onnx", 0.08),
    ("scrfd", "scrfd_500m_bnkps.onnx", 0.08),
    ("yunet", "yunet_n_dynamic.onnx", 0.15),
]


def test_the_five_points_are_means_of_landmarks_in_the_templates_order():
    landmarks = np.random.default_rng(0).normal(size=(468, 3)).astype(np.float32)
    five = five_points(landmarks)
    assert five.dtype == np.float32
    np.testing.assert_allclose(five[0], landmarks[[33, 133], :2].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(five[1], landmarks[[362, 263], :2].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(five[3:], landmarks[[61, 291], :2])


@pytest.fixture(scope="module")
def portraits():
    """Pictures of people who do not exist, with their landmarks."""
    paths = sorted((SHARED / "faces" / "synthetic").glob("*.jpg"))[::20]
    if not paths:
        pytest.skip("the development media are not here")
    library = ModelLibrary()
    with open_face_finder(library.session) as finder:
        pictures = [cv2.resize(cv2.imread(str(path)), (512, 512)) for path in paths]
        found = [(picture, find_faces(picture, finder)) for picture in pictures]
    return [(picture, faces[0]) for picture, faces in found if len(faces) == 1]


@pytest.mark.shared
@pytest.mark.models
@pytest.mark.parametrize(("family", "file", "limit"), DETECTORS)
def test_landmarks_and_detectors_agree_on_the_five_points(portraits, family, file, limit):
    """Two networks that know nothing of each other, so what they share is where the points are."""
    model = (SHARED / "models" / file).read_bytes()
    detector = Detector(OnnxRuntimeSession(model), bundled_catalogue().families[family])
    errors = []
    for picture, landmarks in portraits:
        found = detector.detect(picture)
        assert len(found) >= 1
        five = five_points(landmarks)
        between_eyes_px = np.linalg.norm(five[1] - five[0])
        errors.append(np.linalg.norm(found.points[0] - five, axis=1) / between_eyes_px)
    assert len(errors) >= 6
    medians = np.median(errors, axis=0)
    assert medians.max() < limit
