"""Text from outside, made fit to be shown: names of files and models may hold anything."""


def printable(text: str) -> str:
    r"""The text with every character escaped that is none to look at.

    A terminal acts on control characters, ESC above all, and turns what follows U+202E round. They
    are shown as ``\x1b`` and the like, and so are line breaks.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def plain_line(text: str) -> str:
    """The text as one line that can be printed; runs of white space become one space."""
    return printable(" ".join(text.split()))
