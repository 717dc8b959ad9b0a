import threading
from fractions import Fraction
from importlib import util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import SinkError
from realtime.frame import Frame, PictureSpec
from realtime.metrics import Metrics, RunState
from realtime.ring import Policy, Ring
from realtime.sender import Sender
from realtime.slate import draw_slate
from realtime.stage import SourceHealth

_SPEC = util.spec_from_file_location("fakes", Path(__file__).with_name("fakes.py"))
fakes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)

MS_NS = 1_000_000
PERIOD_NS = 33_333_333
SPEC = PictureSpec(64, 36, Fraction(30), live=True)


class Stage:
    """Frames that are finished at given times of a virtual clock, and a sender that runs on it.

    Args:
        ready_ms: when each frame is finished; it was captured 10 ms before.
        end_ms: when the stream ends.
        send_ms: by number of the call, how long the sink takes.
        failed: numbers of the frames that failed.
        hidden_ms: while the picture is to be hidden.
        healths: pairs of the time from which on the camera says how it does, and how.
    """

    def __init__(
        self,
        ready_ms,
        *,
        end_ms,
        send_ms=None,
        failed=(),
        policy=Policy.LIVE,
        out_size=(64, 36),
        camera_lost=True,
        finish=(),
        healths=(),
        hidden_ms=range(0),
        changing_ms=range(0),
    ):
        self.now_ns = 0
        self.healths = healths
        self.hidden_ms, self.hidden = hidden_ms, threading.Event()
        self.changing_ms, self.changing = changing_ms, threading.Event()
        self.due = [(round(ms * MS_NS), seq) for seq, ms in enumerate(ready_ms)]
        self.end_ns = end_ms * MS_NS
        self.send_ms = send_ms or {}
        self.failed = failed
        self.camera_lost = camera_lost
        self.ring = Ring([Frame.blank(SPEC) for _ in range(4)], policy)
        self.sent_ns = []
        self.pictures = []
        self.media_ns = []
        self.states = []
        self.finished_ns = 0
        self.metrics = Metrics([*(stage.name for stage in finish), "send"])
        self.tally = self.metrics.tally()
        self.metrics.watch(self.ring)
        self.sender = Sender(
            [self],
            finish=finish,
            ring=self.ring,
            intake=self,
            lane=self,
            spec=SPEC,
            out_spec=PictureSpec(*out_size, Fraction(30), live=True),
            paced=True,
            metrics=self.metrics,
            tally=self.tally,
            times=self.metrics.stages,
            hidden=self.hidden,
            changing=self.changing,
            clock=lambda: self.now_ns,
            sleep=self.sleep,
        )

    @property
    def last_ns(self):
        """The intake's part: when the camera gave its newest picture."""
        return self.finished_ns - 10 * MS_NS if self.camera_lost else self.now_ns

    @property
    def holding(self):
        """The lane's part: whether it has a frame in hand."""
        return bool(self.due) and self.due[0][0] - 10 * MS_NS <= self.now_ns

    @property
    def health(self):
        """The intake's part: how the camera says it does."""
        told = [health for from_ms, health in self.healths if self.now_ns >= from_ms * MS_NS]
        return told[-1] if told else SourceHealth.GOOD

    def sleep(self, duration_s):
        self.pass_time(round(duration_s * 1e9))

    def pass_time(self, duration_ns):
        self.now_ns += duration_ns
        for event, times_ms in ((self.hidden, self.hidden_ms), (self.changing, self.changing_ms)):
            if self.now_ns // MS_NS in times_ms:
                event.set()
            else:
                event.clear()
        while self.due and self.due[0][0] <= self.now_ns:
            self.finished_ns, seq = self.due[0]
            frame = self.ring.reserve()
            if frame is None:
                return
            del self.due[0]
            frame.seq, frame.captured_ns = seq, self.finished_ns - 10 * MS_NS
            frame.failed = seq in self.failed
            frame.image[:] = seq + 1
            self.tally.captured += 1
            self.ring.publish()
        if not self.due and self.now_ns >= self.end_ns:
            self.ring.finish()

    def send(self, image, media_ns):
        """The sink's part."""
        self.states.append(self.sender.state)
        self.sent_ns.append(self.now_ns)
        self.pictures.append(image.copy())
        self.media_ns.append(media_ns)
        self.pass_time(self.send_ms.get(len(self.pictures) - 1, 0) * MS_NS)

    def run(self):
        self.sender.run()
        self.ring.settle()
        return self

    @property
    def numbers(self):
        return [int(picture[0, 0, 0]) - 1 for picture in self.pictures]

    def times_shown(self, text):
        slate = np.zeros_like(self.pictures[0])
        draw_slate(text, out=slate)
        return sum(np.array_equal(picture, slate) for picture in self.pictures)


def steady(num_frames, *, first_ms=10.0):
    return [first_ms + n * PERIOD_NS / MS_NS for n in range(num_frames)]


def test_steady_frames_are_shown_once_each_shortly_after_they_are_ready():
    stage = Stage(steady(60), end_ms=2000).run()
    assert stage.tally.delivered == 60
    assert stage.tally.repeated == 0
    assert stage.metrics.latency.quantile_ms(0.5) == pytest.approx(11, abs=0.6)
    assert stage.metrics.latency.quantile_ms(0.99) <= 40
    assert stage.metrics.counts().in_flight == 0


def test_the_cadence_is_kept_while_nothing_new_comes():
    stage = Stage([*steady(10), 700, 900], end_ms=1000).run()
    steps = [b - a for a, b in pairwise(stage.sent_ns[3:])]
    assert all(abs(step - PERIOD_NS) < MS_NS for step in steps)
    assert stage.tally.delivered == 12
    assert stage.tally.repeated > 10
    assert stage.numbers[3:] == sorted(stage.numbers[3:])


def test_the_times_of_pictures_are_those_of_the_regular_grid():
    stage = Stage([*steady(10), 700], end_ms=1000).run()
    assert stage.media_ns[0] == 0
    assert all(b - a == pytest.approx(PERIOD_NS, abs=1) for a, b in pairwise(stage.media_ns))


def test_before_the_first_frame_a_slate_says_starting_and_is_no_repeat():
    stage = Stage([500], end_ms=550).run()
    assert stage.times_shown("Starting") == 15
    assert stage.tally.repeated <= 2
    assert stage.states[0] is RunState.STARTING


@pytest.mark.parametrize(
    ("camera_lost", "text", "state", "times"),
    [
        (True, "Camera lost", RunState.SOURCE_LOST, 59),
        (False, "No picture", RunState.DEGRADED, 50),
    ],
    ids=["lost", "slow"],
)
def test_within_a_second_without_a_new_frame_a_slate_says_why(camera_lost, text, state, times):
    stage = Stage([*steady(10), 3000.0], end_ms=3100, camera_lost=camera_lost).run()
    assert stage.times_shown(text) == pytest.approx(times, abs=2)
    assert state in stage.states
    assert stage.sender.state is RunState.RUNNING
    assert stage.numbers[-1] == 10
    assert stage.tally.delivered == 11
    steps = [b - a for a, b in pairwise(stage.sent_ns[3:])]
    assert all(abs(step - PERIOD_NS) < MS_NS for step in steps)


def test_a_camera_that_knows_it_is_lost_is_believed_at_once():
    healths = ((400, SourceHealth.LOST), (2900, SourceHealth.GOOD))
    stage = Stage([*steady(10), 420.0, 3000.0], end_ms=3100, healths=healths).run()
    assert stage.times_shown("Camera lost") == pytest.approx(77, abs=3)
    first_lost = stage.states.index(RunState.SOURCE_LOST)
    # A frame that was on its way is still shown, and does not make the run look well again.
    assert 10 in stage.numbers
    assert RunState.RUNNING not in stage.states[first_lost + 1 : -6]
    assert stage.sender.state is RunState.RUNNING


def test_a_hidden_picture_is_a_slate_at_the_same_rate_and_comes_back_finished():
    # New frames and, between 600 and 900 ms, repeated ones, before, while and after it is hidden.
    stamp = Stamp()
    ready_ms = [*steady(18), *steady(20, first_ms=900.0)]
    stage = Stage(ready_ms, end_ms=1600, finish=(stamp,), hidden_ms=range(300, 750)).run()
    slate = np.zeros_like(stage.pictures[0])
    draw_slate("Privacy", out=slate)
    hidden = [np.array_equal(one[:-1], slate[:-1]) for one in stage.pictures]
    shown_ms = [
        at // MS_NS for at, is_hidden in zip(stage.sent_ns, hidden, strict=True) if is_hidden
    ]
    assert shown_ms[0] == pytest.approx(317, abs=34)
    assert shown_ms[-1] == pytest.approx(733, abs=34)
    assert len(shown_ms) == pytest.approx(450 / 33.3, abs=1.5)
    steps = [b - a for a, b in pairwise(stage.sent_ns[3:])]
    assert all(abs(step - PERIOD_NS) < MS_NS for step in steps)
    # The frame that came while it was hidden is shown again with the last stages' work on it.
    again = [
        one for at, one in zip(stage.sent_ns, stage.pictures, strict=True) if 760 < at / MS_NS < 880
    ]
    assert again
    assert all(int(one[-1, -1, 2]) >= 100 for one in again)
    assert stage.tally.delivered == len(ready_ms)


def test_a_frozen_camera_is_shown_but_does_not_count_as_well():
    stage = Stage(steady(30), end_ms=1000, healths=((500, SourceHealth.FROZEN),)).run()
    assert stage.sender.state is RunState.DEGRADED
    assert stage.tally.delivered == 30
    assert stage.times_shown("Camera lost") == stage.times_shown("No picture") == 0


def test_a_sink_that_stalls_costs_frames_but_no_burst():
    stage = Stage(steady(60), end_ms=2000, send_ms={20: 400}).run()
    steps = sorted(b - a for a, b in pairwise(stage.sent_ns[3:]))
    assert steps[-1] == pytest.approx(400 * MS_NS, abs=MS_NS)
    # One picture is sent late at once, the next is on the grid again.
    assert sum(step < 25 * MS_NS for step in steps) <= 1
    counts = stage.metrics.counts()
    assert counts.dropped_stale + counts.dropped_overrun == pytest.approx(11, abs=1)
    assert counts.in_flight == 0


def test_a_failed_frame_is_shown_and_counted_as_failed():
    stage = Stage(steady(10), end_ms=400, failed={3}).run()
    assert (stage.tally.delivered, stage.tally.failed) == (9, 1)
    assert 3 in stage.numbers


def test_a_strict_ring_is_paced_without_losing_a_frame():
    # All are ready at once, as from a file; the ring holds them back.
    stage = Stage([1.0] * 20, end_ms=0, policy=Policy.STRICT).run()
    shown = [number for number in stage.numbers if number < 20]
    assert shown == list(range(20))
    assert stage.tally.delivered == 20
    assert stage.sent_ns[-1] >= 19 * PERIOD_NS


def test_a_repeated_picture_of_another_size_stays_letterboxed():
    stage = Stage([*steady(3), 300.0], end_ms=400, out_size=(40, 40)).run()
    assert stage.tally.repeated >= 3
    for number, picture in zip(stage.numbers[2:], stage.pictures[2:], strict=True):
        assert picture.shape == (40, 40, 3)
        assert number == -1, "the bar above the picture is black"
        assert picture[20, 20, 0] >= 1


def test_a_frame_that_a_sink_refused_has_failed():
    stage = Stage(steady(10), end_ms=400)

    def refuse(image, media_ns):
        if len(stage.sent_ns) == 5:
            raise SinkError("full")
        stage.sent_ns.append(stage.now_ns)

    stage.send = refuse
    with pytest.raises(SinkError, match="full"):
        stage.sender.run()
    assert stage.tally.failed == 1
    assert not stage.sender.holding


def test_a_cancelled_run_does_not_wait_for_its_next_tick():
    stage = Stage([], end_ms=10**6)
    stage.send = lambda image, media_ns: stage.ring.cancel()
    stage.run()
    assert stage.now_ns == 0


class Stamp:
    """Counts its work on a picture in the last pixel of it."""

    name = "stamp"

    def __init__(self):
        self.sizes = set()
        self.work = lambda: None

    def process(self, frame):
        self.work()
        self.sizes.add(frame.image.shape[:2])
        frame.image[-1, -1, 2] += 100


@pytest.mark.parametrize("out_size", [(64, 36), (96, 96)])
def test_every_picture_that_is_sent_was_finished_exactly_once(out_size):
    # New ones, repeated ones, the slate at the start and the one when the camera is lost.
    stamp = Stamp()
    ready_ms = [*steady(5, first_ms=200.0), 900.0]
    stage = Stage(ready_ms, end_ms=4000, out_size=out_size, finish=(stamp,)).run()
    assert stage.tally.repeated > 20
    assert {RunState.STARTING, RunState.RUNNING, RunState.SOURCE_LOST} <= set(stage.states)
    text, ground = {int(picture[-1, -1, 2]) for picture in stage.pictures}, 28
    letterboxed = out_size != (64, 36)
    shown = {100 + (0 if letterboxed else number) for number in range(1, 7)}
    assert text <= shown | {100 + ground}
    assert len(text) >= (2 if letterboxed else 7)
    assert stamp.sizes == {out_size[::-1]}
    assert stage.metrics.stages["stamp"].worked.count == 6


def test_a_frame_that_is_late_by_a_moment_is_waited_for():
    ready_ms = steady(40)
    usual = Stage(ready_ms, end_ms=1310).run()
    ready_ms[20] += 10
    stage = Stage(ready_ms, end_ms=1310).run()
    assert stage.tally == usual.tally
    off_ns = [b - a - PERIOD_NS for a, b in pairwise(stage.sent_ns[3:])]
    assert 8 * MS_NS < max(off_ns) < PERIOD_NS // 2


def test_while_something_is_changed_every_frame_that_is_late_is_waited_for():
    ready_ms = steady(60)
    usual = Stage(ready_ms, end_ms=1980).run()
    for seq in range(20, 50, 3):
        ready_ms[seq] += 9
    late = Stage(ready_ms, end_ms=1980).run()
    assert late.tally.repeated > usual.tally.repeated + 2
    stage = Stage(ready_ms, end_ms=1980, changing_ms=range(600, 1700)).run()
    assert stage.tally == usual.tally
    steps_ns = [b - a for a, b in pairwise(stage.sent_ns[3:])]
    assert max(steps_ns) < 1.5 * PERIOD_NS


def test_after_a_frame_that_was_too_late_the_newest_one_is_shown_again_at_once():
    ready_ms = [*steady(21), *steady(39, first_ms=14.0 + 21 * PERIOD_NS / MS_NS)]
    usual = Stage(ready_ms, end_ms=1980).run()
    ready_ms[20] += 15
    stage = Stage(ready_ms, end_ms=1980).run()
    assert stage.tally.repeated == usual.tally.repeated + 1
    assert stage.tally.delivered == usual.tally.delivered - 1
    # All frames but that one are 10 ms in the making.
    assert stage.metrics.latency.quantile_ms(0.95) < 25


def test_nothing_is_waited_for_where_the_lane_takes_long():
    stage = Stage([*steady(10), 650, 1000, 1350], end_ms=1400).run()
    steps = [b - a for a, b in pairwise(stage.sent_ns[3:])]
    assert all(abs(step - PERIOD_NS) < MS_NS for step in steps)


def test_the_last_stages_work_before_the_tick_so_that_the_picture_leaves_on_it():
    stamp = Stamp()
    stage = Stage(steady(60), end_ms=2000, finish=(stamp,))
    stamp.work = lambda: stage.pass_time(3 * MS_NS)
    stage.run()
    off_ns = [abs(b - a - PERIOD_NS) for a, b in pairwise(stage.sent_ns[20:])]
    assert max(off_ns) < MS_NS
    assert stage.tally.delivered == 60
    # 10 ms in the making, 3 ms of the last stage, and the margin.
    assert stage.metrics.latency.quantile_ms(0.5) == pytest.approx(14, abs=0.7)
