"""Which networks restore swapped faces, by the word that was asked for, and how they are opened."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from engines.families.enlarger import Enlarger
from engines.families.restorer import Restorer
from engines.families.specs import EnlargerFamily, RestorerFamily
from engines.models.library import ModelLibrary
from realtime.chosen_family import chosen_family
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.stages.restore import OFF, Restorers

OWN = ("lite", "full")
"""The super-resolution networks that come with the program."""

_SCALES = (2, 4)


def needed_restorers(config: Config, library: ModelLibrary) -> tuple[str, ...]:
    """Names of the networks that restore, for fetching them beforehand.

    Raises:
        ConfigError: what was chosen restores nothing.
    """
    model = config.restore.model
    if model == OFF:
        return ()
    if model in OWN:
        return tuple(own_restorers(config, library).values())
    _family(model, library)
    return (model,)


@contextmanager
def open_restorers(config: Config, library: ModelLibrary) -> Iterator[Restorers]:
    """The networks that restore, loaded for as long as the block lasts.

    Args:
        config: names them.
        library: has them.

    Raises:
        ConfigError: what was chosen restores nothing.
        ModelError: a network is missing or unusable.
    """
    threads = config.device.threads
    enlargers: dict[int, Enlarger] = {}
    restorer = None
    with ExitStack() as opened:
        for name in needed_restorers(config, library):
            session = opened.enter_context(closing(library.session(name, threads=threads)))
            family = _family(name, library)
            if isinstance(family, EnlargerFamily):
                enlargers[family.scale] = Enlarger(session, family)
            else:
                # What is faithful is asked for by the strength; the network's own choice stays.
                restorer = Restorer(session, family)
        yield Restorers(enlargers, restorer)


@contextmanager
def open_picture_enlarger(config: Config, library: ModelLibrary) -> Iterator[Enlarger]:
    """The network that enlarges whole pictures, loaded for as long as the block lasts.

    Args:
        config: names it.
        library: has it.

    Raises:
        ConfigError: what was chosen enlarges no pictures.
        ModelError: the network is missing or unusable.
    """
    with open_restorers(config, library) as found:
        if not found.enlargers:
            raise ConfigError(
                "restore.area",
                "must be face where no network enlarges pictures, got picture. "
                "Set restore.model to lite or full.",
            )
        yield found.enlargers[min(found.enlargers)]


def own_restorers(config: Config, library: ModelLibrary) -> Mapping[int, str]:
    """Names of the networks that come with the program, of the chosen kind, by their scale.

    Args:
        config: names the kind.
        library: knows the networks.

    Raises:
        ConfigError: there are none with this look.
    """
    kind, look = config.restore.model, config.restore.look
    known = {description.name for description in library.list()}
    wanted = {scale: f"srsn_{kind}_x{scale}_{look}" for scale in _SCALES}
    found = {scale: name for scale, name in wanted.items() if name in known}
    if found:
        return found
    there = sorted(name for name in known if name.startswith("srsn_"))
    raise ConfigError(
        "restore.model",
        f"must be a network that comes with this version, got {kind!r} with the look {look!r}. "
        f"There is: {', '.join(there)}.",
    )


def _family(name: str, library: ModelLibrary) -> EnlargerFamily | RestorerFamily:
    """What a restoring network expects.

    Raises:
        ConfigError: there is no such name, or it stands for something else.
    """
    return chosen_family(
        name,
        library,
        (EnlargerFamily, RestorerFamily),
        key="restore.model",
        must="off, lite, full or the name of a restoring network",
        others=(OFF, *OWN),
    )
