"""Who said that a face may be used: asked once for each picture, remembered by its hash.

The record holds the time, the kind of consent and the SHA-256 of the file: no picture, no name,
no measurements of the face.
"""

import errno
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from realtime.errors import ConsentError, MediaError


class ConsentKind(StrEnum):
    """Why a face may be used."""

    SELF = "self"
    WRITTEN = "written"
    SYNTHETIC = "synthetic"
    LICENSED = "licensed"

    @property
    def meaning(self) -> str:
        """The statement a person makes by choosing this kind."""
        return _MEANINGS[self]


_MEANINGS = {
    ConsentKind.SELF: "it is my own face",
    ConsentKind.WRITTEN: "I have the written permission of the person shown",
    ConsentKind.SYNTHETIC: "it shows a person who does not exist",
    ConsentKind.LICENSED: "it is in the public domain or licensed for this use",
}

Ask = Callable[[Path], ConsentKind]
"""Asks the person at the terminal about one picture."""


def default_consent_path() -> Path:
    """``consent.jsonl`` in the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rt-swap", appauthor=False)) / "consent.jsonl"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal.

    Raises:
        MediaError: the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise MediaError(
            f"{path}: the face must be a picture file, got something else. Name a file."
        )
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(
            f"{path}: the face must be a picture file that can be read, "
            f"got: {error.strerror}. Check the path and its permissions."
        ) from error


class ConsentLog:
    """The append-only record of consents, one JSON object on a line.

    Args:
        path: the record; it and its folder are made when the first consent is written.
        now: the clock, for tests.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now

    def kind_of(self, sha256: str) -> ConsentKind | None:
        """The latest consent recorded for a picture; lines that cannot be read count for nothing.

        Raises:
            ConsentError: the record exists and cannot be read.
        """
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", error) from error
        kinds = [kind for kind in (_kind_on(line, sha256) for line in lines) if kind is not None]
        return kinds[-1] if kinds else None

    def append(self, sha256: str, kind: ConsentKind) -> None:
        """Writes one consent in a single append, so that two programs cannot mix their lines.

        An empty line may stand between two that were written at the same moment.

        Raises:
            ConsentError: the record cannot be written.
        """
        entry = {"time": self._now().isoformat(), "kind": kind.value, "sha256": sha256}
        line = json.dumps(entry).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b", buffering=0) as file:
                # A line that was cut off, as by a full disk, must not swallow this one. One that
                # another program is just writing looks the same.
                if _ends_within_a_line(file):
                    line = b"\n" + line
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unusable("written", error) from error

    def _unusable(self, verb: str, error: OSError) -> ConsentError:
        return ConsentError(
            f"{self._path}: the record of consents must be {verb}, got: {error.strerror}. "
            "Make it accessible, or set XDG_DATA_HOME to a folder that is."
        )


def _ends_within_a_line(file: io.FileIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _kind_on(line: str, sha256: str) -> ConsentKind | None:
    """The consent on one line of the record if it is about this picture."""
    try:
        entry = json.loads(line)
        return ConsentKind(entry["kind"]) if entry["sha256"] == sha256 else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def require_consent(
    faces: Iterable[Path], log: ConsentLog, *, given: ConsentKind | None, ask: Ask | None
) -> dict[str, ConsentKind]:
    """Makes sure that every picture may be used, and remembers what was said.

    Args:
        faces: picture files.
        log: the record.
        given: what ``--consent`` says; it is recorded for pictures that are new or were recorded
            with another kind.
        ask: the question on the terminal, or None where nobody can answer.

    Returns:
        Kind of consent by SHA-256.

    Raises:
        ConsentError: a picture is new and nobody says why it may be used.
        MediaError: a picture cannot be read.
    """
    kinds: dict[str, ConsentKind] = {}
    for path in faces:
        sha256 = hash_file(path)
        recorded = kinds.get(sha256) or log.kind_of(sha256)
        kind = given or recorded
        if kind is None:
            if ask is None:
                raise ConsentError(_nobody_said(path))
            kind = ask(path)
        if kind is not recorded:
            log.append(sha256, kind)
        kinds[sha256] = kind
    return kinds


def _nobody_said(path: Path) -> str:
    kinds = "|".join(kind.value for kind in ConsentKind)
    return (
        f"{path}: the use of a face must be permitted, got no consent for this picture. "
        f"Say why it may be used: --consent {kinds}."
    )
