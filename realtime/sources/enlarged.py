"""A source whose pictures come out larger than they are."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import cv2
import numpy as np

from engines.families.enlarger import Enlarger
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


OpenEnlarger = Callable[[], AbstractContextManager[Enlarger]]


class EnlargedSource:
    """Another source's pictures, enlarged by bicubic interpolation or by a network.

    Faces are then swapped at the new size, so that a restored face shows its detail, whatever the
    size of the picture it lies in.
    """

    def __init__(self, source: Source, open_enlarger: OpenEnlarger | None = None) -> None:
        """Takes the source, which this one opens and closes.

        Args:
            source: of the small pictures.
            open_enlarger: loads the network, at least twice as large; None to interpolate.
        """
        self._source = source
        self._open_enlarger = open_enlarger
        self._opened = ExitStack()
        self._enlarger: Enlarger | None = None
        self._picture: Image = np.zeros((0, 0, 3), np.uint8)
        self._large: Image = np.zeros((0, 0, 3), np.uint8)

    def open(self) -> PictureSpec:
        """Opens the source and says how large its pictures become.

        Raises:
            CameraError, MediaError: it cannot be opened, or its pictures are too large already.
            ModelError: the network is missing or unusable.
        """
        with ExitStack() as opening:
            spec = self._source.open()
            opening.callback(self._source.close)
            enlarged = self._enlarged(spec)
            if self._open_enlarger is not None:
                self._enlarger = opening.enter_context(self._open_enlarger())
                sides = (self._enlarger.scale * side for side in (spec.height, spec.width))
                self._large = np.zeros((*sides, 3), np.uint8)
            self._opened = opening.pop_all()
        self._picture = np.zeros((spec.height, spec.width, 3), np.uint8)
        return enlarged

    def fill(self, image: Image) -> int | None:
        """Writes the next picture; see ``realtime.stage.Source``."""
        media_ns = self._source.fill(self._picture)
        if media_ns is None:
            return None
        size = image.shape[1], image.shape[0]
        if self._enlarger is None:
            cv2.resize(self._picture, size, dst=image, interpolation=cv2.INTER_CUBIC)
            return media_ns
        large = self._large
        self._enlarger.enlarge_in_strips(self._picture, out=large)
        if large.shape == image.shape:
            np.copyto(image, large)
        else:
            cv2.resize(large, size, dst=image, interpolation=cv2.INTER_AREA)
        return media_ns

    def close(self) -> None:
        """Lets source and network go."""
        self._enlarger = None
        self._opened.close()

    def _enlarged(self, spec: PictureSpec) -> PictureSpec:
        width, height = enlarged_size(spec.width, spec.height)
        if max(width, height) > _MOST_WIDE or min(width, height) > _MOST_LINES:
            raise MediaError(
                "--upscale: pictures must be of at most 2048x1152, "
                f"got {spec.width}x{spec.height}. Leave --upscale out."
            )
        return replace(spec, width=width, height=height)
