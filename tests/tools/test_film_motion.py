from fractions import Fraction

import cv2
import numpy as np
import pytest

from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from tools.film import Film
from tools.film_motion import FilmFace, Region, eye_distance_px, hull_mask, study_film

SIZE_PX = 160
STEP_PX = 3


def ground():
    noise = np.random.default_rng(0).normal(size=(SIZE_PX, SIZE_PX + 60, 3))
    soft = cv2.GaussianBlur(noise, (0, 0), 5.0)
    return np.clip(128 + 50 * soft / soft.std(), 0, 255).astype(np.uint8)


def face_at(x, track_id=1):
    """Landmarks on a circle of 40 pixels around a point."""
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    circle = np.column_stack([x + 40 * np.cos(angles), 80 + 40 * np.sin(angles)])
    return FilmFace(track_id, circle.astype(np.float32), 30.0)


@pytest.fixture
def film():
    """A ground that travels to the right by ``STEP_PX`` in each of four pictures."""
    texture = ground()
    pictures = [
        np.ascontiguousarray(texture[:, 60 - STEP_PX * n : 60 - STEP_PX * n + SIZE_PX])
        for n in range(4)
    ]
    return Film("travel", pictures, [0, 40, 80, 120], Fraction(25))


def test_the_motion_of_the_face_is_found_and_leaves_little_over(film):
    motion = study_film(film, [face_at(70 + STEP_PX * n) for n in range(4)])
    assert sorted(motion.pairs) == [1, 2, 3]
    pair = motion.pairs[2]
    flow = pair.face.flow[pair.face.seen].astype(float)
    assert np.median(flow, axis=0) == pytest.approx([STEP_PX, 0], abs=0.1)
    assert pair.face.error < 2e-4
    still = np.square(film.pictures[1].astype(float) - film.pictures[2]).mean() / 255**2
    assert pair.face.error < still / 10
    assert pair.visible > 0.9
    assert pair.face.warp_error(film.pictures[1], film.pictures[2]) == pair.face.error


def test_only_the_hull_counts_inside_and_only_the_rest_outside(film):
    motion = study_film(film, [face_at(70 + STEP_PX * n) for n in range(4)])
    pair = motion.pairs[1]
    hull = hull_mask(face_at(70).landmarks, SIZE_PX, SIZE_PX)
    assert not (pair.face.seen & ~hull[pair.face.part]).any()
    # Pictures of up to 240 pixels are not shrunk.
    assert not (pair.outside.seen & hull).any()
    assert pair.outside.seen.sum() > 0.5 * (~hull).sum()


def test_pairs_across_a_cut_or_without_a_face_are_left_out(film):
    faces = [face_at(70), face_at(73, track_id=2), None, face_at(79, track_id=2)]
    assert study_film(film, faces).pairs == {}
    faces = [face_at(70), face_at(73), None, face_at(79)]
    assert sorted(study_film(film, faces).pairs) == [1]


def test_a_face_that_reaches_over_the_edge_is_measured_where_it_is_seen(film):
    motion = study_film(film, [face_at(10 + STEP_PX * n) for n in range(4)])
    assert motion.pairs[1].face.left == 0
    assert motion.pairs[1].face.error < 2e-4


def test_a_face_out_of_the_picture_is_left_out(film):
    assert study_film(film, [face_at(-70)] * 4).pairs == {}


def test_a_region_without_anything_that_counts_has_no_error():
    flow = np.zeros((8, 8, 2), np.float16)
    region = Region(0, 0, 8, 8, flow, np.zeros((8, 8), bool), float("nan"))
    picture = np.zeros((8, 8, 3), np.uint8)
    assert np.isnan(region.warp_error(picture, picture))


def test_the_hull_is_filled_and_holds_its_corners():
    corners = np.array([(2, 2), (12, 2), (12, 9), (2, 9), (7, 5)], np.float32)
    mask = hull_mask(corners, 20, 15)
    assert mask.sum() == 11 * 8
    assert mask[2, 2]
    assert mask[9, 12]


def test_the_distance_of_the_eyes_is_that_of_their_middles():
    landmarks = np.zeros((468, 2), np.float32)
    landmarks[list(LEFT_EYE)] = (50, 14)
    landmarks[list(RIGHT_EYE)] = (20, 10)
    landmarks[RIGHT_EYE[0]] += (-8, 0)
    landmarks[RIGHT_EYE[8]] += (8, 0)
    assert eye_distance_px(landmarks) == pytest.approx(np.hypot(30, 4))
