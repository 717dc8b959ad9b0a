"""Which network makes drawn faces a part of the picture, and how it is opened."""

import difflib
from collections.abc import Iterator
from contextlib import closing, contextmanager

from engines.errors import ModelError
from engines.families.fuser import Fuser
from engines.families.specs import Family, FuserFamily
from engines.models.library import ModelLibrary
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.swap_networks import FUSENET

OWN = ("fusenet_lite", "fusenet_full")
"""The project's own networks; which of them come with the program depends on its version."""

_KEY = "refine.network"


def refines(config: Config) -> bool:
    """Whether FuseNet works behind the swapper from the start."""
    return config.refine.enabled or config.swapper == FUSENET


def needed_refiners(config: Config, library: ModelLibrary) -> tuple[str, ...]:
    """Names of the networks for this, for fetching them beforehand.

    Args:
        config: says whether and which.
        library: knows them.

    Raises:
        ConfigError: what was chosen is something else.
        ModelError: it does not come with this version.
    """
    if not refines(config):
        return ()
    name = config.refine.network
    known = [description.name for description in library.list()]
    if name not in known:
        if name in OWN:
            raise ModelError(
                f"{name}: its weights must come with the program, got a version without them. "
                "Use --swapper mesh, or train them with tools/train_fusenet.py and import them: "
                f"rt-swap models import {name}.onnx --family fusenet"
            )
        alike = [one for one in known if isinstance(_family(one, library), FuserFamily)]
        near = difflib.get_close_matches(name, (*OWN, *alike), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(OWN)}."
        raise ConfigError(_KEY, f"must be a network like FuseNet, got {name!r}. {hint}")
    family = _family(name, library)
    if not isinstance(family, FuserFamily):
        what = f", a {family.role}" if family else ""
        raise ConfigError(
            _KEY,
            f"must be a network like FuseNet, got {name!r}{what}. There are: {', '.join(OWN)}.",
        )
    return (name,)


def _family(name: str, library: ModelLibrary) -> Family | None:
    """What a network expects; None for one of a family that cannot be chosen."""
    return library.families.get(library.describe(name).entry.family)


@contextmanager
def open_refiner(config: Config, library: ModelLibrary) -> Iterator[Fuser]:
    """The network, loaded for as long as the block lasts.

    Args:
        config: names it.
        library: has it.

    Raises:
        ModelError: it is missing or unusable.
    """
    session = library.session(config.refine.network, threads=config.device.threads)
    with closing(session):
        yield Fuser(session)
