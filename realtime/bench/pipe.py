"""A pipe in the place of a virtual camera, where there is no device."""

import os

from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.sinks.packing import Packer


class PipeSink:
    """Writes every picture into a pipe as a virtual camera would get it: I420, converted once.

    Args:
        descriptor: the end that is written to; closed by this one.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._packer: Packer | None = None

    def open(self, spec: PictureSpec) -> None:
        """Prepares for pictures of one even size.

        Raises:
            SinkError: the size is odd.
        """
        if spec.width % 2 or spec.height % 2:
            raise SinkError(
                f"pipe: the size must be even, got {spec.width}×{spec.height}. Give another --size."
            )
        self._packer = Packer("YU12", spec.width, spec.height)

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Writes one picture; waits where the reader is behind.

        Raises:
            SinkError: the reader is gone.
        """
        if self._packer is None or self._descriptor is None:
            raise SinkError("pipe: must be open to take pictures. Open it first.")
        left = self._packer.pack(image).reshape(-1).data
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise SinkError(f"pipe: its reader must stay, got: {error.strerror}.") from error

    def close(self) -> None:
        """Closes the pipe, which tells the reader that no more comes."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
