"""Single values of the options of a custom TFLite operator, which are a FlexBuffers map.

Only what is asked for is read: a map that names itself would keep a reader of whole maps busy for
ever. A ``ValueError`` says what does not fit.
"""

import math
import struct
from typing import Any

from flatbuffers import flexbuffers

_MAX_INTEGERS = 1 << 12

# What the accessors raise where an offset leaves the bytes, or a value is of another type.
_DAMAGE = (IndexError, KeyError, TypeError, ValueError, struct.error)


def read_map(data: bytes) -> Any:
    """The root of the options.

    Raises:
        ValueError: it is no map.
    """
    try:
        return flexbuffers.GetRoot(data).AsMap
    except _DAMAGE as error:
        raise ValueError(f"the options must be a map ({error})") from error


def read_number(options: Any, name: str) -> float:
    """A finite number of a map.

    Raises:
        ValueError: it is missing, or something else.
    """
    try:
        value = float(options[name].AsFloat)
    except _DAMAGE as error:
        raise ValueError(f"the options must give a number {name!r} ({error})") from error
    if not math.isfinite(value):
        raise ValueError(f"the option {name!r} must be finite, it is {value}")
    return value


def read_integers(options: Any, name: str) -> list[int]:
    """The integers of a vector in a map.

    Raises:
        ValueError: it is missing, or something else.
    """
    try:
        vector = options[name].AsTypedVector
        if len(vector) > _MAX_INTEGERS:
            raise ValueError(f"{len(vector)} values")
        return [vector[index].AsInt for index in range(len(vector))]
    except _DAMAGE as error:
        raise ValueError(f"the options must give integers {name!r} ({error})") from error
