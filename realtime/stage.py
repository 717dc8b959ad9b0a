"""The contracts that others implement: sources, stages and sinks."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from realtime.frame import Frame, Image, PictureSpec
from realtime.memory import Memory


@runtime_checkable
class Source(Protocol):
    """Where pictures come from. All calls after ``open`` come from one thread."""

    def open(self) -> PictureSpec:
        """Opens the input and says what its pictures look like.

        Raises:
            CameraError, MediaError: it cannot be opened; within five seconds.
        """
        ...

    def fill(self, image: Image) -> int | None:
        """Writes the next picture into a slot; waits for it where the input is live.

        A picture of another size than the stream's is letterboxed into the slot.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the stream's size, contents arbitrary.

        Returns:
            The picture's presentation time in ns from the start of the stream, or None when
            there are no more pictures.

        Raises:
            MediaError: this one picture is unusable (counted as failed; the stream goes on).
            CameraError: the input is gone.
        """
        ...

    def close(self) -> None:
        """Lets the input go. May be called from another thread to end a blocked ``fill``."""
        ...


class SourceHealth(Enum):
    """How an input does that may fail and recover."""

    GOOD = "good"
    FROZEN = "frozen"
    LOST = "lost"


@runtime_checkable
class Watched(Protocol):
    """A source that knows how its input does, beside what ``Source`` asks for."""

    @property
    def health(self) -> SourceHealth:
        """``FROZEN`` while pictures come but never change, ``LOST`` while none come.

        Any thread may ask.
        """
        ...


@runtime_checkable
class Stage(Protocol):
    """One step of the work on a frame. All calls come from one lane's thread, in frame order."""

    @property
    def name(self) -> str:
        """Short unique name, as it appears in the statistics."""
        ...

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Takes what it needs for pictures of this kind; nothing is allocated in ``process``."""
        ...

    def process(self, frame: Frame) -> None:
        """Works on the frame in place. An exception makes the engine hide this frame."""
        ...

    def close(self) -> None:
        """Gives back what ``open`` took."""
        ...


@runtime_checkable
class LookingAhead(Protocol):
    """A stage that can begin before the stages before it are done, beside what ``Stage`` asks."""

    def look_ahead(self, frame: Frame) -> None:
        """A frame is about to be worked on; the call must return at once.

        Only its picture and its times are there yet. The picture may be read, by the stage's own
        threads too, until ``process`` has returned for this frame; a frame on which a stage before
        failed never gets there, and is forgotten with the next call.
        """
        ...


@runtime_checkable
class Resting(Protocol):
    """A stage that has work for the time between two frames, beside what ``Stage`` asks for."""

    def rest(self) -> None:
        """A frame has been handed on; the call must return at once."""
        ...


@runtime_checkable
class InFlight(Protocol):
    """A stage that has several frames in hand at once, beside what ``Stage`` asks for.

    It must be the last of its lane. A lane calls ``begin`` and ``end`` in the place of ``process``,
    each frame once, in order; between the two the frame and its picture are the stage's.
    """

    @property
    def capacity(self) -> int:
        """How many frames it takes before one must end; at least 1. May change."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether ``end`` would return at once."""
        ...

    def begin(self, frame: Frame) -> None:
        """Takes a frame on. An exception makes the engine hide it; then it is not to be ended."""
        ...

    def end(self, frame: Frame) -> None:
        """Waits for the oldest frame, the one given. An exception makes the engine hide it."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A stage that takes memory of a GPU, beside what ``Stage`` asks for."""

    @property
    def device_peak_bytes(self) -> int:
        """How much of it was in use at most since the stage was opened. Any thread may ask."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A stage that has more to tell than its times, beside what ``Stage`` asks for."""

    @property
    def counts(self) -> Mapping[str, Any]:
        """What it did so far, ready for JSON. Any thread may ask."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Where pictures go. All calls come from the sender's thread."""

    def open(self, spec: PictureSpec) -> None:
        """Opens the output for pictures of one size and rate.

        Raises:
            SinkError: it cannot be opened.
        """
        ...

    def send(self, image: Image, media_ns: int) -> None:
        """Shows or writes one picture; the buffer is the caller's again on return.

        Raises:
            SinkError: the output is gone or full.
        """
        ...

    def close(self) -> None:
        """Finalises the output; a file is complete and playable afterwards."""
        ...
