"""A lane: stages that one thread runs in order on each frame, from one ring into the next."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from realtime.errors import ContentError, EngineError
from realtime.frame import Frame
from realtime.metrics import StageTimes, Tally
from realtime.ring import Ring
from realtime.stage import InFlight, LookingAhead, Resting, Stage

logger = logging.getLogger(__name__)

_LOOK_S = 0.0005
"""While frames are in flight, how often it is seen whether one has come or one is done."""

_Failure = tuple[Stage, Exception]


@dataclass(slots=True)
class _Pending:
    """A frame in flight, or one that waits for those before it.

    Attributes:
        frame: its own slot.
        failed_before: whether another lane has failed on it.
        failure: of a stage of this lane.
        began_ns: when the last stage took it on; None where it did not.
    """

    frame: Frame
    failed_before: bool
    failure: _Failure | None = None
    began_ns: int | None = None


class Lane:
    """Runs its stages on every frame; a frame on which one fails skips the others.

    Args:
        stages: opened, in order.
        guard: run after the stages on every frame whatever happened; the last lane's only.
        incoming: where frames come from.
        outgoing: where they go.
        tally: this thread's counts.
        times: by stage name; the lane's waiting counts with its first stage.
        clock: monotonic nanoseconds.
        max_failures: failures in a row at which the lane gives up; None: never.
        spares: as many frames as the last stage has capacity for, where that keeps several in
            flight; they change places with those of the rings.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        guard: Stage | None,
        *,
        incoming: Ring[Frame],
        outgoing: Ring[Frame],
        tally: Tally,
        times: Mapping[str, StageTimes],
        clock: Callable[[], int],
        max_failures: int | None,
        spares: Sequence[Frame] = (),
    ) -> None:
        self._flight = in_flight(stages)
        self._stages = tuple(stages if self._flight is None else stages[:-1])
        self._looking = tuple((s, s.look_ahead) for s in stages if isinstance(s, LookingAhead))
        self._spares = list(spares)
        self._pending: deque[_Pending] = deque()
        self._resting = tuple(stage for stage in self._stages if isinstance(stage, Resting))
        self._guard = guard
        self._incoming = incoming
        self._outgoing = outgoing
        self._tally = tally
        self._times = times
        self._clock = clock
        self._max_failures = max_failures
        self._num_failures = 0
        self._holding = False
        self._idle_ns = 0
        self._finished_ns = 0
        first = next(iter((*stages, *([guard] if guard else []))), None)
        self._waited = times[first.name].waited if first else None

    @property
    def holding(self) -> int:
        """How many frames are in this lane's hands, in neither ring."""
        return self._holding + len(self._pending)

    @property
    def finished_ns(self) -> int:
        """When the newest frame was handed on."""
        return self._finished_ns

    def run(self) -> None:
        """Works until no more frames come.

        Raises:
            EngineError: a stage failed too often in a row.
            ContentError: a stage refuses what is shown.
        """
        try:
            while self._next() if self._flight is None else self._next_in_flight(*self._flight):
                pass
        finally:
            self._tally.failed += self.holding
            self._holding = False
            self._pending.clear()
            self._outgoing.finish()

    def _next(self) -> bool:
        asked_ns = self._clock()
        frame = self._incoming.wait_take()
        if frame is None:
            return False
        self._holding = True
        frame.idle_ns = self._clock() - asked_ns
        if self._waited is not None:
            self._waited.add(frame.idle_ns)
        failed_before = frame.failed
        failure = None if failed_before else self._run_stages(frame)
        self._conclude(frame, failure, failed_before=failed_before)
        slot = self._outgoing.wait_reserve()
        if slot is None:
            return False
        slot.exchange(frame)
        self._incoming.release()
        self._holding = False
        self._hand_on()
        return True

    def _hand_on(self) -> None:
        self._finished_ns = self._clock()
        self._outgoing.publish()
        for stage in self._resting:
            stage.rest()

    def _next_in_flight(self, stage: Stage, flight: InFlight) -> bool:
        """Begins a frame where there is room and one has come; else ends the oldest."""
        if self._spares and len(self._pending) < flight.capacity:
            asked_ns = self._clock()
            slot = self._incoming.wait_take(_LOOK_S if self._pending else None)
            self._idle_ns += self._clock() - asked_ns
            if slot is not None:
                slot.idle_ns, self._idle_ns = self._idle_ns, 0
                if self._waited is not None:
                    self._waited.add(slot.idle_ns)
                self._begin(stage, flight, slot)
                return True
            if not self._pending:
                return False
            if not (self._incoming.ended or flight.is_done):
                return True
        return self._end(stage, flight)

    def _begin(self, stage: Stage, flight: InFlight, slot: Frame) -> None:
        frame = self._spares.pop()
        frame.exchange(slot)
        self._incoming.release()
        pending = _Pending(frame, failed_before=frame.failed)
        self._pending.append(pending)
        if not frame.failed:
            pending.failure = self._run_stages(frame)
        if not frame.failed:
            began_ns = self._clock()
            pending.failure = self._attempt(stage, lambda: flight.begin(frame), frame)
            if pending.failure is None:
                pending.began_ns = began_ns

    def _end(self, stage: Stage, flight: InFlight) -> bool:
        pending = self._pending[0]
        frame, failure = pending.frame, pending.failure
        if pending.began_ns is not None:
            failure = self._attempt(stage, lambda: flight.end(frame), frame)
            if failure is None:
                self._times[stage.name].worked.add(self._clock() - pending.began_ns)
        self._conclude(frame, failure, failed_before=pending.failed_before)
        slot = self._outgoing.wait_reserve()
        if slot is None:
            return False
        slot.exchange(frame)
        self._spares.append(frame)
        self._pending.popleft()
        self._hand_on()
        return True

    def _conclude(self, frame: Frame, failure: _Failure | None, *, failed_before: bool) -> None:
        """Runs the guard; keeps count of failures in a row."""
        if self._guard is not None:
            for face in frame.faces:
                if face.worked_px:
                    self._tally.note_worked(face.worked_px)
            guard_failure = self._first_failure((self._guard,), frame)
            if guard_failure is not None:
                # The last defence has failed, so nothing of the picture may be seen.
                frame.image.fill(0)
                failure = guard_failure
        if failure is not None:
            self._note_failure(*failure)
        elif not failed_before:
            self._num_failures = 0

    def _run_stages(self, frame: Frame) -> _Failure | None:
        for stage, look_ahead in self._looking:
            failure = self._attempt(stage, partial(look_ahead, frame), frame)
            if failure is not None:
                return failure
        return self._first_failure(self._stages, frame)

    def _first_failure(self, stages: Sequence[Stage], frame: Frame) -> _Failure | None:
        for stage in stages:
            began_ns = self._clock()
            failure = self._attempt(stage, partial(stage.process, frame), frame)
            if failure is not None:
                return failure
            self._times[stage.name].worked.add(self._clock() - began_ns)
        return None

    @staticmethod
    def _attempt(stage: Stage, work: Callable[[], None], frame: Frame) -> _Failure | None:
        try:
            work()
        # What must not be shown at all must not go on hidden either.
        except ContentError:
            raise
        # A stage may fail in any way at all, and each of them must hide this picture; the error is
        # kept, counted and raised if it persists.
        except Exception as error:
            frame.failed = True
            return stage, error
        return None

    def _note_failure(self, stage: Stage, error: Exception) -> None:
        self._num_failures += 1
        if self._num_failures == 1:
            logger.warning("%s failed, the picture is hidden: %s", stage.name, error)
        if self._max_failures is not None and self._num_failures >= self._max_failures:
            raise EngineError(
                f"{stage.name}: must work on the pictures, failed on {self._num_failures} in a "
                f"row. Last failure: {type(error).__name__}: {' '.join(str(error).split())}"
            ) from error


def in_flight(stages: Sequence[Stage]) -> tuple[Stage, InFlight] | None:
    """The last stage, twice, where it keeps several frames in hand."""
    last = stages[-1] if stages else None
    return (last, last) if last is not None and isinstance(last, InFlight) else None
