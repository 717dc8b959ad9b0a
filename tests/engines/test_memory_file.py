"""Files in memory."""

import os
import sys
from pathlib import Path

import pytest

from engines import memory_file
from engines.memory_file import as_file

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has such files")
DATA = os.urandom(300_001)


def num_open():
    return len(list(Path("/proc/self/fd").iterdir()))


@linux
def test_the_path_holds_the_bytes_for_as_long_as_the_block_lasts():
    before = num_open()
    with as_file(DATA) as path:
        assert Path(path).read_bytes() == DATA
    assert not Path(path).exists()
    assert num_open() == before


@linux
def test_nobody_can_write_into_it():
    with as_file(DATA) as path:
        with pytest.raises(PermissionError), Path(path).open("r+b") as file:
            file.write(b"another")
        with pytest.raises(PermissionError):
            os.truncate(path, 0)
        assert Path(path).read_bytes() == DATA


@linux
@pytest.mark.parametrize("call", ["memfd_create", "write"])
def test_where_memory_is_short_there_is_no_path(monkeypatch, call):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory_file.os, call, fail)
    with as_file(DATA) as path:
        assert path is None


def test_other_systems_have_none(monkeypatch):
    monkeypatch.setattr(memory_file.sys, "platform", "win32")
    with as_file(DATA) as path:
        assert path is None
