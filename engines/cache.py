"""Built plans on disk, each under a key that holds everything it depends on."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from engines.models.cache_files import (
    disk_errors,
    read_if_present,
    remove_stale_temporaries,
    sha256_of,
    write_atomically,
)
from engines.profiles import Limits

FORMAT = 1
"""Raised whenever the way from network to plan changes, so that no older plan is taken."""

_DIGEST_BYTES = 32
"""In front of kernels, which are code as plans are: their SHA-256."""


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan depends on; two plans of the same key are interchangeable.

    Attributes:
        model_sha256: of the network before anything was done to it.
        module: ``tensorrt_rtx`` or ``tensorrt``.
        version: of that module.
        target: the GPU it is for, or ``portable``.
        limits: bounds of the dimensions that vary; with the network they are its profile.
        flags: whatever else was asked for, for example ``fp16``.
    """

    model_sha256: str
    module: str
    version: str
    target: str
    limits: Limits
    flags: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The key in a form that JSON can hold, always in the same order."""
        return asdict(self) | {"format": FORMAT, "flags": sorted(self.flags)}

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def default_plan_dir() -> Path:
    """``$RT_SWAP_CACHE/plans``, else ``plans`` in the user's cache folder for this program."""
    override = os.environ.get("RT_SWAP_CACHE")
    root = Path(override).expanduser() if override else platformdirs.user_cache_path("rt-swap")
    return root / "plans"


class PlanCache:
    """A folder of plans. Several processes may use it: files appear in it by renaming only.

    Beside each plan lie a note of what it is, with the plan's hash, what it is to be held to, and
    what its module keeps from run to run: compiled or measured kernels.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Touches nothing yet.

        Args:
            folder: where plans are kept; ``default_plan_dir()`` where None.
        """
        self._folder = folder or default_plan_dir()

    @property
    def folder(self) -> Path:
        """Where plans are kept."""
        return self._folder

    def load(self, key: PlanKey) -> bytes | None:
        """The plan of this key, or None where there is none or it is not what was written.

        One without what it is to be held to counts as none.

        Raises:
            ModelError: the folder cannot be read.
        """
        note = self.note(key)
        data = read_if_present(self._path(key, "plan"))
        if data is None or note is None or note.get("plan_sha256") != sha256_of(data):
            return None
        return None if self.load_reference(key) is None else data

    def load_reference(self, key: PlanKey) -> bytes | None:
        """What the plan of this key is to be held to; None where it is not what was written.

        Raises:
            ModelError: the folder cannot be read.
        """
        note, data = self.note(key), read_if_present(self._path(key, "reference"))
        if data is None or note is None or note.get("reference_sha256") != sha256_of(data):
            return None
        return data

    def note(self, key: PlanKey) -> Mapping[str, Any] | None:
        """What was recorded about the plan of this key: its key, hash, errors and times."""
        text = read_if_present(self._path(key, "json"))
        try:
            note = json.loads(text) if text is not None else None
        except ValueError:
            return None
        return note if isinstance(note, dict) else None

    def store(
        self, key: PlanKey, plan: bytes, facts: Mapping[str, Any], reference: bytes = b""
    ) -> Path:
        """Writes a plan and its note.

        Args:
            key: of the plan.
            plan: the serialised engine.
            facts: what is worth knowing about how it was made; JSON values.
            reference: what the plan is to be held to, see ``engines.reference``; empty for nothing.

        Returns:
            Where the plan lies.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        path = self._path(key, "plan")
        hashes = {"plan_sha256": sha256_of(plan), "reference_sha256": sha256_of(reference)}
        note = dict(facts) | {"key": key.as_dict()} | hashes
        # The note last: without it, or with the note of another plan, the plan is not used.
        write_atomically(path, plan)
        write_atomically(self._path(key, "reference"), reference)
        write_atomically(self._path(key, "json"), json.dumps(note, indent=2).encode())
        remove_stale_temporaries(self._folder)
        return path

    def drop(self, key: PlanKey) -> None:
        """Forgets the plan of this key, and the kernels that were compiled for it.

        Raises:
            ModelError: the folder cannot be written.
        """
        for kind in ("json", "kernels"):
            path = self._path(key, kind)
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def load_kernels(self, key: PlanKey) -> bytes:
        """What the module kept from earlier runs or builds.

        Returns:
            Empty where there is nothing, or it is not what was written.

        Raises:
            ModelError: the folder cannot be read.
        """
        data = read_if_present(self._path(key, "kernels")) or b""
        digest, kernels = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return kernels if hashlib.sha256(kernels).digest() == digest else b""

    def store_kernels(self, key: PlanKey, kernels: bytes) -> None:
        """Keeps compiled or measured kernels for the next time.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        digest = hashlib.sha256(kernels).digest()
        write_atomically(self._path(key, "kernels"), digest + kernels)

    def path(self, key: PlanKey) -> Path:
        """Where the plan of this key lies, or would."""
        return self._path(key, "plan")

    def _path(self, key: PlanKey, kind: str) -> Path:
        return self._folder / f"{key.digest}.{kind}"
