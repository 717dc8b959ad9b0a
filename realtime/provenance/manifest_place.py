"""Where a C2PA manifest store lies in a file, and what the file's format wraps around it.

After the C2PA specification 2.x, appendix A: a ``uuid`` box in ISO base media files (MP4, MOV,
HEIC, AVIF), a chunk in PNG and WebP, segments in JPEG, a tag in TIFF.
"""

import hashlib
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realtime.provenance.file_kind import kind_of
from realtime.provenance.manifest_box import (
    STORE_MARK,
    STORE_MARK_OFFSET,
    MalformedError,
    check_store,
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

Content = bytes | mmap.mmap

_TRACES = (b"c2pa.assertions", b"c2pa.claim", b"c2pa.signature", _UUID, STORE_MARK)


def check_embedding(path: Path, *, own: bool) -> None:
    """Looks at the bytes in and around a file's manifest that C2PA's reader passes over.

    Args:
        path: a file with a manifest that the reader could read.
        own: whether this program wrote it, so that what C2PA leaves open is known as well.

    Raises:
        MalformedError: a byte is not what it must be.
        OSError: the file cannot be read.
    """
    suffix = kind_of(path)
    with _mapped(path) as content:
        if suffix in (".jpg", ".jpeg"):
            store = _store_in_jpeg(content, own=own)
        elif suffix in (".png", ".webp", ".tif", ".tiff"):
            store = _store_in_chunk(content, suffix)
        else:
            store = _store_in_boxes(content)
    check_store(memoryview(store))


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
    with _mapped(path) as content:
        return any(content.find(trace) >= 0 for trace in _TRACES)


@contextmanager
def _mapped(path: Path) -> Iterator[Content]:
    """A file's contents, of which only what is looked at is read, however large it is."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            yield b""  # nothing cannot be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _store_in_boxes(content: Content) -> bytes:
    """The store in the file's top-level boxes (A.5): version and flags, a purpose, an offset."""
    for at, size in _top_boxes(content):
        if size > _MAX_STORE_BYTES or not _is_c2pa_box(content, at):
            continue
        body = content[at + _HEAD_BYTES + len(_UUID) : at + size]
        purpose, _, rest = body[len(_FLAGS) :].partition(b"\0")
        if purpose not in _PURPOSES:
            continue
        offset = int.from_bytes(rest[:_OFFSET_BYTES])
        if body[: len(_FLAGS)] != _FLAGS or (offset and not _is_c2pa_box(content, offset)):
            raise MalformedError("the head of its uuid box is wrong")
        return rest[_OFFSET_BYTES:]
    raise MalformedError("there is no manifest where it must be")


def _is_c2pa_box(content: Content, at: int) -> bool:
    return content[at + 4 : at + _HEAD_BYTES + len(_UUID)] == b"uuid" + _UUID


def _top_boxes(content: Content) -> Iterator[tuple[int, int]]:
    """Place and size of each box of a file that is not inside another."""
    at = 0
    for _ in range(_MAX_BOXES):
        size = int.from_bytes(content[at : at + 4])
        if size == 1:
            size = int.from_bytes(content[at + _HEAD_BYTES : at + 2 * _HEAD_BYTES])
        elif size == 0:
            size = len(content) - at
        if size < _HEAD_BYTES or at + size > len(content):
            return
        yield at, size
        at += size


def _store_in_chunk(content: Content, suffix: str) -> bytes:
    """The store in a picture of chunks; its mark is looked for, as it is found nowhere else."""
    found = content.find(STORE_MARK) - STORE_MARK_OFFSET
    if found < _HEAD_BYTES:
        raise MalformedError("there is no manifest where it must be")
    size = int.from_bytes(content[found : found + 4])
    if size > min(len(content) - found, _MAX_STORE_BYTES):
        raise MalformedError("its size is wrong")
    before, store = content[found - _HEAD_BYTES : found], content[found : found + size]
    if suffix == ".png":
        check_bytes = zlib.crc32(store, zlib.crc32(b"caBX")).to_bytes(4)
        wrapped = before == size.to_bytes(4) + b"caBX"
        if not wrapped or content[found + size : found + size + 4] != check_bytes:
            raise MalformedError("the chunk caBX is damaged")
    if suffix == ".webp" and before != b"C2PA" + size.to_bytes(4, "little"):
        raise MalformedError("the chunk C2PA is damaged")
    return store


def _store_in_jpeg(content: Content, *, own: bool) -> bytes:
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
    return first[2:] + b"".join(parts)


def _segments(content: Content) -> Iterator[bytes]:
    """The bodies of the application segments that may hold a manifest."""
    at = 2
    while content[at : at + 1] == b"\xff" and len(content) >= at + 4:
        kind, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if kind == _SCAN or size < 2:
            return
        if kind == _SEGMENT:
            yield content[at + 4 : at + 2 + size]
        at += 2 + size
