"""Errors of the model side; the command line turns them into one line and exit code 5."""

from typing import ClassVar


class ModelError(Exception):
    """A model is missing, damaged, not what its name says, or cannot run here.

    Message form: ``where: what must hold, got what.`` and then what to do.
    """

    exit_code: ClassVar[int] = 5


def one_line(error: Exception) -> str:
    """What another library's error says, fit for the middle of a line."""
    return " ".join(str(error).split())[:300]
