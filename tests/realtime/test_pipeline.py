import queue
import threading
import time
from dataclasses import replace
from fractions import Fraction
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from realtime import crew
from realtime.errors import CameraError, ContentError, EngineError, MediaError, SinkError
from realtime.metrics import RunState
from realtime.pipeline import Pipeline, Plan
from realtime.sources.camera import Camera
from realtime.sources.devices import CameraDevice
from realtime.stages.guard import Guard, GuardConfig

_SPEC = util.spec_from_file_location("fakes", Path(__file__).with_name("fakes.py"))
fakes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)

ScriptedSource, Swap, RecordingSink = fakes.ScriptedSource, fakes.Swap, fakes.RecordingSink


class Run:
    """One pipeline of fakes, its result, and what must hold of every run."""

    def __init__(self, source, *lanes, sink=None, sinks=None, guard=None, paced=False, **plan):
        self.source = source
        self.sink = sink or RecordingSink()
        self.lanes = lanes or ((Swap(),),)
        self.stop = threading.Event()
        self.snapshots = []
        self.pipeline = Pipeline(
            Plan(
                source,
                self.lanes,
                guard or Guard(),
                sinks or (self.sink,),
                paced=paced,
                **plan,
            )
        )

    def go(self, **options):
        try:
            return self.pipeline.run(stop=self.stop, on_tick=self.on_tick, **options)
        finally:
            self.check()

    def on_tick(self, snapshot):
        self.snapshots.append(snapshot)

    @property
    def frames(self):
        return self.pipeline.stats()["frames"]

    def check(self):
        for snapshot in self.snapshots:
            assert snapshot.frames.in_flight >= 0
        frames = self.frames
        assert frames["captured"] == (
            frames["delivered"]
            + frames["dropped_stale"]
            + frames["dropped_overrun"]
            + frames["failed"]
        )
        assert not self.sink.leaked
        assert self.sink.num_closed == (self.sink.spec is not None)
        assert self.source.num_closed == 1
        assert all(s.num_opened == s.num_closed for lane in self.lanes for s in lane)
        assert not [t for t in threading.enumerate() if t.name.startswith("rt-swap")]


def nap():
    time.sleep(0.002)


def test_a_leak_would_be_noticed():
    source, sink = ScriptedSource(1), RecordingSink()
    image = np.zeros((source.spec.height, source.spec.width, 3), np.uint8)
    sink.send(image, 0)
    assert not sink.leaked
    source.fill(image)
    sink.send(image, 0)
    assert sink.leaked


@pytest.mark.parametrize("num_lanes", [1, 2])
def test_a_file_goes_through_whole_and_in_order(num_lanes):
    lanes = ((Swap(name="a"),), (Swap(name="b"),))[:num_lanes]
    run = Run(ScriptedSource(60), *lanes)
    report = run.go()
    assert report.reason == "end"
    assert run.sink.swapped_numbers == list(range(60))
    assert run.sink.media_ns == [n * fakes.PERIOD_NS for n in range(60)]
    assert all(stage.seen == list(range(60)) for lane in lanes for stage in lane)
    assert run.frames == {
        "captured": 60,
        "delivered": 60,
        "dropped_stale": 0,
        "dropped_overrun": 0,
        "failed": 0,
        "repeated": 0,
    }


@pytest.mark.parametrize("place", [0, 1], ids=["first lane", "last lane"])
def test_a_stage_may_rest_once_its_lane_has_handed_a_frame_on(place):
    class Tired(Swap):
        """Notes how many frames it had seen whenever it may rest."""

        def __init__(self, name):
            super().__init__(name=name)
            self.rests = []

        def rest(self):
            self.rests.append(len(self.seen))

    tired = Tired("tired")
    lanes = [(Swap(name="other"),)]
    lanes.insert(place, (Swap(name="before"), tired, Swap(name="after")))
    Run(ScriptedSource(20), *lanes).go()
    assert tired.rests == list(range(1, 21))


class Idle(Swap):
    """Notes how long the lane had nothing to do before each picture, and may take its time."""

    def __init__(self, takes_s=0.0):
        super().__init__()
        self.takes_s, self.idle_ns = takes_s, []

    def process(self, frame):
        self.idle_ns.append(frame.idle_ns)
        time.sleep(self.takes_s)
        super().process(frame)


def test_a_stage_is_told_how_long_its_lane_had_nothing_to_do():
    waiting, busy = Idle(), Idle(takes_s=0.02)
    Run(
        ScriptedSource(10, actions=dict.fromkeys(range(10), lambda: time.sleep(0.02))), (waiting,)
    ).go()
    Run(ScriptedSource(10), (busy,)).go()
    assert sum(waiting.idle_ns) > 9 * 0.015e9
    assert sum(busy.idle_ns[1:]) < 9 * 0.01e9


def test_a_stage_may_look_ahead_before_those_before_it_in_its_lane():
    order = []

    class Noting(Swap):
        """Notes each picture it works on."""

        def process(self, frame):
            order.append((self.name, frame.seq))
            super().process(frame)

    class Early(Noting):
        """Notes each picture that is about to come, too."""

        def look_ahead(self, frame):
            order.append(("ahead", frame.seq))

    Run(ScriptedSource(3), (Noting(name="before"), Early(name="early"))).go()
    assert order == [(name, n) for n in range(3) for name in ("ahead", "before", "early")]


def test_a_stage_that_cannot_look_ahead_costs_one_covered_picture():
    class Stumbling(Swap):
        """Cannot look ahead at the third picture."""

        def look_ahead(self, frame):
            if frame.seq == 2:
                raise ArithmeticError("no luck")

    stumbling = Stumbling()
    run = Run(ScriptedSource(5), (stumbling,))
    run.go()
    assert stumbling.seen == [0, 1, 3, 4]
    assert (run.frames["delivered"], run.frames["failed"]) == (4, 1)


def test_a_stage_that_counts_is_heard_in_the_report():
    class Counting(Swap):
        @property
        def counts(self):
            return {"faces": len(self.seen)}

    stages = Run(ScriptedSource(7), (Counting(name="a"), Swap(name="b"))).go().stats["stages"]
    assert stages["a"]["counts"] == {"faces": 7}
    assert "counts" not in stages["b"]


def test_the_report_has_figures_of_every_stage_and_the_machine():
    report = Run(ScriptedSource(5), (Swap(name="track"), Swap()), (Swap(name="mark"),)).go()
    assert list(report.stats["stages"]) == ["capture", "track", "swap", "mark", "guard", "send"]
    assert report.stats["stages"]["guard"]["worked_ms"]["p50"] > 0
    assert report.stats["latency_ms"]["p50"] > 0
    assert report.stats["memory_mb"]["peak"] > 1
    assert report.stats["machine"]["python"]


def test_an_empty_source_ends_at_once():
    run = Run(ScriptedSource(0))
    assert run.go().reason == "end"
    assert run.frames["captured"] == 0


@pytest.mark.parametrize("where", [0, 1])
def test_a_stage_that_raises_once_costs_one_covered_picture_in_its_place(where):
    lanes = ((Swap(name="a"),), (Swap(name="b"),))
    lanes[where][0].actions[7] = ValueError("seven")
    run = Run(ScriptedSource(20), *lanes, guard=Guard(GuardConfig(on_loss="slate")))
    run.go()
    assert run.frames["failed"] == 1
    assert run.frames["delivered"] == 19
    assert len(run.sink.pictures) == 20
    assert run.sink.media_ns == [n * fakes.PERIOD_NS for n in range(20)]
    assert run.sink.swapped_numbers == [n for n in range(20) if n != 7]


def test_stages_after_a_failed_one_are_skipped():
    later = Swap(name="later")
    run = Run(ScriptedSource(5), (Swap(actions={2: ValueError()}), Swap(name="same")), (later,))
    run.go()
    assert later.seen == run.lanes[0][1].seen == [0, 1, 3, 4]


def test_a_stage_that_always_raises_ends_a_file_with_its_error_chained():
    run = Run(ScriptedSource(100), (Swap(always=ValueError("no\nluck")),), max_failures=5)
    with pytest.raises(EngineError, match=r"swap: .* on 5 in a row.* ValueError: no luck"):
        run.go()
    assert run.frames["delivered"] == 0
    assert run.frames["failed"] == run.frames["captured"]


def test_failures_that_are_not_in_a_row_do_not_end_a_file():
    run = Run(
        ScriptedSource(40),
        (Swap(actions={n: ValueError() for n in range(40) if n % 4}),),
        max_failures=4,
    )
    assert run.go().reason == "end"
    assert (run.frames["delivered"], run.frames["failed"]) == (10, 30)


def test_a_live_run_goes_on_covered_when_a_stage_always_raises():
    run = Run(
        ScriptedSource(30, live=True, actions=dict.fromkeys(range(30), nap)),
        (Swap(always=ValueError()),),
        max_failures=2,
    )
    assert run.go().reason == "end"
    assert run.frames["delivered"] == 0
    assert run.frames["failed"] > 2
    assert run.sink.pictures


class BrokenGuard(Swap):
    """A guard that does nothing but raise."""

    def process(self, frame):
        raise RuntimeError("guard")


def test_a_guard_that_raises_leaves_a_black_picture():
    run = Run(ScriptedSource(3), (), guard=BrokenGuard(name="guard"))
    run.go()
    assert run.frames["failed"] == 3
    assert not np.any(run.sink.pictures)


def test_a_pipeline_without_stages_shows_nothing_raw():
    run = Run(ScriptedSource(3), ())
    run.go()
    assert run.frames["delivered"] == 3
    assert len(run.sink.pictures) == 3


def test_an_unusable_picture_counts_as_failed_and_the_stream_goes_on():
    run = Run(ScriptedSource(10, actions={3: MediaError("x"), 4: MediaError("x")}))
    run.go()
    assert run.frames["captured"] == 10
    assert run.frames["failed"] == 2
    assert run.sink.swapped_numbers == [0, 1, 2, 5, 6, 7, 8, 9]
    assert run.lanes[0][0].seen == [0, 1, 2, 5, 6, 7, 8, 9]


def test_a_hundred_unusable_pictures_in_a_row_end_the_run():
    errors = {n: MediaError("clip.mp4: broken") for n in range(2, 500)}
    run = Run(ScriptedSource(500, actions=errors))
    with pytest.raises(MediaError, match="broken"):
        run.go()
    assert run.frames["captured"] == 102
    assert run.sink.swapped_numbers == [0, 1]


@pytest.mark.parametrize("live", [False, True])
def test_a_camera_that_is_lost_ends_the_run_after_what_it_gave(live):
    run = Run(ScriptedSource(50, live=live, actions={5: CameraError("gone"), 4: nap}))
    with pytest.raises(CameraError, match="gone"):
        run.go()
    assert run.frames["captured"] == 5
    assert run.sink.swapped_numbers[-1] == 4


def test_a_sink_that_raises_ends_the_run_and_everything_is_closed():
    other = RecordingSink()
    sink = RecordingSink(actions={4: SinkError("disk full")})
    run = Run(ScriptedSource(500), sink=sink, sinks=(other, sink))
    with pytest.raises(SinkError, match="disk full"):
        run.go()
    assert run.frames["delivered"] == 4
    assert other.num_closed == 1
    assert len(other.pictures) == 5


class Unopenable(RecordingSink):
    def open(self, spec):
        raise SinkError("no device")


def test_what_was_opened_is_closed_when_a_sink_cannot_be_opened():
    first = RecordingSink()
    run = Run(ScriptedSource(5), sink=Unopenable(), sinks=(first, Unopenable()))
    with pytest.raises(SinkError, match="no device"):
        run.go()
    assert first.num_closed == 1
    assert run.frames["captured"] == 0


class Unclosable(RecordingSink):
    def close(self):
        super().close()
        raise SinkError("cannot finalise")


def test_an_error_at_the_close_of_a_sink_is_raised_after_everything_else_was_closed():
    run = Run(ScriptedSource(3), sink=Unclosable())
    with pytest.raises(SinkError, match="cannot finalise"):
        run.go()
    assert run.frames["delivered"] == 3


def test_the_first_error_wins_over_one_at_the_close():
    run = Run(ScriptedSource(9, actions={2: CameraError("gone")}), sink=Unclosable())
    with pytest.raises(CameraError, match="gone"):
        run.go()


def test_an_error_of_the_watcher_closes_everything():
    run = Run(ScriptedSource(10_000, actions=dict.fromkeys(range(10_000), nap)))

    def complain(snapshot):
        raise ZeroDivisionError

    run.on_tick = complain
    with pytest.raises(ZeroDivisionError):
        run.go()


def test_stopping_a_file_delivers_what_was_captured():
    source = ScriptedSource(100_000)
    run = Run(source)
    source.actions[50] = run.stop.set
    assert run.go().reason == "stopped"
    assert run.frames["captured"] == 51
    assert run.sink.swapped_numbers == list(range(51))


def test_a_file_ends_after_its_time_of_media():
    run = Run(ScriptedSource(1000))
    assert run.go(for_ns=25 * fakes.PERIOD_NS).reason == "duration"
    assert run.sink.swapped_numbers == list(range(25))


def test_a_live_run_ends_after_its_time_since_the_first_picture():
    run = Run(ScriptedSource(10**6, live=True, actions=dict.fromkeys(range(10**4), nap)))
    began_s = time.monotonic()
    assert run.go(for_ns=150_000_000).reason == "duration"
    assert 0.15 <= time.monotonic() - began_s < 1.5


def test_a_live_run_ends_in_time_although_the_camera_gives_nothing():
    source = ScriptedSource(10**6, live=True)
    source.actions[3] = source.closed.wait
    run = Run(source)
    assert run.go(for_ns=100_000_000).reason == "duration"
    assert run.frames["captured"] <= 4


def test_a_slow_stage_makes_a_live_source_drop_and_a_file_wait():
    def slow():
        time.sleep(0.01)

    for live in (False, True):
        source = ScriptedSource(40, live=live, actions=dict.fromkeys(range(40), nap))
        run = Run(source, (Swap(always=slow),))
        run.go()
        dropped = run.frames["dropped_stale"] + run.frames["dropped_overrun"]
        assert (dropped > 0) == live
        assert run.sink.swapped_numbers == sorted(run.sink.swapped_numbers)
        assert run.sink.swapped_numbers[-1] == 39


def test_a_source_that_never_comes_back_is_abandoned_within_three_seconds():
    never = threading.Event()
    source = ScriptedSource(10, live=True)
    run = Run(source, paced=True)

    def hang():
        run.stop.set()
        never.wait()

    source.actions[4] = hang
    began_s = time.monotonic()
    try:
        report = run.pipeline.run(stop=run.stop)
        assert report.reason == "stopped"
        assert time.monotonic() - began_s < 3
        assert run.sink.num_closed == source.num_closed == 1
    finally:
        never.set()
    for thread in threading.enumerate():
        if thread.name == "rt-swap capture":
            thread.join()
    run.check()


def test_a_stage_that_never_comes_back_is_reported_and_left_open():
    never = threading.Event()
    stage = Swap(actions={2: never.wait})
    run = Run(ScriptedSource(10), (stage,))
    timer = threading.Timer(0.05, run.stop.set)
    timer.start()
    try:
        with pytest.raises(EngineError, match="lane 1: must come back"):
            run.pipeline.run(stop=run.stop)
        assert stage.num_closed == 0
        assert run.sink.num_closed == 1
        assert run.frames["captured"] == run.frames["delivered"] + run.frames["failed"]
    finally:
        never.set()
        timer.join()
    for thread in threading.enumerate():
        if thread.name == "rt-swap lane 1":
            thread.join()


def test_a_stage_that_is_merely_slow_is_waited_for_and_closed(monkeypatch):
    """As a large network on a small machine: its pictures take longer than the end of a run."""
    monkeypatch.setattr(crew, "DRAIN_S", 0.1)
    monkeypatch.setattr(crew, "CANCEL_S", 0.01)
    work = threading.Event()

    def stop_in_the_second_picture():
        run.stop.set()
        work.wait(0.4)

    stage = Swap(actions={0: lambda: work.wait(0.4), 1: stop_in_the_second_picture})
    run = Run(ScriptedSource(1000), (stage,))
    assert run.go().reason == "stopped"
    assert stage.num_closed == 1
    assert run.frames["failed"] > 0


def test_an_interrupted_end_closes_nothing_that_a_thread_may_be_using():
    never = threading.Event()
    source = ScriptedSource(10)
    stage = Swap()
    run = Run(source, (stage,))

    def hang():
        run.stop.set()
        never.wait()

    def interrupt():
        raise KeyboardInterrupt

    source.actions[4] = hang
    source.close = interrupt
    try:
        with pytest.raises(KeyboardInterrupt):
            run.pipeline.run(stop=run.stop)
        assert stage.num_closed == run.sink.num_closed == 0
    finally:
        never.set()
    for thread in threading.enumerate():
        if thread.name.startswith("rt-swap"):
            thread.join()


def test_a_pipeline_runs_once():
    run = Run(ScriptedSource(1))
    run.go()
    with pytest.raises(RuntimeError, match="must run once"):
        run.pipeline.run(stop=threading.Event())


@pytest.mark.parametrize(
    ("lanes", "message"),
    [((), "at least one lane"), (((Swap(), Swap()),), "unique"), (((Swap(name="send"),),), "uniq")],
)
def test_a_plan_that_makes_no_sense_is_refused(lanes, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(Plan(ScriptedSource(1), lanes, Guard(), (), paced=False))


def test_snapshots_show_the_run_from_its_start_to_its_end():
    source = ScriptedSource(400, actions=dict.fromkeys(range(400), nap))
    run = Run(source)
    run.go()
    states = {snapshot.state for snapshot in run.snapshots}
    assert RunState.RUNNING in states
    last = run.snapshots[-1]
    assert last.num_frames == 400
    assert 0 < last.frames.captured <= 400
    assert last.fps > 0
    assert last.latency_ms > 0
    assert last.elapsed_ns > 0


def test_sinks_get_the_size_and_rate_they_were_promised():
    source = ScriptedSource(5, live=True, actions=dict.fromkeys(range(5), nap))
    run = Run(source, paced=True, rate_hz=Fraction(200), out_size=(40, 40))
    run.go()
    assert (run.sink.spec.width, run.sink.spec.height) == (40, 40)
    assert run.sink.spec.rate_hz == 200
    assert {picture.shape for picture in run.sink.pictures} == {(40, 40, 3)}


class Broken(Swap):
    """Raises whatever it is given."""

    def process(self, frame):
        raise RuntimeError("cannot mark")


def test_the_last_stages_see_pictures_of_the_size_of_the_outputs_and_are_closed():
    finish = Swap(name="mark")
    run = Run(ScriptedSource(9), finish=(finish,), out_size=(64, 64))
    report = run.go()
    assert finish.num_opened == finish.num_closed == 1
    assert len(finish.seen) == 9
    assert list(report.stats["stages"]) == ["capture", "swap", "guard", "mark", "send"]


def test_pictures_that_cannot_be_finished_are_not_sent():
    run = Run(ScriptedSource(9), finish=(Broken(name="mark"),))
    with pytest.raises(RuntimeError, match="cannot mark"):
        run.go()
    assert not run.sink.pictures


def test_refused_content_ends_the_run_at_once_and_is_not_shown():
    refusal = ContentError("input: refused")
    run = Run(
        ScriptedSource(60, live=True, actions=dict.fromkeys(range(60), nap)),
        # A busy machine may pass single pictures over.
        (Swap(actions=dict.fromkeys(range(3, 60), refusal)),),
    )
    with pytest.raises(ContentError, match="refused"):
        run.go()
    assert max(run.sink.swapped_numbers, default=0) < 3


class ScriptedDevice:
    """A capture device that gives what it is handed, and waits in between."""

    def __init__(self):
        self.script = queue.Queue()

    def __call__(self, index, backend):
        return self

    def isOpened(self):  # noqa: N802
        return True

    def set(self, prop, value):
        return True

    def get(self, prop):
        return 30.0

    def read(self):
        picture = self.script.get()
        return picture is not None, picture

    def release(self):
        """There is no device."""


class Fumbling:
    """A real camera whose device does all that a device can do wrong, one thing after another.

    Args:
        live: whether pictures may be dropped.
        gone: whether the device falls silent at its end.
    """

    num_pictures = 40
    garbage = (5, 6, 17)
    stalls = (9, 25)
    sizes = ((128, 72), (48, 72), (640, 360), (128, 72))

    def __init__(self, *, live, gone):
        self.device = ScriptedDevice()
        self.camera = Camera(
            0,
            capture=self.device,
            cameras=lambda: [CameraDevice(0, "scripted", "/dev/scripted", 0)],
            stall_timeout_s=0.5 if gone else 2.0,
            reconnect=False,
        )
        self.live, self.gone = live, gone
        self.num_calls = self.num_closed = 0

    def open(self):
        self.device.script.put(self.picture(0))
        return replace(self.camera.open(), live=self.live)

    def picture(self, number):
        if number in self.garbage:
            return np.empty((0,), np.uint8)
        width, height = self.sizes[number // 10]
        return np.repeat(np.resize(fakes.RAW, (height, width))[..., None], 3, axis=-1)

    def fill(self, image):
        number = self.num_calls
        self.num_calls += 1
        if number in self.stalls:
            timer = threading.Timer(0.03, self.device.script.put, [self.picture(number)])
            timer.start()
        elif 0 < number < self.num_pictures:
            self.device.script.put(self.picture(number))
        elif number >= self.num_pictures and not self.gone:
            return None
        return self.camera.fill(image)

    def close(self):
        self.num_closed += 1
        # A failed read is tried again, so one may not be enough to wake the reading thread.
        for _ in range(3):
            self.device.script.put(None)
        self.camera.close()


class FailsNowAndThen(Swap):
    """Raises on some pictures; remembers the sizes of all, and which had bars at their sides."""

    failures = (3, 12, 13, 31)

    def __init__(self):
        super().__init__()
        self.shapes, self.barred = set(), set()

    def process(self, frame):
        self.shapes.add(frame.image.shape)
        if not frame.image[:, 0].any() and not frame.image[:, -1].any():
            self.barred.add(frame.seq)
        if frame.seq in self.failures:
            raise ValueError("now")
        super().process(frame)


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_every_picture_of_a_fumbling_camera_is_accounted_for(live, gone):
    source, stage = Fumbling(live=live, gone=gone), FailsNowAndThen()
    run = Run(source, (stage,), (Swap(name="later"),), guard=Guard(GuardConfig(on_loss="slate")))
    if gone:
        with pytest.raises(CameraError, match="got none for"):
            run.go()
    else:
        assert run.go().reason == "end"
    frames = run.frames
    assert frames["captured"] == 40
    assert stage.shapes == {(72, 128, 3)}
    num_dropped = frames["dropped_stale"] + frames["dropped_overrun"]
    if live:
        assert frames["failed"] >= len(source.garbage)
        assert frames["delivered"] > 0
    else:
        assert num_dropped == 0
        assert frames["failed"] == len(source.garbage) + len(stage.failures)
        assert stage.barred == set(range(10, 20)) - set(source.garbage)
        assert len(run.sink.pictures) == 40 - len(source.garbage)
    assert frames["delivered"] + frames["failed"] + num_dropped == 40
