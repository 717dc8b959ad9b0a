"""Bytes as a file that lies in memory and in no folder, for libraries that load from a path."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def as_file(data: bytes) -> Iterator[str | None]:
    """A path under which these very bytes can be read inside the block, and by nobody written.

    Runtimes read a path without holding the interpreter's lock, which they keep for as long as they
    copy bytes: for a network of hundreds of megabytes that is many frames. And they keep no copy.

    Args:
        data: what the file holds.

    Yields:
        The path; None where the system has no such files (they are Linux's alone).
    """
    if sys.platform != "linux":
        yield None
        return
    import fcntl

    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        descriptor = os.memfd_create("rt-swap network", flags)
    except OSError:
        yield None
        return
    try:
        is_whole = False
        with suppress(OSError):  # For want of memory: then the bytes themselves must do.
            _write(descriptor, data)
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            is_whole = True
        path = f"/proc/self/fd/{descriptor}"
        # A sandbox may be without /proc.
        yield path if is_whole and Path(path).exists() else None
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
