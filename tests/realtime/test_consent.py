import hashlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from realtime.consent import ConsentKind, ConsentLog, hash_file, require_consent
from realtime.errors import ConsentError, MediaError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def face(tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    path.write_bytes(b"picture")
    return path


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "data" / "consent.jsonl"


@pytest.fixture
def log(record: Path) -> ConsentLog:
    return ConsentLog(record, now=lambda: NOON)


def test_without_a_terminal_and_without_consent_the_run_is_refused(face: Path, log: ConsentLog):
    with pytest.raises(
        ConsentError, match=r"--consent self\|written\|synthetic\|licensed"
    ) as error:
        require_consent([face], log, given=None, ask=None)
    assert error.value.exit_code == 3


def test_the_record_holds_time_kind_and_hash_and_nothing_else(
    face: Path, log: ConsentLog, record: Path
):
    require_consent([face], log, given=ConsentKind.WRITTEN, ask=None)
    assert [json.loads(line) for line in record.read_text().splitlines()] == [
        {
            "time": "2026-01-02T12:00:00+00:00",
            "kind": "written",
            "sha256": hashlib.sha256(b"picture").hexdigest(),
        }
    ]


def test_a_consent_given_once_is_remembered(face: Path, log: ConsentLog, record: Path):
    require_consent([face], log, given=ConsentKind.SELF, ask=None)
    kinds = require_consent([face], log, given=None, ask=None)
    assert list(kinds.values()) == [ConsentKind.SELF]
    assert len(record.read_text().splitlines()) == 1


def test_a_changed_picture_is_a_new_picture(face: Path, log: ConsentLog):
    require_consent([face], log, given=ConsentKind.SELF, ask=None)
    face.write_bytes(b"somebody else")
    with pytest.raises(ConsentError):
        require_consent([face], log, given=None, ask=None)


def test_each_new_picture_is_asked_about_once(face: Path, tmp_path: Path, log: ConsentLog):
    copy = tmp_path / "copy.png"
    copy.write_bytes(face.read_bytes())
    other = tmp_path / "other.png"
    other.write_bytes(b"other")
    asked: list[str] = []

    def ask(path: Path) -> ConsentKind:
        asked.append(path.name)
        return ConsentKind.SYNTHETIC

    require_consent([face, copy, other], log, given=None, ask=ask)
    require_consent([face, copy, other], log, given=None, ask=ask)
    assert asked == ["me.png", "other.png"]


def test_another_kind_on_the_command_line_is_added_and_wins_from_then_on(
    face: Path, log: ConsentLog, record: Path
):
    require_consent([face], log, given=ConsentKind.SELF, ask=None)
    require_consent([face], log, given=ConsentKind.LICENSED, ask=None)
    assert len(record.read_text().splitlines()) == 2
    kinds = require_consent([face], log, given=None, ask=None)
    assert list(kinds.values()) == [ConsentKind.LICENSED]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"kind": "magic", "sha256": "%s"}',
        b'{"kind": ["self"], "sha256": "%s"}',
    ],
)
def test_damaged_lines_permit_nothing(face: Path, log: ConsentLog, record: Path, damage: bytes):
    record.parent.mkdir()
    record.write_bytes(damage.replace(b"%s", hash_file(face).encode()) + b"\n")
    with pytest.raises(ConsentError):
        require_consent([face], log, given=None, ask=None)


def test_a_line_that_was_cut_off_does_not_swallow_the_next(
    face: Path, log: ConsentLog, record: Path
):
    record.parent.mkdir()
    record.write_bytes(b'{"time": "2026-01-0')
    require_consent([face], log, given=ConsentKind.SELF, ask=None)
    assert list(require_consent([face], log, given=None, ask=None).values()) == [ConsentKind.SELF]
    log.append("0" * 64, ConsentKind.WRITTEN)
    assert len(record.read_bytes().splitlines()) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the disk that is always full")
def test_a_full_disk_is_one_clear_error(face: Path, record: Path):
    record.parent.mkdir()
    record.symlink_to("/dev/full")
    with pytest.raises(ConsentError, match="must be written, got: No space left"):
        ConsentLog(record).append("0" * 64, ConsentKind.SELF)


def test_consents_written_at_the_same_time_stay_whole_lines(log: ConsentLog, record: Path):
    def write(writer: int) -> None:
        for number in range(20):
            log.append(f"{writer:02}{number:02}" * 16, ConsentKind.SELF)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = [json.loads(line) for line in record.read_text().splitlines() if line]
    assert len({entry["sha256"] for entry in entries}) == len(entries) == 80


def test_a_missing_picture_is_an_error_of_the_input(tmp_path: Path, log: ConsentLog):
    with pytest.raises(MediaError, match=r"nobody\.png: the face must be .* got: No such file"):
        require_consent([tmp_path / "nobody.png"], log, given=ConsentKind.SELF, ask=None)


def test_a_record_that_cannot_be_written_is_one_clear_error(face: Path, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    log = ConsentLog(tmp_path / "file" / "consent.jsonl")
    with pytest.raises(ConsentError, match="the record of consents must be"):
        require_consent([face], log, given=ConsentKind.SELF, ask=None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    pipe = tmp_path / "face.png"
    os.mkfifo(pipe)
    with pytest.raises(MediaError, match="must be a picture file"):
        hash_file(pipe)
