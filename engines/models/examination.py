"""Looks at a network that a person already has, before the library takes it in."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from engines.errors import ModelError
from engines.families.fit import check_fit, fitting
from engines.families.specs import EmbeddingSource, Family, SwapperFamily
from engines.models.cache_files import sha256_of
from engines.models.catalogue import Catalogue
from engines.models.imports import MAX_NAME, ImportRecord, is_name
from engines.models.inspection import inspect_model, last_initializer, refuse_other_kinds
from engines.onnxruntime import OnnxRuntimeSession

MAX_MODEL_BYTES = 4 << 30
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.]+")


def read_model_file(path: Path) -> bytes:
    """The bytes of a file that a person names.

    Raises:
        ModelError: it is no regular file, cannot be read, or is far too large.
    """
    try:
        # Opening a pipe or a device would block or never end, hence regular files only.
        if not path.is_file():
            kind = "something that is no file" if path.exists() else "no such file"
            raise ModelError(f"{path}: must be a model file, got {kind}. Check its name.")
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(
                f"{path}: a model must have at most {MAX_MODEL_BYTES} bytes, got {size}. "
                "Use a smaller export."
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: the model must be readable, got: {error.strerror or error}. "
            "Check its permissions."
        ) from error


def examine(
    path: Path,
    data: bytes,
    catalogue: Catalogue,
    *,
    family: str | None,
    name: str | None,
    reserved: Collection[str] = (),
) -> tuple[str, ImportRecord, bytes]:
    """Finds out what a file of unknown hash is, and whether it can be used as what it is to be.

    Args:
        path: the file.
        data: its bytes.
        catalogue: families, and names that belong to known files.
        family: what it is to be read as.
        name: what it is to be called; None: as the file.
        reserved: names that mean something else where a network is named.

    Returns:
        Its name, its record, and the model, complete in itself.

    Raises:
        ModelError: it cannot be used; the message says why.
    """
    refuse_other_kinds(data, where=str(path))
    name = _name_for(path, name, reserved)
    taken = catalogue.models.get(name)
    if taken is not None and taken.files:
        raise ModelError(
            f"{path}: {name} must have one of its known SHA-256 "
            f"({', '.join(sorted(taken.hashes))}), got {sha256_of(data)}. Use the genuine file, "
            "or give yours another --name and its --family."
        )
    if taken is not None and family not in (None, taken.family):
        raise ModelError(
            f"{path}: {name} is of the family {taken.family}, got {family}. Use --family "
            f"{taken.family}, or give the file another --name."
        )
    inspected = inspect_model(data, where=str(path), folder=path.parent)
    fit = fitting(catalogue.families, inspected.inputs, inspected.outputs)
    if family is None:
        raise ModelError(_ask_for_family(path, data, fit))
    spec = catalogue.family(family)
    check_fit(spec, inspected.inputs, inspected.outputs, where=f"{path} as {family}")
    _check_runs(inspected.model, spec, where=str(path))
    record = ImportRecord(
        family=family,
        sha256=sha256_of(inspected.model),
        bytes=len(inspected.model),
        file_name=path.name,
    )
    return name, record, inspected.model


def _name_for(path: Path, name: str | None, reserved: Collection[str]) -> str:
    own = _NOT_IN_NAMES.sub("_", path.stem.lower())[:MAX_NAME].strip("_.")
    chosen = own if name is None else name
    if not is_name(chosen):
        raise ModelError(
            f"{path}: the name must consist of a-z, 0-9, dots and underscores, {MAX_NAME} at most, "
            f"got {chosen!r}. Choose one with --name."
        )
    if chosen in reserved:
        raise ModelError(
            f"{path}: the name must be a network's alone, got {chosen!r}, which means something "
            "else to this program. Choose another one with --name."
        )
    return chosen


def _ask_for_family(path: Path, data: bytes, fit: Sequence[str]) -> str:
    hint = f"Its tensors fit: {', '.join(fit)}." if fit else "Its tensors fit none of them."
    return (
        f"{path}: must have a known SHA-256, got {sha256_of(data)}. If you trust the file, say "
        f"what it is with --family. {hint}"
    )


def _check_runs(model: bytes, family: Family, *, where: str) -> None:
    """Loads the network once, and finds what its family keeps in the graph."""
    OnnxRuntimeSession(model, name=where).close()
    if not isinstance(family, SwapperFamily) or not isinstance(family.source, EmbeddingSource):
        return
    if family.source.rule == "emap":
        wanted = (family.source.dimensions,) * 2
        got = last_initializer(model, name=where).shape
        if got != wanted:
            raise ModelError(
                f"{where}: the graph's last constant must be a matrix of shape {wanted}, "
                f"got {got}. Use the file as it was published."
            )
