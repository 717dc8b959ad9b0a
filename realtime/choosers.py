"""Which stage decides whose faces are swapped, by what was asked for."""

from collections.abc import Sequence
from functools import partial

from engines.families.recogniser import unit
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.identity import find_portraits
from realtime.job import FaceMap
from realtime.stage import Stage
from realtime.stages.choose import ChooseMapped, ChooseOne
from realtime.swappers import embed, open_recogniser


def open_chooser(
    maps: Sequence[FaceMap], config: Config, library: ModelLibrary, *, has_default: bool
) -> Stage | None:
    """The stage that decides which faces are swapped; None where all are.

    Args:
        maps: people to look for; each becomes the person of the same place.
        config: says which faces are swapped, and which network tells them apart.
        library: has it.
        has_default: whether there is a face for those who are nobody of the maps; it comes
            after theirs.

    Raises:
        ConfigError: mapped faces are asked for and there is no map, or the other way round.
        MediaError: a picture cannot be read, or shows no usable face.
        ModelError: a network is missing or unusable.
    """
    faces = config.choose.faces
    if not maps:
        if faces == "mapped":
            raise ConfigError(
                "choose.faces", "mapped faces need somebody to look for, got no --map. Add one."
            )
        return ChooseOne() if faces == "one" else None
    if faces == "one" or (faces == "all" and not has_default):
        raise ConfigError(
            "choose.faces",
            f"with --map must be 'mapped', or 'all' with a --face for the others, got {faces!r}.",
        )
    threads = config.device.threads
    recogniser = partial(open_recogniser, config.choose.recogniser, library, threads)
    with open_face_finder(partial(library.session, threads=threads)) as finder, recogniser() as net:
        people = [unit(embed(net, find_portraits([item.who], finder)[0])) for item in maps]
    default = len(maps) if faces == "all" else None
    return ChooseMapped(config.choose, recogniser, people, default=default)
