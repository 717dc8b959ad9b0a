"""SIGINT and SIGTERM as a request to stop, and as an exit code; SIGUSR1 hides the picture.

A run that has begun is asked to stop and finishes its files, which takes three seconds at most;
signals that come meanwhile change nothing, so that an impatient Ctrl-C does not cost the file. One
that comes later than that, or before the run has begun, ends the program where it stands. Only the
main thread may use this. SIGUSR1, where the system has it, hides what goes out behind a slate, and
the next one shows it again.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM)

HIDES: int | None = getattr(signal, "SIGUSR1", None)
"""The signal that hides the picture and shows it again; None on Windows."""

GRACE_NS = 3_000_000_000
"""How long after the first signal others are passed over."""


class StopSignals:
    """What the handlers know: which signal came, and whom to ask to stop.

    Attributes:
        received: the first signal that came, or None.
        hidden: set while the picture is to be hidden.

    Args:
        clock: monotonic nanoseconds.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.received: int | None = None
        self.hidden = threading.Event()
        self._clock = clock
        self._first_ns = 0
        self._stop: threading.Event | None = None

    @property
    def exit_code(self) -> int:
        """130 after SIGINT, 143 after SIGTERM, as shells count; 0 when none came."""
        return 0 if self.received is None else 128 + self.received

    @contextmanager
    def asking(self, stop: threading.Event) -> Iterator[None]:
        """Inside this block the first signal sets ``stop`` instead of interrupting."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None

    def toggle_hidden(self, _signum: int, _frame: FrameType | None) -> None:
        """The handler of the signal that hides the picture and shows it again."""
        if self.hidden.is_set():
            self.hidden.clear()
        else:
            self.hidden.set()

    def handle(self, signum: int, _frame: FrameType | None) -> None:
        """The handler itself.

        Raises:
            KeyboardInterrupt: nobody can be asked, or was asked too long ago.
        """
        now_ns = self._clock()
        if self.received is None:
            # In this order: another signal may interrupt between the two.
            self._first_ns = now_ns
            self.received = signum
            if self._stop is not None:
                self._stop.set()
                return
        elif now_ns - self._first_ns < GRACE_NS:
            return
        raise KeyboardInterrupt


@contextmanager
def catch_stop_signals(clock: Callable[[], int] = time.monotonic_ns) -> Iterator[StopSignals]:
    """Handles the signals inside the block and restores the former handlers after it.

    Args:
        clock: monotonic nanoseconds.
    """
    signals = StopSignals(clock)
    former = {number: signal.signal(number, signals.handle) for number in CAUGHT}
    if HIDES is not None:
        former[signal.Signals(HIDES)] = signal.signal(HIDES, signals.toggle_hidden)
    try:
        yield signals
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
