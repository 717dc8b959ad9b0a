from fractions import Fraction
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.frame import Face, FaceState, Frame, Motion, PictureSpec, Pose
from realtime.geometry import invert
from realtime.memory import Memory
from realtime.stages.glasses import Glasses

_SPEC = util.spec_from_file_location("portrait", Path(__file__).parents[1] / "portrait.py")
_PORTRAIT = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PORTRAIT)

SIDE = 400
SPEC = PictureSpec(SIDE, SIDE, Fraction(30), live=False)
MS = 1_000_000


def landmarks(shift=0.0):
    return _PORTRAIT.neutral_landmarks((200.0 + shift, 200.0), 210.0)


def picture(shift=0.0, *, glasses=True):
    image = np.full((SIDE, SIDE, 3), (150, 175, 215), np.uint8)
    if glasses:
        points = landmarks(shift)
        for corners in ((33, 133), (362, 263)):
            x, y = points[list(corners), :2].mean(axis=0)
            centre = (round(float(x) * 16), round((float(y) + 6) * 16))
            cv2.ellipse(image, centre, (36 * 16, 28 * 16), 0, 0, 360, (25,) * 3, 4, cv2.LINE_AA, 4)
        left, right = points[133, :2] - (3, 1), points[362, :2] + (3, -1)
        ends = [tuple(int(v) for v in p.round()) for p in (left, right)]
        cv2.line(image, *ends, (25,) * 3, 4, cv2.LINE_AA)
    return image


def face(shift=0.0, *, moved_px=None, state=FaceState.SEEN, chosen=True):
    points = landmarks(shift)
    motion = None
    if moved_px is not None:
        crop = np.float64([[1, 0, -50], [0, 1, -50]])
        flow = np.zeros((300, 300, 2), np.float32)
        flow[..., 0] = -moved_px
        motion = Motion(crop, crop, flow, np.ones((300, 300), np.float32))
    return Face(
        track_id=1,
        box=np.concatenate([points[:, :2].min(0), points[:, :2].max(0)]).astype(np.float32),
        landmarks=points,
        score=0.9,
        pose=Pose(0, 0, 0),
        state=state,
        chosen=chosen,
        motion=motion,
    )


@pytest.fixture
def stage():
    glasses = Glasses()
    glasses.open(SPEC, Memory())
    yield glasses
    glasses.close()


def seen(stage, image, one, at_ms=0):
    stage.process(Frame(image, media_ns=at_ms * MS, faces=[one]))
    if one.glasses is None:
        return None
    size = (SIDE, SIDE)
    return cv2.warpAffine(one.glasses.mask, invert(one.glasses.crop_from_image), size)


def covered(mask, image):
    return float((mask[image[..., 0] < 40] > 100).mean())


def test_glasses_are_seen_at_once_where_they_are(stage):
    mask = seen(stage, picture(), face())
    assert covered(mask, picture()) > 0.6
    assert mask[300:].max() == 0
    assert stage.name == "glasses"


def test_a_face_without_glasses_keeps_none(stage):
    assert seen(stage, picture(glasses=False), face()) is None


def test_between_two_looks_they_go_with_the_picture(stage):
    seen(stage, picture(), face())
    mask = seen(stage, picture(6.0), face(6.0, moved_px=6.0), at_ms=33)
    assert covered(mask, picture(6.0)) > 0.5


def test_glasses_that_are_taken_off_fade_away(stage):
    seen(stage, picture(), face())
    strengths = []
    for step in range(1, 40):
        bare = seen(stage, picture(glasses=False), face(), at_ms=33 * step)
        strengths.append(0 if bare is None else int(bare.max()))
    assert strengths[1] > 100
    assert strengths[-1] == 0
    assert max(np.diff(strengths)) <= 0


def test_faces_that_are_not_swapped_are_not_looked_at(stage):
    assert seen(stage, picture(), face(state=FaceState.LOST)) is None
    assert seen(stage, picture(), face(chosen=False)) is None
