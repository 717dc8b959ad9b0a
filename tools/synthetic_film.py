"""Films whose truth is known: a still picture with a camera's noise, and a scripted head."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engines.models.library import ModelLibrary
from realtime.frame import Image
from realtime.head_motion import HeadState, Motion
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.puppet import GroundTruth
from realtime.sources.synthetic import SyntheticCamera
from tools.film import Film

RATE_HZ = 30

_RATE = Fraction(RATE_HZ)
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pulses:
    """Mouth or lids that open or shut fully and go back, at rest in between.

    Attributes:
        every_ns: from one pulse to the next; each lies in the middle of its time.
        lasts_ns: from rest to rest, a raised cosine; at most ``every_ns``.
        mouth_open, eyes_closed: how far at the height of a pulse, 0..1.
    """

    every_ns: int
    lasts_ns: int
    mouth_open: float = 0.0
    eyes_closed: float = 0.0

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        past_ns = media_ns % self.every_ns - (self.every_ns - self.lasts_ns) / 2
        share = min(max(past_ns / self.lasts_ns, 0.0), 1.0)
        height = 0.5 - 0.5 * float(np.cos(2.0 * np.pi * share))
        return HeadState(mouth_open=self.mouth_open * height, eyes_closed=self.eyes_closed * height)


@dataclass(frozen=True, slots=True)
class ScriptedFilm:
    """A film of the built-in portrait.

    Attributes:
        film: the pictures.
        truths: what each of them shows.
    """

    film: Film
    truths: tuple[GroundTruth, ...]


def still_film(picture: Image, *, sigma: float, num_frames: int, seed: int = 1) -> Film:
    """One picture again and again, each time with other noise.

    Args:
        picture: ``(H, W, 3) u8 BGR``.
        sigma: standard deviation of the noise in grey levels, in each channel on its own.
        num_frames: how many.
        seed: of the noise.
    """
    return Film("still", noisy([picture] * num_frames, sigma, seed), _times_ns(num_frames), _RATE)


def noisy(pictures: Sequence[Image], sigma: float, seed: int = 1) -> list[Image]:
    """Pictures as a camera with white noise of so many grey levels would give them."""
    random = np.random.default_rng(seed)
    result = []
    for picture in pictures:
        noise = random.standard_normal(picture.shape, np.float32) * np.float32(sigma)
        result.append(np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8))
    return result


def scripted_film(
    name: str,
    motion: Motion,
    *,
    num_frames: int,
    size: tuple[int, int],
    library: ModelLibrary,
) -> ScriptedFilm:
    """What the synthetic camera shows, with the truth about it.

    Args:
        name: of the film.
        motion: what the person does.
        num_frames: how many pictures.
        size: their width and height.
        library: has the portrait and the networks that find its face.

    Raises:
        MediaError, CameraError, ModelError: the portrait or a network cannot be used.
    """
    camera = SyntheticCamera(
        size,
        _RATE,
        library.path(PORTRAIT),
        library.path(CONNECTIONS),
        library.session,
        num_frames=num_frames,
        motion=motion,
    )
    camera.open()
    times_ns = _times_ns(num_frames)
    pictures, truths = [], []
    for media_ns in times_ns:
        picture = np.empty((size[1], size[0], 3), np.uint8)
        truths.append(camera.frame_at(media_ns, out=picture))
        pictures.append(picture)
    camera.close()
    return ScriptedFilm(Film(name, pictures, times_ns, _RATE), tuple(truths))


def _times_ns(num_frames: int) -> list[int]:
    return [round(number * _NS_PER_S / _RATE) for number in range(num_frames)]
