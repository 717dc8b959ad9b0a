"""Where a C2PA manifest store lies in a file, and what the file's format wraps around it.

After the C2PA specification 2.x, appendix A: a ``uuid`` box in ISO base media files (MP4, MOV,
HEIC, AVIF), a chunk in PNG and WebP, segments in JPEG, a tag in TIFF.
"""

import hashlib
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from realtime.provenance.manifest_box import (
    STORE_MARK,
    STORE_MARK_OFFSET,
    MalformedError,
    check_store,
    store_size,
)

_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_PURPOSES = (b"manifest", b"original", b"update")
_FLAGS = bytes(4)
_OFFSET_BYTES = 8
_MAX_BOXES = 100_000
_MAX_STORE_BYTES = 1 << 28
_HEAD_BYTES = 8

_SEGMENT, _SCAN = 0xEB, 0xDA
_SEGMENT_MARK = b"JP"
_C2PA_RS_NUMBER = b"\x02\x11"
"""Which box of boxes a segment belongs to; the reference implementation writes this number."""

_TRACES = (b"c2pa.assertions", b"c2pa.claim", b"c2pa.signature", _UUID, STORE_MARK)


def check_embedding(path: Path, *, own: bool) -> None:
    """Looks at the bytes in and around a file's manifest that C2PA's reader passes over.

    Args:
        path: a file with a manifest that the reader could read; its suffix says its format.
        own: whether this program wrote it, so that what C2PA leaves open is known as well.

    Raises:
        MalformedError: a byte is not what it must be.
        OSError: the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        store = _store_in_jpeg(path.read_bytes(), own=own)
    elif suffix in (".png", ".webp", ".tif", ".tiff"):
        store = _store_in_chunk(path.read_bytes(), suffix)
    else:
        store = _store_in_boxes(path)
    check_store(store)


def file_type_sha256(path: Path) -> str | None:
    """SHA-256 of the ``ftyp`` box of a file, which C2PA leaves out of its hash; None without one.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        size = int.from_bytes(head[:4])
        if head[4:] != b"ftyp" or size > mmap.PAGESIZE:
            return None
        return hashlib.sha256(head + file.read(size - _HEAD_BYTES)).hexdigest()


def has_traces(path: Path) -> bool:
    """Whether anything in a file looks as if it had been a manifest, even a damaged one.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(trace) >= 0 for trace in _TRACES)


def _store_in_boxes(path: Path) -> memoryview:
    """The store in the file's top-level boxes (A.5): version and flags, a purpose, an offset."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        for at, size in _top_boxes(file, end):
            file.seek(at + _HEAD_BYTES)
            if file.read(len(_UUID)) != _UUID or size > _MAX_STORE_BYTES:
                continue
            body = file.read(size - _HEAD_BYTES - len(_UUID))
            purpose, _, rest = body[len(_FLAGS) :].partition(b"\0")
            if purpose not in _PURPOSES:
                continue
            offset = int.from_bytes(rest[:_OFFSET_BYTES])
            if body[: len(_FLAGS)] != _FLAGS or (offset and not _is_ours(file, offset)):
                raise MalformedError("the head of its uuid box is wrong")
            return memoryview(rest)[_OFFSET_BYTES:]
    raise MalformedError("there is no manifest where it must be")


def _is_ours(file: BinaryIO, at: int) -> bool:
    """Whether one of C2PA's own boxes begins at a place in the file."""
    if at > file.seek(0, 2):
        return False
    file.seek(at)
    head = file.read(_HEAD_BYTES + len(_UUID))
    return head[4:] == b"uuid" + _UUID


def _top_boxes(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Place and size of each ``uuid`` box of a file that is not inside another box."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(2 * _HEAD_BYTES)
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[_HEAD_BYTES:])
        elif size == 0:
            size = end - at
        if size < _HEAD_BYTES or at + size > end:
            return
        if head[4:_HEAD_BYTES] == b"uuid":
            yield at, size
        at += size


def _store_in_chunk(content: bytes, suffix: str) -> memoryview:
    """The store in a picture of chunks; its mark is looked for, as it is found nowhere else."""
    found = content.find(STORE_MARK) - STORE_MARK_OFFSET
    if found < _HEAD_BYTES:
        raise MalformedError("there is no manifest where it must be")
    whole = memoryview(content)
    size = store_size(whole[found:])
    before, store = content[found - _HEAD_BYTES : found], whole[found : found + size]
    if suffix == ".png":
        check_bytes = zlib.crc32(whole[found - 4 : found + size]).to_bytes(4)
        wrapped = before == size.to_bytes(4) + b"caBX"
        if not wrapped or whole[found + size :][:4] != check_bytes:
            raise MalformedError("the chunk caBX is damaged")
    if suffix == ".webp" and before != b"C2PA" + size.to_bytes(4, "little"):
        raise MalformedError("the chunk C2PA is damaged")
    return store


def _store_in_jpeg(content: bytes, *, own: bool) -> memoryview:
    """The store in application segments (A.3.1; ISO 19566-5, D): number, count, head, a part."""
    parts: list[bytes] = []
    first = b""
    for body in _segments(content):
        number, head = body[2:4], body[8:16]
        if not parts and STORE_MARK in body[:64]:
            first = number + head
            if own and number != _C2PA_RS_NUMBER:
                raise MalformedError("the number of its segments is wrong")
        if body[:2] != _SEGMENT_MARK or not first or number + head != first:
            continue
        parts.append(body[16:])
        if int.from_bytes(body[4:8]) != len(parts):
            raise MalformedError("its segments are out of order")
    if not parts:
        raise MalformedError("there is no manifest where it must be")
    return memoryview(first[2:] + b"".join(parts))


def _segments(content: bytes) -> Iterator[bytes]:
    """The bodies of the application segments that may hold a manifest."""
    at = 2
    while content[at : at + 1] == b"\xff" and len(content) >= at + 4:
        kind, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if kind == _SCAN or size < 2:
            return
        if kind == _SEGMENT:
            yield content[at + 4 : at + 2 + size]
        at += 2 + size
