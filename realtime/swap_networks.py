"""Which networks a swapper is made of, and how they are opened."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Literal, TypeVar

from engines.errors import ModelError
from engines.families.deepface import DeepFace
from engines.families.landmarks import LandmarkNetwork
from engines.families.mask import FACE_REGIONS, MaskNetwork
from engines.families.specs import (
    ConverterFamily,
    DeepFaceFamily,
    Family,
    LandmarkFamily,
    MaskFamily,
    RecogniserFamily,
    SwapperFamily,
)
from engines.families.swapper import FaceNetwork, Swapper
from engines.models.library import ModelLibrary
from engines.opener import settled_device
from engines.session import Session
from engines.split_session import SplitSession, open_split
from realtime.chosen_family import chosen_family
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.face_crops import face_crops
from realtime.stages.neural_swap import Networks

MESH = "mesh"
"""The swapper that needs no network of its own."""

FUSENET = "fusenet"
"""The same with FuseNet behind it."""

DRAWN = (MESH, FUSENET)
"""Swappers that draw a textured mesh."""

_AUTO_BOOSTS, _MOST_PX = (1, 2), 512
"""What a close-up may get by itself: times the network's pixels, and largest side of a crop. More
tiles than four go through no network at once that was built for a GPU ahead of time."""

NeuralFamily = SwapperFamily | DeepFaceFamily

F = TypeVar("F", ConverterFamily, LandmarkFamily, MaskFamily, RecogniserFamily)

_HEAVY_BYTES = 32_000_000
"""Of a network's file: the smallest of this size take several of a camera's periods on a core."""

_LOG = logging.getLogger(__name__)


def neural_family(name: str, library: ModelLibrary) -> NeuralFamily:
    """What a swapping network expects.

    Raises:
        ConfigError: there is no such name, or it stands for something else than a swapper.
    """
    return chosen_family(
        name,
        library,
        (SwapperFamily, DeepFaceFamily),
        key="swapper",
        must=f"{MESH!r} or {FUSENET!r}, or the name of a swapping network",
        others=DRAWN,
    )


@contextmanager
def open_networks(config: Config, library: ModelLibrary) -> Iterator[Networks]:
    """The networks of the configured swapper, loaded for as long as the block lasts.

    Args:
        config: names them.
        library: has them.

    Raises:
        ConfigError: what was chosen is no swapper, or a helper is of another kind.
        ModelError: a network is missing or unusable.
    """
    name = config.swapper
    family = neural_family(name, library)
    with ExitStack() as opened:
        halves = _open_halves(config, library, family)
        session: Session = halves or _open_whole(config, library, family)
        opened.enter_context(closing(session))
        swapper: FaceNetwork
        boosted: list[FaceNetwork] = []
        if isinstance(family, SwapperFamily):
            boost, *boosts = _boosts(config.neural.boost, family)
            swapper = Swapper(session, family, boost=boost)
            boosted += [Swapper(session, family, boost=more) for more in boosts]
        else:
            swapper = DeepFace(session, family)
        mask = landmarks = None
        if config.neural.mask is not None:
            mask = opened.enter_context(
                open_mask(config.neural.mask, config, library, key="neural.mask")
            )
        if config.neural.landmarks is not None:
            named = config.neural.landmarks
            points = expect_family(named, library.family(named), LandmarkFamily, "landmarks")
            points_session = library.session(named, threads=config.device.threads)
            landmarks = LandmarkNetwork(opened.enter_context(closing(points_session)), points)
        yield Networks(swapper, mask, halves, landmarks, tuple(boosted))


def _boosts(boost: int | Literal["auto"], family: SwapperFamily) -> tuple[int, ...]:
    """How many times the network's pixels a crop may have along each side, rising."""
    if boost != "auto":
        return (boost,)
    return tuple(times for times in _AUTO_BOOSTS if times * family.size_px <= _MOST_PX) or (1,)


def swapper_threads(config: Config, library: ModelLibrary) -> int:
    """Processor threads for one run of the configured swapper.

    A network that cannot keep up with a camera gets every core where there are two, and all but one
    where there are more: while it works the other stages wait for it, and only the camera and the
    output need a little time. A light one must not take what the other stages work with.

    Args:
        config: may say how many.
        library: knows how large the network is.
    """
    if config.neural.threads != "auto":
        return config.neural.threads
    threads, cores = config.device.threads, os.cpu_count() or 1
    if library.num_bytes(config.swapper) < _HEAVY_BYTES:
        return threads
    return max(threads, min(cores, 2), cores - 1)


@contextmanager
def open_mask(
    name: str, config: Config, library: ModelLibrary, *, key: str
) -> Iterator[MaskNetwork]:
    """A network that says which pixels are face, loaded for as long as the block lasts.

    Glasses count as face unless they are to be kept.

    Args:
        name: of the network.
        config: says what is kept.
        library: has it.
        key: where the name stands in the configuration.

    Raises:
        ConfigError: the name stands for something else.
        ModelError: the network is missing or unusable.
    """
    family = expect_family(name, library.family(name), MaskFamily, "mask", key=key)
    regions = FACE_REGIONS if "glasses" in config.composite.keep else FACE_REGIONS | {"glasses"}
    with closing(library.session(name, threads=config.device.threads)) as session:
        yield MaskNetwork(session, family, regions=regions)


def _open_whole(config: Config, library: ModelLibrary, family: NeuralFamily) -> Session:
    """The swapper in one piece; with boost its batch is opened, where its graph lets that be.

    Raises:
        ModelError: it is missing or unusable.
    """
    name, threads = config.swapper, swapper_threads(config, library)
    is_boosted = isinstance(family, SwapperFamily) and _boosts(config.neural.boost, family) != (1,)
    if not is_boosted:
        return library.session(name, threads=threads)
    # onnx is slow to import, and only this needs it.
    from engines.batching import with_open_batch
    from engines.graphs import inputs_of
    from engines.profiles import Limits, samples_of

    model = library.load(name)
    ranges = library.pixels(name)
    samples = samples_of(inputs_of(model, name), face_crops(), Limits(), ranges=ranges)
    model = with_open_batch(model, samples, threads=threads, name=name)
    return library.open_network(model, threads=threads, name=name, exact=False, pixels=ranges)


def _open_halves(
    config: Config, library: ModelLibrary, family: NeuralFamily
) -> SplitSession | None:
    """The swapper in two halves, where its features are to be averaged and it can be cut.

    Models of one person (``.dfm``) are not: what a dense layer gives has no places in the picture.

    Raises:
        ModelError: it is missing or unusable.
    """
    neural, fuse, name = config.neural, config.fuse, config.swapper
    is_wanted = neural.fuse_features == "auto" and fuse.enabled and fuse.memory.enabled
    if not is_wanted or not isinstance(family, SwapperFamily):
        return None
    if _boosts(neural.boost, family) != (1,):
        return None
    if settled_device(config.device.kind, name) == "cuda":
        # The memory computes on the processor: on a GPU the way there and back costs too much.
        return None
    # onnx is slow to import, and only this needs it.
    from engines.split import split

    try:
        halves = split(library.load(name), name=name)
        return open_split(
            halves,
            lambda model, half: library.open_network(
                model,
                threads=swapper_threads(config, library),
                name=half,
                exact=False,
                pixels=library.pixels(name),
            ),
            name=name,
            most_px=family.size_px // 2,
        )
    except ModelError as error:
        _LOG.info("%s: its features are not averaged. %s", name, error)
        return None


def expect_family(
    name: str, family: Family, kind: type[F], role: str, *, key: str | None = None
) -> F:
    """A family of the kind that is needed.

    Args:
        name: of the network.
        family: it belongs to.
        kind: that is needed.
        role: what that kind is called.
        key: where the name stands in the configuration; None for under ``neural``.

    Raises:
        ConfigError: it is of another kind.
    """
    if not isinstance(family, kind):
        raise ConfigError(
            key or f"neural.{role}",
            f"must be the name of a {role} network, got {name!r}, a {family.role}. "
            "See: rt-swap models list",
        )
    return family
