"""How far the rim of a swapped face can be seen.

Seam energy is the gradient of what the swap has changed (output less input) along the rim of the
face's mask, per grey level by which face and picture differ there. Noise and pores are no seam, so
both are measured on slightly blurred pictures. Ring distance is how far the skin just inside the
rim differs in colour from the skin just outside of it, in the output.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image
from tools.ciede2000 import ciede2000
from tools.measures import lab

_RIM = 0.02
"""Half the width of the band along the rim that is looked at, in face widths."""

_SIGMA = 0.008
"""Standard deviation of the blur before the gradient, in face widths."""

_LEVEL_SIGMA = 0.03
"""That of the blur before face and picture are compared."""

_RING = (0.01, 0.045)
"""From where to where a ring reaches, from the rim on, in face widths."""

_NUM_SECTORS = 24
_MIN_SECTOR_PX = 12
_SAME_SKIN = 6.0
"""A sector counts where the rings differ by no more than this in the input, in CIEDE2000: else
there is hair, cloth or a wall outside."""

_INSIDE = 127
_MIN_WIDTH_PX = 24.0

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SeamFigures:
    """One frame; NaN for what could not be measured.

    Attributes:
        gradient: grey levels a pixel of the face at a width of 200 px, mean over the rim.
        difference: grey levels by which face and picture differ along the rim.
        ring: CIEDE2000 between the rings, mean over the sectors with skin on both sides.
        sectors: how many those are.
    """

    gradient: float
    difference: float
    ring: float
    sectors: int


def measure_seam(
    before: Image, drawn: Image, mask: Mask, after: Image, width_px: float
) -> SeamFigures | None:
    """Measures one face of one frame.

    Args:
        before, after: ``(H, W, 3) u8 BGR``, input and output.
        drawn: the same with the face in it as the swapper drew it, before any fitting, wherever
            its mask is not empty.
        mask: ``(H, W) u8``, how far it covers the picture.
        width_px: width of the face.

    Returns:
        None where the face is too small or leaves the picture on all sides.
    """
    if width_px < _MIN_WIDTH_PX:
        return None
    box = _around(mask, round(0.12 * width_px) + 4)
    if box is None:
        return None
    before, drawn, mask, after = (picture[box] for picture in (before, drawn, mask, after))
    inside = _without_holes(mask)
    inwards, outwards = (
        np.asarray(cv2.distanceTransform(side, cv2.DIST_L2, 5), np.float32) / np.float32(width_px)
        for side in (inside, 1 - inside)
    )
    rim = np.maximum(inwards, outwards) < _RIM
    if not rim.any():
        return None
    change = after.astype(np.float32) - before.astype(np.float32)
    smooth = cv2.GaussianBlur(change, (0, 0), max(_SIGMA * width_px, 0.5))
    down, across = np.gradient(smooth, axis=(0, 1))
    steep = np.sqrt((across**2 + down**2).mean(axis=-1))
    ring, sectors = _ring_distance(before, after, inwards, outwards)
    return SeamFigures(
        gradient=float(steep[rim].mean()) * width_px / 200.0,
        difference=_difference(before, drawn, mask, rim, width_px),
        ring=ring,
        sectors=sectors,
    )


def _difference(
    before: Image, drawn: Image, mask: Mask, rim: NDArray[np.bool_], width_px: float
) -> float:
    """Grey levels by which the face and the picture differ along the rim, without detail."""
    covered = (mask > 0).astype(np.float32)
    apart = (drawn.astype(np.float32) - before) * covered[..., None]
    sigma_px = _LEVEL_SIGMA * width_px
    above = cv2.GaussianBlur(apart, (0, 0), sigma_px)
    below = cv2.GaussianBlur(covered, (0, 0), sigma_px)
    chosen = rim & (below > 0.05)
    if not chosen.any():
        return math.nan
    levels = above[chosen] / below[chosen][:, None]
    return float(np.sqrt((levels**2).mean(axis=-1)).mean())


def _ring_distance(
    before: Image, after: Image, inwards: NDArray[np.float32], outwards: NDArray[np.float32]
) -> tuple[float, int]:
    """CIEDE2000 between the rings, over sectors around the middle; and how many there are."""
    low, high = _RING
    rings = [(side > low) & (side < high) for side in (inwards, outwards)]
    rows, columns = np.nonzero(inwards > 0)
    down, across = np.mgrid[: before.shape[0], : before.shape[1]]
    angle = np.arctan2(down - rows.mean(), across - columns.mean())
    sector = np.floor((angle + np.pi) / (2 * np.pi) * _NUM_SECTORS).astype(int) % _NUM_SECTORS
    distances = []
    for number in range(_NUM_SECTORS):
        chosen = [ring & (sector == number) for ring in rings]
        if min(np.count_nonzero(pixels) for pixels in chosen) < _MIN_SECTOR_PX:
            continue
        own, wanted = (
            [lab(picture[pixels]).mean(axis=0) for pixels in chosen] for picture in (after, before)
        )
        if float(ciede2000(wanted[0], wanted[1])) <= _SAME_SKIN:
            distances.append(float(ciede2000(own[0], own[1])))
    return (float(np.mean(distances)) if distances else math.nan), len(distances)


def _without_holes(mask: Mask) -> Mask:
    """1 inside the mask's outlines, eyes and mouth included; 0 outside."""
    outlines, _ = cv2.findContours(
        (mask > _INSIDE).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outlines, -1, (1,), cv2.FILLED)
    return filled


def _around(mask: Mask, margin_px: int) -> tuple[slice, slice] | None:
    """The part of a picture around a mask; None of an empty one."""
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    return (
        slice(max(top - margin_px, 0), top + height + margin_px),
        slice(max(left - margin_px, 0), left + width + margin_px),
    )
