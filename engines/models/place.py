"""Where the files of models are kept."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engines.models.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class LibraryPlace:
    """Where a library is; can be pickled, unlike the library.

    Attributes:
        cache_dir: the folder of its files.
        catalogue: what it knows.
        offline: whether it never fetches.
    """

    cache_dir: Path
    catalogue: Catalogue
    offline: bool


def default_cache_dir() -> Path:
    """``$RT_SWAP_CACHE/models``, else ``models`` in the user's cache folder for this program."""
    override = os.environ.get("RT_SWAP_CACHE")
    root = Path(override).expanduser() if override else platformdirs.user_cache_path("rt-swap")
    return root / "models"
