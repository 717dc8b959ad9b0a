import threading
import time
from fractions import Fraction

import pytest

from realtime.bench import arrivals
from realtime.bench.glass import (
    Course,
    device_number,
    far_end,
    measure_glass,
    measure_pipeline,
)
from realtime.errors import UsageError
from realtime.frame import PictureSpec
from realtime.pipeline import Plan
from realtime.sinks.null import Null

SIZE = (320, 180)
PERIOD_NS = 20_000_000


class Camera:
    """Gray pictures at fifty a second."""

    def __init__(self):
        self.closed = threading.Event()
        self.num = 0

    def open(self):
        return PictureSpec(*SIZE, Fraction(50), live=True)

    def fill(self, image):
        if self.closed.wait(PERIOD_NS / 1e9):
            return None
        self.num += 1
        image[:] = 60 + self.num % 100
        return self.num * PERIOD_NS

    def close(self):
        self.closed.set()


class Through:
    """A stage that takes some time and leaves the picture as it is."""

    def __init__(self, name, seconds=0.0):
        self._name, self.seconds = name, seconds

    @property
    def name(self):
        return self._name

    def open(self, spec, memory):
        """Needs nothing."""

    def process(self, frame):
        time.sleep(self.seconds)

    def close(self):
        """Has nothing."""


def course(seconds):
    plan = Plan(Camera(), ((Through("work", 0.01),),), Through("guard"), (Null(),), paced=True)
    return Course(plan, SIZE, PERIOD_NS, seconds)


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch):
    monkeypatch.setattr(arrivals, "WARM_UP_NS", 200_000_000)


def check(result):
    pictures, frames = result["pictures"], result["engine"]["frames"]
    assert pictures["seen"] > 10
    assert pictures["seen"] + pictures["dropped"] == pictures["emitted"]
    assert (pictures["reordered"], pictures["unreadable"], pictures["foreign"]) == (0, 0, 0)
    # At least the stage's own time, and no more than a few periods of a busy machine.
    assert 10 <= result["latency_ms"]["p50"] < 500
    ends = ("delivered", "dropped_stale", "dropped_overrun", "failed")
    assert frames["captured"] == sum(frames[end] for end in ends)
    assert {"cpu_percent", "memory_mb"} <= set(result["usage"])
    assert result["machine"]["cores"] >= 1


def test_the_engine_alone_is_measured_from_stamp_to_stamp():
    result = measure_pipeline(course(1.0))
    check(result)
    assert result["bench"] == "pipeline, 320x180 at 50 Hz"


def test_without_a_device_a_pipe_leads_to_a_reader_in_another_process():
    result = measure_glass(course(1.0), None)
    check(result)
    assert result["bench"] == "glass, pipe, 320x180 at 50 Hz"


@pytest.mark.parametrize("device", ["/dev/null", "10x", "/dev/video"])
def test_a_device_must_be_one(device):
    with pytest.raises(UsageError, match="must be like /dev/video10"):
        device_number(device)


def test_a_reader_of_a_device_that_does_not_exist_ends_with_the_block():
    began = time.monotonic()
    with far_end("/dev/video97", SIZE) as end:
        assert not end.sees_pictures()
    assert end.arrivals == []
    assert time.monotonic() - began < 15
