import numpy as np
import pytest

from realtime.face_plate import FacePlate, build_plate_tables
from realtime.skin_light import GRID

pytestmark = pytest.mark.models

NONE = np.zeros((GRID, GRID), bool)
FRONT = np.ones((GRID, GRID), np.float32)
STEP_S = 1 / 30


@pytest.fixture
def tables(mesh, zones, light):
    return build_plate_tables(mesh, zones, light)


@pytest.fixture
def face():
    """``(GRID, GRID, 3) f32`` skin with a pattern."""
    pattern = np.random.default_rng(3).normal(1, 0.04, (GRID, GRID, 1))
    return (np.array([90, 120, 170]) * pattern).astype(np.float32)


def learned(tables, face, seconds=1.0):
    plate = FacePlate(tables)
    for _ in range(round(seconds / STEP_S)):
        plate.learn(plate.compare(face, FRONT, NONE, NONE), NONE, STEP_S)
    return plate


def test_a_known_face_is_its_own_in_every_smooth_light(tables, face):
    plate = learned(tables, face)
    across = np.linspace(0.5, 1.4, GRID)[None, :, None]
    for light in (1.0, 0.4, across, across * (1.2, 1.0, 0.85)):
        lit = (face * light).astype(np.float32)
        assert plate.compare(lit, FRONT, NONE, NONE).strength.max() < 0.5


def test_a_new_colour_is_foreign_and_a_colour_from_nearby_is_not(tables, face):
    face[:, 20:] *= (0.6, 0.8, 1.2)
    plate = learned(tables, face)
    slipped = np.roll(face, 2, axis=1)
    assert plate.compare(slipped, FRONT, NONE, NONE).strength.max() < 1.0
    covered = face.copy()
    covered[20:30] = (190, 110, 40)
    strength = plate.compare(covered, FRONT, NONE, NONE).strength
    judged = tables.judged[20:30]
    assert strength[20:30][judged].min() > 1.0
    assert strength[:20].max() < 1.0


def test_nothing_is_foreign_before_half_a_second(tables, face):
    plate = learned(tables, face, seconds=0.3)
    assert plate.compare(face * 0 + 250 * 0.5, FRONT, NONE, NONE).strength.max() == 0.0
    assert not plate.known.any()


def test_cells_that_look_aside_or_are_blown_out_are_not_judged(tables, face):
    plate = learned(tables, face)
    covered = (face * 0 + np.float32([190, 110, 40])).astype(np.float32)
    covered[:24] = 255
    facing = FRONT.copy()
    facing[:, :24] = 0.2
    comparison = plate.compare(covered, facing, NONE, NONE)
    assert not comparison.judged[:24].any()
    assert not comparison.judged[:, :24].any()
    assert comparison.judged[24:, 24:].any()


def test_what_is_hidden_is_learned_very_slowly(tables, face):
    plate = learned(tables, face)
    covered = face.copy()
    covered[20:30] = (190, 110, 40)
    foreign = NONE.copy()
    foreign[20:30] = True
    for _ in range(60):
        plate.learn(plate.compare(covered, FRONT, NONE, foreign), foreign, STEP_S)
    strength = plate.compare(covered, FRONT, NONE, foreign).strength
    assert np.median(strength[20:30][tables.judged[20:30]]) > 1.0
    assert plate.compare(face, FRONT, NONE, NONE).strength.max() < 1.0


def test_normals_of_the_face_look_at_the_camera_in_front_and_aside_at_the_sides(tables):
    assert np.median(tables.normals[8:14, 20:28, 2]) < -0.8
    assert tables.normals[24, 4, 0] < -0.5
    assert tables.normals[24, GRID - 5, 0] > 0.5
    assert np.linalg.norm(tables.normals, axis=-1) == pytest.approx(1.0, abs=1e-3)
