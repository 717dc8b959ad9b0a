"""A stand-in for CuPy and its GPU: a record of all that is queued, by whom, on which bytes.

Device memory is main memory. Kernels are recorded, and computed at once where something that runs
their sources on the host is given. Signatures are those of CuPy's own, which a test holds them to.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
from numpy.lib.array_utils import byte_bounds

from cuda_kernels.source import kernels_of

H2D, D2H, D2D = 1, 2, 3


@dataclass(frozen=True)
class Step:
    """One entry of the record.

    Attributes:
        what: ``host``, ``work``, ``record``, ``wait``, ``synchronize`` (an event), ``settle`` (a
            stream) or ``synchronize device``.
        where: the stream's name, or ``host``.
        name: of what is done, or of the event or the stream.
        frame: what the test had set as number of the frame.
        reads, writes: ranges of bytes.
        in_graph: number of the graph it is part of; 0 for none.
    """

    what: str
    where: str
    name: str
    frame: int = -1
    reads: tuple = ()
    writes: tuple = ()
    in_graph: int = 0


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):  # noqa: N818
    pass


class DeviceNdarray(np.ndarray):
    """Memory of the pretended GPU."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])

    @property
    def __cuda_array_interface__(self):
        return {**self.__array_interface__, "version": 3}

    def __array_finalize__(self, parent):
        pass


class Stream:
    def __init__(self, cupy, null=False, non_blocking=False, ptds=False, priority=None):
        assert non_blocking, "a stream that is not non-blocking waits for the default one"
        self._cupy = cupy
        self.name = f"stream {next(cupy.numbers)}"
        self.ptr = 1000 + next(cupy.numbers)
        cupy.streams[self.ptr] = self

    def __enter__(self):
        self._cupy.current.append(self)
        return self

    def __exit__(self, *args):
        self._cupy.current.pop()

    def wait_event(self, event):
        self._cupy.note("wait", self, event.name)

    def synchronize(self):
        self._cupy.note("settle", None, self.name)

    def begin_capture(self, mode=None):
        assert self._cupy.capturing is None
        self._cupy.capturing = (self, [])

    def end_capture(self):
        stream, steps = self._cupy.capturing
        assert stream is self
        self._cupy.capturing = None
        return Graph(self._cupy, steps)


class Event:
    def __init__(self, cupy, block=False, disable_timing=False, interprocess=False):
        self._cupy, self.name = cupy, f"event {next(cupy.numbers)}"
        self.settings = {"block": block, "disable_timing": disable_timing}

    @property
    def done(self):
        return True

    def record(self, stream=None):
        self._cupy.note("record", stream, self.name)

    def synchronize(self):
        self._cupy.note("synchronize", None, self.name)
        self._cupy.fail_if("synchronize")


class Graph:
    def __init__(self, cupy, steps):
        self._cupy, self._steps, self._number = cupy, steps, next(cupy.numbers)
        cupy.graphs.append(self)

    def launch(self, stream=None):
        for step, run in self._steps:
            self._cupy.steps.append(
                replace(
                    step,
                    where=stream.name if stream else "default",
                    frame=self._cupy.frame,
                    in_graph=self._number,
                )
            )
            run()


class MemoryPool:
    def __init__(self, cupy, allocator=None):
        self._cupy, self.limit = cupy, 0

    def malloc(self, size):
        raise AssertionError("used as an allocator only")

    def set_limit(self, size=None, fraction=None):
        self.limit = size or 0

    def total_bytes(self):
        return self._cupy.taken_bytes

    def free_all_blocks(self, stream=None):
        """Nothing is given back here: all arrays are kept."""


class Using:
    """``using_allocator``."""

    def __init__(self, cupy, allocator):
        self._cupy, self._pool = cupy, allocator.__self__

    def __enter__(self):
        self._cupy.pool = self._pool

    def __exit__(self, *_):
        self._cupy.pool = None


class FakeCupy:
    """The module.

    Args:
        host: runs kernels' sources, as ``HostStream`` does; None computes nothing.
        has_gpu: whether it finds one.
        driver, runtime: versions as CUDA writes them.
        compile_error: what ``get_function`` raises.
    """

    def __init__(self, host=None, *, has_gpu=True, driver=13000, runtime=13000, compile_error=None):
        self.steps, self.streams, self.graphs, self.compiled, self.launches = [], {}, [], [], []
        self.numbers = itertools.count(1)
        self.current, self.capturing, self.pool, self.frame = [], None, None, -1
        self.taken_bytes, self.registered, self.failures = 0, {}, Counter()
        self._host, self._compile_error = host, compile_error
        self._kept = []
        self.cuda = SimpleNamespace(
            is_available=lambda: has_gpu,
            compiler=SimpleNamespace(CompileException=CompileException),
            Stream=lambda **settings: Stream(self, **settings),
            Event=lambda **settings: Event(self, **settings),
            MemoryPool=lambda: MemoryPool(self),
            using_allocator=lambda allocator: Using(self, allocator),
            alloc_pinned_memory=lambda size: bytearray(size),
            runtime=SimpleNamespace(
                memcpyHostToDevice=H2D,
                memcpyDeviceToHost=D2H,
                memcpyDeviceToDevice=D2D,
                memcpyAsync=self._memcpy,
                memGetInfo=lambda: (2**33 - self.taken_bytes, 2**33),
                hostRegister=self._register,
                hostUnregister=self._unregister,
                driverGetVersion=lambda: driver,
                runtimeGetVersion=lambda: runtime,
                CUDARuntimeError=CUDARuntimeError,
            ),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        )

    def note(self, what, stream, name, reads=(), writes=(), run=lambda: None):
        """Writes a step down, and does it, or keeps both for the graph."""
        where = stream.name if stream else ("host" if what != "record" else "default")
        step = Step(what, where, name, self.frame, tuple(reads), tuple(writes))
        if self.capturing is not None:
            assert what == "work", f"{what} is not allowed in a capture"
            assert stream is self.capturing[0], "work of another stream in a capture"
            self.capturing[1].append((step, run))
            return
        self.steps.append(step)
        run()

    def host_step(self, name, *, reads=(), writes=()):
        """What the program itself does to arrays."""
        bounds = [[byte_bounds(array) for array in arrays] for arrays in (reads, writes)]
        self.note("host", None, name, *bounds)

    def session_step(self, name, handle, reads, writes, run=lambda: None):
        """A network's run on a stream."""
        self.fail_if("out of memory in a network")
        bounds = [[byte_bounds(array) for array in arrays] for arrays in (reads, writes)]
        self.note("work", self.streams[handle], name, *bounds, run)

    def fail_if(self, name):
        """Raises where a test has asked for it, so many times."""
        if self.failures[name] > 0:
            self.failures[name] -= 1
            raise CUDARuntimeError(f"cudaErrorUnknown: {name} failed")

    def asarray(self, array):
        if isinstance(array, np.ndarray):
            return array.view(DeviceNdarray)
        return "by interface", array, self.current[-1].name

    def from_dlpack(self, array):
        return "by DLPack", array, self.current[-1].name

    def zeros(self, shape, dtype=float, order="C"):
        assert self.current, "an array would be cleared on the default stream"
        assert self.capturing is None, "memory must not be taken in a capture"
        array = np.zeros(shape, dtype).view(DeviceNdarray)
        if self.pool.limit and self.taken_bytes + array.nbytes > self.pool.limit:
            raise OutOfMemoryError(f"Out of memory allocating {array.nbytes} bytes")
        if self.failures["out of memory"] > 0:
            self.failures["out of memory"] -= 1
            raise OutOfMemoryError(
                f"Out of memory allocating {array.nbytes:,} bytes (allocated so "
                f"far: {self.taken_bytes:,} bytes)."
            )
        self.taken_bytes += array.nbytes
        # Kept, so that no two arrays of a run have one address.
        self._kept.append(array)
        self.note("work", self.current[-1], "zeros", writes=[byte_bounds(array)])
        return array

    def RawModule(self, *, code, options):  # noqa: N802
        self.compiled.append((code, options))
        return SimpleNamespace(
            get_function=lambda name: self._function(code, name),
        )

    def _function(self, code, name):
        if self._compile_error:
            raise self._compile_error
        parameters = kernels_of(code)[name]

        def launch(grid, block, args):
            self.fail_if("launch")
            self.launches.append((name, grid, block))
            reads, writes = [], []
            for parameter, argument in zip(parameters, args, strict=True):
                if parameter.is_array:
                    reads.append(byte_bounds(argument))
                    if parameter.is_written:
                        writes.append(byte_bounds(argument))
            arguments = list(args)

            def run():
                if self._host is not None:
                    extent = tuple(n * size for n, size in zip(grid, block, strict=True))
                    source = next(s for s, text in self._sources() if text == code)
                    plain = [
                        a if isinstance(a, np.generic) else a.view(np.ndarray) for a in arguments
                    ]
                    self._host.launch(source, name, plain, extent=extent, block=block)

            self.note("work", self.current[-1], name, reads, writes, run)

        return launch

    def _sources(self):
        from importlib import resources

        from cuda_kernels.source import read_source

        for entry in resources.files("cuda_kernels").joinpath("src").iterdir():
            if entry.name.endswith(".cu"):
                name = entry.name.removesuffix(".cu")
                yield name, read_source(name)

    def _memcpy(self, dst, src, size, kind, stream):
        self.fail_if("copy")

        def run():
            _bytes_at(dst, size)[:] = _bytes_at(src, size)

        reads, writes = [(src, src + size)], [(dst, dst + size)]
        self.note("work", self.streams[stream], f"copy {kind}", reads, writes, run)

    def _register(self, ptr, size, flags):
        self.fail_if("register")
        assert ptr not in self.registered, "pinned twice"
        self.registered[ptr] = size

    def _unregister(self, ptr):
        self.fail_if("unregister")
        del self.registered[ptr]


def _bytes_at(address, size):
    import ctypes

    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def befores(steps):
    """For each step the numbers of the steps that are done before it begins, whatever happens.

    A step follows the one before it on its stream, and what the host had done when it was queued.
    Past a wait it follows what the event had marked; so does the host past a ``synchronize``, and
    past a ``settle`` all of that stream. The host itself waits for nothing else.
    """
    last, marked, known = {}, {}, []
    for number, step in enumerate(steps):
        before = set()
        for place in {step.where, "host"} | ({step.name} if step.what == "settle" else set()):
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
    """Pairs of steps that use some bytes, one of them writing, in no certain order."""
    known, found = befores(steps), []
    for later, second in enumerate(steps):
        for earlier, first in enumerate(steps[:later]):
            if earlier not in known[later] and (
                _meet(first.writes, second.reads + second.writes)
                or _meet(first.reads, second.writes)
            ):
                found.append((first, second))
    return found


def _meet(some, others):
    return any(a < d and c < b for a, b in some for c, d in others)
