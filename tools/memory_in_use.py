"""How much memory a process uses for itself, what it only holds ready set apart.

Resident memory differs by tens of megabytes from one start of the engine to the next, for the
allocator keeps pages between pieces in use. What glibc calls in use still contains what nobody
uses, gathers over hundreds of starts up to a bound, and looks like a leak until then:

- NumPy holds up to 7 freed blocks of each size below 1024 bytes, 3.7 MB in all; glibc up to 7 of
  each of its small sizes for each thread, a quarter of a megabyte. ``used_bytes`` makes them all
  before it reads, so that they are in every reading.
- Python's table of interned names gives no entry back before it is full; then it becomes three
  times as large as the names that are alive need, once, and with 40 000 of them 1 MB larger than
  before. ``settle_names`` has it happen before the first reading.

What grows then is what somebody keeps.
"""

import ctypes
import sys

import numpy as np

from realtime.machine import resident_bytes

MOST_OF_A_SIZE = 8
"""More blocks than either holds of one size."""

NUMPY_SIZES = range(1024)
"""NumPy's, in bytes: ``NBUCKETS`` and ``NCACHE`` of its ``alloc.c``."""

GLIBC_SIZES = range(24, 1040, 16)
"""What the blocks of the allocator's ``tcache`` take on a 64-bit machine, in bytes."""

NUM_NAMES = 2**17
"""More names than a table for 60 000 has room for."""


class MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc 2.33 and newer; bytes but for the counts."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def used_bytes() -> int:
    """Memory that is allocated and not free; resident memory where the allocator does not tell.

    Readings by one and the same thread can be compared: each thread holds blocks of its own.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    tell = getattr(libc, "mallinfo2", None)
    if libc is None or tell is None:
        return resident_bytes()
    _fill_numpy()
    _fill_glibc(libc)
    tell.restype = MallInfo
    told = tell()
    return int(told.uordblks + told.hblkhd)


def settle_names() -> None:
    """Lets Python's table of interned names grow to what it needs for good."""
    for number in range(NUM_NAMES):
        # Of no use after this, so that only its entry counts.
        sys.intern(f"a name to be dropped, {number}")


def _fill_numpy() -> None:
    for size in NUMPY_SIZES:
        # Held together, so that each is a block of its own; freed together.
        tuple(np.empty(size, np.uint8) for _ in range(MOST_OF_A_SIZE))


def _fill_glibc(libc: ctypes.CDLL) -> None:
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    for size in GLIBC_SIZES:
        blocks = [libc.malloc(size) for _ in range(MOST_OF_A_SIZE)]
        for block in blocks:
            libc.free(block)
