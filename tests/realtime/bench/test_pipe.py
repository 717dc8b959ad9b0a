import os
import threading
from fractions import Fraction

import numpy as np
import pytest

from realtime.bench.far_end import note, parse_notes, read_pipe
from realtime.bench.pipe import PipeSink
from realtime.bench.stamp import draw_stamp
from realtime.errors import SinkError
from realtime.frame import PictureSpec

SPEC = PictureSpec(320, 180, Fraction(30), live=True)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        yield stream, writing


def stamped(stamp):
    image = np.full((180, 320, 3), 90, np.uint8)
    draw_stamp(stamp, out=image)
    return image


def test_stamps_pass_through_a_pipe_and_its_notes(pipe, tmp_path):
    stream, writing = pipe
    sink, out = PipeSink(writing), tmp_path / "notes.txt"
    sink.open(SPEC)
    # A picture is larger than a pipe, so somebody must read meanwhile.
    noting = threading.Thread(target=lambda: note(read_pipe(stream, 320, 180), out))
    noting.start()
    for picture in (stamped(11), stamped(12), np.zeros((180, 320, 3), np.uint8)):
        sink.send(picture, 0)
    sink.close()
    noting.join(10)
    arrivals = parse_notes(out.read_text())
    assert [one.stamp for one in arrivals] == [11, 12, None]
    assert arrivals[0].arrived_ns < arrivals[1].arrived_ns


def test_a_note_that_was_cut_off_is_left_out():
    assert [one.stamp for one in parse_notes("10 5\n20 -\n30 1")] == [5, None]
    assert parse_notes("") == []


def test_a_reader_that_goes_away_is_a_sink_error(pipe):
    stream, writing = pipe
    sink = PipeSink(writing)
    sink.open(SPEC)
    stream.close()
    with pytest.raises(SinkError, match="its reader must stay"):
        sink.send(stamped(1), 0)
    sink.close()
    sink.close()
    with pytest.raises(SinkError, match="must be open"):
        sink.send(stamped(1), 0)


def test_odd_sizes_have_no_i420(pipe):
    sink = PipeSink(pipe[1])
    with pytest.raises(SinkError, match="must be even"):
        sink.open(PictureSpec(321, 180, Fraction(30), live=True))
    sink.close()
