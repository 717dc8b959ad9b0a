"""One opening of a camera: a thread that opens the device, reads it and lets it go again."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2

from realtime.sources.capture import Capture, Negotiated, Wish, configure

FAILING_S = 0.5
"""Reads that fail for so long mean that the device is gone; a single one means nothing."""

_RETRY_S = 0.01
_RELEASE_TIMEOUT_S = 0.3

_log = logging.getLogger(__name__)

OpenCapture = Callable[[int, int], Capture]
"""Opens a device by index and backend."""


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Keeps OpenCV's own account of a missing camera from stderr; ours says more."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


class Reader:
    """Opens the first device that opens and keeps its newest picture at hand.

    The device is opened, read and released by one thread, since capture interfaces want that, and
    since a driver that hangs can then be left behind: what an abandoned thread still reads is seen
    by nobody. Everything else may be called from any other thread.

    Args:
        wanted: pairs of index and backend, tried in this order.
        wish: what the device is asked for.
        capture: opens a device.
        clock: monotonic nanoseconds.
        patience_s: how long reads may fail before the first picture has come.
    """

    def __init__(
        self,
        wanted: Sequence[tuple[int, int]],
        wish: Wish,
        *,
        capture: OpenCapture,
        clock: Callable[[], int],
        patience_s: float,
    ) -> None:
        self._wanted = tuple(wanted)
        self._wish = wish
        self._capture = capture
        self._clock = clock
        self._patience_s = patience_s
        self._closed = threading.Event()
        # Guards what the thread hands over: the newest picture, its number and its time.
        self._news = threading.Condition()
        self._newest: Any = None
        self._read_ns = 0
        self._num_read = 0
        self._num_taken = 0
        self._ended = False
        self._opened: tuple[int, int] | None = None
        self._negotiated = Negotiated(None, "")
        self._thread = threading.Thread(target=self._run, name="camera reader", daemon=True)

    @property
    def opened(self) -> tuple[int, int] | None:
        """Index and backend of the device that said it was open; not to be believed alone."""
        return self._opened

    @property
    def negotiated(self) -> Negotiated:
        """What the device says it gives."""
        return self._negotiated

    @property
    def ended(self) -> bool:
        """Whether no more pictures will come."""
        return self._ended

    @property
    def stuck(self) -> bool:
        """Whether the thread is still inside the driver."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread; once."""
        self._thread.start()

    @property
    def newest(self) -> Any:
        """Whatever the device delivered last; None before the first picture."""
        return self._newest

    @property
    def read_ns(self) -> int:
        """When the newest picture came."""
        return self._read_ns

    def wait_first(self, timeout_s: float) -> bool:
        """Waits for the first picture and leaves it for ``wait_next``; whether one has come."""
        with self._news:
            self._news.wait_for(lambda: self._num_read or self._is_over(), timeout_s)
            return self._num_read > 0

    def wait_next(self, timeout_s: float) -> tuple[Any, int] | None:
        """Waits for a picture newer than the last one taken.

        Returns:
            Whatever the device delivered and when, or None where nothing new came.
        """
        with self._news:
            self._news.wait_for(
                lambda: self._num_read > self._num_taken or self._is_over(), timeout_s
            )
            if self._num_read == self._num_taken or self._closed.is_set():
                return None
            self._num_taken = self._num_read
            # The thread gets a new array for each picture, so this one stays as it is.
            return self._newest, self._read_ns

    def close(self, *, wait: bool) -> None:
        """Ends the thread as soon as the driver lets it go; a driver that hangs is left behind.

        Args:
            wait: give the driver a moment to let the device go.
        """
        self._closed.set()
        with self._news:
            self._news.notify_all()
        if wait and self._thread.ident is not None:
            self._thread.join(_RELEASE_TIMEOUT_S)

    def _is_over(self) -> bool:
        return self._ended or self._closed.is_set()

    def _run(self) -> None:
        capture = None
        try:
            capture = self._open_first()
            if capture is not None:
                self._negotiated = configure(capture, self._wish)
                self._hand_over(capture)
        except cv2.error as error:
            _log.info("camera: OpenCV gave up (%s).", error.err)
        finally:
            if capture is not None:
                with _silent_opencv():
                    capture.release()
            with self._news:
                self._ended = True
                self._news.notify_all()

    def _open_first(self) -> Capture | None:
        with _silent_opencv():
            for device in self._wanted:
                capture = self._capture(*device)
                if capture.isOpened():
                    self._opened = device
                    return capture
                capture.release()
        return None

    def _hand_over(self, capture: Capture) -> None:
        failing_since_ns: int | None = None
        while not self._closed.is_set():
            delivered, picture = capture.read()
            if delivered:
                failing_since_ns = None
                with self._news:
                    self._newest = picture
                    self._read_ns = self._clock()
                    self._num_read += 1
                    self._news.notify_all()
                continue
            now_ns = self._clock()
            failing_since_ns = now_ns if failing_since_ns is None else failing_since_ns
            limit_s = FAILING_S if self._num_read else self._patience_s
            if now_ns - failing_since_ns >= limit_s * 1e9:
                return
            # A failing read may return at once.
            self._closed.wait(_RETRY_S)
