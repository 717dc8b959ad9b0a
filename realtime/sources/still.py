"""A still picture as a source."""

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from realtime.frame import Image, PictureSpec
from realtime.letterbox import letterbox
from realtime.pictures import load_picture


class StillPicture:
    """The same picture again and again: without end at a live rate, or a number of times."""

    def __init__(
        self,
        path: str | Path,
        *,
        num_frames: int | None = None,
        rate_hz: Fraction | int = 30,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Names the picture; nothing is read before ``open``.

        Args:
            path: of a picture as ``realtime.pictures.load_picture`` takes it.
            num_frames: how often it comes, as fast as it is asked for; None plays it like a
                camera, at ``rate_hz`` and without end.
            rate_hz: pictures per second.
            clock: monotonic nanoseconds.
        """
        self._path = Path(path)
        self._num_frames = num_frames
        self._rate_hz = Fraction(rate_hz)
        self._clock = clock
        self._closed = threading.Event()
        self._picture: Image | None = None
        self._seq = 0
        self._started_ns: int | None = None

    def open(self) -> PictureSpec:
        """Loads the picture.

        Raises:
            MediaError: it cannot be used.
        """
        self._picture = load_picture(self._path)
        height, width = self._picture.shape[:2]
        return PictureSpec(
            width=width,
            height=height,
            rate_hz=self._rate_hz,
            live=self._num_frames is None,
            num_frames=self._num_frames,
        )

    def fill(self, image: Image) -> int | None:
        """Writes the picture once more; see ``realtime.stage.Source``."""
        if self._picture is None or self._closed.is_set() or self._seq == self._num_frames:
            return None
        media_ns = round(self._seq * 1_000_000_000 / self._rate_hz)
        if self._num_frames is None and not self._wait_until_due(media_ns):
            return None
        letterbox(self._picture, out=image)
        self._seq += 1
        return media_ns

    def _wait_until_due(self, media_ns: int) -> bool:
        """Waits for the picture's tick; False when closed meanwhile."""
        now_ns = self._clock()
        if self._started_ns is None:
            self._started_ns = now_ns - media_ns
        return not self._closed.wait(max(0, self._started_ns + media_ns - now_ns) / 1e9)

    def close(self) -> None:
        """Ends the stream; a blocked ``fill`` returns None."""
        self._closed.set()
