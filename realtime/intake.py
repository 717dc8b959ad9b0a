"""The way in: pictures from the source into the first ring."""

import logging
import threading
from collections.abc import Callable
from typing import Literal

from realtime.errors import MediaError
from realtime.frame import Frame
from realtime.metrics import StageTimes, Tally
from realtime.ring import Policy, Ring
from realtime.stage import Source, SourceHealth, Watched

Reason = Literal["end", "stopped", "duration"]
"""Why a run ended: no more pictures, somebody asked, or its time was over."""

MAX_UNUSABLE = 100
"""Unusable pictures in a row after which the stream is given up."""

logger = logging.getLogger(__name__)


class Intake:
    """Fills slots from the source until something ends it. ``run`` belongs to one thread.

    Args:
        source: opened; closed by somebody else.
        ring: receives the frames.
        tally: this thread's counts.
        times: ``worked``: in the source; ``waited``: for a free slot.
        clock: monotonic nanoseconds.
        stop: set by anybody to end the run.
        for_ns: end after this time of the media, or since the first picture if the ring is live.
    """

    def __init__(
        self,
        source: Source,
        ring: Ring[Frame],
        *,
        tally: Tally,
        times: StageTimes,
        clock: Callable[[], int],
        stop: threading.Event,
        for_ns: int | None,
    ) -> None:
        self._source = source
        self._watched = source if isinstance(source, Watched) else None
        self._ring = ring
        self._tally = tally
        self._times = times
        self._clock = clock
        self._stop = stop
        self._for_ns = for_ns
        self._reason: Reason | None = None
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._num_unusable = 0
        self._abandoned = False

    @property
    def reason(self) -> Reason | None:
        """Why no more pictures are taken; None while they are."""
        return self._reason

    @property
    def first_ns(self) -> int | None:
        """When the first picture came."""
        return self._first_ns

    @property
    def last_ns(self) -> int | None:
        """When the newest picture came."""
        return self._last_ns

    @property
    def health(self) -> SourceHealth:
        """How the source does, as far as it knows."""
        return SourceHealth.GOOD if self._watched is None else self._watched.health

    def end(self, reason: Reason) -> None:
        """Takes no more pictures after the one that is coming; the first reason counts."""
        if self._reason is None:
            self._reason = reason

    def abandon(self) -> None:
        """Ends the stream in the place of a thread that is stuck in the source."""
        self._abandoned = True
        self._ring.finish()

    def run(self) -> None:
        """Takes pictures until there are no more.

        Raises:
            CameraError, MediaError: the source gave up, and nobody had asked it to.
        """
        try:
            while self._next():
                pass
        finally:
            self._ring.finish()

    def _next(self) -> bool:
        if self._stop.is_set():
            self.end("stopped")
        if self._reason is not None:
            return False
        asked_ns = self._clock()
        frame = self._ring.wait_reserve()
        if frame is None:
            return False
        began_ns = self._clock()
        try:
            media_ns = self._source.fill(frame.image)
        except MediaError as error:
            self._pass_over(error)
            return True
        now_ns = self._clock()
        self._times.waited.add(began_ns - asked_ns)
        self._times.worked.add(now_ns - began_ns)
        if media_ns is None:
            self.end("end")
        elif self._is_over(media_ns, now_ns):
            self.end("duration")
        elif not self._abandoned:
            self._publish(frame, media_ns, now_ns)
            return True
        return False

    def _is_over(self, media_ns: int, now_ns: int) -> bool:
        if self._for_ns is None:
            return False
        if self._ring.policy is Policy.STRICT:
            return media_ns >= self._for_ns
        return self._first_ns is not None and now_ns - self._first_ns >= self._for_ns

    def _publish(self, frame: Frame, media_ns: int, now_ns: int) -> None:
        frame.seq = self._tally.captured
        frame.captured_ns = now_ns
        frame.media_ns = media_ns
        frame.faces = []
        frame.failed = False
        if self._first_ns is None:
            self._first_ns = now_ns
        self._last_ns = now_ns
        self._num_unusable = 0
        # Counted before anybody can finish it, so that no count of ends runs ahead.
        self._tally.captured += 1
        self._ring.publish()

    def _pass_over(self, error: MediaError) -> None:
        self._tally.captured += 1
        self._tally.failed += 1
        self._num_unusable += 1
        if self._num_unusable == 1:
            logger.info("unusable picture: %s", error)
        if self._num_unusable >= MAX_UNUSABLE:
            raise error
