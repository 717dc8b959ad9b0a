"""What stages remember of each tracked face, and for how long."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from realtime.frame import Face

GAP_NS = 500_000_000
"""A face that was not seen for so long starts afresh."""


class Dated(Protocol):
    """Something that says when its face was last seen.

    Attributes:
        seen_ns: ``Frame.media_ns`` of that frame.
    """

    seen_ns: int


_Memory = TypeVar("_Memory")
_Dated = TypeVar("_Dated", bound=Dated)


def share_after(elapsed: float, half_life: float) -> float:
    """How far what is remembered follows a frame, 0..1.

    Args:
        elapsed: time since the frame before, at least 0.
        half_life: in the same unit; 0 follows at once.
    """
    return 1.0 - 0.5 ** (elapsed / half_life) if half_life > 0.0 else 1.0


def of_present(memories: Mapping[int, _Memory], faces: Iterable[Face]) -> dict[int, _Memory]:
    """Those memories, by track, whose face is among these."""
    present = {face.track_id for face in faces}
    return {number: memory for number, memory in memories.items() if number in present}


def of_recent(memories: Mapping[int, _Dated], now_ns: int) -> dict[int, _Dated]:
    """Those memories, by track, whose face was seen within a gap."""
    return {
        number: memory for number, memory in memories.items() if now_ns - memory.seen_ns <= GAP_NS
    }
