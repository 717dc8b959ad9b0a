"""Fetches a file over http(s): resumed where it broke off, checked, then renamed into place."""

import http.client
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError
from engines.models.cache_files import (
    TEMPORARY_PREFIX,
    Progress,
    ProgressCallback,
    disk_errors,
    sha256_of_file,
)

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_ABANDONED_AFTER_S = 4 * _TIMEOUT_S
"""Whoever is still at a file has written to it since, or given up."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_BYTES = 4 << 30
"""A file of unknown size that is longer is not the one that is wanted."""

_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True)
class Download:
    """A file to fetch.

    Attributes:
        urls: mirrors in order.
        num_bytes: its exact size; None where it is not known beforehand.
        sha256: its hash.
        destination: where it goes.
    """

    urls: Sequence[str]
    num_bytes: int | None
    sha256: str
    destination: Path


def fetch_url(
    download: Download, progress: ProgressCallback, *, timeout_s: float = _TIMEOUT_S
) -> None:
    """Fetches a file from the first mirror that gives it.

    What has arrived when a connection breaks is kept beside the destination and resumed by the
    next mirror or the next call.

    Args:
        download: what to fetch.
        progress: told how far it has come, on the calling thread.
        timeout_s: longest wait for a connection or the next bytes.

    Raises:
        ModelError: no mirror gave the file, or the disk fails; the message says why for each.
    """
    with disk_errors(download.destination):
        download.destination.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in download.urls:
        try:
            with _claimed_part(download) as part:
                num_bytes = _receive(url, download, part, progress, timeout_s)
                progress(Progress("verify", download.destination.name))
                _check(part, num_bytes, download)
                with disk_errors(download.destination):
                    part.replace(download.destination)
            return
        except _MirrorError as error:
            reasons.append(f"{url} gave {error}")
    raise ModelError(
        f"{download.destination.name}: a mirror must give the file with SHA-256 "
        f"{download.sha256}, got: {'; '.join(reasons)}. Check the network and try again: "
        f"rt-swap models pull {download.destination.stem}"
    )


class _MirrorError(Exception):
    """Why one mirror does not help; the next one may."""


@contextmanager
def _claimed_part(download: Download) -> Iterator[Path]:
    """The partial file, under a name only this process uses; renamed back if it is left over.

    Two processes that resume the same partial file would write into each other's bytes. The hash
    is in the name, as several files may hold the same model.
    """
    destination = download.destination
    shared = destination.with_name(
        f"{TEMPORARY_PREFIX}{destination.name}.{download.sha256[:16]}.part"
    )
    own = shared.with_name(f"{shared.name}.{uuid.uuid4().hex}")
    # Where there is none, or another process is faster, this one starts from the beginning.
    with disk_errors(destination), suppress(FileNotFoundError):
        _longest_part(shared).replace(own)
    try:
        yield own
    finally:
        if own.exists():
            own.replace(shared)


def _longest_part(shared: Path) -> Path:
    """What came farthest: that which was put down, or what a killed process left under its own."""
    latest_s = time.time() - _ABANDONED_AFTER_S
    sizes: dict[Path, int] = {}
    for path in (shared, *shared.parent.glob(f"{shared.name}.*")):
        with suppress(FileNotFoundError):
            facts = path.stat()
            if path == shared or facts.st_mtime < latest_s:
                sizes[path] = facts.st_size
    return max(sizes, key=lambda path: sizes[path], default=shared)


def _receive(
    url: str, download: Download, part: Path, progress: ProgressCallback, timeout_s: float
) -> int | None:
    """Appends to ``part`` until the file is complete.

    Returns:
        How long it should be now, where the catalogue or the server says so.
    """
    wanted = download.num_bytes
    done = part.stat().st_size if part.exists() else 0
    if done == wanted:
        return wanted
    if done > (wanted or _MAX_BYTES):
        part.unlink()
        done = 0
    headers = {"User-Agent": "rt-swap"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout_s
        ) as response:
            _check_response(response)
            done = _resumed_at(response, done)
            if wanted is None and response.length is not None:
                wanted = done + response.length
            _append(response, part, done, wanted, download.destination.name, progress)
            return wanted
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and done and wanted is None:
            # There is nothing behind what is here already.
            return done
        raise _MirrorError(f"HTTP status {error.code}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        raise _MirrorError(f"no connection ({getattr(e, 'reason', e)})") from e


def _check_response(response: http.client.HTTPResponse) -> None:
    if not response.url.startswith(("http://", "https://")):
        raise _MirrorError("a redirect away from http")
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _MirrorError("a web page instead of the file")


def _resumed_at(response: http.client.HTTPResponse, wanted: int) -> int:
    """Where the body begins; 0 from a server that ignores ranges."""
    if response.status != 206:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != wanted:
        raise _MirrorError("another range than asked for")
    return wanted


def _append(
    response: http.client.HTTPResponse,
    part: Path,
    done: int,
    wanted: int | None,
    name: str,
    progress: ProgressCallback,
) -> None:
    limit = _MAX_BYTES if wanted is None else wanted
    with disk_errors(part), part.open("ab" if done else "wb") as file:
        while True:
            progress(Progress("download", name, done, wanted or 0))
            # One byte more than expected is enough to know that the file is too long.
            try:
                chunk = response.read(min(_CHUNK_BYTES, limit + 1 - done))
            except (http.client.HTTPException, OSError) as error:
                raise _MirrorError(f"{done} of {wanted or '?'} bytes, then {error}") from error
            if not chunk:
                return
            file.write(chunk)
            done += len(chunk)


def _check(part: Path, num_bytes: int | None, download: Download) -> None:
    """Refuses what is not the file; only a truncated beginning is kept for resuming."""
    size = part.stat().st_size
    with part.open("rb") as file:
        start = file.read(256)
    if start.startswith(_LFS_POINTER) and size != download.num_bytes:
        part.unlink()
        raise _MirrorError("a Git LFS pointer instead of the file")
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        part.unlink()
        raise _MirrorError("a web page instead of the file")
    if num_bytes is not None and size < num_bytes:
        raise _MirrorError(f"{size} of {num_bytes} bytes")
    got = sha256_of_file(part)
    if got != download.sha256:
        part.unlink()
        raise _MirrorError(f"a file with SHA-256 {got}; it was removed")
