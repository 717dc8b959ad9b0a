"""A short film in memory, so that many runs see the very same pictures and decode none of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import MediaError
from realtime.frame import Image, PictureSpec
from realtime.sources.video import VideoFile


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures and their times.

    Attributes:
        name: for people.
        pictures: at least one, ``(H, W, 3) u8 BGR`` of one size; nobody writes into them.
        times_ns: presentation time of each, rising from 0.
        rate_hz: nominal pictures per second.
    """

    name: str
    pictures: Sequence[Image]
    times_ns: Sequence[int]
    rate_hz: Fraction

    @property
    def spec(self) -> PictureSpec:
        """What its pictures look like, as a source says it."""
        height, width = self.pictures[0].shape[:2]
        return PictureSpec(width, height, self.rate_hz, False, len(self.pictures))


def load_film(clip: Path, *, seconds: float | None = None, short_px: int | None = None) -> Film:
    """Decodes a video file.

    Args:
        clip: the file.
        seconds: of its beginning; None: all of it.
        short_px: larger pictures are shrunk until their shorter side is this; None: as they are.

    Raises:
        MediaError: it cannot be used.
    """
    source = VideoFile(clip)
    pictures: list[Image] = []
    times_ns: list[int] = []
    try:
        spec = source.open()
        image = np.empty((spec.height, spec.width, 3), np.uint8)
        while (media_ns := source.fill(image)) is not None:
            if seconds is not None and media_ns >= seconds * 1_000_000_000:
                break
            pictures.append(shrink(image, short_px))
            times_ns.append(media_ns)
    finally:
        source.close()
    if not pictures:
        raise MediaError(f"{clip}: must hold a picture, got none. Use another clip.")
    return Film(clip.name, pictures, times_ns, spec.rate_hz)


def shrink(image: Image, short_px: int | None) -> Image:
    """A copy whose shorter side is at most so many pixels, with even sides if it was shrunk."""
    height, width = image.shape[:2]
    if short_px is None or min(height, width) <= short_px:
        return image.copy()
    scale = short_px / min(height, width)
    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


class FilmSource:
    """A film as a source that waits for nobody.

    Args:
        film: what it shows.
    """

    def __init__(self, film: Film) -> None:
        self._film = film
        self._num_given = 0

    def open(self) -> PictureSpec:
        """Starts from the first picture."""
        self._num_given = 0
        return self._film.spec

    def fill(self, image: Image) -> int | None:
        """Writes the next picture; see ``realtime.stage.Source``."""
        if self._num_given == len(self._film.pictures):
            return None
        image[...] = self._film.pictures[self._num_given]
        self._num_given += 1
        return self._film.times_ns[self._num_given - 1]

    def close(self) -> None:
        """Keeps the film; it is the caller's."""
