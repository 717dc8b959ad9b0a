"""The way out: finished frames to the sinks, in order or at a constant rate."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from realtime.frame import Frame, Image, PictureSpec
from realtime.intake import Intake
from realtime.lane import Lane
from realtime.letterbox import letterbox_frame
from realtime.metrics import Metrics, RunState, StageTimes, Tally
from realtime.pacing import Pacer, Patience
from realtime.ring import Policy, Ring
from realtime.slate import draw_slate
from realtime.stage import Sink, SourceHealth, Stage

SECOND_NS = 1_000_000_000

STALL_NS = SECOND_NS
"""Time without a finished frame after which the last picture gives way to a slate."""

LOST_NS = 700_000_000
"""The same for a camera that gives nothing: the slate is to be there within a second."""

PRIVACY = "Privacy"
"""What the slate says that a person has asked for."""

MAX_SLEEP_NS = 50_000_000

MARGIN_NS = 1_000_000
"""How long before its tick a usual frame should be ready; later ones are waited for."""

SPARE_NS = 300_000
"""How much sooner than seems needed the last stages begin, so that they are done by the tick."""

FINISH_SHARE = 0.1
"""What one picture counts for in how long the last stages usually take."""

GRACE_NAP_S = 0.0005


class Sender:
    """Hands pictures to the sinks. ``run`` belongs to one thread.

    Args:
        sinks: opened with ``out_spec``.
        finish: opened with ``out_spec``; run on every picture before the sinks get it.
        ring: where finished frames come from.
        intake: asked when the camera last gave a picture, and how it does.
        lane: the one that fills the ring; asked when it last did.
        spec: what the frames look like.
        out_spec: what the sinks get; pictures of another size are letterboxed.
        paced: keep ``out_spec.rate_hz`` and repeat; else send each finished frame once.
        metrics: told of every new picture sent.
        tally: this thread's counts.
        times: by stage name; those of ``send`` are ``worked``: in the sinks; ``waited``: for the
            next frame or tick.
        hidden: while it is set the sinks get a slate in the place of every picture.
        changing: while it is set the machine has other work for a moment, so more frames are late
            than usual, and each is waited for.
        clock: monotonic nanoseconds.
        sleep: seconds on the same clock.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        finish: Sequence[Stage] = (),
        ring: Ring[Frame],
        intake: Intake,
        lane: Lane,
        spec: PictureSpec,
        out_spec: PictureSpec,
        paced: bool,
        metrics: Metrics,
        tally: Tally,
        times: Mapping[str, StageTimes],
        hidden: threading.Event | None = None,
        changing: threading.Event | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sinks = tuple(sinks)
        self._finish = tuple(finish)
        self._ring = ring
        self._intake = intake
        self._lane = lane
        self._out_spec = out_spec
        self._paced = paced
        self._metrics = metrics
        self._tally = tally
        self._times = times["send"]
        self._finish_times = {stage.name: times[stage.name].worked for stage in self._finish}
        self._hidden = hidden or threading.Event()
        self._changing = changing or threading.Event()
        self._clock = clock
        self._sleep = sleep
        self._shown = Frame.blank(spec)
        self._stall_ns = max(STALL_NS, 3 * spec.period_ns)
        self._lost_ns = max(LOST_NS, 3 * spec.period_ns)
        self._out = Frame.blank(out_spec)
        self._fits = (spec.width, spec.height) == (out_spec.width, out_spec.height)
        self._slate_text = ""
        self._slate = Frame.blank(out_spec)
        self._patience = Patience(out_spec.period_ns)
        self._finish_ns = 0.0
        self._new_ns = 0
        self._was_lost_ns = -1
        self._holding = False
        self._state = RunState.STARTING

    @property
    def holding(self) -> bool:
        """Whether a frame is in the sender's hands and not yet with the sinks."""
        return self._holding

    @property
    def state(self) -> RunState:
        """Whether a picture has been sent yet, and whether they keep coming."""
        return self._state

    def run(self) -> None:
        """Sends until no more frames come.

        Raises:
            SinkError: a sink gave up.
        """
        try:
            if self._paced:
                self._run_paced()
            else:
                self._run_in_order()
        finally:
            if self._holding:
                self._tally.failed += 1
                self._holding = False

    def _run_in_order(self) -> None:
        while True:
            asked_ns = self._clock()
            frame = self._ring.wait_take()
            if frame is None:
                return
            self._holding = True
            self._times.waited.add(self._clock() - asked_ns)
            self._send_new(frame, self._finished(frame), frame.media_ns)
            self._ring.release()

    def _run_paced(self) -> None:
        pacer = Pacer(self._out_spec.rate_hz, start_ns=self._clock(), margin_ns=MARGIN_NS)
        while self._tick(pacer):
            pacer.advance(self._clock())

    def _tick(self, pacer: Pacer) -> bool:
        """Waits for one tick and sends its picture; False when nothing more will come."""
        due_ns = pacer.deadline_ns
        # The last stages work before the tick, so that the picture leaves on it.
        waited_ns = self._wait_until(due_ns - round(self._finish_ns) - SPARE_NS)
        is_live = self._ring.policy is Policy.LIVE
        # Before the first frame the ticks are not where the frames are.
        if is_live and self._new_ns:
            self._wait_for_late(due_ns)
        frame = self._ring.wait_take(timeout_s=0)
        if frame is None:
            waited_ns += self._wait_until(due_ns)
            frame = self._ring.wait_take(timeout_s=0)
        if frame is not None:
            self._holding = True
            self._shown.exchange(frame)
            self._ring.release()
            if is_live:
                ready_ns = self._lane.finished_ns + round(self._finish_ns)
                pacer.observe(ready_ns, seq=self._shown.seq)
            picture = self._finished(self._shown)
            waited_ns += self._wait_until(due_ns)
            self._send_new(self._shown, picture, pacer.media_ns)
        elif self._ring.ended:
            return False
        else:
            self._send_again(pacer.media_ns)
        self._times.waited.add(waited_ns)
        return True

    def _wait_for_late(self, deadline_ns: int) -> None:
        """Gives a frame that must be all but ready a moment more.

        Also where an older one is there, which was too late for the tick before: sending that one
        now would leave every picture from here on a period older than it need be.
        """
        period_ns = self._out_spec.period_ns
        self._patience.begin(generous=self._changing.is_set())
        while self._lane.holding and not self._ring.cancelled:
            age_ns = deadline_ns - self._lane.finished_ns
            if not period_ns < 2 * age_ns < 3 * period_ns:
                return
            if not self._patience.allows(self._clock() - deadline_ns):
                return
            self._sleep(GRACE_NAP_S)

    def _wait_until(self, due_ns: int) -> int:
        """Waits for a moment, or not at all where it has passed; how long it took, in ns."""
        asked_ns = self._clock()
        # In short naps, so that a cancelled run with a slow rate ends at once all the same.
        while (left_ns := due_ns - self._clock()) > 0 and not self._ring.cancelled:
            self._sleep(min(left_ns, MAX_SLEEP_NS) / SECOND_NS)
        return self._clock() - asked_ns

    def _send_new(self, frame: Frame, picture: Image, media_ns: int) -> None:
        self._send(self._slate_of(PRIVACY) if self._hidden.is_set() else picture, media_ns)
        now_ns = self._clock()
        self._metrics.sent(captured_ns=frame.captured_ns, sent_ns=now_ns)
        self._new_ns = now_ns
        self._state = self._state_now()
        self._holding = False
        if frame.failed:
            self._tally.failed += 1
        else:
            self._tally.delivered += 1

    def _send_again(self, media_ns: int) -> None:
        """Keeps the rate while there is nothing new."""
        now_ns = self._clock()
        if self._state is RunState.STARTING:
            self._send(self._slate_of("Starting"), media_ns)
            return
        self._tally.repeated += 1
        if self._is_lost(now_ns):
            self._was_lost_ns = now_ns
        # Until the first frame of a camera that is back is finished there is none to show.
        if self._new_ns <= self._was_lost_ns and now_ns - self._was_lost_ns <= self._stall_ns:
            self._state = RunState.SOURCE_LOST
            self._send(self._slate_of("Camera lost"), media_ns)
        elif now_ns - self._new_ns > self._stall_ns:
            self._state = RunState.DEGRADED
            self._send(self._slate_of("No picture"), media_ns)
        elif self._hidden.is_set():
            self._send(self._slate_of(PRIVACY), media_ns)
        else:
            # The picture that was sent is finished already.
            self._send((self._shown if self._fits else self._out).image, media_ns)

    def _is_lost(self, now_ns: int) -> bool:
        last_ns = self._intake.last_ns
        late = last_ns is None or now_ns - last_ns > self._lost_ns
        return late or self._intake.health is SourceHealth.LOST

    def _state_now(self) -> RunState:
        """What a new frame says about the run; one may still come out after the camera is gone."""
        health = self._intake.health
        if health is SourceHealth.LOST:
            return RunState.SOURCE_LOST
        return RunState.DEGRADED if health is SourceHealth.FROZEN else RunState.RUNNING

    def _finished(self, frame: Frame) -> Image:
        """The frame's picture at the size of the outputs, with the last stages' work on it.

        To be called for a hidden picture too: it may be sent again once nothing is hidden any more.
        """
        began_finish_ns = self._clock()
        if not self._fits:
            letterbox_frame(frame, out=self._out)
            frame = self._out
        for stage in self._finish:
            began_ns = self._clock()
            stage.process(frame)
            self._finish_times[stage.name].add(self._clock() - began_ns)
        took_ns = self._clock() - began_finish_ns
        self._finish_ns += FINISH_SHARE * (took_ns - self._finish_ns)
        return frame.image

    def _slate_of(self, text: str) -> Image:
        if text != self._slate_text:
            draw_slate(text, out=self._slate.image)
            for stage in self._finish:
                stage.process(self._slate)
            self._slate_text = text
        return self._slate.image

    def _send(self, picture: Image, media_ns: int) -> None:
        began_ns = self._clock()
        for sink in self._sinks:
            sink.send(picture, media_ns)
        self._times.worked.add(self._clock() - began_ns)
