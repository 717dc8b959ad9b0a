"""The models by logical name: fetched once, converted once, verified every time they are read.

A cache folder holds, for each name, the original file and, for a TFLite model, the ONNX file made
from it with a manifest. The original is held to the catalogue's hashes, the ONNX file to the
manifest's; whatever does not match is made or fetched again, never used. Networks that a person
imported without a known hash lie in a folder of their own, with the hash they had then.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.pixels import pixel_ranges
from engines.families.specs import Family
from engines.models.cache_files import (
    Progress,
    ProgressCallback,
    disk_errors,
    sha256_of,
    write_atomically,
)
from engines.models.catalogue import Catalogue, Entry, bundled_catalogue
from engines.models.conversions import read_conversion, write_conversion
from engines.models.imports import ImportedModels
from engines.models.original_store import OriginalStore, State
from engines.models.place import LibraryPlace, default_cache_dir
from engines.opener import OpenNetwork, open_exactly
from engines.profiles import Range
from engines.session import Session

_PICTURE_ROLES = frozenset({"swapper", "deepface", "mask", "restorer", "enlarger", "fuser"})
"""What networks do whose output becomes a picture of 8 bits a value."""


@dataclass(frozen=True, slots=True)
class Description:
    """One entry of the catalogue, or one import, and whether it lies in the cache."""

    name: str
    entry: Entry
    is_cached: bool
    is_imported: bool = False


class ModelLibrary:
    """Gives out models and pictures of the catalogue from a folder on disk.

    Methods may be called from several threads and several processes on the same folder: files
    appear in it by renaming only.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        progress: ProgressCallback | None = None,
        *,
        offline: bool = False,
        catalogue: Catalogue | None = None,
        open_network: OpenNetwork = open_exactly,
    ) -> None:
        """Touches neither disk nor network yet.

        Args:
            cache_dir: where files are kept; ``default_cache_dir()`` where None.
            progress: told about downloads and conversions, on the calling thread.
            offline: never fetch; a missing file is a ``ModelError``.
            catalogue: the bundled one where None.
            open_network: makes sessions of what is loaded.
        """
        self._cache_dir = cache_dir or default_cache_dir()
        self._progress = progress or _silent
        self._catalogue = catalogue or bundled_catalogue()
        self._open_network = open_network
        self._offline = offline
        self._imported = ImportedModels(self._cache_dir / "imported")
        self._store = OriginalStore(
            self._cache_dir, self._catalogue, self._imported, self._progress, offline=offline
        )

    @classmethod
    def at(cls, place: LibraryPlace) -> "ModelLibrary":
        """The library at a place, which opens every network on the processor, in full precision."""
        return cls(place.cache_dir, offline=place.offline, catalogue=place.catalogue)

    @property
    def place(self) -> LibraryPlace:
        """Where this library is, for another process."""
        return LibraryPlace(self._cache_dir, self._catalogue, self._offline)

    def with_opener(self, open_network: OpenNetwork) -> "ModelLibrary":
        """The same library, with something else to make sessions of networks."""
        return ModelLibrary(
            self._cache_dir,
            offline=self._offline,
            catalogue=self._catalogue,
            open_network=open_network,
        )

    def list(self) -> tuple[Description, ...]:
        """Every entry of the catalogue, in its order, then what was imported beside it."""
        names = dict.fromkeys((*self._catalogue.models, *self._imported.names()))
        return tuple(self.describe(name) for name in names)

    def describe(self, name: str) -> Description:
        """One entry.

        Raises:
            ModelError: there is no such name.
        """
        entry = self._store.entry(name)
        is_cached = self._store.path(name).is_file()
        return Description(name, entry, is_cached, self._store.record(name) is not None)

    def state(self, name: str) -> State:
        """Whether a model's file is here, unchanged; hashes all of it.

        Raises:
            UnknownNameError: there is no such name.
            ModelError: it cannot be read.
        """
        return self._store.state(name)

    @property
    def open_network(self) -> OpenNetwork:
        """What makes sessions of networks here, for those that are not of the library."""
        return self._open_network

    @property
    def families(self) -> Mapping[str, Family]:
        """The families of networks that can be chosen, by name."""
        return self._catalogue.families

    def family(self, name: str) -> Family:
        """What a network expects and gives.

        Raises:
            ModelError: there is no such name, or its family has no adapter to choose.
        """
        return self._catalogue.family(self._store.entry(name).family)

    def num_bytes(self, name: str) -> int:
        """Size of a model's file here; 0 where there is none.

        Raises:
            UnknownNameError: there is no such name.
            ModelError: it cannot be read.
        """
        path = self._store.path(name)
        with disk_errors(path):
            return path.stat().st_size if path.is_file() else 0

    def pixels(self, name: str) -> tuple[Range, ...]:
        """What a network may take black and white as; for the checks of its faster forms.

        Raises:
            UnknownNameError: there is no such name.
        """
        return pixel_ranges(self.families.get(self._store.entry(name).family))

    def import_file(
        self,
        path: Path,
        *,
        family: str | None = None,
        name: str | None = None,
        reserved: Collection[str] = (),
    ) -> Description:
        """Takes a network that a person has into the library.

        A file whose hash is known goes under the name it has in the catalogue. Any other one is
        searched for whatever may not be in it, and must have the tensors of the family it is
        said to be of.

        Args:
            path: the file; it stays where it is.
            family: what a file of unknown hash is to be read as.
            name: what it is to be called; None: as the file.
            reserved: names that it cannot have, as they mean something else to the caller.

        Raises:
            ModelError: it cannot be used; the message says why.
        """
        # Needed only here; the runtime and onnx are slow to import.
        from engines.models.examination import examine, read_model_file

        data = read_model_file(path)
        known = self._catalogue.name_of(sha256_of(data))
        if known is None:
            chosen, record, model = examine(
                path, data, self._catalogue, family=family, name=name, reserved=reserved
            )
            self._imported.write(chosen, record, model)
            return self.describe(chosen)
        own = self._catalogue.models[known]
        if name not in (None, known) or family not in (None, own.family):
            raise ModelError(
                f"{path}: this file is known as {known} of the family {own.family}, got "
                f"{name or known} of {family or own.family}. Leave --name and --family out."
            )
        if own.packaged is None:
            write_atomically(self._store.path(known), data)
        return self.describe(known)

    def orphans(self) -> tuple[str, ...]:
        """Names of imported files without a record, or whose genuine files are known by now."""
        return self._store.orphans()

    def remove(self, name: str) -> None:
        """Removes what the cache holds of a model or picture, and what was imported as it.

        Raises:
            UnknownNameError: there is no such name.
            ModelError: nothing of it is here.
        """
        self._store.remove(name)

    def pull(self, names: Iterable[str] | None = None) -> Mapping[str, str]:
        """Fetches what is missing and converts it, so that nothing needs the network later.

        Args:
            names: the default set where None.

        Returns:
            SHA-256 of each original file, by name.

        Raises:
            ModelError: a name is unknown, or a fetch or conversion fails.
        """
        if names is None:
            names = [name for name, entry in self._catalogue.models.items() if entry.default]
        wanted = tuple(dict.fromkeys(names))
        hashes = {
            name: original.sha256
            for name in wanted
            if (original := self._store.read(name)) is not None
        }
        self._store.fetch(tuple(name for name in wanted if name not in hashes))
        for name in wanted:
            if name not in hashes:
                hashes[name] = self._store.original(name).sha256
            if self._store.entry(name).is_model and self._store.entry(name).format != "onnx":
                self.load(name)
            self._progress(Progress("ready", name))
        return hashes

    def load(self, name: str) -> bytes:
        """The ONNX model; exactly the bytes whose hash was checked.

        Raises:
            ModelError: it is unknown, not a model, cannot be fetched or cannot be converted.
        """
        entry = self._store.entry(name)
        if not entry.is_model:
            raise ModelError(
                f"{name}: must be a model, got a {entry.format} file. Use its path instead."
            )
        if entry.format == "onnx":
            return self._store.original(name).data
        converted = read_conversion(self._cache_dir, name, known=entry.hashes)
        return converted or self._convert(name)

    def last_constant(self, name: str) -> NDArray[np.float32]:
        """The last constant of a model's graph, in which some swappers keep a matrix.

        Raises:
            ModelError: the model cannot be had, or has no constants.
        """
        # onnx is slow to import, and few models need this.
        from engines.models.inspection import last_initializer

        return last_initializer(self.load(name), name=name)

    def path(self, name: str) -> Path:
        """The original file on disk, verified; for data such as the demo's portrait.

        Raises:
            ModelError: it is unknown or cannot be fetched.
        """
        self._store.original(name)
        return self._store.path(name)

    def text(self, name: str) -> str:
        """What a text file of the catalogue says; exactly the bytes whose hash was checked.

        Raises:
            ModelError: it is unknown or cannot be fetched.
        """
        return self._store.original(name).data.decode("utf-8")

    def sha256(self, name: str) -> str:
        """Hash of the original file in use, one of those known.

        Raises:
            ModelError: it is unknown or cannot be fetched.
        """
        return self._store.original(name).sha256

    def session(self, name: str, threads: int = 1) -> Session:
        """The model, loaded; the caller closes it.

        Networks that make or read pictures run where that is fastest; those that give points or
        vectors keep their full precision.

        Args:
            name: a model of the catalogue.
            threads: CPU threads for one run.

        Raises:
            ModelError: it cannot be fetched, converted or loaded.
        """
        family = self.families.get(self._store.entry(name).family)
        exact = family is None or family.role not in _PICTURE_ROLES
        return self._open_network(
            self.load(name), threads=threads, name=name, exact=exact, pixels=self.pixels(name)
        )

    def _convert(self, name: str) -> bytes:
        original = self._store.original(name)
        # Needed only when a model is new; onnx and the TFLite schema are slow to import.
        from engines.models.tflite_import import onnx_from_tflite

        self._progress(Progress("convert", name))
        data = onnx_from_tflite(
            original.data, name=name, unused_outputs=self._store.entry(name).unused_outputs
        )
        write_conversion(self._cache_dir, name, data, source_sha256=original.sha256)
        return data


def _silent(_: Progress) -> None:
    """Progress that nobody watches."""
