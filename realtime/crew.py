"""The threads of one run, the rings between them, and how they are started and ended."""

import threading
import time
from collections.abc import Callable, Sequence

from realtime.frame import Frame, PictureSpec
from realtime.intake import Intake
from realtime.lane import Lane, in_flight
from realtime.metrics import Metrics
from realtime.ring import MIN_LIVE_SLOTS, Policy, Ring
from realtime.sender import Sender
from realtime.stage import Sink, Source, Stage
from realtime.worker import Fault, Worker

STRICT_SLOTS = 3
"""One being written, one being read, one between them: more would only keep more in flight."""

SOURCE_GRACE_S = 0.5
"""How long a source may finish its last picture before it is closed under its hands."""

DRAIN_S = 2.0
"""How long frames already captured may take to reach the sinks once a run is to end."""

CANCEL_S = 0.3
"""How long threads may take to notice that nobody waits for them any more."""

SENDER = "sender"


def lane_name(index: int) -> str:
    """What the thread of this lane, counted from 0, is called in messages."""
    return f"lane {index + 1}"


class Crew:
    """Intake, lanes and sender on their threads, for one run of opened parts.

    Args:
        source, lanes, guard, finish, sinks: opened.
        spec: of the source's pictures.
        out_spec: of the sinks' pictures.
        paced: whether the sender keeps the rate.
        max_failures: failures in a row at which a lane gives up; None: never.
        metrics: receives every number.
        fault: receives the first error.
        clock: monotonic nanoseconds.
        stop: set by anybody to take no more pictures.
        for_ns: how long to take pictures; None: until there are no more.
        hidden: set by anybody while the sinks are to get a slate.
    """

    def __init__(
        self,
        *,
        source: Source,
        lanes: Sequence[Sequence[Stage]],
        guard: Stage,
        finish: Sequence[Stage],
        sinks: Sequence[Sink],
        spec: PictureSpec,
        out_spec: PictureSpec,
        paced: bool,
        max_failures: int | None,
        metrics: Metrics,
        fault: Fault,
        clock: Callable[[], int],
        stop: threading.Event,
        for_ns: int | None,
        hidden: threading.Event,
        changing: threading.Event,
    ) -> None:
        self._metrics = metrics
        self._fault = fault
        self.done = threading.Event()
        self._rings = tuple(_new_ring(spec) for _ in range(len(lanes) + 1))
        for ring in self._rings:
            metrics.watch(ring)
        self.intake = Intake(
            source,
            self._rings[0],
            tally=metrics.tally(),
            times=metrics.stages["capture"],
            clock=clock,
            stop=stop,
            for_ns=for_ns,
        )
        self._lanes = tuple(
            Lane(
                stages,
                guard if index == len(lanes) - 1 else None,
                incoming=self._rings[index],
                outgoing=self._rings[index + 1],
                tally=metrics.tally(),
                times=metrics.stages,
                clock=clock,
                max_failures=max_failures,
                spares=_spares(stages, spec),
            )
            for index, stages in enumerate(lanes)
        )
        self.sender = Sender(
            sinks,
            finish=finish,
            ring=self._rings[-1],
            intake=self.intake,
            lane=self._lanes[-1],
            spec=spec,
            out_spec=out_spec,
            paced=paced,
            metrics=metrics,
            tally=metrics.tally(),
            times=metrics.stages,
            hidden=hidden,
            changing=changing,
            clock=clock,
        )
        self._intake_worker = Worker("capture", self.intake.run, on_error=self._fail_intake)
        # In the order in which frames pass them, and so in which they end.
        self._workers = (
            *(
                Worker(lane_name(index), lane.run, on_error=self._fail)
                for index, lane in enumerate(self._lanes)
            ),
            Worker(SENDER, self.sender.run, on_error=self._fail, on_end=self.done.set),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What the threads are called that use stages and sinks."""
        return tuple(worker.name for worker in self._workers)

    def start(self) -> None:
        """Starts the threads, from the last to the first, so that everybody is awaited."""
        for worker in (*reversed(self._workers), self._intake_worker):
            worker.start()

    def wind_down(self, close_source: Callable[[], None]) -> tuple[str, ...]:
        """Ends the threads, in bounded time, and accounts for every frame.

        Args:
            close_source: called when the source does not come back by itself.

        Returns:
            Names of the threads that did not end; what they use must stay open.
        """
        deadline_s = time.monotonic() + DRAIN_S
        self.intake.end("stopped")
        if not self._intake_worker.wait_end(SOURCE_GRACE_S):
            close_source()
            if not self._intake_worker.wait_end(deadline_s - time.monotonic()):
                self.intake.abandon()
                deadline_s += CANCEL_S
        if not all(worker.wait_end(deadline_s - time.monotonic()) for worker in self._workers):
            self._cancel()
        deadline_s = time.monotonic() + self._patience_s()
        stuck = tuple(
            worker.name
            for worker in self._workers
            if not worker.wait_end(deadline_s - time.monotonic())
        )
        leftovers = self._metrics.tally()
        leftovers.failed += sum(lane.holding for lane in self._lanes) + self.sender.holding
        for ring in self._rings:
            ring.settle()
        return stuck

    def _patience_s(self) -> float:
        """How long a cancelled thread may take: a stage at work cannot be interrupted.

        A large network on a small machine takes seconds for one picture, and then the next stage
        comes; what has been seen of this run says how long that can be.
        """
        longest_ns = max(times.worked.max_ns for times in self._metrics.stages.values())
        return CANCEL_S + 2 * longest_ns / 1e9

    def _cancel(self) -> None:
        for ring in self._rings:
            ring.cancel()

    def _fail(self, error: Exception) -> None:
        self._fault.record(error)
        self._cancel()
        self.done.set()

    def _fail_intake(self, error: Exception) -> None:
        # What is captured is still sent. A source that was closed to end the run may complain.
        if self.intake.reason is None:
            self._fault.record(error)


def _spares(stages: Sequence[Stage], spec: PictureSpec) -> tuple[Frame, ...]:
    """A frame for each that the last stage of a lane keeps in flight."""
    flight = in_flight(stages)
    return () if flight is None else tuple(Frame.blank(spec) for _ in range(flight[1].capacity))


def _new_ring(spec: PictureSpec) -> Ring[Frame]:
    policy = Policy.LIVE if spec.live else Policy.STRICT
    num_slots = MIN_LIVE_SLOTS if spec.live else STRICT_SLOTS
    return Ring([Frame.blank(spec) for _ in range(num_slots)], policy)
