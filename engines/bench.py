"""How long networks take in each runtime of the processor, and how far their results differ."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.onnxruntime import OnnxRuntimeSession, compute
from engines.openvino import OpenVinoSession, cpu_capabilities
from engines.profiles import USUAL_RANGES, Limits, Range, samples_of
from engines.race import Clock, Entrant, race
from engines.session import Array, Session
from engines.simplify import fold

FLOAT32 = "onnxruntime f32"
BFLOAT16 = "openvino bf16"

_RUNS_OF_QUANTISING = 8
"""Making the 8-bit form of a large network takes about as long as so many of its runs: seven for
one of 553 MB, two of which find its scales. That of a small one takes seconds, ten of them for
one of 555 nodes."""

Opener = Callable[[bytes, int], Session]

Forms = Mapping[str, tuple[bytes, Opener]]
"""A network in every form and what opens it, by the runtime's name."""


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


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is measured.

    Attributes:
        threads: numbers of threads to measure with.
        seconds: for how long with each of them at most, once there were three rounds; stable
            medians end it sooner.
        budget_s: what a network may take, all in all. What would begin later is left out, but for
            one run in ONNX Runtime; what has begun is finished.
        with_int8: measure 8-bit forms too.
        clock: of all times.
    """

    threads: Sequence[int] = (1, 2)
    seconds: float = 5.0
    budget_s: float = 180.0
    with_int8: bool = False
    clock: Clock = time.perf_counter_ns


def measure(
    network: str,
    model: bytes,
    crops: Sequence[Array],
    course: Course,
    *,
    pixels: Sequence[Range] = USUAL_RANGES,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[Timing | Skipped]:
    """Times one network in every runtime of the processor, which take turns.

    Args:
        network: its name.
        model: the serialised ONNX model.
        crops: ``(h, w, 3) u8``, pictures of faces that inputs are made from: the first to measure
            with, the others for the scales of the 8-bit form, so that its error is one on a
            picture it has not seen.
        course: how to measure.
        pixels: what the network may take black and white as.
        report: told in a few words what begins.

    Yields:
        What was measured, as soon as it is, and what could not be.

    Raises:
        ModelError: the network does not run at all.
    """
    began_ns = course.clock()
    until_ns = began_ns + round(course.budget_s * 1e9)
    samples = samples_of(inputs_of(model, network), crops, Limits(), ranges=pixels)
    report("runs for the first time")
    (reference,) = compute(model, samples[:1], threads=max(course.threads), name=network)
    run_ns = course.clock() - began_ns
    forms, refusals = _forms(model)
    if course.with_int8:
        report("gets an 8-bit form")
        try:
            if _RUNS_OF_QUANTISING * run_ns > (until_ns - course.clock()) / 2:
                raise _late(course, "to make it")
            forms |= _forms_of_8_bits(network, model, samples[1:], known=forms)
        except ModelError as error:
            refusals["int8"] = str(error)
    yield from (Skipped(network, runtime, reason) for runtime, reason in refusals.items())
    told: set[Skipped] = set()
    for index, threads in enumerate(course.threads):
        report(f"runs {_with(threads)}")
        now_ns = course.clock()
        share_ns = now_ns + (until_ns - now_ns) // (len(course.threads) - index)
        runners = _Runners(forms, samples[0], reference, must_run=index == 0)
        for found in runners.measure(network, threads, course, share_ns):
            if found not in told:
                yield found
            if isinstance(found, Skipped):
                told.add(found)


@dataclass(frozen=True, slots=True)
class _Runners:
    """The forms of one network, with what they are given and must compute.

    Attributes:
        forms: the forms.
        sample: arrays by input name.
        reference: arrays by output name.
        must_run: whether the first one runs even where no time is left.
    """

    forms: Forms
    sample: Mapping[str, Array]
    reference: Mapping[str, Array]
    must_run: bool

    def measure(
        self, network: str, threads: int, course: Course, until_ns: int
    ) -> Iterator[Timing | Skipped]:
        """Times them with one number of threads."""
        clock = course.clock
        entrants: dict[str, Entrant] = {}
        with ExitStack() as opened:
            for runtime, (data, opener) in self.forms.items():
                try:
                    if clock() >= until_ns and (entrants or not self.must_run):
                        raise _late(course, _with(threads))
                    session = opener(data, threads)
                    opened.callback(session.close)
                    entrants[runtime] = Entrant(session, self.sample, self.reference)
                except ModelError as error:
                    yield Skipped(network, runtime, str(error))
            longest_ns = round(course.seconds * 1e9)
            race(list(entrants.values()), clock, longest_ns=longest_ns, until_ns=until_ns)
            for runtime, entrant in entrants.items():
                times_ns = entrant.times_ns
                yield Timing(
                    network,
                    runtime,
                    threads,
                    median_ms=round(statistics.median(times_ns) / 1e6, 3),
                    least_ms=round(min(times_ns) / 1e6, 3),
                    num_runs=len(times_ns),
                    error=entrant.error,
                )


def gains_of_bfloat16(timings: Iterable[Timing]) -> dict[str, float]:
    """How many times as fast OpenVINO is in bfloat16 as ONNX Runtime in float32, by network.

    The fastest runs count, of the number of threads where the gain is least; networks that were
    not measured in both are left out.
    """
    timings = list(timings)
    fast = {(one.network, one.threads): one for one in timings if one.runtime == BFLOAT16}
    gains: dict[str, float] = {}
    for one in timings:
        other = fast.get((one.network, one.threads))
        if one.runtime == FLOAT32 and other is not None:
            gain = round(one.least_ms / other.least_ms, 2)
            gains[one.network] = min(gain, gains.get(one.network, gain))
    return gains


def _with(threads: int) -> str:
    return f"with {threads} thread{'s' if threads > 1 else ''}"


def _late(course: Course, what: str) -> ModelError:
    return ModelError(f"the {course.budget_s:g} s of each network were too short {what}")


def _forms(model: bytes) -> tuple[dict[str, tuple[bytes, Opener]], dict[str, str]]:
    """The network as it can be run here, and why not otherwise, by the runtime's name."""
    forms: dict[str, tuple[bytes, Opener]] = {FLOAT32: (model, _in_onnx_runtime)}
    try:
        able = cpu_capabilities()
    except ModelError as error:
        return forms, {"openvino": str(error)}
    forms["openvino f32"] = (model, _in_openvino)
    if "BF16" not in able:
        return forms, {BFLOAT16: "the processor has no instructions for bfloat16"}
    forms[BFLOAT16] = (model, _in_openvino_bf16)
    return forms, {}


def _forms_of_8_bits(
    network: str, model: bytes, samples: Sequence[Mapping[str, Array]], *, known: Forms
) -> dict[str, tuple[bytes, Opener]]:
    # Slow to import, and not always asked for.
    from engines.quantise import quantise

    small = quantise(fold(model, name=network), samples, name=network)
    forms: dict[str, tuple[bytes, Opener]] = {"onnxruntime int8": (small, _in_onnx_runtime)}
    if "openvino f32" in known:
        forms["openvino int8"] = (small, _in_openvino)
    return forms


def _in_onnx_runtime(model: bytes, threads: int) -> Session:
    return OnnxRuntimeSession(model, threads=threads)


def _in_openvino(model: bytes, threads: int) -> Session:
    return OpenVinoSession(model, threads=threads, precision="f32")


def _in_openvino_bf16(model: bytes, threads: int) -> Session:
    return OpenVinoSession(model, threads=threads, precision="bf16")
