import threading
from contextlib import contextmanager
from fractions import Fraction
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from realtime.frame import Face, FaceState, Frame, Occluder, PictureSpec, Pose
from realtime.geometry import invert
from realtime.memory import Memory
from realtime.stages.face_mask import FaceMask

_SPEC = util.spec_from_file_location("portrait", Path(__file__).parents[1] / "portrait.py")
_PORTRAIT = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PORTRAIT)

SIDE = 400
SPEC = PictureSpec(SIDE, SIDE, Fraction(30), live=False)
MS = 1_000_000
SKIN, CUP = 200, 30


class ByBrightness:
    """Takes what is bright for face."""

    def __init__(self):
        self.num_runs = 0
        self.may_run = threading.Event()
        self.may_run.set()
        self.is_open = True
        self.error = None

    def mask(self, crop, *, out):
        assert self.may_run.wait(10)
        self.num_runs += 1
        if self.error:
            raise self.error
        out[...] = np.where(crop[..., 0] > 100, 255, 0)


@pytest.fixture
def network():
    return ByBrightness()


@pytest.fixture
def stage(network):
    @contextmanager
    def open_network():
        yield network
        network.is_open = False

    mask = FaceMask(open_network, mask_px=160, every_ms=200.0)
    mask.open(SPEC, Memory())
    yield mask
    mask.close()


def picture(cup_at=230, shift=0):
    image = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    image[cup_at : cup_at + 60, 180 + shift : 240 + shift] = CUP
    return image


def face(shift=0.0, *, occluder=None, state=FaceState.SEEN):
    points = _PORTRAIT.neutral_landmarks((200.0 + shift, 200.0), 200.0)
    return Face(
        track_id=1,
        box=np.concatenate([points[:, :2].min(0), points[:, :2].max(0)]).astype(np.float32),
        landmarks=points,
        score=0.9,
        pose=Pose(0, 0, 0),
        state=state,
        occluder=occluder,
    )


def shown(stage, image, one, at_ms):
    """What stands in front, in the picture's pixels; None for nothing."""
    stage.process(Frame(image, media_ns=at_ms * MS, faces=[one]))
    if one.occluder is None:
        return None
    return cv2.warpAffine(one.occluder.mask, invert(one.occluder.crop_from_image), (SIDE, SIDE))


def test_what_is_no_face_stays_in_front_once_the_network_has_answered(stage, network):
    assert shown(stage, picture(), face(), 0) is None
    assert shown(stage, picture(), face(), 66) is None
    mask = shown(stage, picture(), face(), 132)
    assert mask[240:280, 190:230].min() > 200
    assert mask[150:215, 150:250].max() < 40
    assert network.num_runs == 1


def test_no_frame_waits_before_the_answer_is_due(stage, network):
    network.may_run.clear()
    shown(stage, picture(), face(), 0)
    shown(stage, picture(), face(), 66)
    network.may_run.set()
    assert shown(stage, picture(), face(), 132) is not None


def test_the_network_is_asked_again_only_after_a_while(stage, network):
    for at_ms in range(0, 1000, 33):
        shown(stage, picture(), face(), at_ms)
    assert 4 <= network.num_runs <= 5


def test_the_answer_is_put_where_the_head_has_gone(stage):
    shown(stage, picture(), face(), 0)
    mask = shown(stage, picture(shift=20), face(20.0), 132)
    assert mask[240:280, 210:250].min() > 180
    assert mask[240:280, 165:190].max() < 60


def test_what_was_found_otherwise_stays_too(stage):
    hand = np.zeros((SIDE, SIDE), np.uint8)
    hand[150:200, 150:180] = 255
    for at_ms in (0, 66, 132):
        other = Occluder(hand, np.eye(2, 3), 0.05)
        mask = shown(stage, picture(), face(occluder=other), at_ms)
    assert mask[160:190, 155:175].min() > 200
    assert mask[240:280, 190:230].min() > 200


def test_how_much_is_hidden_is_said(stage):
    everything = np.full((SIDE, SIDE, 3), CUP, np.uint8)
    for at_ms in (0, 132, 200, 340, 400, 540):
        one = face()
        shown(stage, everything, one, at_ms)
    assert one.occluder.share > 0.9


def test_a_thing_that_has_gone_is_let_go(stage):
    clean = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for at_ms in (0, 132):
        assert shown(stage, picture(), face(), at_ms) is None or at_ms
    masks = [shown(stage, clean, face(), at_ms) for at_ms in range(200, 1400, 66)]
    assert masks[-1] is None or masks[-1].max() < 40


def test_lost_faces_are_not_asked_about(stage, network):
    shown(stage, picture(), face(state=FaceState.LOST), 0)
    assert network.num_runs == 0


def test_a_network_that_fails_is_an_error_of_the_stage(stage, network):
    network.error = ModelError("mask: must work, got a failure. Use another one.")
    shown(stage, picture(), face(), 0)
    with pytest.raises(ModelError):
        shown(stage, picture(), face(), 132)


def test_closing_lets_the_network_go(stage, network):
    stage.close()
    assert not network.is_open
    with pytest.raises(RuntimeError, match="open"):
        stage.process(Frame(picture(), faces=[face()]))
