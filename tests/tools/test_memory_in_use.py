import subprocess
import sys

import numpy as np
import pytest

from tools.memory_in_use import used_bytes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc tells")

FREED_SMALL_ARRAYS = """
import numpy as np
from tools.memory_in_use import used_bytes
before = used_bytes()
for size in range(1024):
    held = [np.empty(size, np.uint8) for _ in range(7)]
    del held
print(used_bytes() - before)
"""

DROPPED_NAMES = """
import sys
from tools.memory_in_use import settle_names, used_bytes
held = [sys.intern(f"held {n}") for n in range(40_000)]
settle_names()
before = used_bytes()
for n in range(40_000):
    sys.intern(f"dropped {n}")
print(used_bytes() - before)
"""


def told_by_a_process_of_its_own(script):
    """What is printed; in this process tests may have done already what it is about."""
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


def test_memory_in_use_grows_by_what_is_kept_and_falls_when_it_is_let_go():
    before = used_bytes()
    kept = [bytearray(5_000_000) for _ in range(4)]
    assert used_bytes() - before >= 20_000_000
    kept.clear()
    assert used_bytes() - before < 1_000_000


def test_small_blocks_that_are_kept_are_in_use():
    before = used_bytes()
    kept = [np.empty(700, np.uint8) for _ in range(1000)]
    assert 700_000 <= used_bytes() - before < 900_000
    kept.clear()
    assert abs(used_bytes() - before) < 100_000


def test_small_arrays_that_were_freed_are_not_in_use_though_numpy_holds_them_ready():
    # It holds 3.7 MB.
    assert abs(told_by_a_process_of_its_own(FREED_SMALL_ARRAYS)) < 300_000


def test_names_that_come_and_go_do_not_enlarge_a_settled_table_of_names():
    # The table of 55 000 names that was not settled becomes 1.9 MB larger.
    assert abs(told_by_a_process_of_its_own(DROPPED_NAMES)) < 300_000
