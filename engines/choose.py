"""Which of the runtimes on this machine runs a network, found out by trying them."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2

from engines.build import BuildProgress, IsWanted, OnProgress, Recipe, build, key_of
from engines.cache import PlanCache, PlanKey
from engines.errors import ModelError
from engines.gpu import compute_capability
from engines.hosted import OpenOnStream, open_hosted
from engines.plan import PORTABLE, targets
from engines.profiles import USUAL_RANGES, Range
from engines.reference import Reference, hold_to
from engines.session import Array, Place, Session
from engines.switching import Say, SwitchingSession
from engines.tensorrt import ModuleName, TensorRtSession, load_module

RuntimeName = Literal[
    "tensorrt_rtx", "tensorrt", "onnxruntime:CUDA", "openvino:CPU", "onnxruntime:CPU"
]

_TENSORRT: tuple[ModuleName, ...] = ("tensorrt_rtx", "tensorrt")
_8_BIT_OPERATORS = (b"DequantizeLinear", b"QLinearConv", b"QLinearMatMul", b"ConvInteger")
_VNNI = 23
"""``CV_CPU_AVX_512VNNI`` of OpenCV's ``CpuFeatures``, which Python gives no name."""

_NO_GPU = "no NVIDIA GPU with a driver"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One way to run networks.

    Attributes:
        name: as sessions call it.
        place: where the buffers lie.
        fault: why it cannot be used here; empty where it can.
    """

    name: RuntimeName
    place: Place
    fault: str

    @property
    def is_available(self) -> bool:
        """Whether it can be used here."""
        return not self.fault


def runtimes() -> tuple[Runtime, ...]:
    """Every runtime there could be, the best first, each tried; takes up to a few seconds."""
    return (
        *_gpu_runtimes(),
        Runtime("openvino:CPU", "cpu", _openvino_fault()),
        Runtime("onnxruntime:CPU", "cpu", ""),
    )


def _gpu_runtimes() -> tuple[Runtime, ...]:
    has_gpu = compute_capability() is not None
    return (
        *(Runtime(name, "cuda", _tensorrt_fault(name, has_gpu)) for name in _TENSORRT),
        Runtime("onnxruntime:CUDA", "cuda", _cuda_fault(has_gpu)),
    )


def open_on_cpu(model: bytes, *, threads: int = 1, name: str = "model") -> Session:
    """The network on the processor: in OpenVINO where that is faster, else in ONNX Runtime.

    It is where it computes in bfloat16, and for networks of 8 bits where the processor has
    instructions for those (VNNI). A network that OpenVINO does not take runs in ONNX Runtime.

    Args:
        model: a serialised ONNX model.
        threads: CPU threads for one run.
        name: what messages call the network.

    Raises:
        ModelError: the network cannot be loaded.
    """
    from engines.onnxruntime import OnnxRuntimeSession

    if not _openvino_fault(model):
        from engines.openvino import OpenVinoSession

        try:
            return OpenVinoSession(model, threads=threads, name=name)
        except ModelError as error:
            _LOG.info("%s: runs in ONNX Runtime. %s", name, error)
    return OnnxRuntimeSession(model, threads=threads, name=name)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where the buffers of a network on the GPU are to lie.

    Attributes:
        stream: handle of the CUDA stream that it runs on, with its buffers on the GPU; None for
            buffers in main memory, which are copied on a stream of the network's own.
        meanwhile: opens what runs until a plan is built, where ONNX Runtime has no CUDA here; its
            buffers lie in the same place, and it takes and gives what a plan does, see
            ``engines.narrow``. None: the plan is waited for.
    """

    stream: int | None = None
    meanwhile: Callable[[], Session] | None = None

    def take(self, open_network: OpenOnStream, name: str) -> Session:
        """The network in this place."""
        if self.stream is None:
            return open_hosted(open_network, name=name)
        return open_network(self.stream)


def open_on_gpu(
    model: bytes,
    crops: Sequence[Array],
    cache: PlanCache,
    seat: Seat,
    *,
    name: str = "model",
    pixels: Sequence[Range] = USUAL_RANGES,
    on_progress: OnProgress = lambda _: None,
    say: Say = _LOG.info,
) -> Session:
    """The network on the GPU: in TensorRT if its plan is there, else in what is ready sooner.

    Without a plan one is built beside the running engine. Meanwhile the network runs in ONNX
    Runtime on the GPU, or else as the seat says, and goes over when the plan is ready and has
    computed what ONNX Runtime does in float32. A plan that is there and does not run here, because
    it is for another card or another driver, is built anew, once.

    Args:
        model: a serialised ONNX model.
        crops: ``(h, w, 3) u8``, pictures of faces to check the 16-bit form with.
        cache: where plans are kept.
        seat: where the buffers lie.
        name: what messages call the network.
        pixels: what it may take black and white as, for the same check.
        on_progress: told how far the build is, on a thread of its own or on this one.
        say: told when the network goes over.

    Raises:
        ModelError: nothing here runs it on a GPU.
    """
    usable = usable_on_gpu(name)
    in_onnx_runtime = partial(_in_onnx_runtime, model, name)
    module = next((one for one in _TENSORRT if one in usable), None)
    if module is None:
        return seat.take(in_onnx_runtime, name)
    recipe = Recipe(module=module, targets=(_target(module),), pixels=tuple(pixels))
    key = key_of(model, recipe, *recipe.targets)

    def prepare(is_wanted: IsWanted) -> Session:
        try:
            (built,) = build(
                model, crops, recipe, cache, name=name, on_progress=on_progress, is_wanted=is_wanted
            )
        except ModelError:
            on_progress(BuildProgress(name, "failed", 1.0, None))
            raise
        in_tensorrt = partial(_in_tensorrt, built.data, module, cache, key, name)
        return _held_to(Reference.from_bytes(built.reference), seat, in_tensorrt, name)

    first = seat.meanwhile
    if "onnxruntime:CUDA" in usable:
        first = partial(seat.take, in_onnx_runtime, name)
    if cache.load(key) is not None:
        try:
            return prepare(lambda: True)
        except ModelError as error:
            # For instance after the driver or the card was changed.
            say(f"{name}: its plan does not fit any more and is built anew. {error}")
            cache.drop(key)
    if first is None:
        return prepare(lambda: True)
    return SwitchingSession(first(), prepare, name=name, say=say)


def usable_on_gpu(name: str) -> tuple[RuntimeName, ...]:
    """The runtimes that can compute on the GPU here, the best first.

    Args:
        name: what the message calls that which is to run.

    Raises:
        ModelError: there are none; it says of each why.
    """
    found = _gpu_runtimes()
    usable = tuple(one.name for one in found if one.is_available)
    if not usable:
        raise ModelError(
            f"{name}: a runtime for the GPU must be there, got "
            f"{'; '.join(f'{one.name}: {one.fault}' for one in found)}. Use --device cpu."
        )
    return usable


def _held_to(reference: Reference, seat: Seat, in_tensorrt: OpenOnStream, name: str) -> Session:
    """The plan in its seat, once it has computed there what the network is known to compute.

    Raises:
        ModelError: it cannot be opened, or computes something else.
    """
    if seat.stream is None:
        session = open_hosted(in_tensorrt, name=name)
        try:
            hold_to(session, reference, name=name)
        except ModelError:
            session.close()
            raise
        return session
    if reference.samples:
        # Only with buffers in main memory there is something to compare.
        with closing(open_hosted(in_tensorrt, name=name)) as hosted:
            hold_to(hosted, reference, name=name)
    return seat.take(in_tensorrt, name)


def _in_tensorrt(
    plan: bytes,
    module: ModuleName,
    cache: PlanCache,
    key: PlanKey,
    name: str,
    stream: int,  # noqa: ARG001
) -> Session:
    """The plan; it runs on whichever stream each call names."""
    return TensorRtSession(
        plan,
        module=module,
        name=name,
        runtime_cache=cache.load_kernels(key),
        keep_kernels=lambda kernels: _keep(cache, key, kernels),
    )


def _keep(cache: PlanCache, key: PlanKey, kernels: bytes) -> None:
    """Stores compiled kernels; without them the next start takes longer, and that is all."""
    try:
        cache.store_kernels(key, kernels)
    except ModelError as error:
        _LOG.info("%s", error)


def _in_onnx_runtime(model: bytes, name: str, stream: int) -> Session:
    """The network; takes what a plan of it will take."""
    # onnx is slow to import, and only a GPU needs this.
    from engines.narrow import open_narrow
    from engines.onnxruntime import OnnxRuntimeSession

    on_stream = partial(OnnxRuntimeSession, name=name, place="cuda", stream=stream)
    return open_narrow(on_stream, model, name=name)


def _target(module: ModuleName) -> str:
    """The target that fits the GPU here best."""
    capability = compute_capability()
    if module == "tensorrt" or capability is None:
        return PORTABLE
    target = f"sm_{capability[0]}{capability[1]}"
    return target if target in targets(load_module(module)) else PORTABLE


def _tensorrt_fault(name: ModuleName, has_gpu: bool) -> str:
    if not has_gpu:
        return _NO_GPU
    try:
        load_module(name)
    except ModelError as error:
        return str(error)
    return ""


def _cuda_fault(has_gpu: bool) -> str:
    if not has_gpu:
        return _NO_GPU
    from engines.onnxruntime import cuda_fault

    return cuda_fault()


def _openvino_fault(model: bytes = b"") -> str:
    """Why OpenVINO is not to be used, for a network where one is given; empty where it is."""
    from engines.openvino import cpu_capabilities

    try:
        able = cpu_capabilities()
    except ModelError as error:
        return str(error)
    has_8_bits = any(operator in model for operator in _8_BIT_OPERATORS)
    if "BF16" in able or (has_8_bits and cv2.checkHardwareSupport(_VNNI)):
        return ""
    # In float32 it is about as fast as ONNX Runtime: a sixth faster to a third slower.
    return "the processor has no instructions for bfloat16"
