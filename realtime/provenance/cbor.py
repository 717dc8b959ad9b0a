"""Reading CBOR (RFC 8949) that a stranger wrote: definite lengths only, and a bounded depth."""

from typing import Any

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_LITERALS = {20: False, 21: True, 22: None}
_MAX_DEPTH = 16
_LONG = 24
"""Arguments from here on stand in the bytes that follow: one, two, four or eight of them."""


def read_item(data: bytes, at: int = 0, depth: int = 0) -> tuple[Any, int]:
    """Reads one item.

    Args:
        data: in which it lies.
        at: where it begins.
        depth: of the items around it.

    Returns:
        A number, bytes, text, list, dict, ``(tag, item)`` or literal, and where the item ends.

    Raises:
        ValueError: it is cut off, nested too deeply, or of a kind that is not read here, as
            numbers with a fraction and lengths that are not said at the beginning.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("cbor: items must be nested less deeply.")
    kind, argument, at = _head(data, at)
    if kind == _UNSIGNED:
        return argument, at
    if kind == _NEGATIVE:
        return -1 - argument, at
    if kind in (_BYTES, _TEXT):
        if at + argument > len(data):
            raise ValueError("cbor: a string must be whole.")
        content = data[at : at + argument]
        return content if kind == _BYTES else content.decode(), at + argument
    if kind == _SIMPLE:
        if argument not in _LITERALS:
            raise ValueError("cbor: a literal must be true, false or null.")
        return _LITERALS[argument], at
    if kind == _TAG:
        item, at = read_item(data, at, depth + 1)
        return (argument, item), at
    return _read_several(data, at, depth, kind, argument)


def _read_several(data: bytes, at: int, depth: int, kind: int, count: int) -> tuple[Any, int]:
    """The items of a list, or the pairs of a map."""
    count *= 2 if kind == _MAP else 1
    if count > len(data) - at:
        raise ValueError("cbor: a list must be whole.")
    items = []
    for _ in range(count):
        item, at = read_item(data, at, depth + 1)
        items.append(item)
    if kind == _LIST:
        return items, at
    keys, values = items[::2], items[1::2]
    if not all(isinstance(key, int | str | bytes) for key in keys) or len(set(keys)) < len(keys):
        raise ValueError("cbor: the keys of a map must be simple, and different.")
    return dict(zip(keys, values, strict=True)), at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Kind of an item, its argument, and where its head ends."""
    if at >= len(data):
        raise ValueError("cbor: an item must be whole.")
    kind, argument = data[at] >> 5, data[at] & 31
    if argument < _LONG:
        return kind, argument, at + 1
    end = at + 1 + (1 << (argument - _LONG))
    if argument > _LONG + 3 or end > len(data) or kind == _SIMPLE:
        raise ValueError("cbor: the head of an item must be whole and say a length.")
    return kind, int.from_bytes(data[at + 1 : end]), end
