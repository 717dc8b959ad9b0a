"""Keeping a library from leaving a signal handler without a stack."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux, see sigaltstack(2)."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("num_bytes", ctypes.c_size_t),
    )


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Puts this thread's alternate signal stack back as it was before the block, on Linux.

    A library that installs one of its own and frees it later, without this thread knowing, would
    turn the next signal, such as Ctrl-C, into a crash. Does nothing on other systems.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    library, former = ctypes.CDLL(None), _Stack()
    library.sigaltstack(None, ctypes.byref(former))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(former), None)
