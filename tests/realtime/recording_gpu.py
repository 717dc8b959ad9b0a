"""A GPU that does nothing but keep a record of what is queued, and what follows from the record.

Streams and events have the methods of CuPy's with the same signatures; everything is written down
in the order in which the machine's thread calls it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One entry of the record.

    Attributes:
        what: ``host``, ``work``, ``record``, ``wait`` or ``synchronize``.
        where: the stream's name, or ``host``.
        name: of what is done, or of the event.
        frame: number of the frame, for work and for what the host does.
        reads, writes: names of arrays.
    """

    what: str
    where: str
    name: str
    frame: int = -1
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()


@dataclass
class RecordingGpu:
    """Makes streams and events that write into its record."""

    steps: list[Step] = field(default_factory=list)
    num_streams: int = 0
    num_events: int = 0

    def new_stream(self):
        self.num_streams += 1
        return RecordingStream(self, f"stream {self.num_streams}")

    def new_event(self):
        self.num_events += 1
        return RecordingEvent(self, f"event {self.num_events}")

    def host(self, name, frame, *, reads=(), writes=()):
        self.steps.append(Step("host", "host", name, frame, frozenset(reads), frozenset(writes)))


@dataclass(frozen=True)
class RecordingStream:
    gpu: RecordingGpu
    name: str

    def wait_event(self, event):
        self.gpu.steps.append(Step("wait", self.name, event.name))

    def work(self, name, frame, *, reads, writes):
        self.gpu.steps.append(
            Step("work", self.name, name, frame, frozenset(reads), frozenset(writes))
        )


@dataclass(frozen=True)
class RecordingEvent:
    gpu: RecordingGpu
    name: str

    @property
    def done(self):
        return True

    def record(self, stream=None):
        # CuPy takes the default stream where none is given.
        self.gpu.steps.append(Step("record", stream.name if stream else "default", self.name))

    def synchronize(self):
        self.gpu.steps.append(Step("synchronize", "host", self.name))


def befores(steps):
    """For each step the numbers of the steps that are done before it begins, whatever happens.

    A step follows the one before it on its stream, and what the host had done when it was queued.
    Past a wait it follows what the event had marked; so does the host past a ``synchronize``.
    The host itself waits for nothing else.
    """
    last, marked, known = {}, {}, []
    for number, step in enumerate(steps):
        before = set()
        for place in {step.where, "host"}:
            if place in last:
                before |= known[last[place]] | {last[place]}
        if step.what in ("wait", "synchronize") and step.name in marked:
            before |= known[marked[step.name]] | {marked[step.name]}
        known.append(before)
        if step.what == "record":
            marked[step.name] = number
        last[step.where] = number
    return known


def races(steps):
    """Pairs of steps that use one array, one of them writing, in no certain order."""
    known = befores(steps)
    return [
        (first, second)
        for later, second in enumerate(steps)
        for earlier, first in enumerate(steps[:later])
        if (first.writes & (second.reads | second.writes) or first.reads & second.writes)
        and earlier not in known[later]
    ]
