import math
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from tools.film import Film
from tools.film_motion import FilmFace, study_film
from tools.film_run import LandmarkLog, Trace
from tools.measures import lab
from tools.steady_tally import SteadyTally, jitter, spread, tone_change

SIZE_PX = 160
NUM = 5


def face(track_id=1):
    """Landmarks on a circle, with eyes, nose and mouth where the cheeks' patches need them."""
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    landmarks = np.column_stack([80 + 50 * np.cos(angles), 80 + 60 * np.sin(angles)])
    landmarks[list(RIGHT_EYE)] = (60, 60)
    landmarks[list(LEFT_EYE)] = (100, 60)
    landmarks[[4, 61, 291]] = [(80, 80), (66, 105), (94, 105)]
    return FilmFace(track_id, landmarks.astype(np.float32), 40.0)


@pytest.fixture(scope="module")
def motion():
    """A still texture with a little noise, so that the input has an error to compare with."""
    random = np.random.default_rng(0)
    soft = cv2.GaussianBlur(random.normal(size=(SIZE_PX, SIZE_PX, 3)), (0, 0), 5.0)
    texture = 128 + 20 * soft / soft.std()
    pictures = [
        np.clip(np.rint(texture + random.normal(0, 2, texture.shape)), 20, 235).astype(np.uint8)
        for _ in range(NUM)
    ]
    film = Film("still", pictures, [40 * n for n in range(NUM)], Fraction(25))
    return study_film(film, [face()] * NUM)


@pytest.fixture
def judged(motion):
    def run(pictures):
        tally = SteadyTally(motion, LandmarkLog(motion.film, motion.faces))
        tally.open(motion.film.spec)
        for media_ns, picture in zip(motion.film.times_ns, pictures, strict=True):
            if picture is not None:
                tally.send(picture, media_ns)
        tally.close()
        return tally.figures()

    return run


def test_an_output_that_is_the_input_is_exactly_as_steady(judged, motion):
    figures = judged(motion.film.pictures)
    assert (figures.pairs, figures.missing_pairs) == (NUM - 1, 0)
    assert figures.ratio == 1
    assert figures.outside_ratio == 1
    assert figures.flow_px < 1e-3
    assert figures.cheek_std == 0
    assert figures.visible > 0.9


def test_flicker_of_some_levels_adds_its_square(judged, motion):
    steps = (0, 3, 0, 3, 0)
    bright = [p + np.uint8(step) for p, step in zip(motion.film.pictures, steps, strict=True)]
    figures = judged(bright)
    # What the noise adds in the mean of the cross term is small against it.
    added = figures.output_error - figures.input_error
    assert added == pytest.approx((3 / 255) ** 2, rel=0.03)
    assert figures.outside_output - figures.outside_input == pytest.approx(added, rel=0.03)


def test_a_face_that_jumps_to_and_fro_is_seen_by_error_and_flow(judged, motion):
    jumping = [
        np.roll(picture, 2 * (n % 2), axis=1) for n, picture in enumerate(motion.film.pictures)
    ]
    figures = judged(jumping)
    assert figures.flow_px == pytest.approx(2, abs=0.3)
    assert figures.ratio > 3


def test_pairs_with_a_picture_that_did_not_come_out_are_missing(judged, motion):
    first, second, _, fourth, fifth = motion.film.pictures
    figures = judged([first, second, None, fourth, fifth])
    assert (figures.pairs, figures.missing_pairs) == (2, 2)


def test_nothing_at_all_cannot_be_measured(judged):
    figures = judged([None] * NUM)
    assert figures.missing_pairs == NUM - 1
    assert math.isnan(figures.ratio)
    assert math.isnan(figures.jitter)
    assert math.isnan(figures.cheek_std)


def test_a_tone_that_pumps_has_its_spread_in_lab(judged, motion):
    grey = [np.full((SIZE_PX, SIZE_PX, 3), 100 + 10 * (n % 2), np.uint8) for n in range(NUM)]
    grey_motion = replace(motion, film=replace(motion.film, pictures=[grey[0]] * NUM))
    tally = SteadyTally(grey_motion, LandmarkLog(motion.film, motion.faces))
    for media_ns, picture in zip(motion.film.times_ns, grey, strict=True):
        tally.send(picture, media_ns)
    tones = lab(np.array([(100, 100, 100), (110, 110, 110)], np.uint8))
    expected = np.std(np.array([0, 1, 0, 1, 0]) * (tones[1, 0] - tones[0, 0]))
    assert tally.figures().cheek_std == pytest.approx(expected)


def test_the_change_of_tone_is_signed_and_none_where_the_cheeks_are_not_in_sight():
    dark, bright = (np.full((SIZE_PX, SIZE_PX, 3), v, np.uint8) for v in (80, 120))
    change = tone_change(dark, bright, face())
    assert change[0] > 10
    assert abs(change[1:]).max() < 1e-3
    turned = face()
    turned.landmarks[4] = (110, 80)
    assert tone_change(dark, bright, turned) is None


def test_landmarks_that_jump_to_and_fro_have_four_times_their_height_of_jitter():
    base = face().landmarks
    traces = {n: Trace(1, base + np.float32((0.5 * (-1) ** n, 0))) for n in range(6)}
    assert jitter(traces, [face()] * 6) == pytest.approx(4 * 0.5 / 40)


def test_steady_motion_is_no_jitter():
    base = face().landmarks
    traces = {n: Trace(1, base + np.float32((2.0 * n, -1.0 * n))) for n in range(6)}
    assert jitter(traces, [face()] * 6) == pytest.approx(0, abs=1e-6)


def test_jitter_is_not_taken_across_gaps_and_other_tracks():
    base = face().landmarks
    tracks = {0: 1, 1: 1, 2: 2, 3: 2, 5: 2, 6: 2}
    traces = {n: Trace(track, base * np.float32(n + 1)) for n, track in tracks.items()}
    assert math.isnan(jitter(traces, [face()] * 7))


def test_the_spread_of_vectors_is_the_length_of_their_deviations():
    assert spread(np.array([[3.0, 4.0], [-3.0, -4.0]]) + 7) == pytest.approx(5)
