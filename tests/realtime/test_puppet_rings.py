import cv2
import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.face_mesh import (
    INNER_LIPS,
    LEFT_EYE,
    NUM_POINTS,
    OVAL,
    RIGHT_EYE,
    load_face_mesh,
)
from realtime.head_motion import HeadState
from realtime.puppet import Puppet
from realtime.puppet_rig import build_rig
from realtime.puppet_rings import back_of_head, rings_around, skin_for_jaw

pytestmark = pytest.mark.models

SIZE = (640, 360)
SKIN, WALL = (120, 150, 190), (90, 200, 60)


@pytest.fixture(scope="module")
def mesh():
    path = ModelLibrary().path("face_mesh_connections")
    return load_face_mesh(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def head(mesh):
    return 1.7 * mesh.neutral.astype(np.float64)


@pytest.fixture(scope="module")
def puppet(mesh):
    """A face of one colour, without hair, before a wall of another."""
    landmarks = (95 * mesh.neutral + (256, 200, 0)).astype(np.float32)
    portrait = np.full((512, 512, 3), WALL, np.uint8)
    cv2.fillPoly(portrait, [np.round(landmarks[list(OVAL), :2]).astype(np.int32)], SKIN)
    return Puppet(mesh, portrait, landmarks, SIZE)


def drawn(puppet, state):
    image = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    return image, puppet.draw(state, out=image).landmarks


def near(image, colour, tolerance=25):
    return np.abs(image.astype(int) - colour).max(axis=2) <= tolerance


def covered(mesh, landmarks):
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for triangle in np.round(landmarks[mesh.skin, :2]).astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 255)
    return mask


@pytest.mark.parametrize("yaw", [-75, -62, 62, 75])
def test_a_profile_ends_at_the_nose_and_what_is_behind_it_begins_there(puppet, mesh, yaw):
    image, landmarks = drawn(puppet, HeadState(yaw=yaw, mouth_open=0.3))
    bridge, tip = landmarks[6, :2], landmarks[4, :2]
    towards = np.sign(yaw)
    # Between the root of the nose and its tip the contour is hollow, and the wall shows there.
    row = round(float(0.75 * bridge[1] + 0.25 * tip[1]))
    is_face = covered(mesh, landmarks)[row] > 0
    edge = np.flatnonzero(is_face).max() if towards > 0 else np.flatnonzero(is_face).min()
    beside = image[row, edge + towards * 4]
    assert abs(edge - tip[0]) > 6
    assert near(beside[None, None], WALL)[0, 0]


@pytest.mark.parametrize("yaw", [-60, -35, 35, 60])
def test_no_wall_comes_along_on_the_side_of_the_jaw(puppet, mesh, yaw):
    image, landmarks = drawn(puppet, HeadState(yaw=yaw, mouth_open=0.3))
    inside = cv2.erode(covered(mesh, landmarks), np.ones((5, 5), np.uint8)) > 0
    assert inside.sum() > 3000
    assert not near(image, WALL)[inside].any()


@pytest.mark.parametrize("yaw", [0, -5, 5])
def test_a_head_that_looks_ahead_takes_every_colour_of_its_face_from_its_own_place(mesh, yaw):
    rig = build_rig(mesh, (95 * mesh.neutral + (256, 200, 0)).astype(np.float32))
    assert rig.source[:NUM_POINTS] == pytest.approx(rig.rest[:NUM_POINTS, :2])
    assert not rig.taken_aside(HeadState(yaw=yaw)).any()


@pytest.mark.parametrize("yaw", [-30, 30])
def test_only_the_rim_of_the_jaw_that_turns_into_sight_takes_other_skin(mesh, yaw):
    rig = build_rig(mesh, (95 * mesh.neutral + (256, 200, 0)).astype(np.float32))
    aside = np.linalg.norm(rig.taken_aside(HeadState(yaw=yaw)), axis=1)[:NUM_POINTS]
    inner = [*RIGHT_EYE, *LEFT_EYE, *INNER_LIPS, 4, 6, 9, 10, 152]
    assert aside[inner].max() == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < aside.max() < 0.1 * np.ptp(rig.rest[:NUM_POINTS, 1])
    is_hidden = np.sign(rig.rest[:NUM_POINTS, 0] - 256) == np.sign(yaw)
    assert aside[is_hidden].max() == pytest.approx(0.0, abs=1e-6)


def test_the_ring_behind_the_head_begins_where_the_head_ends(head):
    points, carried, triangles = rings_around(head, NUM_POINTS)
    rings = points.reshape(-1, len(OVAL), 3)
    assert rings[2] == pytest.approx(rings[3])
    assert (carried.reshape(-1, len(OVAL))[:4] == 1.0).all()
    assert triangles.max() == NUM_POINTS + len(points) - 1


def test_the_back_closes_behind_the_silhouette_and_has_its_hair_from_within(head):
    points, places, triangles = back_of_head(head, 500)
    rings = points.reshape(-1, len(OVAL), 3)
    silhouette = rings_around(head, 0)[0].reshape(-1, len(OVAL), 3)[2]
    assert rings[0] == pytest.approx(silhouette)
    assert np.ptp(rings[-1], axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert (np.diff(rings[..., 2].mean(axis=1)) > 0).all()
    used = np.unique(triangles) - 500
    middle = head[list(OVAL), :2].mean(axis=0)
    reach = np.linalg.norm(places[used, :2] - middle, axis=1)
    assert (reach < np.linalg.norm(np.tile(silhouette[:, :2], (5, 1))[used] - middle, axis=1)).all()


def test_the_jaw_takes_its_colours_from_within_and_the_brow_keeps_its_own(head):
    rings = rings_around(head, NUM_POINTS)[0]
    places = np.vstack([head, rings])
    moved = np.linalg.norm(skin_for_jaw(places, head, NUM_POINTS), axis=1)[:NUM_POINTS]
    assert moved[[10, 151, 9, 4]] == pytest.approx(np.zeros(4), abs=1e-9)
    assert (moved[[132, 361]] > 0.05).all()
