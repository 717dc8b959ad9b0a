"""What a run was doing and for how long: said once at every change, and added up."""

import logging
from collections.abc import Callable

from realtime.metrics import SECOND_NS, Json, RunState

_log = logging.getLogger(__name__)


class StateLog:
    """Follows the state of one run; used by one thread.

    Args:
        clock: monotonic nanoseconds.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._state: RunState | None = None
        self._since_ns = 0
        self._hidden = False
        self._times: dict[RunState, int] = {}
        self._spent_ns: dict[RunState, int] = {}

    def note(self, state: RunState) -> None:
        """Takes the state there is now; says so where it is another one than before."""
        if state is self._state:
            return
        now_ns = self._clock()
        self._settle(now_ns)
        _log.info("state: %s", state.name)
        self._state, self._since_ns = state, now_ns
        self._times[state] = self._times.get(state, 0) + 1

    def note_hidden(self, hidden: bool) -> None:
        """Takes whether the picture is hidden; says so where that has changed."""
        if hidden is not self._hidden:
            self._hidden = hidden
            _log.warning("the picture is %s.", "hidden" if hidden else "shown again")

    def as_dict(self) -> Json:
        """For each state how often it was entered and how many seconds it lasted, up to now."""
        self._settle(self._clock())
        return {
            state.name.lower(): {
                "times": times,
                "seconds": round(self._spent_ns.get(state, 0) / SECOND_NS, 3),
            }
            for state, times in self._times.items()
        }

    def _settle(self, now_ns: int) -> None:
        """Counts the time up to now to the state there is."""
        if self._state is not None:
            spent_ns = self._spent_ns.get(self._state, 0)
            self._spent_ns[self._state] = spent_ns + now_ns - self._since_ns
        self._since_ns = now_ns
