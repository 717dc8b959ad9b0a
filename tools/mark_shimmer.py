"""How much the invisible mark adds to the warping error of pictures, as it stands still in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.frame import Image
from tools.film import shrink
from tools.film_motion import OUTSIDE_PX, hull_mask
from tools.mark_frames import Faces
from tools.optical_flow import Flow, FlowFinder, Mask, visible, warp_error

STEP = 10
"""So many pictures lie between two pairs that are measured."""


@dataclass(frozen=True, slots=True)
class Shimmer:
    """Warping error of marked pictures over that of the same pictures without the mark.

    Attributes:
        whole: of the whole picture; 1 where nothing moves and nothing changes.
        face: inside the hulls of faces; NaN where there are none.
        outside: outside these, on small pictures, which is what ``tools.quality`` measures there.
    """

    whole: float
    face: float
    outside: float


def measure_shimmer(before: Sequence[Image], after: Sequence[Image], faces: Faces) -> Shimmer:
    """Compares marked pictures with clean ones.

    The motion and the mask of what stays visible are those of the clean pictures.

    Args:
        before: without the mark.
        after: with it.
        faces: of each picture.
    """
    finder = FlowFinder()
    totals = np.zeros((3, 2))
    for first in range(0, len(before) - 1, STEP):
        pair = before[first], before[first + 1]
        flow = finder.find(*pair)
        seen = visible(flow, finder.find(*pair[::-1]))
        skin = seen & _hulls(faces, first, seen.shape)
        marked = after[first], after[first + 1]
        totals[0] += _errors(pair, marked, flow, seen)
        totals[1] += _errors(pair, marked, flow, skin)
        small_pair, small_marked = _small(pair), _small(marked)
        flow = finder.find(*small_pair)
        seen = visible(flow, finder.find(*small_pair[::-1]))
        rest = seen & ~_shrunk(_hulls(faces, first, pair[0].shape[:2]), seen.shape)
        totals[2] += _errors(small_pair, small_marked, flow, rest)
    return Shimmer(*(float(own / bare) if bare else np.nan for bare, own in totals))


_Pair = tuple[Image, Image]


def _errors(before: _Pair, after: _Pair, flow: Flow, mask: Mask) -> tuple[float, float]:
    """Of a pair without the mark and of the same with it.

    Sums over pixels, so that a pair with a larger face counts for more.
    """
    num = int(np.count_nonzero(mask))
    if num == 0:
        return 0.0, 0.0
    return num * warp_error(*before, flow, mask), num * warp_error(*after, flow, mask)


def _small(pair: _Pair) -> _Pair:
    return shrink(pair[0], OUTSIDE_PX), shrink(pair[1], OUTSIDE_PX)


def _shrunk(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Where there is anything of a mask on smaller pictures."""
    size = (shape[1], shape[0])
    shares = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares != 0, np.bool_)


def _hulls(faces: Faces, number: int, shape: tuple[int, ...]) -> Mask:
    """Where faces are in a picture."""
    mask: Mask = np.zeros(shape, np.bool_)
    for face in faces[number]:
        mask |= hull_mask(face.landmarks, shape[1], shape[0])
    return mask
