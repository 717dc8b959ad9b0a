"""Files of the model cache: written whole or not at all, read with their hash.

Two processes may fill the same cache at the same time: each writes under a name of its own and
renames, so a reader sees the old file, the new file or none, never half of one.
"""

import errno
import hashlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError

TEMPORARY_PREFIX = ".rt-swap-"
_STALE_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch has come.

    Attributes:
        phase: ``licence``, ``download``, ``verify``, ``convert`` or ``ready``.
        name: the file or model it is about; with ``licence``, the sentence to show.
        done_bytes: so far; 0 in phases without a length.
        total_bytes: expected; 0 if unknown.
    """

    phase: str
    name: str
    done_bytes: int = 0
    total_bytes: int = 0


ProgressCallback = Callable[[Progress], None]


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; reads it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's complaints about ``path`` into one-line model errors.

    Raises:
        ModelError: the disk is full or the path cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path) from error
        raise ModelError(
            f"{path}: the model cache must be readable and writable, got "
            f"{error.strerror or error}. Correct its permissions or set RT_SWAP_CACHE to "
            "another folder."
        ) from error


def disk_full(path: Path) -> ModelError:
    """The error for a disk without space."""
    return ModelError(
        f"{path}: there must be room for the models, got a full disk. Free some space or set "
        "RT_SWAP_CACHE to a folder on another disk."
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it.

    Raises:
        ModelError: the disk is full or the folder cannot be written.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: its files are readable by their owner only, a cache may be shared.
        temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def read_if_present(path: Path) -> bytes | None:
    """The file's bytes, or None where there is no such file.

    Raises:
        ModelError: it is there and cannot be read.
    """
    with disk_errors(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder inside the cache, gone at the end with all it holds.

    Raises:
        ModelError: the cache cannot be written.
    """
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_temporaries(folder: Path) -> None:
    """Removes what killed processes left in the cache a day ago or earlier."""
    oldest_s = time.time() - _STALE_AFTER_S
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        # Another process may have just finished with it, or another user may own it.
        with suppress(OSError):
            if path.stat().st_mtime >= oldest_s:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
