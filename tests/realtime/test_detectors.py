"""Detectors and landmark networks chosen by name; needs the face networks."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.detectors import finder_opener, needed_detectors
from realtime.errors import ConfigError
from realtime.frame import Frame, PictureSpec
from realtime.memory import Memory
from realtime.stages.track import Track

SHARED = Path(__file__).parents[2].parent / "shared" / "assets" / "models"
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def library(library_with, twins):
    """With the program's own networks as a person may have them: as ONNX files of unknown hash."""
    own = ModelLibrary()
    return library_with(
        {
            "my_blaze": ("blazeface", own.load("face_detection_full_range")),
            "my_mesh": ("face_mesh", own.load("face_landmark")),
            "my_scrfd": ("scrfd", twins.scrfd()),
        }
    )


@pytest.fixture(scope="module")
def portrait(library):
    return cv2.imread(str(library.path("portrait_astronaut")))


def config(**track):
    return load_config(settings=[f"track.{key}={value}" for key, value in track.items()])


def faces_of(library, image, **track):
    """What the first picture shows to the stage."""
    chosen = config(**track)
    stage = Track(
        chosen.track, library.session, finder_opener(chosen, library, partial(library.session))
    )
    height, width = image.shape[:2]
    stage.open(PictureSpec(width, height, Fraction(30), live=False), Memory())
    try:
        frame = Frame(image=image)
        stage.process(frame)
        return frame.faces
    finally:
        stage.close()


@pytest.mark.parametrize(
    ("track", "needed"),
    [
        ({}, ()),
        ({"detector": "my_scrfd"}, ("my_scrfd",)),
        ({"detector": "scrfd_2.5g"}, ("scrfd_2.5g",)),
        ({"landmarks": "face_landmark_attention"}, ("face_landmark_attention",)),
        ({"detector": "my_blaze", "landmarks": "my_mesh"}, ("my_blaze", "my_mesh")),
    ],
)
def test_what_is_needed_beside_the_usual_networks_is_known_beforehand(library, track, needed):
    assert needed_detectors(config(**track), library) == needed


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ({"detector": "scrfd"}, "track.detector: must be one of .*scrfd_2.5g.*, got 'scrfd'. Did"),
        ({"detector": "my_mesh"}, "track.detector: .* got 'my_mesh'"),
        ({"detector": "nothing_like_it"}, "See: rt-swap models list"),
        ({"landmarks": "face_detection_short_range"}, "track.landmarks: must be one of face_land"),
        (
            {"landmarks": "my_scrfd"},
            "track.landmarks: must be one of face_landmark, .*my_mesh, got",
        ),
    ],
)
def test_a_name_of_the_wrong_kind_is_a_configuration_error(library, track, message):
    with pytest.raises(ConfigError, match=message):
        finder_opener(config(**track), library, library.session)


def test_networks_a_person_brought_find_what_those_of_the_program_find(library, portrait):
    (usual,) = faces_of(library, portrait)
    (own,) = faces_of(library, portrait, detector="my_blaze", landmarks="my_mesh")
    np.testing.assert_allclose(own.landmarks, usual.landmarks, atol=0.01)


def test_a_network_of_other_tensors_is_no_blazeface_and_no_face_mesh(library, tmp_path, twins):
    path = tmp_path / "other.onnx"
    path.write_bytes(twins.recogniser())
    for family in ("blazeface", "face_mesh"):
        with pytest.raises(ModelError, match="must have one input"):
            library.import_file(path, family=family)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file"),
    [("scrfd_2.5g", "scrfd_2.5g_bnkps.onnx"), ("yunet", "yunet_n_dynamic.onnx")],
)
def test_five_points_lead_to_the_same_468(library, portrait, name, file):
    if not (SHARED / file).is_file():
        pytest.skip("the development media are not here")
    library.import_file(SHARED / file)
    (usual,) = faces_of(library, portrait)
    (found,) = faces_of(library, portrait, detector=name)
    width_px = float(np.ptp(usual.landmarks[:, 0]))
    away_px = np.linalg.norm(found.landmarks[:, :2] - usual.landmarks[:, :2], axis=1)
    assert away_px.mean() < 0.02 * width_px
    library.remove(name)
