"""ONNX files made from files of another format, each with a manifest of what it was made from."""

import json
from collections.abc import Set
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.models.cache_files import read_if_present, sha256_of, write_atomically

IMPORTER_VERSION = 3
"""Raised whenever the TFLite importer would write different bytes for the same file."""


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What is recorded beside a converted model."""

    source_sha256: str
    importer_version: int
    onnx_sha256: str


def read_conversion(folder: Path, name: str, *, known: Set[str]) -> bytes | None:
    """The converted model, if it is what its manifest says and up to date.

    Args:
        folder: where the files are.
        name: of the model.
        known: SHA-256 of the files that hold the original.

    Raises:
        ModelError: a file is there and cannot be read.
    """
    data = read_if_present(folder / f"{name}.onnx")
    text = read_if_present(folder / f"{name}.json")
    if data is None or text is None:
        return None
    manifest = _parse_manifest(text)
    if manifest is None or manifest.source_sha256 not in known:
        return None
    wanted = _Manifest(manifest.source_sha256, IMPORTER_VERSION, sha256_of(data))
    return data if manifest == wanted else None


def write_conversion(folder: Path, name: str, data: bytes, *, source_sha256: str) -> None:
    """Keeps a converted model; the manifest comes last.

    Raises:
        ModelError: the folder cannot be written.
    """
    manifest = _Manifest(source_sha256, IMPORTER_VERSION, sha256_of(data))
    write_atomically(folder / f"{name}.onnx", data)
    text = json.dumps(asdict(manifest), indent=2)
    write_atomically(folder / f"{name}.json", text.encode("utf-8"))


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
