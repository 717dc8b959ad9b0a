"""Work of seconds done in a process of its own, so that no picture waits for it.

A thread would share the interpreter's lock and the cores with the threads of the pipeline, and so
cost a picture here and there for as long as it works. The process is given way to wherever a core
is wanted for pictures. ``python -m realtime.aside`` is its root: what to call comes as a pickle on
stdin, what it returned or raised is left in the file that is its stdout; both ends are this
program.

The answer may be tens of megabytes of arrays. They lie in the file as they are, beside the pickle
(protocol 5, PEP 574), and are read in one go, which waits for no lock and copies nothing.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any, ParamSpec, TypeVar

import numpy as np

from engines.errors import ModelError
from engines.own_process import environment
from realtime.device import limit_threads
from realtime.errors import EngineError, RtSwapError

NICENESS = 10
"""Where both want a core, a picture's thread gets nine times as much of it."""

_ALIGNED_BYTES = 64
"""Where in the file arrays may begin: at a line of the caches."""

_LENGTH_BYTES = 8

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
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as answer:
        code = _ask(job, answer, said)
        if code == 0 and answer.seek(0, os.SEEK_END):
            is_error, value = read_answer(answer)
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


def _ask(job: bytes, answer: IO[bytes], said: IO[bytes]) -> int:
    """Hands the job to a process and waits for its end; returns its exit code."""
    # Of Windows alone; elsewhere the process lowers its own priority.
    flags = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "realtime.aside"],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=said,
            env=environment(),
            creationflags=flags,
        ) as process:
            try:
                process.communicate(job)
            finally:
                # However this ends, nothing goes on working for nobody.
                process.kill()
    except OSError as error:
        raise EngineError(
            f"aside: a process must be able to start, got: {error.strerror}. Free some memory."
        ) from error
    return process.returncode


def write_answer(value: object, out: IO[bytes]) -> None:
    """Writes what ``read_answer`` reads: lengths, the pickle, and its arrays as they are."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    parts = [memoryview(pickled), *(buffer.raw() for buffer in buffers)]
    lengths = [len(parts), *(part.nbytes for part in parts)]
    place = out.write(b"".join(number.to_bytes(_LENGTH_BYTES, "little") for number in lengths))
    for part in parts:
        place += out.write(bytes(-place % _ALIGNED_BYTES))
        place += out.write(part)
    out.flush()


def read_answer(file: IO[bytes]) -> Any:
    """Reads what ``write_answer`` wrote from the beginning of a file.

    The arrays share one block of memory, which is theirs alone and may be written.
    """
    # Not filled with zeros first, which would keep the lock.
    data = np.empty(file.seek(0, os.SEEK_END), np.uint8).data
    file.seek(0)
    file.readinto(data)  # type: ignore[attr-defined]
    numbers = (
        int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
        for at in range(0, len(data), _LENGTH_BYTES)
    )
    lengths = [next(numbers) for _ in range(next(numbers))]
    place, parts = (1 + len(lengths)) * _LENGTH_BYTES, []
    for length in lengths:
        place += -place % _ALIGNED_BYTES
        parts.append(data[place : place + length])
        place += length
    return pickle.loads(parts[0], buffers=parts[1:])


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
        write_answer(answer, out)


if __name__ == "__main__":
    main()
