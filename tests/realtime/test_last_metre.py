"""What a virtual camera gets while the engine is slow, and what many starts leave behind."""

import gc
import os
import threading
import time
import weakref
from fractions import Fraction
from importlib import util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from realtime import v4l2
from realtime.frame import PictureSpec
from realtime.pipeline import Pipeline, Plan
from realtime.sinks.detached import Detached
from realtime.sinks.v4l2_output import V4l2Output
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.stages.guard import Guard

_SPEC = util.spec_from_file_location("fakes", Path(__file__).with_name("fakes.py"))
fakes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)

RATE_HZ = 30
SLOW_S = 0.3


class Ticking:
    """A camera of thirty pictures a second."""

    def __init__(self):
        self.closed = threading.Event()
        self.num = 0

    def open(self):
        return PictureSpec(64, 48, Fraction(RATE_HZ), live=True)

    def fill(self, image):
        if self.closed.wait(1 / RATE_HZ):
            return None
        self.num += 1
        image[:] = 7
        image[0, 0, :2] = self.num % 256, self.num // 256
        return self.num * 1_000_000_000 // RATE_HZ

    def close(self):
        self.closed.set()


class Times:
    """A sink that notes when each picture came."""

    def open(self, spec):
        self.sent_s = []

    def send(self, image, media_ns):
        self.sent_s.append(time.monotonic())

    def close(self):
        """Keeps them."""


def test_a_stage_that_sleeps_costs_new_pictures_and_not_the_rate_of_the_output():
    sink = Times()
    slow = fakes.Swap(always=lambda: time.sleep(SLOW_S))
    plan = Plan(Ticking(), ((slow,),), Guard(), (sink,), paced=True)
    report = Pipeline(plan).run(stop=threading.Event(), for_ns=2_500_000_000)
    frames, latency = report.stats["frames"], report.stats["latency_ms"]
    assert report.stats["fps"] < 5
    # Its own time, the frame before it, and the wait for a tick.
    assert latency["p50"] <= 2 * SLOW_S * 1000 + 2000 / RATE_HZ
    span_s = sink.sent_s[-1] - sink.sent_s[0]
    assert len(sink.sent_s) >= 0.9 * span_s * RATE_HZ
    gaps = sorted(b - a for a, b in pairwise(sink.sent_s))
    assert gaps[len(gaps) // 2] == pytest.approx(1 / RATE_HZ, abs=0.004)
    ends = ("delivered", "dropped_stale", "dropped_overrun", "failed")
    assert frames["captured"] == sum(frames[end] for end in ends)
    assert frames["repeated"] > 40


class FileDevice:
    """Opens an ordinary file in the place of a loopback device."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def __call__(self, width, height, rate_hz, *, device):
        wanted = v4l2.PixelLayout("YU12", width, height)
        return V4l2Output(self.path, wanted, rate_hz, ioctl=self.ioctl)

    def ioctl(self, descriptor, request, struct):
        if request == v4l2.QUERYCAP:
            struct.driver, struct.capabilities = v4l2.LOOPBACK_DRIVER.encode(), 2


def test_two_outputs_at_once_get_the_same_pictures(tmp_path):
    path, recording = tmp_path / "video9", fakes.RecordingSink()
    sinks = (VirtualCamera(camera=FileDevice(path)), Detached(recording, name="recording"))
    source = fakes.ScriptedSource(12, size=(64, 48))
    plan = Plan(source, ((fakes.Swap(),),), Guard(), sinks, paced=True, rate_hz=Fraction(100))
    Pipeline(plan).run(stop=threading.Event())
    written = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 72, 64)
    assert len(written) == len(recording.pictures) >= 12
    assert recording.media_ns == sorted(recording.media_ns)
    luma = [picture[-1, -1].mean() * 219 / 255 + 16 for picture in recording.pictures]
    assert written[:, 47, 63] == pytest.approx(luma, abs=2)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the kernel's descriptors")
def test_a_hundred_starts_leave_no_descriptor_and_no_thread_behind(tmp_path):
    def run():
        source = fakes.ScriptedSource(2, size=(64, 48))
        sink = VirtualCamera(camera=FileDevice(tmp_path / "video9"))
        plan = Plan(source, ((fakes.Swap(),),), Guard(), (sink,), paced=True, rate_hz=Fraction(200))
        Pipeline(plan).run(stop=threading.Event())

    run()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    for _ in range(100):
        run()
    gc.collect()
    after = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    assert after == before


def test_what_a_run_held_is_free_as_soon_as_it_has_ended():
    """Pictures and networks are tens of megabytes, which no search for cycles must wait for."""

    def run():
        parts = fakes.ScriptedSource(3, size=(64, 48)), fakes.Swap(), Guard(), Times()
        source, swap, guard, sink = parts
        plan = Plan(source, ((swap,),), guard, (sink,), paced=True, rate_hz=Fraction(200))
        Pipeline(plan).run(stop=threading.Event())
        return [weakref.ref(part) for part in parts]

    gc.collect()
    gc.disable()
    try:
        left = [ref() for ref in run()]
    finally:
        gc.enable()
    assert left == [None, None, None, None]
