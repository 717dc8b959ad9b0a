"""A source whose pictures come out larger than they are."""

from dataclasses import replace

import cv2
import numpy as np

from realtime.errors import MediaError
from realtime.frame import Image, PictureSpec
from realtime.stage import Source

_SMALL_LINES = 720
"""Up to so many lines a picture gets half as many more along each side, else twice as many."""

_MOST_WIDE, _MOST_LINES = 4096, 2304


def enlarged_size(width: int, height: int) -> tuple[int, int]:
    """The next of the usual sizes: from 1280x720 to 1920x1080, from there to 3840x2160.

    Args:
        width, height: pixels. Portraits are counted by their shorter side, too.

    Returns:
        Width and height in pixels, even, of the same shape.
    """
    lines = min(width, height)
    factor = 1.5 if lines <= _SMALL_LINES else 2.0
    return round(width * factor / 2) * 2, round(height * factor / 2) * 2


class EnlargedSource:
    """Another source's pictures, enlarged by bicubic interpolation.

    Faces are then swapped at the new size, so that a restored face shows its detail, whatever the
    size of the picture it lies in.
    """

    def __init__(self, source: Source) -> None:
        """Takes the source, which this one opens and closes."""
        self._source = source
        self._picture: Image = np.zeros((0, 0, 3), np.uint8)

    def open(self) -> PictureSpec:
        """Opens the source and says how large its pictures become.

        Raises:
            CameraError, MediaError: it cannot be opened, or its pictures are too large already.
        """
        spec = self._source.open()
        width, height = enlarged_size(spec.width, spec.height)
        if max(width, height) > _MOST_WIDE or min(width, height) > _MOST_LINES:
            self._source.close()
            raise MediaError(
                "--upscale: pictures must be of at most 2048x1152, "
                f"got {spec.width}x{spec.height}. Leave --upscale out."
            )
        self._picture = np.zeros((spec.height, spec.width, 3), np.uint8)
        return replace(spec, width=width, height=height)

    def fill(self, image: Image) -> int | None:
        """Writes the next picture; see ``realtime.stage.Source``."""
        media_ns = self._source.fill(self._picture)
        if media_ns is not None:
            height, width = image.shape[:2]
            cv2.resize(self._picture, (width, height), dst=image, interpolation=cv2.INTER_CUBIC)
        return media_ns

    def close(self) -> None:
        """Lets the source go."""
        self._source.close()
