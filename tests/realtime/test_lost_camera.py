"""A camera that goes away and comes back while the engine runs."""

import threading
import time
from fractions import Fraction
from importlib import util
from itertools import pairwise
from pathlib import Path

import numpy as np

from realtime.metrics import RunState
from realtime.pipeline import Pipeline, Plan
from realtime.slate import draw_slate
from realtime.sources.camera import Camera
from realtime.stages.guard import Guard, GuardConfig


def load(name):
    spec = util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fakes, sockets = load("fakes"), load("sockets")


class Shown:
    """A sink that notes when each picture came, and whether it was the slate."""

    def open(self, spec):
        self.slate = np.zeros((spec.height, spec.width, 3), np.uint8)
        draw_slate("Camera lost", out=self.slate)
        self.sent = []

    def send(self, image, media_ns):
        self.sent.append((time.monotonic(), np.array_equal(image, self.slate)))

    def close(self):
        """Keeps what it has seen."""


def test_the_output_keeps_its_rate_while_the_camera_is_gone_and_every_frame_is_accounted_for():
    socket, sink, stop = sockets.Socket(), Shown(), threading.Event()
    camera = Camera(
        0, (64, 48), capture=socket, cameras=lambda: [sockets.KNOWN], where=socket.where
    )
    plan = Plan(
        camera,
        ((fakes.Swap(),),),
        Guard(GuardConfig(on_loss="slate")),
        (sink,),
        paced=True,
        rate_hz=Fraction(50),
    )
    pipeline, states, times = Pipeline(plan), [], {}
    script = [
        (lambda: len(sink.sent) > 20, socket.unplug, "unplugged"),
        (lambda: sum(slate for _, slate in sink.sent) > 20, socket.plug, "plugged"),
        (lambda: states[-1] is RunState.RUNNING, lambda: None, "back"),
        (lambda: sum(not slate for _, slate in sink.sent[-20:]) == 20, stop.set, "end"),
    ]

    def on_tick(snapshot):
        states.append(snapshot.state)
        if script and script[0][0]():
            _, act, name = script.pop(0)
            act()
            times[name] = time.monotonic()

    report = pipeline.run(stop=stop, on_tick=on_tick, for_ns=20_000_000_000)
    assert not script, script
    slates = [at for at, slate in sink.sent if slate]
    assert slates[0] - times["unplugged"] < 1.0
    back = next(at for at, slate in sink.sent if at > times["plugged"] and not slate)
    assert back - times["plugged"] < 2.0
    gaps = sorted(b - a for (a, _), (b, _) in pairwise(sink.sent))
    assert gaps[len(gaps) // 2] < 0.022
    assert gaps[-1] < 0.25, "the output never pauses"
    frames = report.stats["frames"]
    ends = ("delivered", "dropped_stale", "dropped_overrun", "failed")
    assert frames["captured"] == sum(frames[end] for end in ends)
    assert frames["repeated"] > 20
    assert report.stats["states"]["source_lost"]["times"] == 1
    assert 0 < report.stats["states"]["source_lost"]["seconds"] < 3
    seen = [state for state in dict.fromkeys(states) if state is not RunState.STARTING]
    assert seen == [RunState.RUNNING, RunState.SOURCE_LOST]
