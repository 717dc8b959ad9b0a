import cv2
import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OVAL, RIGHT_EYE, load_face_mesh
from realtime.head_motion import HeadState
from realtime.puppet import Puppet, inner_box

pytestmark = pytest.mark.models

SKIN = (120, 150, 190)
STATES = (
    HeadState(),
    HeadState(yaw=18, pitch=8, roll=6, shift_x=0.05, eyes_closed=0.5),
    HeadState(yaw=-18, pitch=-8, roll=-6, shift_y=-0.03, mouth_round=1.0, brows_up=1.0),
    HeadState(yaw=18, pitch=-8, nearer=0.05, eyes_closed=1.0, mouth_round=-1.0),
    HeadState(yaw=-18, pitch=8, eyes_closed=1.0),
)


@pytest.fixture(scope="module")
def mesh():
    path = ModelLibrary().path("face_mesh_connections")
    return load_face_mesh(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def landmarks(mesh):
    """A face in the middle of a picture of 512 x 512 px, its lips a little apart."""
    points = (95 * mesh.neutral + (250, 150, 0)).astype(np.float32)
    points[list(INNER_LIPS[1:10]), 1] += 5
    return points


@pytest.fixture(scope="module")
def plain(mesh, landmarks):
    portrait = np.full((512, 512, 3), SKIN, np.uint8)
    return Puppet(mesh, portrait, landmarks, (641, 361))


def draw(puppet, state, size=(641, 361)):
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    return image, puppet.draw(state, out=image)


@pytest.mark.parametrize("state", STATES)
def test_a_plain_portrait_stays_plain_with_its_mouth_shut(plain, state):
    image, truth = draw(plain, state)
    off = np.abs(image.astype(int) - SKIN).max(axis=2)
    # The line between the lips may show a trace of the dark behind them.
    mouth = np.zeros(image.shape[:2], np.uint8)
    lips = np.round(truth.landmarks[list(INNER_LIPS), :2]).astype(np.int32)
    cv2.polylines(mouth, [lips], True, 255, 5)
    assert off[mouth == 0].max() <= 6
    assert (off > 20).sum() < 20


@pytest.mark.parametrize("yaw", [-18, 0, 18])
def test_an_open_mouth_shows_teeth_above_dark_and_nothing_outside_the_lips(plain, yaw):
    image, truth = draw(plain, HeadState(yaw=yaw, mouth_open=1.0))
    lips = truth.landmarks[list(INNER_LIPS), :2]
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(lips).astype(np.int32)], 255)
    off = np.abs(image.astype(int) - SKIN).max(axis=2)
    assert off[cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0].max() <= 6
    inside = cv2.erode(mask, np.ones((5, 5), np.uint8))
    assert (off[inside > 0] > 60).mean() > 0.4
    upper, lower = truth.landmarks[13, :2], truth.landmarks[14, :2]
    column = [
        image[tuple(np.round(upper + t * (lower - upper))[::-1].astype(int))] for t in (0.06, 0.7)
    ]
    assert column[0].max() > 150
    assert column[1].max() < 110


def test_lids_cover_the_eyes(mesh, landmarks):
    portrait = np.full((512, 512, 3), SKIN, np.uint8)
    for ring in (RIGHT_EYE, LEFT_EYE):
        cv2.fillPoly(portrait, [np.round(landmarks[list(ring), :2]).astype(np.int32)], (0, 255, 0))
    puppet = Puppet(mesh, portrait, landmarks, (640, 360))
    green = [
        int((draw(puppet, HeadState(eyes_closed=shut), (640, 360))[0][..., 2] < 80).sum())
        for shut in (0.0, 0.5, 1.0)
    ]
    assert green[0] > 100
    assert 0.2 * green[0] < green[1] < 0.75 * green[0]
    assert green[2] < 0.15 * green[0]


def test_marks_on_the_face_go_where_the_landmarks_say(mesh, landmarks):
    portrait = np.full((512, 512, 3), SKIN, np.uint8)
    marks = (9, 151, 199, 50, 280)
    for mark in marks:
        cv2.circle(
            portrait, tuple(np.round(landmarks[mark, :2]).astype(int).tolist()), 2, (255, 0, 0), -1
        )
    puppet = Puppet(mesh, portrait, landmarks, (1280, 720))
    states = (HeadState(yaw=12, mouth_open=0.8), HeadState(yaw=-9, pitch=6, roll=5))
    for state in (HeadState(), *states):
        image, truth = draw(puppet, state, (1280, 720))
        blue = (image[..., 2] < 100).astype(np.uint8)
        _, _, _, centres = cv2.connectedComponentsWithStats(blue)
        for mark in marks:
            nearest = np.linalg.norm(centres - truth.landmarks[mark, :2], axis=1).min()
            assert nearest < 3.0, (mark, state)


def test_the_face_stays_where_the_portrait_has_it_and_the_far_edges_never_move(mesh, landmarks):
    noise = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    portrait = cv2.resize(noise, (512, 512), interpolation=cv2.INTER_CUBIC)
    puppet = Puppet(mesh, portrait, landmarks, (640, 360))
    rest, _ = draw(puppet, HeadState(mouth_open=0.3), (640, 360))
    turned, truth = draw(puppet, HeadState(yaw=15, roll=5, mouth_open=0.3), (640, 360))
    edge = np.abs(rest.astype(int) - turned)[:, [0, 1, 2, -3, -2, -1]]
    assert edge.max() <= 1
    oval = truth.landmarks[list(OVAL), :2]
    assert np.ptp(oval[:, 1]) > 0.3 * 360


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((1280, 720), (0, 0, 1280, 720)),
        ((640, 480), (0, 0, 640, 480)),
        ((720, 1280), (0, 0, 720, 1280)),
        ((2000, 900), (200, 0, 1600, 900)),
        ((90, 400), (0, 120, 90, 160)),
    ],
)
def test_bars_fill_what_is_wider_or_narrower_than_a_picture_may_be(size, box):
    assert inner_box(size) == box
