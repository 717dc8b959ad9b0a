import threading
from fractions import Fraction

import numpy as np
import pytest

from realtime.errors import SinkError
from realtime.frame import PictureSpec
from realtime.sinks import detached as module
from realtime.sinks.detached import NUM_SLOTS, Detached
from realtime.stage import Sink

SPEC = PictureSpec(16, 8, Fraction(30), live=True)


class Slow:
    """A sink that works only while its gate is open."""

    def __init__(self, fails_at=None):
        self.gate = threading.Event()
        self.got = []
        self.num_opened = self.num_closed = 0
        self.fails_at = fails_at
        self.began = threading.Semaphore(0)

    def open(self, spec):
        self.num_opened += 1

    def send(self, image, media_ns):
        self.began.release()
        assert self.gate.wait(10)
        if len(self.got) == self.fails_at:
            raise SinkError("disk full.")
        self.got.append((int(image[0, 0, 0]), media_ns))

    def close(self):
        self.num_closed += 1


def picture(value):
    return np.full((8, 16, 3), value, np.uint8)


def test_it_is_a_sink_that_opens_and_closes_the_other_once():
    slow = Slow()
    sink = Detached(slow, name="recording")
    assert isinstance(sink, Sink)
    sink.open(SPEC)
    sink.close()
    sink.close()
    assert (slow.num_opened, slow.num_closed) == (1, 1)


def test_pictures_arrive_in_order_as_they_were_when_they_were_sent():
    slow = Slow()
    sink = Detached(slow, name="recording")
    sink.open(SPEC)
    image = picture(0)
    for value in range(5):
        image[:] = value
        sink.send(image, value * 10)
    image[:] = 99
    slow.gate.set()
    sink.close()
    assert slow.got == [(value, value * 10) for value in range(5)]
    assert sink.num_left_out == 0


def test_a_slow_one_costs_itself_pictures_and_nobody_time(caplog):
    slow = Slow()
    sink = Detached(slow, name="recording")
    sink.open(SPEC)
    for value in range(NUM_SLOTS + 5):
        sink.send(picture(value), value)
    slow.gate.set()
    sink.close()
    assert [value for value, _ in slow.got] == list(range(NUM_SLOTS))
    assert sink.num_left_out == 5
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1


@pytest.mark.parametrize("closes", [True, False])
def test_an_error_comes_out_on_the_senders_thread(closes):
    slow = Slow(fails_at=0)
    sink = Detached(slow, name="recording")
    sink.open(SPEC)
    slow.gate.set()
    sink.send(picture(1), 0)
    thread = sink._thread
    thread.join(5)
    if closes:
        with pytest.raises(SinkError, match="disk full"):
            sink.close()
    else:
        with pytest.raises(SinkError, match="disk full"):
            sink.send(picture(2), 1)
        sink.close()
    assert slow.num_closed == 1


def test_one_that_never_comes_back_is_left_unfinished(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    slow = Slow()
    sink = Detached(slow, name="recording")
    sink.open(SPEC)
    sink.send(picture(1), 0)
    assert slow.began.acquire(timeout=5)
    with pytest.raises(SinkError, match="must come to its end within"):
        sink.close()
    assert slow.num_closed == 0
    slow.gate.set()
