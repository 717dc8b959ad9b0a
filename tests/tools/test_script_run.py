import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.puppet import GroundTruth
from tools.film import Film
from tools.film_motion import FilmFace, FilmMotion, PairMotion, Region
from tools.film_run import Trace
from tools.script_run import delay_of_steps, extent_of_pulses, lag_of_swing, moving_change
from tools.synthetic_film import RATE_HZ, Pulses

S_NS = 1_000_000_000


def shape():
    points = np.random.default_rng(0).uniform(20, 60, (468, 3)).astype(np.float32)
    points[list(INNER_LIPS), :2] = (40, 50)
    points[list(INNER_LIPS)[5], :2] = (48, 54)
    points[[*RIGHT_EYE, *LEFT_EYE], :2] = (40, 25)
    return points


def truth(landmarks):
    return GroundTruth(landmarks.astype(np.float32), 0.0, 0.0)


def moved(offsets):
    return [shape() + np.array([offset, 0, 0]) for offset in offsets]


def traces(landmarks):
    return {n: Trace(1, points[:, :2].astype(np.float32)) for n, points in enumerate(landmarks)}


@pytest.mark.parametrize("rate_hz", [1.0, 3.0])
@pytest.mark.parametrize("late", [0, 1, 2])
def test_landmarks_that_come_late_by_some_frames_have_that_lag(rate_hz, late):
    turns = np.arange(-3, 90) * rate_hz / RATE_HZ
    offsets = 10 * np.sin(2 * np.pi * turns)
    truths = [truth(points) for points in moved(offsets[3:])]
    lag, gain = lag_of_swing(
        truths, traces(moved(0.8 * offsets[3 - late : -late or None])), rate_hz
    )
    assert lag == pytest.approx(late, abs=0.01)
    assert gain == pytest.approx(0.8, abs=0.01)


def test_a_face_that_is_hardly_seen_has_no_lag():
    truths = [truth(points) for points in moved(range(90))]
    few = {n: trace for n, trace in traces(moved(range(90))).items() if n > 80}
    assert all(math.isnan(figure) for figure in lag_of_swing(truths, few, 1.0))


@pytest.mark.parametrize("late", [0, 4])
def test_the_longest_delay_of_all_jumps_counts(late):
    offsets = np.repeat([0.0, 20.0, 0.0, 20.0], RATE_HZ)
    seen = offsets.copy()
    seen[2 * RATE_HZ : 2 * RATE_HZ + late] = 20.0
    truths = [truth(points) for points in moved(offsets)]
    assert delay_of_steps(truths, traces(moved(seen)), S_NS) == late


def test_jumps_that_are_not_followed_or_not_seen_have_no_delay():
    offsets = np.repeat([0.0, 20.0, 0.0], RATE_HZ)
    truths = [truth(points) for points in moved(offsets)]
    assert math.isnan(delay_of_steps(truths, traces(moved(0 * offsets)), S_NS))
    seen = traces(moved(offsets))
    del seen[40]
    assert math.isnan(delay_of_steps(truths, seen, S_NS))


PULSES = Pulses(S_NS, S_NS // 2, mouth_open=1.0)


def pulse_pictures(height, late=0):
    """Three pulses: the place of the lips darkens as the mouth opens."""
    pictures = []
    for number in range(3 * RATE_HZ):
        opened = PULSES.at(max(0, round((number - late) * S_NS / RATE_HZ))).mouth_open
        picture = np.full((80, 80, 3), 200, np.uint8)
        picture[49:56, 39:50] -= np.uint8(round(150 * height * opened))
        pictures.append(picture)
    return pictures


def extent(pictures):
    truths = [truth(shape())] * (3 * RATE_HZ)
    return extent_of_pulses(PULSES, truths, pictures, pulse_pictures(1.0))


@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_mouth_that_opens_late_is_late_by_so_many_frames_and_opens_all_the_same(late):
    assert extent(pulse_pictures(1.0, late)) == (pytest.approx(1, abs=0.01), late)


def test_a_mouth_that_opens_less_never_reaches_its_height():
    height, shift = extent(pulse_pictures(0.7))
    assert height == pytest.approx(0.7, abs=0.01)
    assert math.isnan(shift)
    assert extent(pulse_pictures(0.95))[0] == pytest.approx(0.95, abs=0.01)


def test_a_reference_that_does_not_change_has_no_height():
    truths = [truth(shape())] * (3 * RATE_HZ)
    height, shift = extent_of_pulses(PULSES, truths, pulse_pictures(1.0), pulse_pictures(0.0))
    assert height == 0
    assert math.isnan(shift)


@pytest.fixture
def half_moving():
    """Pictures whose left half moves by 3 pixels; the hull is everything."""
    corners = np.array([(0, 0), (39, 0), (39, 39), (0, 39)] * 117, np.float32)
    faces = (FilmFace(1, corners, 100.0),) * 30
    flow = np.zeros((40, 40, 2), np.float16)
    flow[:, :20] = (3, 0)
    region = Region(0, 0, 40, 40, flow, np.ones((40, 40), bool), 0.0)
    pictures = [np.full((40, 40, 3), 100, np.uint8)] * 30
    film = Film("f", pictures, list(range(30)), Fraction(RATE_HZ))
    pairs = {number: PairMotion(number - 1, region, region, 1.0) for number in range(1, 30)}
    return FilmMotion(film, faces, pairs)


def test_only_what_moves_is_compared(half_moving):
    other = np.full((40, 40, 3), 100, np.uint8)
    other[:, 20:] = 180
    other[:, :20] = 95
    change = moving_change(half_moving, [other] * 30, half_moving.film.pictures)
    assert change == pytest.approx(5)


def test_where_nothing_moves_there_is_nothing_to_compare(half_moving):
    still = replace(half_moving.pairs[20].face, flow=np.zeros((40, 40, 2), np.float16))
    pairs = {20: PairMotion(19, still, still, 1.0)}
    pictures = half_moving.film.pictures
    assert math.isnan(moving_change(replace(half_moving, pairs=pairs), pictures, pictures))
