"""Another program between a stamped camera and its virtual camera, measured like our own."""

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from realtime.bench.arrivals import Json, figures
from realtime.bench.glass import END_S, far_end, title
from realtime.bench.stamped import StampedSource
from realtime.errors import UsageError
from realtime.frame import Frame, PictureSpec
from realtime.machine import machine_facts, process_usage
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.stage import Sink, Source
from realtime.worker import Fault

SHOW_S = 60.0
"""How long a program may take to show its first picture."""

_STDERR = 2
"""Where what the program prints goes: our own output may be JSON."""


def measure_program(source: Source, command: str, devices: tuple[str, str], seconds: float) -> Json:
    """Runs another program that reads a stamped camera device and writes a virtual camera.

    Args:
        source: of the pictures; comes at its own pace.
        command: of the program; ``{source}`` and ``{device}`` stand for the two devices.
        devices: where the program reads, and where it writes.
        seconds: how long, from the first picture that it shows.

    Raises:
        UsageError: the command cannot be started, ended by itself with an error, or shows nothing.
        SinkError: a device cannot be used.
    """
    read_from, written_to = devices
    filled = command.replace("{source}", read_from).replace("{device}", written_to)
    stamped, fault = StampedSource(source), Fault()
    with contextlib.ExitStack() as stack:
        spec = stamped.open()
        stack.callback(stamped.close)
        camera = VirtualCamera(read_from)
        camera.open(spec)
        stack.callback(camera.close)
        stack.enter_context(feeding(stamped, camera, spec, fault))
        with far_end(written_to, (spec.width, spec.height)) as end:
            usage, ended_ns = run_program(filled, seconds, end.sees_pictures, fault)
    found = figures(stamped.emitted, end.arrivals, period_ns=spec.period_ns, ended_ns=ended_ns)
    return {
        "bench": title(f"glass, {command}", (spec.width, spec.height), spec.period_ns),
        **found,
        "usage": usage,
        "machine": machine_facts(),
    }


@contextlib.contextmanager
def feeding(source: Source, sink: Sink, spec: PictureSpec, fault: Fault) -> Iterator[None]:
    """Hands pictures on, on a thread of its own, for as long as the block lasts.

    Args:
        source: open.
        sink: open.
        spec: of the pictures.
        fault: told what the thread raised.

    Raises:
        Exception: what the thread raised; whatever the block raised is a consequence of it.
    """
    stop, slot = threading.Event(), Frame.blank(spec)

    def feed() -> None:
        try:
            while not stop.is_set() and (media_ns := source.fill(slot.image)) is not None:
                sink.send(slot.image, media_ns)
        # The root of a thread: the block's end raises it.
        except Exception as error:
            fault.record(error)

    thread = threading.Thread(target=feed, name="stamped camera", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_S)
        if fault.error is not None:
            raise fault.error


def run_program(
    command: str, seconds: float, shows: Callable[[], bool], fault: Fault
) -> tuple[Json, int]:
    """Runs a program for a while, and ends it and whatever it has started.

    Args:
        command: of the program.
        seconds: how long, from the moment that it shows something.
        shows: whether it does.
        fault: nothing is waited for once there is one.

    Returns:
        What it took of the machine in that time, and when the time was over, in monotonic
        nanoseconds.

    Raises:
        UsageError: it cannot be started, ended by itself with an error, or shows nothing.
    """
    try:
        program = subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,
            # With a group of its own, so that what a shell has started ends with it.
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"--command {command}: must be a program, got: {error}.") from error
    try:
        _wait_shown(program, command, shows, fault)
        began_s, began_cpu_s = time.monotonic(), process_usage(program.pid)[0]
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = program.wait(seconds)
            if code:
                raise UsageError(f"--command {command}: must run {seconds:g} s, got exit {code}.")
        ended_ns = time.monotonic_ns()
        cpu_s, memory_bytes = process_usage(program.pid)
        passed_s = ended_ns / 1e9 - began_s
    finally:
        _end(program)
    usage = {
        "cpu_percent": round(100 * max(cpu_s - began_cpu_s, 0.0) / passed_s, 1),
        "memory_mb": round(memory_bytes / 1_000_000, 1),
    }
    return usage, ended_ns


def _wait_shown(
    program: "subprocess.Popen[bytes]", command: str, shows: Callable[[], bool], fault: Fault
) -> None:
    deadline_s = time.monotonic() + SHOW_S
    while not shows() and fault.error is None:
        code = program.poll()
        if code is not None and not shows():
            raise UsageError(f"--command {command}: must show a picture, got exit {code} before.")
        if time.monotonic() > deadline_s:
            raise UsageError(
                f"--command {command}: must show a picture within {SHOW_S:g} s, got none. "
                "Look whether it reads {source} and writes {device}."
            )
        time.sleep(0.02)


def _end(program: "subprocess.Popen[bytes]") -> None:
    """Asks the program's group to end, then ends it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(END_S)
