"""Whether a camera's pictures ever change, and when to try again; pure."""

import zlib

from realtime.frame import Image

FROZEN_NS = 2_000_000_000
"""A sensor's noise changes every picture; one that stays the same for so long is no view."""

_STEP_PX = 8
"""Every eighth pixel of every eighth row is looked at: 0.1 ms for 720p."""


class FrozenWatch:
    """Notices pictures that are the same bit for bit for a while."""

    def __init__(self) -> None:
        self._print: int | None = None
        self._since_ns = 0
        self._newest_ns = 0

    @property
    def frozen(self) -> bool:
        """Whether the newest pictures have been the same for two seconds."""
        return self._newest_ns - self._since_ns >= FROZEN_NS

    def see(self, picture: Image, now_ns: int) -> None:
        """Takes one picture, in the order in which they come.

        Args:
            picture: ``(H, W, 3) u8``.
            now_ns: when it came.
        """
        found = zlib.crc32(picture[::_STEP_PX, ::_STEP_PX].tobytes())
        if found != self._print:
            self._print, self._since_ns = found, now_ns
        self._newest_ns = now_ns

    def forget(self) -> None:
        """Starts afresh, after the camera has been opened again."""
        self._print, self._since_ns, self._newest_ns = None, 0, 0


class Backoff:
    """When to try again: after half a second, then twice as long each time, eight at most."""

    FIRST_S = 0.5
    LONGEST_S = 8.0

    def __init__(self) -> None:
        self._next_s = self.FIRST_S

    def next_s(self) -> float:
        """How long to wait after one more failure."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self.LONGEST_S)
        return wait_s

    def reset(self) -> None:
        """Starts afresh, when there is a reason to hope."""
        self._next_s = self.FIRST_S
