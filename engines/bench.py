"""How long networks take in each runtime of the processor, and how far their results differ."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.onnxruntime import OnnxRuntimeSession, compute
from engines.openvino import OpenVinoSession, cpu_capabilities
from engines.profiles import Limits, samples_of
from engines.self_check import compare
from engines.session import Array, Session
from engines.simplify import simplify

_MIN_ROUNDS = 3
_MAX_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of one network in one runtime.

    Attributes:
        network: its name.
        runtime: what ran it and in which arithmetic, for example ``openvino bf16``.
        threads: CPU threads of one run.
        median_ms: of one run.
        least_ms: the fastest run.
        num_runs: how many there were.
        error: against ONNX Runtime in float32, see ``engines.self_check``.
    """

    network: str
    runtime: str
    threads: int
    median_ms: float
    least_ms: float
    num_runs: int
    error: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be measured.

    Attributes:
        network: its name.
        runtime: as of ``Timing``.
        reason: in one line.
    """

    network: str
    runtime: str
    reason: str


Opener = Callable[[bytes, int], Session]


def measure(
    network: str,
    model: bytes,
    crops: Sequence[Array],
    *,
    threads: Sequence[int] = (1, 2),
    seconds: float = 1.0,
    with_int8: bool = False,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[list[Timing], list[Skipped]]:
    """Times one network in every runtime of the processor.

    The runtimes take turns, run by run, so that whatever else the machine does meets all alike:
    ratios hold where times do not.

    Args:
        network: its name.
        model: the serialised ONNX model.
        crops: ``(h, w, 3) u8``, pictures of faces that inputs are made from; with int8 they are
            also what the quantiser sees.
        threads: numbers of threads to measure with.
        seconds: how long each number of threads is measured; three rounds at least.
        with_int8: measure 8-bit forms too.
        clock: nanoseconds.

    Returns:
        What was measured, and what could not be.

    Raises:
        ModelError: the network does not run at all.
    """
    samples = samples_of(inputs_of(model, network), crops, Limits())
    (reference,) = compute(model, samples[:1], threads=max(threads), name=network)
    forms, skipped = _forms(network, model, samples, with_int8=with_int8)
    timings: list[Timing] = []
    for num_threads in threads:
        entrants: dict[str, _Entrant] = {}
        for runtime, (data, opener) in forms.items():
            try:
                session = opener(data, num_threads)
                entrants[runtime] = _Entrant(session, samples[0], reference)
            except ModelError as error:
                skipped.append(Skipped(network, runtime, str(error)))
        _race(list(entrants.values()), seconds, clock)
        for runtime, entrant in entrants.items():
            timings.append(entrant.timing(network, runtime, num_threads))
            entrant.session.close()
    return timings, list(dict.fromkeys(skipped))


class _Entrant:
    """One open session with its buffers and the times of its runs."""

    def __init__(
        self, session: Session, sample: Mapping[str, Array], reference: Mapping[str, Array]
    ) -> None:
        self.session = session
        self._sample = sample
        self._reference = reference
        self._out = {name: np.empty_like(array) for name, array in reference.items()}
        self._times_ns: list[int] = []
        session.enqueue(sample, out=self._out, stream=0)

    def run(self, clock: Callable[[], int]) -> None:
        began_ns = clock()
        self.session.enqueue(self._sample, out=self._out, stream=0)
        self._times_ns.append(clock() - began_ns)

    def timing(self, network: str, runtime: str, threads: int) -> Timing:
        return Timing(
            network,
            runtime,
            threads,
            median_ms=round(statistics.median(self._times_ns) / 1e6, 3),
            least_ms=round(min(self._times_ns) / 1e6, 3),
            num_runs=len(self._times_ns),
            error=compare([self._reference], [self._out]).error,
        )


def _race(entrants: Sequence[_Entrant], seconds: float, clock: Callable[[], int]) -> None:
    until_ns = clock() + round(seconds * 1e9)
    for index in range(_MAX_ROUNDS):
        if index >= _MIN_ROUNDS and clock() >= until_ns:
            return
        for entrant in entrants:
            entrant.run(clock)


def _forms(
    network: str, model: bytes, samples: Sequence[Mapping[str, Array]], *, with_int8: bool
) -> tuple[dict[str, tuple[bytes, Opener]], list[Skipped]]:
    """The network in every form and what opens it, by the runtime's name."""
    forms: dict[str, tuple[bytes, Opener]] = {"onnxruntime f32": (model, _in_onnx_runtime)}
    skipped: list[Skipped] = []
    try:
        able = cpu_capabilities()
        forms["openvino f32"] = (model, _in_openvino)
        if "BF16" in able:
            forms["openvino bf16"] = (model, _in_openvino_bf16)
        else:
            skipped.append(Skipped(network, "openvino bf16", "the processor has no bfloat16"))
    except ModelError as error:
        skipped.append(Skipped(network, "openvino", str(error)))
    if with_int8:
        try:
            small = _in_8_bits(network, model, samples)
            forms["onnxruntime int8"] = (small, _in_onnx_runtime)
            if "openvino f32" in forms:
                forms["openvino int8"] = (small, _in_openvino)
        except ModelError as error:
            skipped.append(Skipped(network, "int8", str(error)))
    return forms, skipped


def _in_8_bits(network: str, model: bytes, samples: Sequence[Mapping[str, Array]]) -> bytes:
    # Slow to import, and seldom asked for.
    from engines.quantise import quantise

    simple = simplify(model, samples[:1], name=network).model
    return quantise(simple, samples, name=network)


def _in_onnx_runtime(model: bytes, threads: int) -> Session:
    return OnnxRuntimeSession(model, threads=threads)


def _in_openvino(model: bytes, threads: int) -> Session:
    return OpenVinoSession(model, threads=threads, precision="f32")


def _in_openvino_bf16(model: bytes, threads: int) -> Session:
    return OpenVinoSession(model, threads=threads, precision="bf16")
