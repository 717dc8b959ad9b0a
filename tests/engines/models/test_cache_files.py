import errno
import os
from pathlib import Path

import pytest

from engines.errors import ModelError
from engines.models.cache_files import (
    TEMPORARY_PREFIX,
    read_if_present,
    remove_stale_temporaries,
    temporary_folder,
    write_atomically,
)


def test_a_file_is_written_with_its_folder_and_nothing_else_remains(tmp_path):
    write_atomically(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "model"
    write_atomically(path, b"old")

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match=r"got a full disk\. Free some space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="must be readable and writable"):
        write_atomically(tmp_path / "file" / "model", b"")


def test_a_missing_file_reads_as_none_and_a_folder_as_an_error(tmp_path):
    assert read_if_present(tmp_path / "nothing") is None
    with pytest.raises(ModelError, match="must be readable"):
        read_if_present(tmp_path)


def test_a_temporary_folder_is_gone_with_its_contents_even_after_a_failure(tmp_path):
    def fail():
        with temporary_folder(tmp_path / "cache") as folder:
            (folder / "inside").mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list((tmp_path / "cache").iterdir()) == []


def test_only_temporaries_from_before_yesterday_are_removed(tmp_path):
    old_file, old_folder = tmp_path / f"{TEMPORARY_PREFIX}1", tmp_path / f"{TEMPORARY_PREFIX}2"
    fresh, model = tmp_path / f"{TEMPORARY_PREFIX}3", tmp_path / "model.onnx"
    old_folder.mkdir()
    for path in (old_file, old_folder / "wheel", fresh, model):
        path.write_bytes(b"")
    for path in (old_file, old_folder, model):
        os.utime(path, (0, 0))
    remove_stale_temporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([fresh, model])
