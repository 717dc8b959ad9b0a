import platform
import sys

import numpy as np
import pytest

from realtime.machine import resident_bytes
from realtime.memory import Memory, give_back_freed


def test_an_array_has_the_asked_shape_and_type_and_is_black():
    with Memory() as memory:
        array = memory.host((3, 5, 3), np.uint8)
        assert array.shape == (3, 5, 3)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert not array.any()


def test_live_bytes_count_what_was_given_out_until_it_is_closed():
    memory = Memory()
    memory.host((7, 3), np.float32)
    memory.host((11,), np.uint8)
    assert memory.live_bytes == 7 * 3 * 4 + 11
    memory.close()
    assert memory.live_bytes == 0


def test_two_arrays_never_share_storage():
    with Memory() as memory:
        first, second = memory.host((9,), np.uint8), memory.host((9,), np.uint8)
        assert not np.shares_memory(first, second)


def test_an_array_that_is_still_held_survives_the_close():
    with Memory() as memory:
        array = memory.host((4,), np.uint8)
        array[:] = 7
    assert array.tolist() == [7, 7, 7, 7]


def test_a_closed_memory_gives_nothing_more():
    memory = Memory()
    memory.close()
    memory.close()
    with pytest.raises(RuntimeError, match="must be open"):
        memory.host((1,), np.uint8)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc",
    reason="needs GNU's allocator",
)
def test_what_was_freed_between_pieces_in_use_goes_back_to_the_system():
    pieces = [bytearray(60_000) for _ in range(2000)]
    # One in ten stays, so that no end of the heap is free.
    kept = pieces[::10]
    del pieces
    before = resident_bytes()
    give_back_freed()
    assert before - resident_bytes() > 50e6
    assert len(kept) == 200
