"""A lane on a GPU: a stream for each stage, an event for each hand-over, frames in flight.

One thread queues every frame's stages and goes on to the next frame while the GPU works. What
orders the work is on the GPU alone: a stage waits there for the event that the stage before it has
recorded, and each stage's stream does frame after frame in order, so what a stage remembers of one
frame is there for the next. The thread itself waits only for the end of the oldest frame.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Protocol

MAX_SLOTS = 3
"""More frames in flight would add delay and no throughput."""


class Event(Protocol):
    """What a lane needs of an event; that of ``cupy.cuda.Event``."""

    @property
    def done(self) -> bool:
        """Whether what was marked last is done."""
        ...

    def record(self, stream: "Stream") -> None:
        """Marks the end of what is queued on a stream by now."""
        ...

    def synchronize(self) -> None:
        """Blocks until what was marked last is done."""
        ...


class Stream(Protocol):
    """What a lane needs of a stream; that of ``cupy.cuda.Stream``."""

    def wait_event(self, event: Event) -> None:
        """Holds what is queued from now on until what the event has marked is done."""
        ...


class StreamMaker(Protocol):
    """Makes what a lane keeps for its life."""

    def new_stream(self) -> Stream:
        """A stream that waits for no other by itself."""
        ...

    def new_event(self) -> Event:
        """An event that has marked nothing yet."""
        ...


class StreamStage(Protocol):
    """One step of the work on a frame on a GPU. All calls come from the lane's thread.

    A stage reads and writes the arrays of one slot, and what it alone remembers from frame to
    frame. The first one brings the frame up from the machine's memory, the last one takes the
    result down.
    """

    @property
    def name(self) -> str:
        """Short unique name."""
        ...

    def enqueue(self, slot: int, *, stream: Stream) -> None:
        """Queues the work on the frame in a slot, always at the same addresses, and returns."""
        ...


Watch = Callable[[str, Stream], AbstractContextManager[None]]


def unwatched(name: str, stream: Stream) -> AbstractContextManager[None]:  # noqa: ARG001
    """Puts nothing around anything."""
    return nullcontext()


class StreamLane:
    """Keeps up to so many frames in flight. Used by one thread.

    Args:
        stages: in order, at least one.
        maker: of streams and events; all are made here.
        num_slots: frames in flight at most, 1..``MAX_SLOTS``; one has the least delay, more have
            one frame's stages overlap with another's.
        streams: those that stages already have, by name; the others are made here.
        watch: put around what each stage queues, for measuring; told the stage's name, its stream.

    Raises:
        ValueError: there is no stage, or the number of slots is out of its range.
    """

    def __init__(
        self,
        stages: Sequence[StreamStage],
        maker: StreamMaker,
        num_slots: int,
        streams: Mapping[str, Stream] = MappingProxyType({}),
        watch: Watch = unwatched,
    ) -> None:
        if not stages or not 1 <= num_slots <= MAX_SLOTS:
            raise ValueError(
                f"StreamLane: there must be a stage and 1 to {MAX_SLOTS} slots, got "
                f"{len(stages)} stages and {num_slots} slots. Give others."
            )
        self._stages = tuple(stages)
        self._streams = [streams.get(stage.name) or maker.new_stream() for stage in stages]
        self._ends = [[maker.new_event() for _ in stages] for _ in range(num_slots)]
        self._watch = watch
        self._num_queued = 0
        self._num_done = 0
        self._unfinished: Event | None = None

    @property
    def first_stream(self) -> Stream:
        """That of the first stage."""
        return self._streams[0]

    @property
    def num_in_flight(self) -> int:
        """Frames queued whose end has not been waited for."""
        return self._num_queued - self._num_done

    @property
    def is_oldest_done(self) -> bool:
        """Whether ``wait_oldest`` would return at once with a frame."""
        return self.num_in_flight > 0 and self._ends[self._num_done % len(self._ends)][-1].done

    @property
    def free_slot(self) -> int | None:
        """The slot that the next frame takes, free to be filled; None while all are in flight."""
        if self.num_in_flight == len(self._ends):
            return None
        return self._num_queued % len(self._ends)

    def enqueue(self) -> int:
        """Queues all stages for the frame in the free slot.

        Returns:
            Its slot; its arrays are the GPU's until ``wait_oldest`` returns it.

        Raises:
            RuntimeError: every slot is in flight, or a stage has failed before.
        """
        slot = self.free_slot
        if slot is None or self._unfinished is not None:
            raise RuntimeError(
                "StreamLane.enqueue: a slot must be free and no stage have failed, got "
                f"{self.num_in_flight} frames in flight. Wait for the oldest, or open a new lane."
            )
        before: Event | None = None
        for stage, stream, end in zip(self._stages, self._streams, self._ends[slot], strict=True):
            if before is not None:
                stream.wait_event(before)
            # What a stage queues before it fails still runs and must be waited for.
            self._unfinished = before = end
            try:
                with self._watch(stage.name, stream):
                    stage.enqueue(slot, stream=stream)
            finally:
                end.record(stream)
        self._unfinished = None
        self._num_queued += 1
        return slot

    def wait_oldest(self) -> int:
        """Blocks until the oldest frame in flight is done.

        Returns:
            Its slot; its results stay until a frame is queued that takes the slot again.

        Raises:
            RuntimeError: no frame is in flight.
        """
        if not self.num_in_flight:
            raise RuntimeError(
                "StreamLane.wait_oldest: a frame must be in flight, got none. Queue one first."
            )
        slot = self._num_done % len(self._ends)
        self._ends[slot][-1].synchronize()
        self._num_done += 1
        return slot

    def wait_all(self) -> None:
        """Blocks until nothing is in flight, so that what the stages use may be freed."""
        while self.num_in_flight:
            self.wait_oldest()
        if self._unfinished is not None:
            self._unfinished.synchronize()
