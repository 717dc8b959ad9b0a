"""Whether a video may be written where a person wants it."""

from pathlib import Path

from realtime.errors import SinkError

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


def check_output(path: Path, *, source: Path | None, force: bool) -> None:
    """Checks, before any work, that a video may be written to a path.

    Args:
        path: of the file to be written.
        source: the input, which must not be written over; None where there is none.
        force: an existing file may be replaced.

    Raises:
        SinkError: the name or the place will not do, or a file exists already.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SinkError(
            f"{path}: the name must end in {', '.join(SUFFIXES)}, got "
            f"{path.suffix or 'no suffix'}. Use {path.stem or 'out'}.mp4."
        )
    try:
        fault = _place_fault(path, source, force)
    except OSError as error:
        fault = f"must be writable, got: {error.strerror}. Name another place."
    if fault:
        raise SinkError(f"{path}: {fault}")


def _place_fault(path: Path, source: Path | None, force: bool) -> str | None:
    if not path.parent.is_dir():
        return "its folder must exist. Make it, or name another place."
    if path.is_dir():
        return "must be a file, got a folder. Name a file in it."
    if path.exists() and source is not None and source.exists() and path.samefile(source):
        return "the output must not be the input. Name another file."
    if path.exists() and not force:
        return "must not exist yet. Add --force to write over it."
    return None
