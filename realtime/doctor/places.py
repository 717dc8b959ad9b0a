"""The places that the program writes to: the record of consents, the cache of networks."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from realtime.doctor.finding import Finding, Level

May = Callable[[Path, int], bool]
"""Whether this user may do something with a file, as ``os.access``."""


def check_consent(record: Path, may: May = os.access) -> Iterator[Finding]:
    """Whether the record can be read and written; without it no picture of a face may be used.

    Args:
        record: its path; it need not exist yet.
        may: whether this user may use a file.
    """
    if record.exists():
        fine = record.is_file() and may(record, os.R_OK | os.W_OK)
    else:
        fine = _can_be_made(record, may)
    if fine:
        yield Finding("consent", Level.OK, f"can be recorded in {record}")
    else:
        text = f"{record} must be readable and writable, got a place that is not"
        cure = "Make it accessible, or set XDG_DATA_HOME to a folder that is"
        yield Finding("consent", Level.PROBLEM, text, cure)


def check_cache(folder: Path, may: May = os.access) -> Iterator[Finding]:
    """Whether networks can be kept; those that are there already can be used all the same.

    Args:
        folder: of the networks; it need not exist yet.
        may: whether this user may use a file.
    """
    here = folder.is_dir() and may(folder, os.R_OK | os.W_OK | os.X_OK)
    if here or (not folder.exists() and _can_be_made(folder, may)):
        yield Finding("model cache", Level.OK, str(folder))
    else:
        text = f"{folder} must be writable for networks to be kept, got a place that is not"
        cure = "Make it accessible, or set RT_SWAP_CACHE to a folder that is"
        yield Finding("model cache", Level.WARNING, text, cure)


def _can_be_made(path: Path, may: May) -> bool:
    nearest = next(folder for folder in path.parents if folder.exists())
    return nearest.is_dir() and may(nearest, os.W_OK | os.X_OK)
