"""A place for operators who must filter what is shown: a function of theirs looks at the pictures.

The function takes one picture, ``(H, W, 3) u8 BGR``, read-only, and returns None where nothing
speaks against it or else the reason why it is refused, as text. It sees each picture of the given
face before the work begins, and then what the camera or file shows, once a second.
"""

import importlib
from collections.abc import Callable

from realtime.errors import ContentError, UsageError
from realtime.frame import Frame, Image, PictureSpec
from realtime.memory import Memory

Check = Callable[[Image], object]
"""Returns None, or why a picture is refused."""

_INTERVAL_NS = 1_000_000_000


def load_check(name: str) -> Check:
    """Imports the function an operator has named.

    Args:
        name: ``module:function``; the module is found as Python finds modules.

    Raises:
        UsageError: there is no such function.
    """
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise UsageError(f"--content-check {name}: must be module:function. Name both.")
    try:
        check = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"--content-check {name}: must be importable, got: {error}. "
            "Install the module, or put its folder into PYTHONPATH."
        ) from error
    except (Exception, SystemExit) as error:  # a module of somebody else's may raise anything
        raise UsageError(
            f"--content-check {name}: must be importable, got {_named(error)}. Mend the module."
        ) from error
    if not callable(check):
        raise UsageError(f"--content-check {name}: must be a function, got something else.")
    return check  # type: ignore[no-any-return]


def require_permitted(check: Check, picture: Image, where: str) -> None:
    """Lets the function look at one picture.

    Args:
        check: the operator's function.
        picture: ``(H, W, 3) u8 BGR``; it cannot be written through what the function gets.
        where: what the picture is, for the message.

    Raises:
        ContentError: it is refused, or the function would end the program.
        Exception: what the function raises.
    """
    view = picture.view()
    view.flags.writeable = False
    try:
        reason = check(view)
    except SystemExit as error:
        # It would end the thread it comes in, and the run without a word.
        raise no_answer(where, error) from error
    if reason is not None:
        text = " ".join(str(reason).split())
        raise ContentError(f"{where}: the content check refuses it, got: {text}. Use another one.")


def no_answer(where: str, error: BaseException) -> ContentError:
    """The error of a function that raises one instead of answering.

    Args:
        where: what the picture is.
        error: what was raised.
    """
    text = f"{where}: the content check must answer, got {_named(error)}. Mend the function."
    return ContentError(text)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


class ContentCheck:
    """Looks at what comes in once a second; a refusal ends the run.

    Args:
        check: the operator's function.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._next_ns = 0

    @property
    def name(self) -> str:
        """Name in the statistics."""
        return "content check"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with the first picture."""
        self._next_ns = 0

    def process(self, frame: Frame) -> None:
        """Looks at the picture if it is time to.

        Raises:
            ContentError: it is refused.
        """
        if frame.media_ns >= self._next_ns:
            require_permitted(self._check, frame.image, "input")
            self._next_ns = frame.media_ns + _INTERVAL_NS

    def close(self) -> None:
        """Has nothing to give back."""
