"""A lane: stages that one thread runs in order on each frame, from one ring into the next."""

import logging
from collections.abc import Callable, Mapping, Sequence

from realtime.errors import ContentError, EngineError
from realtime.frame import Frame
from realtime.metrics import StageTimes, Tally
from realtime.ring import Ring
from realtime.stage import LookingAhead, Resting, Stage

logger = logging.getLogger(__name__)


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
    ) -> None:
        self._stages = tuple(stages)
        self._looking = tuple((s, s.look_ahead) for s in stages if isinstance(s, LookingAhead))
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
        self._finished_ns = 0
        first = next(iter((*self._stages, *([guard] if guard else []))), None)
        self._waited = times[first.name].waited if first else None

    @property
    def holding(self) -> bool:
        """Whether a frame is in this lane's hands, in neither ring."""
        return self._holding

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
            while self._next():
                pass
        finally:
            if self._holding:
                self._tally.failed += 1
                self._holding = False
            self._outgoing.finish()

    def _next(self) -> bool:
        asked_ns = self._clock()
        frame = self._incoming.wait_take()
        if frame is None:
            return False
        self._holding = True
        if self._waited is not None:
            self._waited.add(self._clock() - asked_ns)
        self._work(frame)
        slot = self._outgoing.wait_reserve()
        if slot is None:
            return False
        slot.exchange(frame)
        self._incoming.release()
        self._holding = False
        self._finished_ns = self._clock()
        self._outgoing.publish()
        for stage in self._resting:
            stage.rest()
        return True

    def _work(self, frame: Frame) -> None:
        """Runs the stages, then the guard; keeps count of failures in a row."""
        failed_before = frame.failed
        failure: tuple[Stage, Exception] | None = None
        if not failed_before:
            failure = self._first_early_failure(frame) or self._first_failure(self._stages, frame)
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

    def _first_failure(
        self, stages: Sequence[Stage], frame: Frame
    ) -> tuple[Stage, Exception] | None:
        for stage in stages:
            began_ns = self._clock()
            error = _error_of(stage.process, frame)
            if error is not None:
                return stage, error
            self._times[stage.name].worked.add(self._clock() - began_ns)
        return None

    def _first_early_failure(self, frame: Frame) -> tuple[Stage, Exception] | None:
        for stage, look_ahead in self._looking:
            error = _error_of(look_ahead, frame)
            if error is not None:
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


def _error_of(work: Callable[[Frame], None], frame: Frame) -> Exception | None:
    """What a stage's work on a frame raised; the frame has failed then."""
    try:
        work(frame)
    # What must not be shown at all must not go on hidden either.
    except ContentError:
        raise
    # A stage may fail in any way at all, and each of them must hide this picture; the error is
    # kept, counted and raised if it persists.
    except Exception as error:
        frame.failed = True
        return error
    return None
