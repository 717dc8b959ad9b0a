"""Work beside the frames that begins once the frame at hand is on its way."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Afterwards(Executor):
    """A thread for jobs that take longer than the rest of a frame.

    Beside a frame they would slow it: cores share caches, and often much more. Between two frames
    nobody waits. What is submitted therefore begins with ``begin``, which its owner calls when a
    frame is done, and again before it waits for a result. ``submit`` and ``begin`` belong to one
    thread.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: list[Callable[[], object]] = []

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Keeps a job until ``begin``; its result or error comes through the future."""
        future: Future[_T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            # The root of this thread: who asks for the result is told, whatever it was.
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._waiting.append(run)
        return future

    def begin(self) -> None:
        """Starts what was submitted since."""
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            self._thread.submit(run)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the thread; jobs that have not begun never will."""
        self._waiting.clear()
        self._thread.shutdown(wait=wait, cancel_futures=cancel_futures)
