import threading

import numpy as np
import pytest

from realtime.aligned_view import look
from realtime.flow_ahead import Expected, FlowAhead
from realtime.frame import Motion

SIDE_PX = 48


@pytest.fixture(params=[True, False], ids=["beside", "when taken"])
def ahead(request):
    """Gives a function that makes one with a way to measure, ended afterwards."""
    made = []

    def make(measure):
        made.append(FlowAhead(measure, beside=request.param))
        return made[-1]

    yield make
    for one in made:
        one.close()


def between(before, now):
    """A motion that says which views it lies between."""
    return Motion(now.crop_from_image, before.crop_from_image, np.zeros(0), np.zeros(0))


def face(x, y):
    """Landmarks around a place."""
    around = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    points = np.zeros((468, 3), np.float32)
    points[:, 0], points[:, 1] = x + 15 * np.cos(around), y + 15 * np.sin(around)
    return points


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)


def expected(x, y, image):
    """A face that was seen at the origin of the step and is expected at (x, y)."""
    return Expected(face(x, y), look(image, face(x - 2, y - 3), SIDE_PX, 1.0))


def test_each_face_is_looked_at_where_it_is_expected(ahead):
    before, now = picture(1), picture(2)
    faces = {3: expected(40, 50, before), 8: expected(100, 60, before)}
    one = ahead(between)
    one.begin(now, faces)
    found = one.take()
    assert found.keys() == faces.keys()
    for number, place in faces.items():
        wanted = look(now, place.landmarks, SIDE_PX, 1.0)
        np.testing.assert_array_equal(found[number].view.picture, wanted.picture)
        motion = found[number].motion
        np.testing.assert_array_equal(motion.crop_from_image, wanted.crop_from_image)
        np.testing.assert_array_equal(motion.before_from_image, place.before.crop_from_image)


def test_it_begins_without_waiting(ahead):
    goes_on = threading.Event()

    def measure(before, now):
        assert goes_on.wait(30)
        return between(before, now)

    one = ahead(measure)
    one.begin(picture(1), {1: expected(50, 50, picture(1))})
    goes_on.set()
    assert one.take().keys() == {1}


@pytest.mark.parametrize("beside", [True, False])
def test_only_where_it_is_told_to_it_measures_on_another_thread(beside):
    threads = []

    def measure(before, now):
        threads.append(threading.get_ident())
        return between(before, now)

    one = FlowAhead(measure, beside=beside)
    one.begin(picture(1), {1: expected(50, 50, picture(1))})
    one.take()
    one.close()
    assert [ident != threading.get_ident() for ident in threads] == [beside]


def test_nothing_is_found_where_nothing_is_expected_or_asked_for_twice(ahead):
    one = ahead(between)
    assert one.take() == {}
    one.begin(picture(1), {})
    assert one.take() == {}
    one.begin(picture(1), {1: expected(50, 50, picture(1))})
    one.take()
    assert one.take() == {}


def test_a_frame_that_nobody_asked_about_is_forgotten_with_the_next(ahead):
    one = ahead(between)
    one.begin(picture(1), {1: expected(50, 50, picture(1))})
    one.begin(picture(2), {2: expected(50, 50, picture(2))})
    assert one.take().keys() == {2}


def test_an_error_reaches_who_asks(ahead):
    def measure(before, now):
        raise ArithmeticError("no flow")

    one = ahead(measure)
    one.begin(picture(1), {1: expected(50, 50, picture(1))})
    with pytest.raises(ArithmeticError, match="no flow"):
        one.take()
