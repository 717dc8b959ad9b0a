"""Opening a lost camera again: as soon as it is plugged in, else now and then."""

import threading
from collections.abc import Callable, Sequence

from realtime.sources.reader import Reader
from realtime.sources.watchdog import Backoff
from realtime.sources.whereabouts import Place

POLL_S = 0.25
"""How often a camera that gives nothing is looked for."""

MAX_STUCK = 8
"""Threads left behind in a driver that hangs; with so many no more are risked."""


class Reopening:
    """Looks for a camera and opens it; only a picture counts as open.

    Args:
        locate: where the camera is; None while it is not there.
        open_at: a reader, not started, for pairs of index and backend.
        clock: monotonic nanoseconds.
        closed: set by anybody to end the search.
        attempt_s: how long one attempt may take to give a picture.
    """

    def __init__(
        self,
        locate: Callable[[], Place | None],
        open_at: Callable[[Sequence[tuple[int, int]]], Reader],
        *,
        clock: Callable[[], int],
        closed: threading.Event,
        attempt_s: float,
    ) -> None:
        self._locate = locate
        self._open_at = open_at
        self._clock = clock
        self._closed = closed
        self._attempt_s = attempt_s
        self._abandoned: list[Reader] = []

    def wait_open(self, abandoned: Sequence[Reader] = ()) -> tuple[Reader, Place] | None:
        """Waits until the camera gives a picture, or until the search is ended.

        A camera that has just been plugged in is tried at once; one that stays where it is and
        gives nothing is tried again after half a second, then after twice as long each time,
        eight seconds at most.

        Args:
            abandoned: readers that may be stuck in the driver.

        Returns:
            The reader and where it has opened the camera; None once the search is ended.
        """
        self._abandoned = list(abandoned)
        backoff, tried, due_ns = Backoff(), None, 0
        while not self._closed.is_set():
            place = self._locate()
            if place is not None and (place != tried or self._clock() >= due_ns):
                if place != tried:
                    backoff.reset()
                reader = self._attempt(place)
                if reader is not None:
                    return reader, place
                due_ns = self._clock() + round(backoff.next_s() * 1e9)
            tried = place
            self._closed.wait(POLL_S)
        return None

    def _attempt(self, place: Place) -> Reader | None:
        """Opens the camera at one place; None where it gives no picture in time."""
        self._abandoned = [reader for reader in self._abandoned if reader.stuck]
        if len(self._abandoned) >= MAX_STUCK:
            return None
        reader = self._open_at([(place.index, place.backend)])
        reader.start()
        deadline_ns = self._clock() + round(self._attempt_s * 1e9)
        while not self._closed.is_set() and not reader.ended and self._clock() < deadline_ns:
            if reader.wait_first(POLL_S):
                return reader
            if self._locate() != place:
                break
        reader.close(wait=False)
        self._abandoned.append(reader)
        return None
