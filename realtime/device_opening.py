"""Whether a run's swap can be done on a GPU as a whole, and how that is opened."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.colour_match import How
from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import Device
from cuda_kernels.sharpness import finest_sigma_px
from engines.cache import PlanCache
from engines.choose import Seat, open_on_gpu
from engines.families.crops import feathered_box
from engines.families.enlarger import bind_enlarger
from engines.families.specs import SwapperFamily
from engines.families.swapper import bind_swapper, swapper_templates
from engines.gpu import compute_capability
from engines.models.library import ModelLibrary
from engines.session import Session
from engines.switching import Say
from realtime.config import Config
from realtime.device_networks import (
    DeviceNetworks,
    EnlargeNetwork,
    SwapNetwork,
    scale_in,
    scale_out,
)
from realtime.device_pipeline import DevicePipeline
from realtime.device_settings import DeviceSettings
from realtime.face_crops import face_crops
from realtime.face_mesh import FaceMesh, load_face_mesh
from realtime.frame import PictureSpec
from realtime.frontal_mesh import FrontalMesh
from realtime.job_models import CONNECTIONS
from realtime.restorers import OWN, own_restorers
from realtime.seating import Frontal, Seating
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
"""Opens a network for a stream, its buffers on the device."""

_WIDTH_IN_EYES = 2.2
"""Width of the box around a face's landmarks, in distances of its pupils."""

_USUAL_FACE = 0.4
"""Of the picture's shorter side, that a swapper's crop spans with a face before a camera."""


@dataclass(frozen=True, slots=True)
class Enlarging:
    """How faces are given more pixels.

    Attributes:
        times: as many along each side.
        open_session: opens the network that does it.
    """

    times: int
    open_session: OpenSession


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
    neural = config.neural
    unfit = {
        f"a swapper of the kind {family.role}": not isinstance(family, SwapperFamily),
        "neural.boost": neural.boost != 1,
        "neural.mask": neural.mask is not None,
        "neural.landmarks": neural.landmarks is not None,
        "neural.fuse_features": neural.fuse_features != "never",
        "restore.model of this kind": config.restore.model not in (OFF, *OWN),
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

    def open_network(name: str, stream: int) -> Session:
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
            enlarger = None
            if config.restore.model != OFF:
                names = own_restorers(config, library)
                times = _times_for(spec, family.size_px, tuple(names))
                enlarger = Enlarging(times, partial(open_network, names[times]))
            yield open_pipeline(
                device,
                family,
                partial(open_network, name),
                people,
                spec,
                config,
                stack,
                enlarger=enlarger,
                mesh=load_face_mesh(library.text(CONNECTIONS)),
            )

    return opened


def open_pipeline(
    device: Device,
    family: SwapperFamily,
    open_session: OpenSession,
    people: Sequence[Source],
    spec: PictureSpec,
    config: Config,
    stack: ExitStack,
    *,
    enlarger: Enlarging | None = None,
    mesh: FaceMesh | None = None,
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
        enlarger: gives faces more pixels; None leaves them as the swapper draws them.
        mesh: over which turned heads are shown to the swapper; None shows them as they are.

    Raises:
        ModelError: a network cannot be opened.
        GpuError: the device cannot be used.
    """
    stream = device.new_stream()
    session = stack.enter_context(closing(open_session(device.handle(stream))))
    tensors = bind_swapper(session.inputs, session.outputs, family, family.role)
    mean, std = (family.mean, family.std) if family.denormalise else ((0.0,) * 3, (1.0,) * 3)
    side, templates = family.size_px, swapper_templates(family)
    streams, enlarge = {"swap": stream}, None
    if enlarger is not None:
        streams["enlarge"] = device.new_stream()
        enlarge = _open_enlarger(enlarger, side, device.handle(streams["enlarge"]), stack)
    frontal = None
    if mesh is not None and config.neural.frontal > 0.0:
        neural = config.neural
        frontal = Frontal(FrontalMesh(mesh), neural.frontal_deg, neural.frontal)
    drawn_px = side * (1 if enlarger is None else enlarger.times)
    networks = DeviceNetworks(
        SwapNetwork(
            session,
            tensors.target,
            tensors.source,
            tensors.picture,
            side,
            scale_in(family.mean, family.std),
            scale_out((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
            templates[0].astype(np.float32),
        ),
        feathered_box(drawn_px),
        enlarge=enlarge,
        triangles=None if frontal is None else frontal.mesh.triangles,
    )
    pipeline = DevicePipeline(
        device,
        networks,
        [np.asarray(person, np.float32) for person in people],
        (spec.width, spec.height),
        num_slots=_LIVE_SLOTS if spec.live else _FILE_SLOTS,
        max_faces=config.track.max_faces,
        settings=_settings(config, spec, templates[0]),
        streams=streams,
    )
    seating = Seating(
        config.track.max_faces,
        templates,
        networks.swap.size_px,
        networks.drawn_px,
        keep=config.composite.keep,
        frontal=frontal,
    )
    return OpenedDevice(pipeline, seating, lambda: device.used_bytes)


def _times_for(spec: PictureSpec, crop_px: int, scales: Sequence[int]) -> int:
    """The scale by which a face in front of a camera has as many pixels as the picture shows."""
    wanted_px = _USUAL_FACE * min(spec.width, spec.height)
    rising = sorted(scales)
    return next((scale for scale in rising if scale * crop_px >= wanted_px), rising[-1])


def _open_enlarger(
    enlarger: Enlarging, crop_px: int, stream: int, stack: ExitStack
) -> EnlargeNetwork:
    session = stack.enter_context(closing(enlarger.open_session(stream)))
    tensors = bind_enlarger(session.inputs, session.outputs, "enlarger")
    zero, one = (0.0,) * 3, (1.0,) * 3
    return EnlargeNetwork(
        session,
        tensors.small,
        tensors.large,
        crop_px,
        enlarger.times,
        scale_in(zero, one),
        scale_out(zero, one),
    )


def _settings(config: Config, spec: PictureSpec, template: NDArray[np.float64]) -> DeviceSettings:
    memory, restore = config.fuse.memory, config.restore
    # As the fuse stage does: what has no motion is remembered by nobody.
    is_remembered = config.fuse.enabled
    return DeviceSettings(
        sharpness=config.match.sharpness,
        sharpness_ms=config.match.sharpness_ms,
        sigma_px=finest_sigma_px(_WIDTH_IN_EYES * math.dist(*template[:2])),
        fuse_weight=memory.weight if is_remembered and memory.enabled else 0.0,
        still_weight=memory.still_weight,
        fuse_limit=memory.limit,
        restore_strength=restore.strength,
        restore_weight=restore.steady if is_remembered else 0.0,
        restore_still_weight=restore.steady_still,
        settle_ms=config.composite.settle_ms,
        colours=_COLOURS[config.composite.color],
        light=config.composite.light,
        rim=config.composite.blend,
        rate_hz=float(spec.rate_hz),
    )
