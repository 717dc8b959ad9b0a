"""What a network that was chosen by its name expects, or why it cannot be what it was chosen as."""

import difflib
from collections.abc import Sequence
from typing import TypeVar

from engines.families.specs import Family
from engines.models.library import ModelLibrary
from realtime.errors import ConfigError

A = TypeVar("A", bound=Family)
B = TypeVar("B", bound=Family)


def chosen_family(
    name: str,
    library: ModelLibrary,
    kinds: tuple[type[A], type[B]],
    *,
    key: str,
    must: str,
    others: Sequence[str],
) -> A | B:
    """The family of a network.

    Args:
        name: as it was given.
        library: has the networks.
        kinds: the two kinds of family that fit.
        key: where the name stands in the configuration.
        must: what it must be, for the message.
        others: names that may stand there and are no network's.

    Raises:
        ConfigError: there is no such name, or it stands for something else.
    """
    kinds_of = {one.name: library.families.get(one.entry.family) for one in library.list()}
    if name not in kinds_of:
        fitting = [other for other, family in kinds_of.items() if isinstance(family, kinds)]
        near = difflib.get_close_matches(name, (*others, *fitting), n=1)
        hint = f"Did you mean {near[0]}?" if near else "See: rt-swap models list"
        raise ConfigError(key, f"must be {must}, got {name!r}. {hint}")
    family = kinds_of[name]
    if not isinstance(family, kinds):
        what = f", a {family.role}" if family else ""
        raise ConfigError(key, f"must be {must}, got {name!r}{what}. See: rt-swap models list")
    return family
