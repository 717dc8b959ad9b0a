"""Errors of the model side; the command line turns them into one line and an exit code."""

from typing import ClassVar


class ModelError(Exception):
    """A model is missing, damaged, not what its name says, or cannot run here.

    Message form: ``where: what must hold, got what.`` and then what to do.
    """

    exit_code: ClassVar[int] = 5


class UnknownNameError(ModelError):
    """A name stands for no model or family, so what was asked for makes no sense: exit code 2."""

    exit_code: ClassVar[int] = 2


def one_line(error: Exception) -> str:
    """What another library's error says, fit for the middle of a line."""
    return " ".join(str(error).split())[:300]
