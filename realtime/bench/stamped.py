"""Stamps at both ends of the engine: a source that draws them, a sink that reads them."""

import time
from collections.abc import Callable

from realtime.bench.arrivals import Arrival
from realtime.bench.stamp import draw_stamp, has_room, read_stamp, stamp_of
from realtime.errors import UsageError
from realtime.frame import Image, PictureSpec
from realtime.stage import Source


class StampedSource:
    """Draws the time at which another source handed a picture over into that picture.

    Attributes:
        emitted: every stamp drawn, in order; written by the thread that fills.

    Args:
        source: opened and closed by this one.
        clock: nanoseconds of the clock that the far end uses too.
    """

    def __init__(self, source: Source, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.emitted: list[int] = []
        self._source = source
        self._clock = clock

    def open(self) -> PictureSpec:
        """Opens the other source.

        Raises:
            UsageError: its pictures are too small for a stamp.
        """
        spec = self._source.open()
        if not has_room(spec.width, spec.height):
            self._source.close()
            raise UsageError(
                "time stamp: pictures must have 180 rows and be 0.4 times as wide as high, got "
                f"{spec.width}×{spec.height}. Give a larger --size."
            )
        return spec

    def fill(self, image: Image) -> int | None:
        """Fills from the other source and draws the stamp; see ``realtime.stage.Source``."""
        media_ns = self._source.fill(image)
        if media_ns is not None:
            stamp = stamp_of(self._clock())
            draw_stamp(stamp, out=image)
            self.emitted.append(stamp)
        return media_ns

    def close(self) -> None:
        """Closes the other source."""
        self._source.close()


class StampReader:
    """A sink that reads the stamp of every picture and keeps nothing else.

    Attributes:
        arrivals: what came, in order; written by the thread that sends.

    Args:
        clock: nanoseconds of the clock that the source uses too.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.arrivals: list[Arrival] = []
        self._clock = clock

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of any size that has room for a stamp."""

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Notes when a picture came and which it is."""
        arrived_ns = self._clock()
        self.arrivals.append(Arrival(arrived_ns, read_stamp(image)))

    def close(self) -> None:
        """Has nothing to finish."""
