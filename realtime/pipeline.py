"""The engine: a frozen plan is opened, run by a few threads, and closed whatever happens.

Threads: one takes pictures in, one runs each lane of stages, one sends. Between them lie rings, so
a frame is always in one thread's hands or in one ring, and the counts say where. The thread that
calls ``run`` only watches.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction

from realtime.crew import DRAIN_S, SENDER, Crew, lane_name
from realtime.errors import EngineError
from realtime.frame import PictureSpec
from realtime.intake import Reason
from realtime.machine import machine_facts, resident_bytes
from realtime.memory import Memory, give_back_freed
from realtime.metrics import Json, Metrics, RunState, Snapshot
from realtime.stage import Counted, OnDevice, Sink, Source, SourceHealth, Stage
from realtime.state_log import StateLog
from realtime.worker import Fault

TICK_S = 0.1
TICKS_PER_MEMORY_SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run; nothing in it is open yet.

    Attributes:
        source: where pictures come from.
        lanes: stages in order, each lane on its own thread; at least one lane.
        guard: run last on every frame, also on one that a stage failed on.
        finish: stages run on every picture the sinks get, at their size, slates too; one that
            raises ends the run, as nothing may go out without them.
        sinks: where pictures go; all get the same.
        paced: keep the rate and repeat the last picture; else send every finished frame once, in
            order.
        rate_hz: output rate where paced; None: the source's.
        out_size: width and height of the sinks' pictures; None: the source's. Others are
            letterboxed.
        max_failures: failed frames in a row at which a stage ends the run; a live run never does,
            it goes on showing the covered picture.
        changing: set while something is being put in another's place, see ``Sender``.
    """

    source: Source
    lanes: tuple[tuple[Stage, ...], ...]
    guard: Stage
    sinks: tuple[Sink, ...]
    paced: bool
    rate_hz: Fraction | None = None
    out_size: tuple[int, int] | None = None
    max_failures: int = 30
    finish: tuple[Stage, ...] = ()
    changing: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Report:
    """How a run went.

    Attributes:
        reason: why it ended.
        stats: ``frames, fps, latency_ms, stages, worked_px, memory_mb, machine, states``, ready
            for JSON.
    """

    reason: Reason
    stats: Json


class Pipeline:
    """One run of one plan.

    Args:
        plan: what to run.
        clock: monotonic nanoseconds, for everything that is measured.

    Raises:
        ValueError: the plan has no lane, or two stages of one name.
    """

    def __init__(self, plan: Plan, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        names = [stage.name for lane in plan.lanes for stage in lane]
        names = ["capture", *names, plan.guard.name, *(s.name for s in plan.finish), "send"]
        if not plan.lanes:
            raise ValueError("Plan.lanes: there must be at least one lane, got none.")
        if len(set(names)) < len(names):
            raise ValueError(f"Plan.lanes: stage names must be unique, got {', '.join(names)}.")
        self._plan = plan
        self._clock = clock
        self._metrics = Metrics(names)
        self._fault = Fault()
        self._states = StateLog(clock)
        self._hidden = threading.Event()
        self._stuck: tuple[str, ...] = ()
        self._source_closed = False
        self._opened_ns = 0
        self._num_frames: int | None = None
        self._live = False
        self._started = False

    def run(
        self,
        *,
        stop: threading.Event,
        for_ns: int | None = None,
        on_tick: Callable[[Snapshot], None] | None = None,
        hidden: threading.Event | None = None,
    ) -> Report:
        """Opens everything, runs until it ends, closes everything; once.

        Args:
            stop: set by anybody, a signal handler too: what is captured is still sent, then the
                sinks are closed, all within three seconds.
            for_ns: end after this time: of the media, or from the first picture if it is live.
            on_tick: called on this thread about ten times a second.
            hidden: set by anybody while the sinks are to get a slate in the place of pictures.

        Raises:
            CameraError, MediaError: from the source.
            SinkError: from a sink.
            EngineError: a stage failed too often in a row (it is chained), or never came back.
            RuntimeError: this pipeline has run before.
        """
        if self._started:
            raise RuntimeError("Pipeline.run: a pipeline must run once, got a second call.")
        self._started = True
        self._opened_ns = self._clock()
        try:
            with ExitStack() as stack:
                stack.callback(give_back_freed)
                self._hidden = hidden or self._hidden
                crew = self._open(stack, stop, for_ns)
                stack.callback(self._wind_down, crew)
                give_back_freed()
                crew.start()
                self._watch(crew, stop, for_ns if self._live else None, on_tick)
        finally:
            # What closing raised after an error of the run is a consequence of it.
            if self._fault.error is not None:
                raise self._fault.error
        return Report(crew.intake.reason or "stopped", self.stats())

    def stats(self) -> Json:
        """The statistics up to now; also after ``run`` has raised."""
        stats = {**self._metrics.as_dict(machine_facts()), "states": self._states.as_dict()}
        for stage in (stage for lane in self._plan.lanes for stage in lane):
            if isinstance(stage, Counted):
                stats["stages"][stage.name]["counts"] = dict(stage.counts)
            if isinstance(stage, OnDevice) and stage.device_peak_bytes:
                peak_mb = round(stage.device_peak_bytes / 1_000_000, 1)
                stats["memory_mb"]["device_peak"] = peak_mb
        return stats

    def _open(self, stack: ExitStack, stop: threading.Event, for_ns: int | None) -> Crew:
        plan = self._plan
        spec = plan.source.open()
        stack.callback(self._close_source)
        self._live, self._num_frames = spec.live, spec.num_frames
        memory = stack.enter_context(Memory())
        for index, stages in enumerate(plan.lanes):
            last = index == len(plan.lanes) - 1
            for stage in (*stages, plan.guard) if last else stages:
                stage.open(spec, memory)
                stack.callback(self._close_unless_stuck, lane_name(index), stage.close)
        out_spec = self._out_spec(spec)
        for stage in plan.finish:
            stage.open(out_spec, memory)
            stack.callback(self._close_unless_stuck, SENDER, stage.close)
        for sink in plan.sinks:
            sink.open(out_spec)
            stack.callback(self._close_unless_stuck, SENDER, sink.close)
        return Crew(
            source=plan.source,
            lanes=plan.lanes,
            guard=plan.guard,
            finish=plan.finish,
            sinks=plan.sinks,
            spec=spec,
            out_spec=out_spec,
            paced=plan.paced,
            max_failures=None if spec.live else plan.max_failures,
            metrics=self._metrics,
            fault=self._fault,
            clock=self._clock,
            stop=stop,
            for_ns=for_ns,
            hidden=self._hidden,
            changing=plan.changing,
        )

    def _out_spec(self, spec: PictureSpec) -> PictureSpec:
        width, height = self._plan.out_size or (spec.width, spec.height)
        paced_hz = self._plan.rate_hz if self._plan.paced else None
        return PictureSpec(width, height, paced_hz or spec.rate_hz, spec.live, spec.num_frames)

    def _watch(
        self,
        crew: Crew,
        stop: threading.Event,
        live_for_ns: int | None,
        on_tick: Callable[[Snapshot], None] | None,
    ) -> None:
        """Looks after the run until it has ended or is to end."""
        num_ticks = 0
        self._states.note(RunState.STARTING)
        while not crew.done.wait(TICK_S):
            if stop.is_set():
                crew.intake.end("stopped")
                return
            # The intake cannot see its time pass while a camera gives nothing.
            began_ns = crew.intake.first_ns or self._opened_ns
            if live_for_ns is not None and self._clock() - began_ns >= live_for_ns:
                crew.intake.end("duration")
                return
            if num_ticks % TICKS_PER_MEMORY_SAMPLE == 0:
                self._metrics.sample_memory(resident_bytes())
            num_ticks += 1
            self._states.note(self._state_of(crew))
            self._states.note_hidden(self._hidden.is_set())
            if on_tick is not None:
                on_tick(self._snapshot(crew))

    @staticmethod
    def _state_of(crew: Crew) -> RunState:
        state = crew.sender.state
        if crew.intake.reason:
            return RunState.STOPPING
        # A sender without a rate sleeps until the camera is back.
        is_lost = crew.intake.health is SourceHealth.LOST and state is not RunState.STARTING
        return RunState.SOURCE_LOST if is_lost else state

    def _snapshot(self, crew: Crew) -> Snapshot:
        now_ns = self._clock()
        return Snapshot(
            state=self._state_of(crew),
            frames=self._metrics.counts(),
            fps=self._metrics.recent.fps(now_ns),
            latency_ms=self._metrics.recent.latency_ms(now_ns),
            elapsed_ns=now_ns - self._opened_ns,
            num_frames=self._num_frames,
        )

    def _wind_down(self, crew: Crew) -> None:
        self._metrics.sample_memory(resident_bytes())
        self._states.note(RunState.STOPPING)
        # Until it is known better: if this is interrupted, nothing is closed under a thread.
        self._stuck = crew.names
        self._stuck = crew.wind_down(self._close_source)
        if self._stuck:
            self._fault.record(
                EngineError(
                    f"{', '.join(self._stuck)}: must come back from its work within {DRAIN_S} s, "
                    "got no answer. What it uses was left open."
                )
            )

    def _close_source(self) -> None:
        if not self._source_closed:
            self._source_closed = True
            self._plan.source.close()

    def _close_unless_stuck(self, user: str, close: Callable[[], None]) -> None:
        # A thread that is still inside would have its buffers freed under its feet.
        if user not in self._stuck:
            close()
