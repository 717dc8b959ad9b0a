"""The bytes of a C2PA manifest that neither a hash nor a signature covers.

C2PA's reader passes over them: sizes and names of the outer boxes, padding, and what the container
wraps around them. Each of them has one value that C2PA, JUMBF (ISO 19566-5) or the container
prescribes, so that a byte that was changed there can be told as well. See the C2PA specification
2.x: 11.1 (boxes), 13.2 (padding of signatures), A.3 to A.5 (embedding).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from realtime.provenance.cbor import read_item

_SUPERBOX, _DESCRIPTION = b"jumb", b"jumd"
_KIND_TAIL = bytes.fromhex("00110010800000aa00389b71")
_STORE, _ASSERTIONS, _CLAIM, _SIGNATURE = b"c2pa", b"c2as", b"c2cl", b"c2cs"
_PACKED = b"c2cm"
_MANIFESTS = (b"c2ma", b"c2um", _PACKED)
_BROTLI = b"brob"
_NAMES = {
    _STORE: (b"c2pa",),
    _ASSERTIONS: (b"c2pa.assertions",),
    _CLAIM: (b"c2pa.claim", b"c2pa.claim.v2"),
    _SIGNATURE: (b"c2pa.signature",),
}
"""What C2PA calls each box of its own, by the first four bytes of its kind."""

_HEAD_BYTES = 8
_REQUESTABLE, _HAS_NAME, _HAS_ID, _HAS_HASH, _HAS_MORE = 1, 2, 4, 8, 16
_ID_BYTES, _HASH_BYTES = 4, 32
_COSE_SIGN1_TAG = 18
_PAD_NAMES = ("pad", "pad2")

STORE_MARK = _DESCRIPTION + _STORE + _KIND_TAIL
"""How the description of a manifest store begins; its own box begins 12 bytes before that."""

STORE_MARK_OFFSET = 12


class MalformedError(Exception):
    """A box is not what it must be."""


@dataclass(frozen=True, slots=True)
class _Box:
    """A box of JUMBF.

    Attributes:
        kind: four letters.
        content: what is in it.
    """

    kind: bytes
    content: memoryview


def check_store(store: memoryview) -> None:
    """Looks at every byte of a manifest store that must have one value.

    What its hashes and signatures cover is for C2PA's reader to check.

    Args:
        store: its bytes, from the size of its box on, and nothing behind it.

    Raises:
        MalformedError: a byte is wrong.
    """
    outer = list(_boxes(store))
    if len(outer) != 1:
        raise MalformedError("there must be one manifest store")
    kind, manifests = _open(outer[0])
    if kind != _STORE:
        raise MalformedError("the outer box must be a manifest store")
    for manifest in manifests:
        kind, parts = _open(manifest)
        if kind not in _MANIFESTS:
            raise MalformedError("a manifest store must hold manifests")
        if kind == _PACKED:
            # What is in it is for C2PA's reader to unpack; other programs may write such ones.
            if [part.kind for part in parts] != [_BROTLI]:
                raise MalformedError("a compressed manifest must be one box of Brotli")
            continue
        for part in parts:
            _check_part(part)


def _check_part(part: _Box) -> None:
    kind, contents = _open(part)
    if kind == _SIGNATURE:
        if len(contents) != 1 or contents[0].kind != b"cbor":
            raise MalformedError("a signature must be one box of CBOR")
        _check_padding(contents[0].content)
    if kind == _ASSERTIONS:
        for assertion in contents:
            _open(assertion)


def _boxes(data: memoryview) -> Iterator[_Box]:
    """The boxes that some data is made of; nothing may be left over."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if size < _HEAD_BYTES or at + size > len(data):
            raise MalformedError("the size of a box is wrong")
        yield _Box(bytes(data[at + 4 : at + 8]), data[at + _HEAD_BYTES : at + size])
        at += size


def _open(box: _Box) -> tuple[bytes, list[_Box]]:
    """The first four bytes of the kind of a box of boxes, and what is in it."""
    if box.kind != _SUPERBOX:
        raise MalformedError("a box must be a box of boxes")
    contents = list(_boxes(box.content))
    if not contents or contents[0].kind != _DESCRIPTION:
        raise MalformedError("a box must begin with its description")
    kind, name = _describe(contents[0].content)
    if kind in _NAMES and name not in _NAMES[kind]:
        raise MalformedError(f"a box must be called {_NAMES[kind][-1].decode()}")
    return kind, contents[1:]


def _describe(description: memoryview) -> tuple[bytes, bytes]:
    """Kind and name of a box; what C2PA's own boxes must not have is refused (ISO 19566-5, A.3)."""
    data = bytes(description)
    kind, tail, rest = data[:4], data[4:16], data[17:]
    toggles = data[16] if len(data) > 16 else 0
    name, end, rest = rest.partition(b"\0")
    if toggles & 3 != _REQUESTABLE | _HAS_NAME or toggles > 2 * _HAS_MORE - 1 or not end:
        raise MalformedError("a box must have a name and can be asked for by it")
    if kind in (*_NAMES, *_MANIFESTS) and tail != _KIND_TAIL:
        raise MalformedError("the kind of a box is unknown")
    length = _ID_BYTES * bool(toggles & _HAS_ID) + _HASH_BYTES * bool(toggles & _HAS_HASH)
    rest_must_be_empty = not toggles & _HAS_MORE
    if len(rest) < length or (rest_must_be_empty and len(rest) != length):
        raise MalformedError("the description of a box has another length than it says")
    return kind, name


def _check_padding(signature: memoryview) -> None:
    """What is not signed in a COSE signature: its padding must be zero and be called padding."""
    try:
        item, end = read_item(bytes(signature))
    except ValueError as error:
        raise MalformedError("a signature is no CBOR") from error
    if end != len(signature) or not isinstance(item, tuple) or item[0] != _COSE_SIGN1_TAG:
        raise MalformedError("a signature must be one COSE_Sign1 object")
    parts = item[1]
    if not isinstance(parts, list) or len(parts) != 4 or not isinstance(parts[1], dict):
        raise MalformedError("a signature must have four parts")
    for name, value in parts[1].items():
        if isinstance(value, bytes) and (name in _PAD_NAMES) != (not any(value)):
            raise MalformedError("the padding of a signature must be zero")
