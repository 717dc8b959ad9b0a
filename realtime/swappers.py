"""Which stage puts the face in, by the name that was asked for; and what it is told of a person."""

import difflib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TypeVar

import numpy as np

from engines.errors import ModelError
from engines.families.crops import cut_crop
from engines.families.deepface import DeepFace
from engines.families.mask import MaskNetwork
from engines.families.recogniser import (
    Converter,
    Embedding,
    Recogniser,
    mean_embedding,
    source_vector,
)
from engines.families.specs import (
    ConverterFamily,
    DeepFaceFamily,
    EmbeddingSource,
    Family,
    MaskFamily,
    PictureSource,
    RecogniserFamily,
    SwapperFamily,
)
from engines.families.swapper import FaceNetwork, Swapper
from engines.families.templates import fit_template
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from engines.opener import settled_device
from engines.session import Session
from engines.split_session import SplitSession, open_split
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.five_points import five_points
from realtime.geometry import fit_head, head_pose
from realtime.identity import Portrait, find_portraits, prepare_identity
from realtime.job import FaceChoice
from realtime.stage import Stage
from realtime.stages.neural_swap import Networks, NeuralSwap, NeuralSwapConfig, Source
from realtime.stages.swap import MeshSwap

MESH = "mesh"
"""The swapper that needs no network of its own."""

_LOG = logging.getLogger(__name__)

NeuralFamily = SwapperFamily | DeepFaceFamily

F = TypeVar("F", ConverterFamily, MaskFamily, RecogniserFamily)


def needed_models(
    config: Config, library: ModelLibrary, *, mapped: bool = False
) -> tuple[str, ...]:
    """Names of the networks that the chosen swapper needs, for fetching them beforehand.

    Args:
        config: names the swapper and its helpers.
        library: knows what each of them is.
        mapped: whether people must be told apart.

    Raises:
        ConfigError: what was chosen is no swapper.
    """
    names = [config.choose.recogniser] if mapped else []
    if config.swapper == MESH:
        return tuple(names)
    family = neural_family(config.swapper, library)
    names.append(config.swapper)
    if isinstance(family, SwapperFamily) and isinstance(family.source, EmbeddingSource):
        names += _helpers(family.source, config.neural)
    if config.neural.mask is not None:
        names.append(config.neural.mask)
    return tuple(names)


def open_swapper(
    faces: Sequence[Sequence[FaceChoice]], config: Config, library: ModelLibrary, connections: str
) -> Stage:
    """The stage that puts faces in; its networks are loaded when it is opened.

    Args:
        faces: pictures of each person; no picture for the face that comes with the program.
        config: names the swapper.
        library: has its networks.
        connections: text of the landmark model's list of connections.

    Raises:
        MediaError: a picture cannot be read, or shows no usable face.
        ConfigError: what was chosen is no swapper.
        ModelError: a network is missing or unusable.
    """

    if config.swapper == MESH:
        if len(faces) > 1:
            raise ConfigError(
                "swapper",
                f"several people need a swapping network, got {MESH!r}. "
                "Choose one with --swapper, see rt-swap models list.",
            )
        open_session = partial(library.session, threads=config.device.threads)
        return MeshSwap(config.swap, prepare_identity(faces[0], connections, open_session))
    people = read_faces(faces, config, library)
    networks = partial(_open_networks, config, library)
    return NeuralSwap(
        networks, people, max_faces=config.track.max_faces, remember=config.fuse.memory
    )


def read_faces(
    faces: Sequence[Sequence[FaceChoice]], config: Config, library: ModelLibrary
) -> tuple[Source, ...]:
    """What the configured swapping network is told about each person.

    Args:
        faces: pictures of each person; no picture for the face that comes with the program.
        config: names the network.
        library: has it and its helpers.

    Raises:
        MediaError: a picture cannot be read, or shows no usable face.
        ConfigError: the name is not that of a swapping network.
        ModelError: a network is missing or unusable.
    """
    family = neural_family(config.swapper, library)
    with open_face_finder(partial(library.session, threads=config.device.threads)) as finder:
        portraits = [find_portraits(choices, finder) for choices in faces]
    return read_people(config.swapper, family, portraits, config, library)


def neural_family(name: str, library: ModelLibrary) -> NeuralFamily:
    """What a swapping network expects.

    Raises:
        ConfigError: there is no such name, or it stands for something else than a swapper.
    """
    known = [description.name for description in library.list()]
    if name not in known:
        near = difflib.get_close_matches(name, (MESH, *known), n=1)
        hint = f"Did you mean {near[0]}?" if near else "See: rt-swap models list"
        raise ConfigError(
            "swapper", f"must be {MESH!r} or the name of a swapping network, got {name!r}. {hint}"
        )
    is_choosable = library.describe(name).entry.family in library.families
    family = library.family(name) if is_choosable else None
    if not isinstance(family, SwapperFamily | DeepFaceFamily):
        what = f", a {family.role}" if family else ""
        raise ConfigError(
            "swapper",
            f"must be {MESH!r} or the name of a swapping network, got {name!r}{what}. "
            "See: rt-swap models list",
        )
    return family


def read_people(
    name: str,
    family: NeuralFamily,
    portraits: Sequence[Sequence[Portrait]],
    config: Config,
    library: ModelLibrary,
) -> tuple[Source, ...]:
    """What a network is told about each person.

    Args:
        name: of the network.
        family: what it expects.
        portraits: pictures of each person, at least one.
        config: may name other helpers than the family's.
        library: has them.

    Raises:
        ConfigError: a helper is of another kind.
        ModelError: a helper is missing or unusable.
    """
    if isinstance(family, DeepFaceFamily):
        return tuple(np.zeros(0, np.float32) for _ in portraits)
    source = family.source
    if isinstance(source, PictureSource):
        return tuple(_frontal_picture(source, pictures) for pictures in portraits)
    recogniser, *converters = _helpers(source, config.neural)
    with ExitStack() as opened:
        reader = opened.enter_context(open_recogniser(recogniser, library, config.device.threads))
        converter = None
        for helper in converters:
            session = opened.enter_context(
                closing(library.session(helper, threads=config.device.threads))
            )
            converter = Converter(
                session, _expect(helper, library.family(helper), ConverterFamily, "converter")
            )
        emap = library.last_constant(name) if source.rule == "emap" else None
        return tuple(
            source_vector(
                mean_embedding([embed(reader, portrait) for portrait in pictures]),
                source,
                emap=emap,
                converter=converter,
            )
            for pictures in portraits
        )


@contextmanager
def open_recogniser(name: str, library: ModelLibrary, threads: int) -> Iterator[Recogniser]:
    """A recogniser whose network is loaded for as long as the block lasts.

    Raises:
        ConfigError: the name stands for something else.
        ModelError: the network is missing or unusable.
    """
    family = _expect(name, library.family(name), RecogniserFamily, "recogniser")
    with closing(library.session(name, threads=threads)) as session:
        yield Recogniser(session, family)


def embed(recogniser: Recogniser, portrait: Portrait) -> Embedding:
    """The identity of one portrait, as the recogniser gives it."""
    image, landmarks = portrait
    return recogniser.embed(image, five_points(landmarks))


@contextmanager
def _open_networks(config: Config, library: ModelLibrary) -> Iterator[Networks]:
    name, threads = config.swapper, config.device.threads
    family = neural_family(name, library)
    with ExitStack() as opened:
        halves = _open_halves(config, library, family)
        session: Session = halves or library.session(name, threads=threads)
        opened.enter_context(closing(session))
        swapper: FaceNetwork
        if isinstance(family, SwapperFamily):
            swapper = Swapper(session, family, boost=config.neural.boost)
        else:
            swapper = DeepFace(session, family)
        mask = None
        if config.neural.mask is not None:
            mask_family = _expect(
                config.neural.mask, library.family(config.neural.mask), MaskFamily, "mask"
            )
            mask_session = library.session(config.neural.mask, threads=threads)
            mask = MaskNetwork(opened.enter_context(closing(mask_session)), mask_family)
        yield Networks(swapper, mask, halves)


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
    if not is_wanted or neural.boost > 1 or not isinstance(family, SwapperFamily):
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
                model, threads=config.device.threads, name=half, exact=False
            ),
            name=name,
            most_px=family.size_px // 2,
        )
    except ModelError as error:
        _LOG.info("%s: its features are not averaged. %s", name, error)
        return None


def _helpers(source: EmbeddingSource, config: NeuralSwapConfig) -> list[str]:
    """The recogniser, and the converter where the rule needs one."""
    names = [config.recogniser or source.recogniser]
    converter = config.converter or source.converter
    if source.rule.startswith("converted") and converter is not None:
        names.append(converter)
    return names


def _frontal_picture(source: PictureSource, portraits: Sequence[Portrait]) -> Source:
    """The picture that shows the person most from the front, aligned, RGB 0..1, channels first."""
    image, landmarks = min(portraits, key=lambda item: abs(head_pose(fit_head(item[1])).yaw))
    crop = np.zeros((source.size_px, source.size_px, 3), np.uint8)
    fitted = fit_template(five_points(landmarks), source.template, source.size_px)
    cut_crop(image, fitted, out=crop)
    return np.ascontiguousarray(crop[..., ::-1].transpose(2, 0, 1) / np.float32(255), np.float32)


def _expect(name: str, family: Family, kind: type[F], key: str) -> F:
    """A family of the kind that is needed.

    Raises:
        ConfigError: it is of another kind.
    """
    if not isinstance(family, kind):
        raise ConfigError(
            f"neural.{key}",
            f"must be the name of a {key}, got {name!r}, a {family.role}. See: rt-swap models list",
        )
    return family
