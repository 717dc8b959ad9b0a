"""The record of consents: without it no picture of a face may be used."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from realtime.doctor.finding import Finding, Level

_CURE = "Make it accessible, or set XDG_DATA_HOME to a folder that is"


def check_consent(record: Path, may: Callable[[Path, int], bool] = os.access) -> Iterator[Finding]:
    """Whether the record can be read and written, or made where there is none yet.

    Args:
        record: its path.
        may: whether this user may do something with a file, as ``os.access``.
    """
    if record.exists():
        fine = record.is_file() and may(record, os.R_OK | os.W_OK)
    else:
        nearest = next(folder for folder in record.parents if folder.exists())
        fine = nearest.is_dir() and may(nearest, os.W_OK | os.X_OK)
    if fine:
        yield Finding("consent", Level.OK, f"can be recorded in {record}")
    else:
        text = f"{record} must be readable and writable, got a place that is not"
        yield Finding("consent", Level.PROBLEM, text, _CURE)
