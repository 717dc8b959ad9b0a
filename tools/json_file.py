"""Figures written as a JSON file."""

import json
from pathlib import Path
from typing import Any

from realtime.errors import SinkError


def write_json(value: Any, path: Path) -> None:
    """Writes a value as indented JSON.

    Raises:
        SinkError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(
            f"{path}: must be writable, got: {error.strerror}. Name another place."
        ) from error
