"""Networks for the GPU report: twins of public ones, in the first runtime that the card takes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cuda_kernels.device import Device
from cuda_kernels.feather import feather
from engines import twins
from engines.errors import ModelError, one_line
from engines.half import convert
from engines.onnxruntime import OnnxRuntimeSession, cuda_fault
from engines.plan import build_plan
from engines.session import Session
from engines.simplify import simplify
from engines.tensorrt import ModuleName, TensorRtSession
from realtime.device_networks import (
    DetectNetwork,
    DeviceNetworks,
    EnlargeNetwork,
    SwapNetwork,
    scale_in,
    scale_out,
)

_ZERO, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_EDGE = 0.15
_STRIDES = (8, 16, 32)
_THREADS = 8
"""Of the processor, for converting to 16 bits."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Which networks the report runs, and how large.

    Attributes:
        swapper, detector, enlarger: names of twins.
        detect_px: side of the detector's input.
        enlarge_px: side of the enlarger's input.
    """

    swapper: str = "swapper"
    detector: str = "detector"
    enlarger: str = "enlarger"
    detect_px: int = 640
    enlarge_px: int = 256


SMALL = Sizes("swapper_depthwise", "detector", "enlarger_small", 320, 128)
"""For a processor."""


@dataclass
class Runtime:
    """Opens networks in the first runtime that takes them, and remembers which that was.

    Attributes:
        place: whose memory the buffers lie in.
        chosen: the runtime; empty before the first network.
        faults: why the ones before it were not taken.
        folder: where what takes long to make is kept for other processes; None keeps it here only.
    """

    place: str
    chosen: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    _made: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    def open(self, name: str, shapes: Mapping[str, tuple[int, ...]], stream: int) -> Session:
        """A twin for inputs of these shapes on a stream.

        Raises:
            ModelError: no runtime takes it.
        """
        if self.place == "cpu":
            self.chosen = "onnxruntime:CPU"
            return OnnxRuntimeSession(self._twin(name), name=name)
        ways: dict[str, Callable[[], Session]] = {
            "tensorrt_rtx": lambda: self._in_tensorrt("tensorrt_rtx", name, shapes),
            "tensorrt": lambda: self._in_tensorrt("tensorrt", name, shapes),
            "onnxruntime:CUDA": lambda: self._in_onnxruntime(name, shapes, stream),
            "torch": lambda: _in_torch(self._twin(name), name),
        }
        # All networks in one runtime: another would bring a second context's memory and waits.
        for way in [self.chosen] if self.chosen else ways:
            try:
                session = ways[way]()
            except ModelError as error:
                self.faults[way] = one_line(error)
                continue
            self.chosen = way
            return session
        raise ModelError(
            f"{name}: a runtime must take it on this card, got "
            f"{'; '.join(f'{way}: {fault}' for way, fault in self.faults.items())}."
        )

    def _in_tensorrt(
        self, module: ModuleName, name: str, shapes: Mapping[str, tuple[int, ...]]
    ) -> Session:
        if not self.chosen and not self._is_made((module, name)):
            # Found out with a small network: whether the card is taken at all.
            probe, small = twins.TWINS["enlarger_small"].make(), (1, 3, 64, 64)
            plan = build_plan(probe, {"picture": (small, small, small)}, module=module)
            TensorRtSession(plan.data, module=module, name="probe").close()

        def build() -> bytes:
            profile = {tensor: (shape, shape, shape) for tensor, shape in shapes.items()}
            return build_plan(self._half(name, shapes), profile, module=module, name=name).data

        plan_data = self._once((module, name), build)
        return TensorRtSession(plan_data, module=module, name=name)

    def _in_onnxruntime(
        self, name: str, shapes: Mapping[str, tuple[int, ...]], stream: int
    ) -> Session:
        # Asked first: converting the network to 16 bits takes most of a minute.
        if not self.chosen and (fault := cuda_fault()):
            raise ModelError(fault)
        model = self._half(name, shapes)
        return OnnxRuntimeSession(model, name=name, place="cuda", stream=stream)

    def _half(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        """The twin in 16 bits, its inputs and outputs in 32; as it is where that would spoil it."""

        def make() -> bytes:
            random = np.random.default_rng(0)
            sample = {
                tensor: random.uniform(0, 1, shape).astype(np.float32)
                for tensor, shape in shapes.items()
            }
            model = simplify(self._twin(name), [sample], threads=_THREADS, name=name).model
            return convert(model, [sample], threads=_THREADS, name=name).model

        return self._once(("half", name), make)

    def _is_made(self, key: tuple[str, ...]) -> bool:
        return key in self._made or (
            self.folder is not None and (self.folder / "-".join(key)).exists()
        )

    def _twin(self, name: str) -> bytes:
        return self._once(("twin", name), twins.TWINS[name].make)

    def _once(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """What takes long is made once."""
        if self.folder is None:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
        path = self.folder / "-".join(key)
        if not path.exists():
            whole = path.with_suffix(".new")
            whole.write_bytes(make())
            whole.replace(path)
        return path.read_bytes()


def _in_torch(model: bytes, name: str) -> Session:
    try:
        from tools.torch_network import TorchSession
    except ImportError as error:
        raise ModelError(f"{name}: PyTorch must be there, got {one_line(error)}.") from error
    return TorchSession(model, name=name)


def network_shapes(sizes: Sizes) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of the inputs of each network of the report, by the twin's name."""
    side, large = sizes.detect_px, sizes.enlarge_px
    return {
        sizes.detector: {"picture": (1, 3, side, side)},
        sizes.swapper: {"target": (1, 3, 128, 128), "source": (1, 512)},
        sizes.enlarger: {"picture": (1, 3, large, large)},
    }


def open_networks(
    runtime: Runtime,
    device: Device,
    sizes: Sizes,
    streams: Mapping[str, object],
    stack: ExitStack,
    *,
    enlarge: bool,
) -> DeviceNetworks:
    """The networks of a pipeline, each on the stream of its stage.

    Args:
        runtime: opens them.
        device: where their buffers lie.
        sizes: which they are.
        streams: by stage: ``detect``, ``swap``, ``enlarge``.
        stack: closes them.
        enlarge: whether faces get more pixels.

    Raises:
        ModelError: no runtime takes one of them.
    """
    shapes = network_shapes(sizes)

    def opened(name: str, stage: str) -> Session:
        handle = device.handle(streams[stage])
        return stack.enter_context(closing(runtime.open(name, shapes[name], handle)))

    find, swap = opened(sizes.detector, "detect"), opened(sizes.swapper, "swap")
    unit, levels = scale_in(_ZERO, _ONE), scale_out(_ZERO, _ONE)
    names = {s: (f"score_{s}", f"box_{s}", f"points_{s}") for s in _STRIDES}
    detect = DetectNetwork(find, find.inputs[0], sizes.detect_px, names, 2, unit)
    grown = None
    if enlarge:
        grow = opened(sizes.enlarger, "enlarge")
        grown = EnlargeNetwork(
            grow, grow.inputs[0], grow.outputs[0], sizes.enlarge_px, 2, unit, levels
        )
    target, source = swap.inputs
    swapper = SwapNetwork(swap, target, source, swap.outputs[0], 128, unit, levels)
    side = 2 * sizes.enlarge_px if enlarge else 128
    return DeviceNetworks(swapper, _edge(side), detect, grown)


def _edge(side: int) -> np.ndarray:
    """How far a crop covers the picture: all of it but a soft rim."""
    mask, out = np.full((side, side), 255, np.uint8), np.zeros((side, side), np.uint8)
    radius = min(max(round(_EDGE * side), 1), 64)
    feather(mask, radius, scratch=np.zeros((side, side), np.int32), out=out)
    return out
