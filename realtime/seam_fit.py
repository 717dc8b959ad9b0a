"""What must be added to a drawn face for its light to meet the picture's at the mask's rim.

All of it is smooth, so it is found on a small copy and enlarged; the finest bands fade with the
layer's own coverage. The difference between picture and face is trusted where both show the same
kind of surface, and carried on from there to where one of them shows something else: hair, a hand,
the wall. Both ways of blending depend on that difference alone: Burt and Adelson (1983) let each
band of it fade inwards over its own width, Pérez et al. (2003) carry it inwards as a membrane.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.multiband import multiband_blend, multiband_scratch_size
from cuda_kernels.poisson import (
    COLD_CYCLES,
    WARM_CYCLES,
    poisson_blend,
    poisson_scratch_size,
)
from realtime.frame import Image
from realtime.memory import Memory

SMALL_PX = 104
"""Largest side of the small copy."""

NEUTRAL = 128
"""Level of a correction that changes nothing."""

_COVERED = 96
"""Coverage from which a pixel of the small copy shows the face for sure."""

_ALIKE, _LEAST_TRUST = 56.0, 0.15
"""Grey levels of difference at which face and picture are no longer the same kind of surface, but
for 1/e; and the trust that is none. A weighted mean would make much of a little of it."""

_NEAR_PX, _FAR_PX = 5, 31
"""Sides of the neighbourhoods from which the difference is carried on."""

_NEAR_TRUST, _FAR_TRUST = 0.02, 0.004
"""Shares of trusted pixels at which a neighbourhood counts for half."""

_FADE, _GIVEN = 0.03, 0.02
"""How far inside the rim the bands have their middle, and how far the difference is given to the
membrane, in sides of the small copy."""

_NUM_BANDS = 2

How = Literal["multiband", "poisson"]
Rim = Literal["multiband", "poisson", "feather"]
"""How a face is joined to the picture; feathering only lets its coverage fall off softly."""

Plane = NDArray[np.uint8]


@dataclass(slots=True)
class Membrane:
    """What one track keeps of the last membrane.

    Attributes:
        values: ``(h, w, 3) f32``; None before the first.
    """

    values: NDArray[np.float32] | None = None


class SeamFit:
    """Holds the scratch; belongs to one thread."""

    def __init__(self, memory: Memory) -> None:
        """Takes the scratch for the largest small copy."""
        sizes = (multiband_scratch_size, poisson_scratch_size)
        num = max(size(SMALL_PX, SMALL_PX) for size in sizes)
        self._scratch = memory.host((num,), np.float32)

    def find(
        self,
        difference: NDArray[np.float32],
        trust: NDArray[np.float32],
        covered: Plane,
        how: How,
        membrane: Membrane,
    ) -> NDArray[np.uint8]:
        """The correction of one face.

        Args:
            difference: ``(h, w, 3) f32`` picture less face, sides of ``SMALL_PX`` at most.
            trust: ``(h, w) f32`` 0..1, where that means something.
            covered: ``(h, w) u8``, the face's coverage without holes.
            how: of blending.
            membrane: of the track; is brought up to date by ``poisson``.

        Returns:
            ``(h, w, 3) u8``, what is to be added to the face, plus ``NEUTRAL``.
        """
        given = carried_on(difference, trust)
        # Both need only the difference, so the front may be the same level all over.
        back = cv2.addWeighted(given, 1.0, given, 0.0, NEUTRAL, dtype=cv2.CV_8U)
        away: NDArray[np.uint8] = np.asarray(back, np.uint8)
        front = np.full(away.shape, NEUTRAL, np.uint8)
        share = _FADE if how == "multiband" else _GIVEN
        mask = _drawn_in(covered, max(1, round(share * max(covered.shape))))
        if how == "multiband":
            scratch, bands = self._scratch, _NUM_BANDS
            multiband_blend(front, away, mask, num_bands=bands, scratch=scratch, out=front)
        else:
            self._solve(front, away, mask, membrane)
        return front

    def _solve(
        self, front: NDArray[np.uint8], back: NDArray[np.uint8], mask: Plane, membrane: Membrane
    ) -> None:
        """Carries the difference inwards as a membrane; the front is written."""
        values, size = membrane.values, (front.shape[1], front.shape[0])
        is_warm = values is not None
        if values is None:
            values = np.zeros(front.shape, np.float32)
        elif values.shape != front.shape:
            values = np.asarray(cv2.resize(values, size), np.float32)
        membrane.values = values
        poisson_blend(
            front,
            back,
            mask,
            is_warm=is_warm,
            num_cycles=WARM_CYCLES if is_warm else COLD_CYCLES,
            scratch=self._scratch,
            membrane=values,
            out=front,
        )


def num_halvings_of(height: int, width: int) -> int:
    """How often a layer is halved for its small copy."""
    num = 0
    while -(-max(height, width) >> num) > SMALL_PX:
        num += 1
    return num


def halved(picture: NDArray[np.uint8], num: int) -> NDArray[np.uint8]:
    """A picture averaged over blocks of ``2**num`` pixels along each side."""
    for _ in range(num):
        size = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def rim_trust(
    difference: NDArray[np.float32], covered: Plane, hidden: Plane | None
) -> NDArray[np.float32]:
    """How far the difference at each pixel is one of light: ``(h, w) f32`` 0..1.

    Args:
        difference: ``(h, w, 3) f32`` picture less face.
        covered: ``(h, w) u8`` coverage of the face.
        hidden: ``(h, w) u8``, what stands in front of it; None for nothing.
    """
    blue, green, red = cv2.split(np.abs(difference))
    apart = cv2.blur(cv2.max(cv2.max(blue, green), red), (3, 3))
    trust = np.exp(np.square(np.asarray(apart, np.float32) * np.float32(1 / _ALIKE)) * -1)
    trust = np.maximum((trust - _LEAST_TRUST) / np.float32(1.0 - _LEAST_TRUST), np.float32(0.0))
    trust *= np.clip(covered.astype(np.float32) * np.float32(1 / _COVERED), 0.0, 1.0)
    if hidden is not None:
        grown = cv2.dilate(hidden, np.ones((3, 3), np.uint8))
        trust *= np.float32(1.0) - grown * np.float32(1 / 255)
    return np.asarray(trust, np.float32)


def carried_on(difference: NDArray[np.float32], trust: NDArray[np.float32]) -> NDArray[np.float32]:
    """The difference where it is trusted, and smoothly continued everywhere else.

    Normalised convolution (Knutsson and Westin 1993) over a near neighbourhood, then a far one,
    then the whole face; nothing at all where nothing is trusted.
    """
    above = cv2.multiply(difference, cv2.merge([trust] * 3))
    near, far = (
        [cv2.blur(v, (side, side), borderType=cv2.BORDER_CONSTANT) for v in (above, trust)]
        for side in (_NEAR_PX, _FAR_PX)
    )
    # The nearer neighbourhood wins where enough of it is trusted.
    total = max(float(trust.sum()), 1.0)
    usual = np.asarray(cv2.sumElems(above)[:3], np.float32) * np.float32(_FAR_TRUST / total)
    level = cv2.divide(far[0] + usual, cv2.merge([far[1] + np.float32(_FAR_TRUST)] * 3))
    level = cv2.scaleAdd(level, _NEAR_TRUST, near[0])
    around = cv2.divide(level, cv2.merge([near[1] + np.float32(_NEAR_TRUST)] * 3))
    return np.asarray(cv2.blendLinear(difference, around, trust, 1.0 - trust), np.float32)


def enlarge_into(face: Image, correction: NDArray[np.uint8]) -> Image:
    """A face with an enlarged correction added to it: ``(h, w, 3) u8``, new memory."""
    size = (face.shape[1], face.shape[0])
    whole = cv2.resize(correction, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.addWeighted(face, 1.0, whole, 1.0, -NEUTRAL), np.uint8)


def _drawn_in(covered: Plane, reach_px: int) -> Plane:
    """The mask drawn in by so many pixels."""
    side = 2 * reach_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    border = cv2.BORDER_CONSTANT
    return np.asarray(cv2.erode(covered, kernel, borderType=border, borderValue=(0,)), np.uint8)
