"""What a file is by its first bytes, whatever it is called."""

from pathlib import Path

_HEAD_BYTES = 12
_HEADS = (
    (b"\xff\xd8\xff", (".jpg", ".jpeg")),
    (b"\x89PNG\r\n\x1a\n", (".png",)),
    (b"II*\0", (".tiff", ".tif")),
    (b"MM\0*", (".tiff", ".tif")),
)
_BOXED = (".mp4", ".mov", ".m4v", ".avif", ".heic")
"""Files of ISO base media boxes; the boxes of all are read alike."""

_BRANDS = {b"qt  ": ".mov", b"M4V ": ".m4v", b"avif": ".avif", b"avis": ".avif", b"heic": ".heic"}


def kind_of(path: Path) -> str:
    """The suffix that a file's contents would have; that of its name where they say nothing.

    A picture that was saved under another suffix is no damaged one, and a film that was renamed
    must not escape what is checked in films. Among suffixes for the same contents the name's stays.

    Args:
        path: of a regular file.

    Returns:
        With its dot, in small letters.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    named = path.suffix.lower()
    for start, kinds in _HEADS:
        if head.startswith(start):
            return named if named in kinds else kinds[0]
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp" and named not in _BOXED:
        return _BRANDS.get(head[8:], ".mp4")
    return named
