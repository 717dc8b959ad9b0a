"""A sink that writes one still picture."""

import os
from contextlib import suppress
from pathlib import Path

from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.provenance.seal import Seal
from realtime.provenance.xmp import encode_picture


class PictureFile:
    """Writes the first picture it is sent; the format follows from the file's name.

    The file appears in one step when the picture is complete.

    Args:
        path: where to; the suffix must be one that OpenCV writes, such as ``.png`` or ``.jpg``.
        force: write over an existing file.
        seal: says in and beside the file what made it; None says nothing.
    """

    def __init__(self, path: Path, *, force: bool, seal: Seal | None = None) -> None:
        self._path = path
        self._force = force
        self._seal = seal
        self._written = False

    def open(self, spec: PictureSpec) -> None:  # noqa: ARG002
        """Checks that the file may be written.

        Raises:
            SinkError: it exists and ``force`` was not given, its folder does not exist, or it is a
                folder.
        """
        self._written = False
        if self._path.is_dir():
            raise SinkError(f"{self._path}: must be a file, got a folder. Name a file in it.")
        if self._path.exists() and not self._force:
            raise SinkError(f"{self._path}: must not exist yet. Add --force to write over it.")
        if not self._path.parent.is_dir():
            raise SinkError(f"{self._path}: its folder must exist. Make it, or name another.")
        if self._seal is not None:
            self._seal.open()

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Writes the picture; later ones are ignored.

        Raises:
            SinkError: the file cannot be written.
        """
        if self._written:
            return
        packet = None if self._seal is None else self._seal.xmp()
        data = encode_picture(image, self._path.suffix, packet)
        if data is None:
            raise SinkError(f"{self._path}: OpenCV cannot write this format. Use .png or .jpg.")
        partial = self._path.with_name(f".{self._path.stem}.{os.getpid()}.part{self._path.suffix}")
        try:
            partial.write_bytes(data)
            if self._seal is not None:
                self._seal.finish(partial, self._path)
            partial.replace(self._path)
        except OSError as error:
            raise SinkError(
                f"{self._path}: must be writable, got: {error.strerror}. Name another place."
            ) from error
        finally:
            with suppress(OSError):
                partial.unlink()
        self._written = True

    def close(self) -> None:
        """Does nothing: the file is complete already."""
