"""Which of the runtimes on this machine runs a network, found out by trying them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.build import IsWanted, OnProgress, Recipe, build, key_of
from engines.cache import PlanCache, PlanKey
from engines.errors import ModelError
from engines.gpu import compute_capability
from engines.plan import PORTABLE, targets
from engines.session import Array, Place, Session
from engines.switching import SwitchingSession
from engines.tensorrt import ModuleName, TensorRtSession, load_module

RuntimeName = Literal[
    "tensorrt_rtx", "tensorrt", "onnxruntime:CUDA", "openvino:CPU", "onnxruntime:CPU"
]

_TENSORRT: tuple[ModuleName, ...] = ("tensorrt_rtx", "tensorrt")
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
    has_gpu = compute_capability() is not None
    found = [Runtime(name, "cuda", _tensorrt_fault(name, has_gpu)) for name in _TENSORRT]
    found.append(Runtime("onnxruntime:CUDA", "cuda", _cuda_fault(has_gpu)))
    found.append(Runtime("openvino:CPU", "cpu", _openvino_fault()))
    found.append(Runtime("onnxruntime:CPU", "cpu", ""))
    return tuple(found)


def open_on_cpu(model: bytes, *, threads: int = 1, name: str = "model") -> Session:
    """The network on the processor: in OpenVINO where that computes in bfloat16, else ONNX Runtime.

    A network that OpenVINO does not take runs in ONNX Runtime.

    Args:
        model: a serialised ONNX model.
        threads: CPU threads for one run.
        name: what messages call the network.

    Raises:
        ModelError: the network cannot be loaded.
    """
    from engines.onnxruntime import OnnxRuntimeSession

    if not _openvino_fault():
        from engines.openvino import OpenVinoSession

        try:
            return OpenVinoSession(model, threads=threads, name=name)
        except ModelError as error:
            _LOG.info("%s: runs in ONNX Runtime. %s", name, error)
    return OnnxRuntimeSession(model, threads=threads, name=name)


def open_on_gpu(
    model: bytes,
    crops: Sequence[Array],
    cache: PlanCache,
    *,
    stream: int,
    name: str = "model",
    on_progress: OnProgress = lambda _: None,
) -> Session:
    """The network on the GPU: in TensorRT if its plan is there, else in what is ready sooner.

    Without a plan one is built beside the running engine. Meanwhile the network runs in ONNX
    Runtime on the GPU, and goes over when the plan is ready; where that runtime is missing too
    this call waits for the plan.

    Args:
        model: a serialised ONNX model.
        crops: ``(h, w, 3) u8``, pictures of faces to check the 16-bit form with.
        cache: where plans are kept.
        stream: handle of the CUDA stream that the network will run on.
        name: what messages call the network.
        on_progress: told how far the build is, on a thread of its own or on this one.

    Raises:
        ModelError: nothing here runs it on a GPU.
    """
    found = [one for one in runtimes() if one.place == "cuda"]
    usable = [one.name for one in found if one.is_available]
    if not usable:
        raise ModelError(
            f"{name}: a runtime for the GPU must be there, got "
            f"{'; '.join(f'{one.name}: {one.fault}' for one in found)}."
        )
    module = next((one for one in _TENSORRT if one in usable), None)
    if module is None:
        return _in_onnx_runtime(model, stream, name)
    recipe = Recipe(module=module, targets=(_target(module),))
    key = key_of(model, recipe, *recipe.targets)

    def prepare(is_wanted: IsWanted) -> Session:
        (built,) = build(
            model, crops, recipe, cache, name=name, on_progress=on_progress, is_wanted=is_wanted
        )
        return _in_tensorrt(built.data, module, cache, key, name)

    if "onnxruntime:CUDA" not in usable:
        return prepare(lambda: True)
    if cache.load(key) is None:
        return SwitchingSession(_in_onnx_runtime(model, stream, name), prepare, name=name)
    try:
        return prepare(lambda: True)
    except ModelError as error:
        # For instance after the driver was changed.
        _LOG.warning("%s: runs in ONNX Runtime. %s", name, error)
        return _in_onnx_runtime(model, stream, name)


def _in_tensorrt(
    plan: bytes, module: ModuleName, cache: PlanCache, key: PlanKey, name: str
) -> Session:
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


def _in_onnx_runtime(model: bytes, stream: int, name: str) -> Session:
    from engines.onnxruntime import OnnxRuntimeSession

    return OnnxRuntimeSession(model, name=name, place="cuda", stream=stream)


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


def _openvino_fault() -> str:
    from engines.openvino import cpu_capabilities

    try:
        able = cpu_capabilities()
    except ModelError as error:
        return str(error)
    # In float32 it is no faster than ONNX Runtime.
    return "" if "BF16" in able else "the processor has no instructions for bfloat16"
