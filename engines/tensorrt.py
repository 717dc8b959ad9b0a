"""Networks in TensorRT on an NVIDIA GPU, through either of its two Python modules.

``tensorrt_rtx`` (TensorRT for RTX, a plain wheel; RTX 20 to 50) and ``tensorrt`` from 10 on share
the calls that are used here. What differs: ``tensorrt_rtx`` compiles its kernels when a plan first
runs and can keep them in a runtime cache, and it can tell beforehand whether a plan is valid here.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import numpy as np

from engines.buffers import bind_changed, device_region
from engines.errors import ModelError, one_line
from engines.session import Buffer, Place, TensorSpec

ModuleName = Literal["tensorrt_rtx", "tensorrt"]

_MIN_MAJOR = {"tensorrt_rtx": 1, "tensorrt": 10}
_LOG = logging.getLogger(__name__)


def load_module(name: ModuleName) -> Any:
    """One of the two modules.

    Raises:
        ModelError: it is not installed, cannot be loaded, or is too old.
    """
    try:
        if name == "tensorrt_rtx":
            import tensorrt_rtx as trt
        else:
            import tensorrt as trt
    except (ImportError, OSError, RuntimeError) as error:
        package = "rt-swap[tensorrt]" if name == "tensorrt_rtx" else "tensorrt"
        raise ModelError(
            f'{name} must be installed, got {one_line(error)}. Run: pip install "{package}"'
        ) from error
    if int(trt.__version__.split(".")[0]) < _MIN_MAJOR[name]:
        raise ModelError(
            f"{name} must be version {_MIN_MAJOR[name]} or newer, got {trt.__version__}. "
            f"Run: pip install --upgrade {name}"
        )
    return trt


def new_logger(trt: Any) -> Any:
    """A logger for one builder or runtime; its ``last_error`` says why something failed."""

    class Log(trt.ILogger):  # type: ignore[misc]
        """Passes what TensorRT says on to Python's logging."""

        def __init__(self) -> None:
            super().__init__()
            self.last_error = ""

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT, from any of its threads."""
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.last_error = " ".join(message.split())[:300]
                _LOG.info("%s", message)
            elif severity == trt.ILogger.WARNING:
                _LOG.debug("%s", message)

    return Log()


class TensorRtSession:
    """A plan that reads and writes the caller's device memory in place.

    One execution context, so one run at a time: for overlapping frames open one session each.

    Attributes:
        inputs, outputs, place: see ``Session``.
        provider: ``tensorrt_rtx:CUDA`` or ``tensorrt:CUDA``.
    """

    def __init__(
        self,
        plan: bytes,
        *,
        module: ModuleName = "tensorrt_rtx",
        name: str = "model",
        runtime_cache: bytes = b"",
        keep_kernels: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """Loads a plan.

        Args:
            plan: what ``engines.plan.build_plan`` made with the same module and version; only one
                that is known to be ours, as a plan can hold code.
            module: what runs it.
            name: what error messages call the network.
            runtime_cache: kernels compiled by an earlier run, of ``tensorrt_rtx`` only.
            keep_kernels: handed, on closing, the kernels compiled by then, if the module compiles
                any; they spare the next run some seconds.

        Raises:
            ModelError: the module is missing, there is no GPU, or the plan is not for it.
        """
        self._name = name
        self._module = module
        self.place: Final[Place] = "cuda"
        self.provider: Final = f"{module}:CUDA"
        trt = load_module(module)
        self._log = new_logger(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine: Any = self._deserialised(trt, plan)
        self._context, self._cache = self._new_context(runtime_cache)
        modes = {
            tensor: self._engine.get_tensor_mode(tensor)
            for tensor in map(self._engine.get_tensor_name, range(self._engine.num_io_tensors))
        }
        self.inputs: Final = tuple(
            self._spec(trt, tensor)
            for tensor, mode in modes.items()
            if mode == trt.TensorIOMode.INPUT
        )
        self.outputs: Final = tuple(
            self._spec(trt, tensor)
            for tensor, mode in modes.items()
            if mode == trt.TensorIOMode.OUTPUT
        )
        self._keep_kernels = keep_kernels
        self._has_run = False
        self._bound: dict[str, Buffer] = {}

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Queues one run of the network.

        The first run after other arrays were handed in must not be captured into a CUDA graph;
        those after it may.

        Args:
            inputs: C-contiguous device arrays by input name, of the session's shapes and dtypes.
            out: C-contiguous device arrays by output name that are written; all are needed.
            stream: handle of the CUDA stream.

        Raises:
            ModelError: an array is missing or does not fit, the session is closed, or the run
                cannot be queued.
        """
        if self._context is None:
            raise ModelError(f"{self._name}: the session must be open, got a closed one.")
        bind_changed(self.inputs, inputs, self._bound, self._bind_input)
        bind_changed(self.outputs, out, self._bound, self._bind_output)
        self._has_run = True
        if not self._context.execute_async_v3(stream):
            raise self._failed("the network must run", "Check the shapes of its inputs.")

    def runtime_cache(self) -> bytes:
        """The kernels compiled so far, for the next time; empty where the module keeps none."""
        return b"" if self._cache is None else bytes(self._cache.serialize())

    def close(self) -> None:
        """Frees the network; closing twice is fine. Nothing queued may still be running."""
        if self._cache is not None and self._has_run:
            self._keep_kernels(self.runtime_cache())
        self._bound = {}
        self._context = None
        self._cache = None
        self._engine = None

    def _deserialised(self, trt: Any, plan: bytes) -> Any:
        if self._module == "tensorrt_rtx":
            validity, reason = self._runtime.get_engine_validity(plan)[:2]
            self._log.last_error = self._log.last_error or f"reason {reason}"
            if validity == trt.EngineValidity.INVALID:
                raise self._failed("the plan must be valid for this GPU", "Build it again here.")
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._failed("the plan must be loadable", "Build it again here.")
        return engine

    def _new_context(self, runtime_cache: bytes) -> tuple[Any, Any]:
        """The execution context, and the cache its kernels go into where there is one."""
        if self._module != "tensorrt_rtx":
            context, cache = self._engine.create_execution_context(), None
        else:
            config = self._engine.create_runtime_config()
            cache = config.create_runtime_cache()
            # One made by another version is refused and simply fills anew.
            if runtime_cache and not cache.deserialize(runtime_cache):
                _LOG.info("%s: the runtime cache does not fit and is made anew", self._name)
            config.set_runtime_cache(cache)
            context = self._engine.create_execution_context(config)
        if context is None:
            raise self._failed("there must be room on the GPU", "Close other programs.")
        return context, cache

    def _bind_input(self, spec: TensorSpec, array: Buffer | None) -> None:
        region = device_region(array, spec, self._name, written=False)
        if not self._context.set_input_shape(spec.name, region.shape):
            raise self._failed(
                f"{spec.name} must have a shape the plan was built for",
                f"It was {region.shape}: build it for that size.",
            )
        self._context.set_tensor_address(spec.name, region.address)

    def _bind_output(self, spec: TensorSpec, array: Buffer | None) -> None:
        region = device_region(array, spec, self._name, written=True)
        wanted = tuple(self._context.get_tensor_shape(spec.name))
        if region.shape != wanted:
            raise ModelError(
                f"{self._name}: {spec.name} must have the shape {wanted} for these inputs, "
                f"got {region.shape}."
            )
        self._context.set_tensor_address(spec.name, region.address)

    def _spec(self, trt: Any, tensor: str) -> TensorSpec:
        shape = tuple(self._engine.get_tensor_shape(tensor))
        try:
            dtype = np.dtype(trt.nptype(self._engine.get_tensor_dtype(tensor)))
        except TypeError as error:
            raise ModelError(
                f"{self._name}: {tensor} must be of a type that NumPy has, "
                f"got {self._engine.get_tensor_dtype(tensor)}. Use another model."
            ) from error
        return TensorSpec(tensor, shape, dtype)

    def _failed(self, must: str, cure: str) -> ModelError:
        why = self._log.last_error or "no reason given"
        return ModelError(f"{self._name}: {must}, got {self._module}: {why}. {cure}")
