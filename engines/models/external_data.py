"""What an ONNX file keeps in other files, taken in: then one hash covers all of it.

Such files are read only from the model's own folder, wherever links lead.
"""

import ntpath
from collections.abc import Iterable
from pathlib import Path

import onnx

from engines.errors import ModelError

MAX_BYTES = 2**31 - 1
"""Of an ONNX file; its format counts no further."""

_SHOWN_CHARACTERS = 80


def take_in(tensors: Iterable[onnx.TensorProto], *, where: str, folder: Path, room: int) -> bool:
    """Reads what constants keep in other files into them.

    Args:
        tensors: the constants of a model.
        where: what error messages call it.
        folder: the folder it lies in.
        room: how many bytes may come in, all together.

    Returns:
        Whether there were any.

    Raises:
        ModelError: a file lies elsewhere, is missing or too short, or all of it is too much.
    """
    found = False
    for tensor in tensors:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        found = True
        facts = {entry.key: entry.value for entry in tensor.external_data}
        tensor.raw_data = _read(facts, where, folder, room)
        room -= len(tensor.raw_data)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    return found


def too_large(where: str) -> ModelError:
    """The error for a model that does not fit into one file."""
    return ModelError(
        f"{where}: must be smaller than 2 GiB with all its data, got more. Use a smaller export."
    )


def _read(facts: dict[str, str], where: str, folder: Path, room: int) -> bytes:
    location = facts.get("location", "")
    shown = repr(location[:_SHOWN_CHARACTERS])
    if not _is_inside(location, folder):
        raise ModelError(
            f"{where}: data kept in other files must lie in the model's folder, got {shown}. "
            "Use a file that holds everything itself."
        )
    path = folder / location
    try:
        if not path.is_file():
            raise FileNotFoundError(f"no file {shown}")
        offset = int(facts.get("offset", "0"))
        if offset < 0:
            raise ValueError(f"an offset of {offset}")
        rest = path.stat().st_size - offset
        length = int(facts.get("length", rest))
        if not 0 <= length <= rest:
            raise ModelError(
                f"{where}: {shown} must hold {length} bytes from {offset} on, "
                f"got {max(rest, 0)}. Download it again."
            )
        if length > room:
            raise too_large(where)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{where}: the data file {shown} must lie beside it, got "
            f"{getattr(error, 'strerror', None) or error}. Copy it there too."
        ) from error


def _is_inside(location: str, folder: Path) -> bool:
    """Whether a place that a model names lies in its folder."""
    # Windows spells some of the ways out differently; a file made there may be read here.
    leaves = ".." in Path(location.replace("\\", "/")).parts or ntpath.splitdrive(location)[0]
    # A name with a zero byte in it cannot be looked up at all.
    if not location or leaves or not location.isprintable():
        return False
    try:
        return (folder / location).resolve().is_relative_to(folder.resolve())
    except RuntimeError:  # Links that lead round in a circle, before Python 3.13.
        return False
