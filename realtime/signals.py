"""SIGINT and SIGTERM as a request to stop, and as an exit code.

A run that has begun is asked to stop and finishes its files; a second Ctrl-C, or one that comes
before the run has begun, ends the program where it stands. Only the main thread may use this.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """What the handlers know: which signal came, and whom to ask to stop.

    Attributes:
        received: the first signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
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

    def handle(self, signum: int, _frame: FrameType | None) -> None:
        """The handler itself.

        Raises:
            KeyboardInterrupt: nobody can be asked, or was asked already.
        """
        first = self.received is None
        if first:
            self.received = signum
        if self._stop is None or not first:
            raise KeyboardInterrupt
        self._stop.set()


@contextmanager
def catch_stop_signals() -> Iterator[StopSignals]:
    """Handles SIGINT and SIGTERM inside the block and restores the former handlers after it."""
    signals = StopSignals()
    former = {number: signal.signal(number, signals.handle) for number in CAUGHT}
    try:
        yield signals
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
