"""How much the invisible mark adds to the warping error of pictures, as it stands still in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.frame import Image
from tools.film_motion import hull_mask
from tools.mark_frames import Faces
from tools.optical_flow import FlowFinder, Mask, visible, warp_error

STEP = 10
"""So many pictures lie between two pairs that are measured."""


@dataclass(frozen=True, slots=True)
class Shimmer:
    """Warping error of marked pictures over that of the same pictures without the mark.

    Attributes:
        whole: of the whole picture; 1 where nothing moves and nothing changes.
        face: inside the hulls of faces; NaN where there are none.
    """

    whole: float
    face: float


def measure_shimmer(before: Sequence[Image], after: Sequence[Image], faces: Faces) -> Shimmer:
    """Compares marked pictures with clean ones.

    The motion and the mask of what stays visible are those of the clean pictures.

    Args:
        before: without the mark.
        after: with it.
        faces: of each picture.
    """
    finder = FlowFinder()
    totals = np.zeros((2, 2))
    for first in range(0, len(before) - 1, STEP):
        pair = before[first], before[first + 1]
        flow = finder.find(*pair)
        seen = visible(flow, finder.find(*pair[::-1]))
        skin = seen & _hulls(faces, first, seen.shape)
        for row, mask in zip(totals, (seen, skin), strict=True):
            # Sums over pixels, so that a pair with a larger face counts for more.
            num = np.count_nonzero(mask)
            if num:
                row[0] += num * warp_error(*pair, flow, mask)
                row[1] += num * warp_error(after[first], after[first + 1], flow, mask)
    whole, face = (float(own / bare) if bare else np.nan for bare, own in totals)
    return Shimmer(whole, face)


def _hulls(faces: Faces, number: int, shape: tuple[int, ...]) -> Mask:
    """Where faces are in a picture."""
    mask: Mask = np.zeros(shape, np.bool_)
    for face in faces[number]:
        mask |= hull_mask(face.landmarks, shape[1], shape[0])
    return mask
