from fractions import Fraction

import numpy as np
import pytest

from realtime.errors import ConfigError, EngineError
from realtime.frame import Face, FaceState, Frame, Pose
from realtime.pipeline import Plan
from realtime.sinks.null import Null
from tools.film import Film, FilmSource
from tools.film_motion import FilmFace
from tools.film_run import LandmarkLog, load_settings, record


def landmarks(x, y=30.0):
    return np.tile(np.array([x, y, 0], np.float32), (468, 1))


def face(track_id, x, state=FaceState.SEEN):
    return Face(track_id, np.zeros(4, np.float32), landmarks(x), 1.0, Pose(0, 0, 0), state)


def known(x):
    return FilmFace(0, landmarks(x)[:, :2], 10.0)


class Stage:
    """Sees one face and adds 1 to the picture."""

    def __init__(self, name):
        self.name = name

    def open(self, spec, memory):
        pass

    def process(self, frame):
        frame.faces = [face(3, 20.0 + frame.seq)]
        frame.image += 1

    def close(self):
        pass


@pytest.fixture
def film(picture):
    times_ns = [0, 40, 80]
    return Film("f", [picture(1, value=value) for value in (10, 20, 30)], times_ns, Fraction(25))


def plan_for(film, *stages):
    return Plan(
        source=FilmSource(film),
        lanes=(stages,),
        guard=Stage("guard"),
        sinks=(Null(),),
        paced=False,
    )


def test_the_log_keeps_the_face_that_is_meant(film):
    log = LandmarkLog(film, [known(20), None, known(50)])
    for number, media_ns in enumerate(film.times_ns):
        frame = Frame(film.pictures[0], seq=number, media_ns=media_ns)
        frame.faces = [face(1, 22), face(2, 49), face(4, 50, FaceState.LOST)]
        log.look(frame)
    assert {number: trace.track_id for number, trace in log.traces.items()} == {0: 1, 2: 2}
    assert log.traces[2].landmarks.shape == (468, 2)


def test_the_log_keeps_nothing_of_a_frame_without_a_face_and_of_an_unknown_one(film):
    log = LandmarkLog(film, [known(20)] * 3)
    log.look(Frame(film.pictures[0], media_ns=0))
    log.look(Frame(film.pictures[0], media_ns=7, faces=[face(1, 20)]))
    assert log.traces == {}


def test_all_pictures_and_landmarks_of_a_run_are_kept_and_the_film_is_not_touched(film):
    recording = record(plan_for(film, Stage("a"), Stage("b")), film, [known(20)] * 3)
    # Two stages and the guard.
    assert [int(picture[9, 9, 0]) for picture in recording.pictures] == [13, 23, 33]
    assert [int(picture[9, 9, 0]) for picture in film.pictures] == [10, 20, 30]
    assert [recording.traces[n].landmarks[0, 0] for n in range(3)] == [20, 21, 22]


def test_a_picture_that_does_not_come_out_is_an_error(film):
    longer = Film("g", [*film.pictures, film.pictures[0]], [0, 40, 80, 120], Fraction(25))
    with pytest.raises(EngineError, match="got 1 less"):
        record(plan_for(film, Stage("a")), longer, [None] * 4)


def test_the_second_setting_lies_over_the_first():
    own, reference = load_settings(None, ["swap.shape=0.5"], ["swap.light_ms=0"])
    assert (own.config.swap.shape, reference.config.swap.shape) == (0.5, 0.5)
    assert own.config.swap.light_ms > 0
    assert (reference.config.swap.light_ms, reference.name) == (0, "swap.light_ms=0")


def test_without_a_second_setting_there_is_one_and_a_wrong_one_is_an_error():
    assert len(load_settings(None, [], [])) == 1
    with pytest.raises(ConfigError, match=r"swap\.nothing"):
        load_settings(None, [], ["swap.nothing=1"])
