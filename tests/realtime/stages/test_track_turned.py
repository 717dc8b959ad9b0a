"""The built-in face at every angle in the plane of the picture."""

from fractions import Fraction

import cv2
import pytest

from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.face_crops import face_crops
from realtime.frame import Frame, PictureSpec
from realtime.memory import Memory
from realtime.stages.track import Track, TrackConfig

pytestmark = pytest.mark.models

SIDE_PX = 360
PERIOD_NS = 33_333_333
MOST_FRAMES = 13
"""Four looks at turned heads, a tenth of a second apart, and the frame that takes the last."""


@pytest.fixture(scope="module")
def open_session():
    library = ModelLibrary()
    library.pull(FACE_NETWORKS)
    return library.session


def leaning(degrees):
    """The face leaning clockwise before grey."""
    face = cv2.resize(face_crops()[0], (240, 240), interpolation=cv2.INTER_AREA)
    edge = (SIDE_PX - 240) // 2
    image = cv2.copyMakeBorder(
        face, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(110, 110, 110)
    )
    turn = cv2.getRotationMatrix2D(((SIDE_PX - 1) / 2,) * 2, -degrees, 1.0)
    return cv2.warpAffine(image, turn, (SIDE_PX, SIDE_PX), borderValue=(110, 110, 110))


def found_in(image, open_session, num_frames=None):
    """The faces of the first frame of a still film that shows any."""
    stage = Track(TrackConfig(), open_session)
    stage.open(PictureSpec(SIDE_PX, SIDE_PX, Fraction(30), False, num_frames), Memory())
    frame = Frame(image)
    for number in range(num_frames or MOST_FRAMES):
        frame.media_ns = number * PERIOD_NS
        stage.process(frame)
        if frame.faces:
            break
    stage.close()
    return frame.faces


def roll_apart(face, degrees):
    return abs((face.pose.roll - degrees + 180) % 360 - 180)


@pytest.mark.parametrize("degrees", [0, 60, 90, 120, 150, 180, 205, 235, 270, 300])
def test_a_head_is_found_the_right_way_up_at_any_angle(open_session, degrees):
    faces = found_in(leaning(degrees), open_session)
    assert len(faces) == 1
    assert roll_apart(faces[0], degrees) < 15


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_picture_that_comes_alone_shows_its_turned_head_at_once(open_session, degrees):
    faces = found_in(leaning(degrees), open_session, num_frames=1)
    assert len(faces) == 1
    assert roll_apart(faces[0], degrees) < 15


def test_a_head_that_turns_over_is_followed_all_the_way(open_session):
    stage = Track(TrackConfig(), open_session)
    stage.open(PictureSpec(SIDE_PX, SIDE_PX, Fraction(30), False), Memory())
    for number, degrees in enumerate(range(0, 181, 6)):
        frame = Frame(leaning(degrees), media_ns=number * PERIOD_NS)
        stage.process(frame)
        assert [face.track_id for face in frame.faces] == [0]
        assert roll_apart(frame.faces[0], degrees) < 15
    stage.close()
