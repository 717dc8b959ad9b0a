"""The threads of the pipeline, and the first error that ends it."""

import threading
from collections.abc import Callable


class Fault:
    """The first error of a run, from whichever thread; later ones are its consequences."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """The error that ends the run."""
        return self._error

    def record(self, error: Exception) -> None:
        """Keeps the error if it is the first."""
        with self._lock:
            if self._error is None:
                self._error = error


class Worker:
    """One thread of the pipeline. A daemon: a call that never returns cannot keep the program.

    Args:
        name: as it appears in messages.
        work: what the thread does; returns when there is nothing left to do.
        on_error: told what ``work`` raised, on the thread.
        on_end: told that the thread is about to end, on the thread.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        on_error: Callable[[Exception], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        # Only the thread holds them, and only for as long as it runs: an owner whose own method is
        # among them would else be kept, with all its pictures, until a search for cycles.
        calls = (work, on_error, on_end)
        self._thread = threading.Thread(
            target=_root, args=calls, name=f"rt-swap {name}", daemon=True
        )

    @property
    def alive(self) -> bool:
        """Whether the thread has been started and is still running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread; once."""
        self._thread.start()

    def wait_end(self, timeout_s: float) -> bool:
        """Waits for the thread to end, at most this long; returns whether it has."""
        if self.alive:
            self._thread.join(max(0.0, timeout_s))
        return not self.alive


def _root(
    work: Callable[[], None], on_error: Callable[[Exception], None], on_end: Callable[[], None]
) -> None:
    try:
        work()
    # The root of a thread: whatever it is, the thread that runs the pipeline raises it.
    except Exception as error:
        on_error(error)
    finally:
        on_end()
