"""The file with the figures of a run, written however the run ends."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from realtime.errors import SinkError

Json = dict[str, Any]


class StatsFile:
    """Writes the figures when its block is left: at the end, on an error, on a signal.

    Beside the figures stand ``reason`` (``end``, ``duration``, ``stopped``, ``error`` or
    ``interrupted``) and ``error``, the message or null.

    Attributes:
        figures: gives the figures; none until somebody sets it.
        reason: why the run ended, where it ended well.

    Args:
        path: where to; None: nowhere.
        say: told when the file cannot be written after another error.
    """

    def __init__(self, path: Path | None, say: Callable[[str], None]) -> None:
        self.figures: Callable[[], Json] = dict
        self.reason = "end"
        self._path = path
        self._say = say

    def __enter__(self) -> Self:
        """Checks that the file can be written before any work is done.

        Raises:
            SinkError: its folder does not exist, or it is a folder itself.
        """
        if self._path is not None and (self._path.is_dir() or not self._path.parent.is_dir()):
            raise SinkError(f"{self._path}: must be a file in a folder that exists. Name another.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Writes the file.

        Raises:
            SinkError: it cannot be written and nothing else went wrong.
        """
        if self._path is None:
            return
        if error is None:
            ending = {"reason": self.reason, "error": None}
        elif isinstance(error, Exception):
            ending = {"reason": "error", "error": str(error)}
        else:
            ending = {"reason": "interrupted", "error": None}
        try:
            _write({**self.figures(), **ending}, self._path)
        except SinkError as failure:
            if error is None:
                raise
            self._say(str(failure))


def _write(content: Json, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SinkError(
            f"{path}: must be writable, got: {error.strerror}. Name another place."
        ) from error
