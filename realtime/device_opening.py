"""Whether a run's swap can be done on a GPU as a whole, and how that is opened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np

from cuda_kernels.colour_match import How
from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import Device
from engines.cache import PlanCache
from engines.choose import Seat, open_on_gpu
from engines.families.crops import feathered_box
from engines.families.specs import SwapperFamily
from engines.families.swapper import bind_swapper
from engines.families.templates import template_points
from engines.gpu import compute_capability
from engines.models.library import ModelLibrary
from engines.session import Session
from engines.switching import Say
from realtime.config import Config
from realtime.device_finishing import DeviceSettings
from realtime.device_networks import DeviceNetworks, SwapNetwork, scale_in, scale_out
from realtime.device_pipeline import DevicePipeline
from realtime.face_crops import face_crops
from realtime.frame import PictureSpec
from realtime.seating import Seating
from realtime.stages.device_swap import OpenDevice, OpenedDevice
from realtime.stages.neural_swap import Source
from realtime.stages.restore import OFF
from realtime.swap_networks import DRAWN, neural_family

_LIVE_SLOTS, _FILE_SLOTS = 2, 3
"""Frames in flight: more are more throughput, and more delay."""

_COLOURS: Mapping[str, How | None] = MappingProxyType(
    {"auto": "ranks", "yuv_histogram": "ranks", "mean_std": "moments", "off": None}
)

OpenSession = Callable[[int], Session]
"""Opens the swapper for a stream, its buffers on the device."""


def device_fault(config: Config, library: ModelLibrary) -> str | None:
    """Why the swap is not done on a GPU as a whole; its network may run there all the same.

    Args:
        config: of the run.
        library: knows the swapper.

    Returns:
        Empty where it is done there; None where there is no GPU, or none is wanted.

    Raises:
        ConfigError: what was chosen is no swapper.
    """
    if config.device.kind == "cpu" or config.swapper in DRAWN or compute_capability() is None:
        return None
    if find_spec("cupy") is None:
        return 'CuPy must be installed, got none. Run: pip install "rt-swap[gpu]"'
    family = neural_family(config.swapper, library)
    neural, composite = config.neural, config.composite
    unfit = {
        f"a swapper of the kind {family.role}": not isinstance(family, SwapperFamily),
        "a swapper with several templates": getattr(family, "yaw_templates", False),
        "neural.boost": neural.boost != 1,
        "neural.mask": neural.mask is not None,
        "neural.landmarks": neural.landmarks is not None,
        "neural.fuse_features": neural.fuse_features != "never",
        "composite.keep": bool(composite.keep),
        "composite.blend: poisson": composite.blend == "poisson",
        "restore.model": config.restore.model != OFF,
        "refine": config.refine.enabled,
    }
    found = [name for name, is_so in unfit.items() if is_so]
    return f"the GPU pipeline has no {found[0]}. Leave it out." if found else ""


def device_opener(config: Config, library: ModelLibrary, say: Say) -> OpenDevice:
    """What opens the pipeline of a run.

    Args:
        config: of the run.
        library: has the swapper.
        say: told where the network runs.
    """
    name = config.swapper

    def open_session(stream: int) -> Session:
        session = open_on_gpu(
            library.load(name),
            face_crops(),
            PlanCache(),
            Seat(stream=stream),
            name=name,
            pixels=library.pixels(name),
            say=say,
        )
        say(f"{name}: runs in {session.provider}, and so does all of the swap")
        return session

    @contextmanager
    def opened(spec: PictureSpec, people: Sequence[Source]) -> Iterator[OpenedDevice]:
        with closing(CudaDevice()) as device, ExitStack() as stack:
            family = neural_family(name, library)
            if not isinstance(family, SwapperFamily):
                raise TypeError(f"device_opener: {name} must be a swapper that fits the pipeline.")
            yield open_pipeline(device, family, open_session, people, spec, config, stack)

    return opened


def open_pipeline(
    device: Device,
    family: SwapperFamily,
    open_session: OpenSession,
    people: Sequence[Source],
    spec: PictureSpec,
    config: Config,
    stack: ExitStack,
) -> OpenedDevice:
    """A pipeline on a device.

    Args:
        device: belongs to the caller.
        family: of the swapper.
        open_session: opens the swapper; it is closed with the stack.
        people: what the swapper is told about each person.
        spec: of the pictures.
        config: of the run.
        stack: closes what is opened.

    Raises:
        ModelError: the network cannot be opened.
        GpuError: the device cannot be used.
    """
    stream = device.new_stream()
    session = stack.enter_context(closing(open_session(device.handle(stream))))
    tensors = bind_swapper(session.inputs, session.outputs, family, family.role)
    mean, std = (family.mean, family.std) if family.denormalise else ((0.0,) * 3, (1.0,) * 3)
    side = family.size_px
    networks = DeviceNetworks(
        SwapNetwork(
            session,
            tensors.target,
            tensors.source,
            tensors.picture,
            side,
            scale_in(family.mean, family.std),
            scale_out((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
        ),
        feathered_box(side),
    )
    pipeline = DevicePipeline(
        device,
        networks,
        [np.asarray(person, np.float32) for person in people],
        (spec.width, spec.height),
        num_slots=_LIVE_SLOTS if spec.live else _FILE_SLOTS,
        max_faces=config.track.max_faces,
        settings=_settings(config, spec),
        streams={"swap": stream},
    )
    seating = Seating(
        config.track.max_faces,
        template_points(family.template, side),
        networks.swap.size_px,
        networks.drawn_px,
    )
    return OpenedDevice(pipeline, seating, lambda: device.used_bytes)


def _settings(config: Config, spec: PictureSpec) -> DeviceSettings:
    memory = config.fuse.memory
    is_remembered = config.fuse.enabled and memory.enabled
    return DeviceSettings(
        fuse_weight=memory.weight if is_remembered else 0.0,
        fuse_limit=memory.limit,
        settle_ms=config.composite.settle_ms,
        colours=_COLOURS[config.composite.color],
        multiband=config.composite.blend == "multiband",
        rate_hz=float(spec.rate_hz),
    )
