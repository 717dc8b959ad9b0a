"""The folder of imported networks: for each the file and a record of what it was found to be.

The file is held to the record's hash whenever it is read.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.families.specs import Name
from engines.models.cache_files import disk_errors, read_if_present, write_atomically
from engines.models.catalogue import Entry, KnownFile, Sha256

MAX_NAME = 64
"""Characters of a name, which becomes a part of several files' names."""

_NAME = re.compile(rf"[a-z0-9_.]{{1,{MAX_NAME}}}")


class ImportRecord(BaseModel):
    """What an imported file was found to be.

    Attributes:
        family: how it is read.
        sha256: hash of the stored file.
        bytes: its size.
        file_name: what it was called.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Name
    sha256: Sha256
    bytes: int = Field(gt=0)
    file_name: str

    def entry(self, listed: Entry | None = None) -> Entry:
        """The record in the form of the catalogue.

        Args:
            listed: what the catalogue says of the network whose name and family it has; None for
                any other one, whose licence only its owner knows.
        """
        files = (KnownFile(sha256=self.sha256, bytes=self.bytes),)
        if listed is not None:
            return listed.model_copy(update={"files": files})
        return Entry(
            title=f"imported from {self.file_name}",
            family=self.family,
            format="onnx",
            licence="Unknown; ask whoever made the file",
            licence_url="https://choosealicense.com/no-permission/",
            attribution="unknown",
            files=files,
        )


def is_name(text: str) -> bool:
    """Whether a text can name a network, and so be part of a file's name."""
    return _NAME.fullmatch(text) is not None


class ImportedModels:
    """The folder of imported networks; files appear in it by renaming only."""

    def __init__(self, folder: Path) -> None:
        """Touches nothing yet.

        Args:
            folder: where the files and records are.
        """
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """The networks with a readable record, in alphabetical order."""
        found = sorted(path.stem for path in self._folder.glob("*.json"))
        return tuple(name for name in found if self.read(name) is not None)

    def strays(self) -> tuple[str, ...]:
        """Names of files without a readable record, as a crash or another hand leaves them."""
        found = {path.stem for end in ("onnx", "json") for path in self._folder.glob(f"*.{end}")}
        return tuple(sorted(name for name in found if self.read(name) is None))

    def path(self, name: str) -> Path:
        """Where the file of a network is."""
        return self._folder / f"{name}.onnx"

    def read(self, name: str) -> ImportRecord | None:
        """What is known of a network; None where nothing readable is."""
        if not is_name(name):
            return None
        text = read_if_present(self._folder / f"{name}.json")
        try:
            return None if text is None else ImportRecord.model_validate_json(text)
        except ValidationError:
            return None

    def write(self, name: str, record: ImportRecord, model: bytes) -> None:
        """Keeps a network; the record comes last, so that it never speaks of another file."""
        write_atomically(self.path(name), model)
        text = json.dumps(record.model_dump(), indent=2)
        write_atomically(self._folder / f"{name}.json", text.encode("utf-8"))

    def remove(self, name: str) -> None:
        """Forgets a network."""
        for path in (self._folder / f"{name}.json", self.path(name)):
            with disk_errors(path):
                path.unlink(missing_ok=True)
