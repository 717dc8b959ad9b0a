"""Errors a person can act on: one line each, with the exit code the program ends with.

Message form: ``where: what must hold, got what.`` and then what to do.
"""

from typing import ClassVar


class RtSwapError(Exception):
    """Anything this program reports in one line instead of a traceback."""

    exit_code: ClassVar[int] = 8


class UsageError(RtSwapError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration value is unknown or out of range.

    Attributes:
        key: dotted path of the value, for example ``swap.crop_px``.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self._message = message

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[str, str]]:
        """What it is made anew from, in another process."""
        return ConfigError, (self.key, self._message)


class ConsentError(RtSwapError):
    """Nobody has said that this face may be used."""

    exit_code = 3


class ContentError(RtSwapError):
    """The operator's content check refuses a picture; the run ends at once."""

    exit_code = 3


class CameraError(RtSwapError):
    """The camera is missing, busy or stopped delivering."""

    exit_code = 4


class SinkError(RtSwapError):
    """The output cannot be opened or written."""

    exit_code = 6


class MediaError(RtSwapError):
    """An input picture or video cannot be used."""

    exit_code = 7


class EngineError(RtSwapError):
    """The engine itself failed; the cause is chained."""

    exit_code = 8
