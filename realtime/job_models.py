"""The models of a job: which they are, fetched, and ready to be opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.hand_finder import HAND_NETWORKS
from engines.models.library import ModelLibrary
from engines.opener import BestOpener, OpenNetwork
from engines.session import Session
from realtime.config import Config
from realtime.detectors import needed_detectors
from realtime.face_crops import face_crops
from realtime.face_mesh import FaceMesh
from realtime.flow import DisFlow, FlowProvider, MeshFlow, NetworkFlow
from realtime.job import SYNTHETIC, Job
from realtime.refiners import refines
from realtime.restorers import needed_restorers
from realtime.stages.restore import OFF
from realtime.swap_networks import DRAWN
from realtime.swappers import needed_models
from realtime.terminal import Terminal

CONNECTIONS = "face_mesh_connections"
PORTRAIT = "portrait_astronaut"


@dataclass(frozen=True, slots=True)
class JobModels:
    """What a job needs of the catalogue; all of it is here.

    Attributes:
        library: has it, and opens networks where the job wants them.
        hashes: SHA-256 of each network's file, by name.
    """

    library: ModelLibrary
    hashes: Mapping[str, str]


def fetch_models(job: Job, config: Config, terminal: Terminal) -> JobModels:
    """Fetches whatever a job needs and is not here yet.

    Args:
        job: what to do.
        config: how to do it.
        terminal: shows downloads, where networks run, and how they are made ready for a GPU.

    Raises:
        ConfigError: what was chosen as swapper is none.
        ModelError: something cannot be had.
    """
    opener = BestOpener(
        config.device.kind, face_crops, say=terminal.line, on_progress=terminal.show_build
    )
    with terminal.downloading() as progress:
        fetching = ModelLibrary(progress=progress)
        networks = network_names(job, config, fetching)
        others = (CONNECTIONS, *((PORTRAIT,) if job.camera == SYNTHETIC else ()))
        hashes = fetching.pull((*networks, *others))
    return JobModels(ModelLibrary(open_network=opener), {name: hashes[name] for name in networks})


def network_names(job: Job, config: Config, library: ModelLibrary) -> tuple[str, ...]:
    """Names of the networks that a job needs.

    Raises:
        ConfigError: what was chosen as swapper or detector is none.
    """
    hands = HAND_NETWORKS if config.occlude.enabled and config.occlude.hands else ()
    detectors = needed_detectors(config, library)
    swapping = needed_models(config, library, mapped=bool(job.maps))
    restorers = needed_restorers(config, library)
    return (*FACE_NETWORKS, *detectors, *hands, *swapping, *restorers)


def has_picture_networks(config: Config) -> bool:
    """Whether anything of a job may run on a GPU; the small networks never do."""
    has_flow = config.fuse.enabled and config.fuse.align.flow == "network"
    is_redrawn = config.swapper not in DRAWN or refines(config)
    return is_redrawn or has_flow or config.restore.model != OFF


def open_flow(config: Config, mesh: FaceMesh, open_network: OpenNetwork) -> FlowProvider:
    """What measures motion, as configured.

    Args:
        config: says how.
        mesh: the face's.
        open_network: opens a network of the user's own.

    Raises:
        ModelError: that network cannot be read or opened.
    """
    align = config.fuse.align
    if align.flow == "mesh":
        return MeshFlow(mesh.closed)
    if align.network is not None and align.flow == "network":
        return NetworkFlow(open_file(align.network, config.device.threads, open_network))
    return DisFlow()


def open_file(path: Path, threads: int, open_network: OpenNetwork) -> Session:
    """A network of the user's own, which reads pictures.

    Args:
        path: an ONNX file.
        threads: CPU threads for one run.
        open_network: makes the session.

    Raises:
        ModelError: the file cannot be read, or the network not be opened.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: must be a readable ONNX file, got: {error.strerror}. Check the path."
        ) from error
    return open_network(model, threads=threads, name=path.name, exact=False)
