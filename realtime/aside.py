"""Work of seconds done in a process of its own, so that no picture waits for it.

A thread would share the interpreter's lock and the cores with the threads of the pipeline, and so
cost a picture here and there for as long as it works. The process is given way to wherever a core
is wanted for pictures. ``python -m realtime.aside`` is its root: what to call comes as a pickle on
stdin, what it returned or raised goes out as one on stdout; both ends are this program.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any, ParamSpec, TypeVar

from engines.errors import ModelError
from engines.own_process import environment
from realtime.device import limit_threads
from realtime.errors import EngineError, RtSwapError

NICENESS = 10
"""Where both want a core, a picture's thread gets nine times as much of it."""

P = ParamSpec("P")
T = TypeVar("T")


def call_aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a function in a process of its own and waits for what it returns.

    Args:
        function: stands at the top of a module, and can be imported from there.
        *args: pickled on the way there.
        **kwargs: likewise.

    Raises:
        RtSwapError, ModelError: what the function raised.
        EngineError: the process cannot be started, or ended without an answer.
    """
    job = pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL)
    with tempfile.TemporaryFile() as said:
        answer, code = _ask(job, said)
        if code == 0 and answer:
            is_error, value = pickle.loads(answer)
            if is_error:
                raise value
            result: T = value
            return result
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    raise EngineError(
        f"{function.__name__}: the process that works aside must end well, got exit code {code}: "
        f"{' '.join(last) or 'nothing said'}. Try again, or start the program anew."
    )


def _ask(job: bytes, said: IO[bytes]) -> tuple[bytes, int]:
    """Hands the job to a process; what it answers, and its exit code."""
    # Of Windows alone; elsewhere the process lowers its own priority.
    flags = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "realtime.aside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment(),
            creationflags=flags,
        ) as process:
            try:
                answer = process.communicate(job)[0]
            finally:
                # However this ends, nothing goes on working for nobody.
                process.kill()
    except OSError as error:
        raise EngineError(
            f"aside: a process must be able to start, got: {error.strerror}. Free some memory."
        ) from error
    return answer, process.returncode


def main() -> None:
    """What the process does: one call."""
    # Whatever a library prints must not get into the answer.
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        if sys.platform != "win32":
            os.nice(NICENESS)
        limit_threads(1)
        function, args, kwargs = pickle.load(sys.stdin.buffer)
        answer: tuple[bool, Any]
        try:
            answer = (False, function(*args, **kwargs))
        except (RtSwapError, ModelError) as error:
            answer = (True, error)
        pickle.dump(answer, out, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
