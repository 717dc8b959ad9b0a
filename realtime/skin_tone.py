"""Brings the colours of a drawn face to those of the skin it is laid over.

Statistics fit luma and both chroma apart, over skin alone. What they ask for is made gentle before
it is used: smooth over the levels, monotone, of limited slope, and it follows the picture slowly.
The light itself, where the lamp stands, is the smooth part of what is left.
"""

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
    find_colour_shift,
    gentle_shift,
)
from cuda_kernels.light import LIGHT_SHAPE
from realtime.frame import Image

How = Literal["yuv_histogram", "mean_std"]

_GREY = 1.2
"""Deviation of the chroma, in levels, up to which a picture has none."""

_LEAST_SPREAD, _MOST_SPREAD = (14.0, 9.0, 9.0), (26.0, 12.0, 12.0)
"""Deviations of luma and both chroma that skin may have at least and at most: the latter where much
of what is looked at is none."""

_WIDTH = 2.2
"""Deviations from the middle at which a colour is no longer skin, but for 1/e."""

_STEP = 3
"""Each so many-th pixel is looked at for the middle of the colours."""

_MIN_SAMPLES = 24

Weights = NDArray[np.float32]


@dataclass(slots=True)
class ToneMemory:
    """What is remembered of one track.

    Attributes:
        shift: ``SHIFT_SHAPE`` f32, as it was found, averaged over time.
        light: ``LIGHT_SHAPE`` f32, the same of the light.
        is_new: whether nothing has been seen yet.
    """

    shift: NDArray[np.float32] = field(default_factory=lambda: np.zeros(SHIFT_SHAPE, np.float32))
    light: NDArray[np.float32] = field(default_factory=lambda: np.zeros(LIGHT_SHAPE, np.float32))
    is_new: bool = True


def skin_weights(picture: Image, allowed: NDArray[np.uint8]) -> Weights:
    """How far each pixel has the colour of this person's skin in this light.

    Args:
        picture: ``(h, w, 3) u8 BGR``.
        allowed: ``(h, w) u8``, where skin may be; the middle of the colours is taken there.

    Returns:
        ``(h, w) f32`` 0..1.
    """
    colours = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    weights = allowed * np.float32(1 / 255)
    samples = colours[::_STEP, ::_STEP][allowed[::_STEP, ::_STEP] > 200]
    if len(samples) < _MIN_SAMPLES:
        return np.asarray(weights, np.float32)
    middle = np.median(samples, axis=0)
    spread = 1.5 * np.median(np.abs(samples - middle), axis=0)
    spread = np.clip(spread, _LEAST_SPREAD, _MOST_SPREAD)
    apart = np.abs((colours - middle.astype(np.float32)) / (_WIDTH * spread).astype(np.float32))
    return np.asarray(weights * np.exp(-(apart.max(axis=-1) ** 2)), np.float32)


def follow_tone(
    memory: ToneMemory, face: Image, picture: Image, skin: NDArray[np.uint8], how: How, rate: float
) -> NDArray[np.float32]:
    """The shift of each level that brings a face's colours to the picture's.

    Args:
        memory: of the track; is brought up to date.
        face, picture: ``(h, w, 3) u8 BGR`` at the same place.
        skin: ``(h, w) u8``; pixels from 128 up are compared.
        how: ``yuv_histogram`` fits the distributions, ``mean_std`` mean and deviation.
        rate: 0..1, how far the memory follows.

    Returns:
        ``SHIFT_SHAPE`` f32, for ``shift_colours``.
    """
    counts = np.empty(COUNTS_SHAPE, np.uint32)
    find_colour_shift(
        face,
        picture,
        skin,
        how="ranks" if how == "yuv_histogram" else "moments",
        rate=1.0 if memory.is_new else rate,
        counts=counts,
        shift=memory.shift,
    )
    shift = np.empty(SHIFT_SHAPE, np.float32)
    gentle_shift(memory.shift, counts, out=shift)
    return shift


@dataclass(frozen=True, slots=True)
class OneColour:
    """How the chroma of a picture without colours of its own goes with its luma.

    Attributes:
        offsets: red and blue difference of black.
        slopes: their growth with each level of luma; 0 for grey, more where it was toned.
    """

    offsets: tuple[float, float]
    slopes: tuple[float, float]


def one_colour(picture: Image) -> OneColour | None:
    """Whether a picture is black and white or toned, as sepia is; None of one with colours."""
    samples = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb).reshape(-1, 3).astype(np.float64)
    middle = samples.mean(axis=0)
    spread = samples - middle
    # Sums of squares and products say how well lines fit without drawing them.
    products = spread.T @ spread
    slopes = products[0, 1:] / max(products[0, 0], 1.0)
    rest = np.diagonal(products)[1:] - slopes * products[0, 1:]
    if float(rest.max()) > _GREY**2 * len(samples):
        return None
    offsets = middle[1:] - slopes * middle[0]
    (red, blue), (red_slope, blue_slope) = offsets.tolist(), slopes.tolist()
    return OneColour((red, blue), (red_slope, blue_slope))


def without_colours(face: Image, tone: OneColour) -> Image:
    """The face toned as a picture without colours is: ``(h, w, 3) u8``."""
    luma = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), np.uint8)
    planes = [luma]
    for offset, slope in zip(tone.offsets, tone.slopes, strict=True):
        plane = cv2.addWeighted(luma, slope, luma, 0.0, offset)
        planes.append(np.asarray(plane, np.uint8))
    return np.asarray(cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR), np.uint8)
