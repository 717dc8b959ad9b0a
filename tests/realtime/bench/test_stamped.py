from fractions import Fraction

import numpy as np
import pytest

from realtime.bench.stamp import read_stamp
from realtime.bench.stamped import StampedSource, StampReader
from realtime.errors import UsageError
from realtime.frame import PictureSpec
from realtime.stage import Sink, Source


class Gray:
    """A source of two gray pictures."""

    num_left, closed = 2, False

    def __init__(self, size=(320, 180)):
        self.size = size

    def open(self):
        return PictureSpec(*self.size, Fraction(30), live=True)

    def fill(self, image):
        if not self.num_left:
            return None
        self.num_left -= 1
        image[:] = 128
        return 40 - self.num_left

    def close(self):
        self.closed = True


def test_the_source_stamps_each_picture_with_the_time_it_was_handed_over():
    times = iter([5_000_000, 9_000_000])
    source = StampedSource(Gray(), lambda: next(times))
    assert isinstance(source, Source)
    assert source.open().width == 320
    image = np.zeros((180, 320, 3), np.uint8)
    assert source.fill(image) == 39
    assert read_stamp(image) == 5_000
    assert (image[40:] == 128).all()
    assert source.fill(image) == 40
    assert source.fill(image) is None
    assert source.emitted == [5_000, 9_000]
    source.close()
    assert source._source.closed


@pytest.mark.parametrize("size", [(320, 178), (66, 180)])
def test_pictures_too_small_for_a_stamp_are_refused_at_once(size):
    source = StampedSource(Gray(size))
    with pytest.raises(UsageError, match=r"must have 180 rows .* Give a larger --size\."):
        source.open()
    assert source._source.closed


def test_the_sink_notes_when_each_picture_came_and_which_it_was():
    now = iter([7_000_000, 8_000_000])
    sink = StampReader(lambda: next(now))
    assert isinstance(sink, Sink)
    source = StampedSource(Gray(), lambda: 5_000_000)
    sink.open(source.open())
    image = np.zeros((180, 320, 3), np.uint8)
    sink.send(image, 0)
    source.fill(image)
    sink.send(image, 0)
    sink.close()
    assert [(one.arrived_ns, one.stamp) for one in sink.arrivals] == [
        (7_000_000, None),
        (8_000_000, 5_000),
    ]
