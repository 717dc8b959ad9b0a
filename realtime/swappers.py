"""Which stage puts the face in, by the name that was asked for; and what it is told of a person."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import numpy as np

from engines.families.crops import cut_crop
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
    LandmarkFamily,
    MaskFamily,
    PictureSource,
    RecogniserFamily,
    SwapperFamily,
)
from engines.families.templates import fit_template
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from engines.models.place import LibraryPlace
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.face_mesh import load_face_mesh
from realtime.five_points import five_points
from realtime.geometry import fit_head, head_pose
from realtime.identity import Portrait, find_portraits, prepare_identity
from realtime.job import FaceChoice
from realtime.refiners import needed_refiners
from realtime.stage import Stage
from realtime.stages.neural_swap import NeuralSwap, NeuralSwapConfig, Source
from realtime.stages.swap import Identity, MeshSwap
from realtime.swap_networks import DRAWN, NeuralFamily, expect_family, neural_family, open_networks


def needed_models(
    config: Config, library: ModelLibrary, *, mapped: bool = False
) -> tuple[str, ...]:
    """Names of the networks that the chosen swapper needs, for fetching them beforehand.

    Args:
        config: names the swapper and its helpers.
        library: knows what each of them is.
        mapped: whether people must be told apart.

    Raises:
        ConfigError: what was chosen is no swapper, or a helper is of another kind.
        UnknownNameError: there is no such helper.
    """
    names = [config.choose.recogniser] if mapped else []
    if config.occlude.enabled and config.occlude.network is not None:
        names.append(config.occlude.network)
    names += needed_refiners(config, library)
    if config.swapper in DRAWN:
        return tuple(names)
    family = neural_family(config.swapper, library)
    names.append(config.swapper)
    if isinstance(family, SwapperFamily) and isinstance(family.source, EmbeddingSource):
        names += _helpers(family.source, config.neural)
    neural = config.neural
    if neural.landmarks is not None:
        expect_family(
            neural.landmarks, library.family(neural.landmarks), LandmarkFamily, "landmarks"
        )
        names.append(neural.landmarks)
    if neural.mask is not None:
        expect_family(neural.mask, library.family(neural.mask), MaskFamily, "mask")
        names.append(neural.mask)
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
    likeness = read_faces(faces, config, library.place, connections)
    return make_swapper(likeness, config, library, connections)


Likeness = Identity | tuple[Source, ...]
"""What a swapper is told of the people: the mesh is drawn with one person's looks, a network is
told a vector or a picture of each."""


def prepare_swapper(
    faces: Sequence[Sequence[FaceChoice]], config: Config, place: LibraryPlace, connections: str
) -> MeshSwap | tuple[Source, ...]:
    """All of a swapper that another process can make.

    Arguments and errors are those of ``read_faces``.

    Returns:
        The mesh swapper, not open yet; of a network what it is to be told, for ``make_swapper``.
    """
    likeness = read_faces(faces, config, place, connections)
    return _mesh_swapper(likeness, config) if isinstance(likeness, Identity) else likeness


def make_swapper(
    likeness: Likeness, config: Config, library: ModelLibrary, connections: str
) -> Stage:
    """The stage that puts in people whose pictures have been read; nothing slow happens here.

    Args:
        likeness: what ``read_faces`` gave for the same configuration.
        config: names the swapper.
        library: has its networks.
        connections: text of the landmark model's list of connections.
    """
    if isinstance(likeness, Identity):
        return _mesh_swapper(likeness, config)
    networks = partial(open_networks, config, library)
    return NeuralSwap(
        networks,
        likeness,
        max_faces=config.track.max_faces,
        remember=config.fuse.memory,
        config=config.neural,
        mesh=load_face_mesh(connections),
    )


def _mesh_swapper(identity: Identity, config: Config) -> MeshSwap:
    steady = (
        config.fuse.align.steady
        if config.fuse.enabled and config.fuse.align.steady.enabled
        else None
    )
    return MeshSwap(config.swap, identity, keeps=config.composite.keep, steady=steady)


def read_faces(
    faces: Sequence[Sequence[FaceChoice]], config: Config, place: LibraryPlace, connections: str
) -> Likeness:
    """What the configured swapper is told about each person; takes a second or two.

    All that goes in and comes out can be pickled, so another process can do it.

    Args:
        faces: pictures of each person; no picture for the face that comes with the program.
        config: names the swapper, and the network that places landmarks.
        place: where its networks are.
        connections: text of the landmark model's list of connections.

    Raises:
        MediaError: a picture cannot be read, or shows no usable face.
        ConfigError: the name is not that of a swapper, or the mesh is to draw several people.
        ModelError: a network is missing or unusable.
    """
    # The networks that read faces compute exactly, so on the processor, wherever they are opened.
    library = ModelLibrary.at(place)
    open_session = partial(library.session, threads=config.device.threads)
    if config.swapper in DRAWN:
        if len(faces) > 1:
            raise ConfigError(
                "swapper",
                f"several people need a swapping network, got "
                f"{config.swapper!r}. "
                "Choose one with --swapper, see rt-swap models list.",
            )
        return prepare_identity(
            faces[0], connections, open_session, landmark=config.track.landmarks
        )
    family = neural_family(config.swapper, library)
    with open_face_finder(open_session, landmark=config.track.landmarks) as finder:
        portraits = [find_portraits(choices, finder) for choices in faces]
    return read_people(config.swapper, family, portraits, config, library)


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
                session, expect_family(helper, library.family(helper), ConverterFamily, "converter")
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
    family = expect_family(name, library.family(name), RecogniserFamily, "recogniser")
    with closing(library.session(name, threads=threads)) as session:
        yield Recogniser(session, family)


def embed(recogniser: Recogniser, portrait: Portrait) -> Embedding:
    """The identity of one portrait, as the recogniser gives it."""
    image, landmarks = portrait
    return recogniser.embed(image, five_points(landmarks))


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
