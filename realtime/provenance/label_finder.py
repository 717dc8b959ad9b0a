"""Seeing the visible label: the "AI" badge, which every form of the label has, in any corner."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.provenance.label import draw_label

MIN_MATCH = 0.75
"""Correlation with the badge from which it counts as seen."""

_SHORT_SIDE_PX, _MAX_LONG_SIDE_PX = 360, 1600
_CAP_PX = tuple(10.0 * 1.07**step for step in range(24))
"""Heights of capitals looked for in a picture of 360 lines: 10 to 47 pixels, as the label of a
picture of 180 lines has when that is enlarged."""

_FLAT = 128

Grey = NDArray[np.uint8]
"""``(h, w) u8``."""


@dataclass(frozen=True, slots=True)
class LabelReading:
    """The place where a picture looks most like the badge.

    Attributes:
        match: correlation, -1 to 1.
        mirrored: whether left and right are exchanged.
    """

    match: float
    mirrored: bool

    @property
    def seen(self) -> bool:
        """Whether that is the badge."""
        return self.match >= MIN_MATCH


def find_label(pictures: Sequence[Grey]) -> LabelReading:
    """Looks for the badge in pictures of one stream, which may be compressed, resized or mirrored.

    Args:
        pictures: of one size, at least one pixel; none give no match.
    """
    if not pictures:
        return LabelReading(0.0, mirrored=False)
    greys = [_scaled(pictures[len(pictures) // 2])]
    if len(pictures) > 1:
        # What moves behind the label averages out; a single picture helps where the label moved.
        greys.append(_scaled(np.mean(np.stack(pictures), axis=0).astype(np.uint8)))
    best = LabelReading(0.0, mirrored=False)
    for badge in map(_badge, _CAP_PX):
        for mirrored in (False, True):
            seen = badge[:, ::-1] if mirrored else badge
            match = max(_match(grey, seen) for grey in greys)
            if match > best.match:
                best = LabelReading(match, mirrored)
    return best


def _scaled(picture: Grey) -> Grey:
    height, width = picture.shape
    # A strip of a picture must not become one of a million pixels.
    scale = min(_SHORT_SIDE_PX / min(height, width), _MAX_LONG_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _badge(cap_px: float) -> Grey:
    """The badge as it looks on a picture of middle brightness."""
    label = draw_label("minimal", cap_px)
    seen = label.keep[:, :, 0].astype(np.float32) * (_FLAT / 255) + label.light[:, :, 0]
    return np.ascontiguousarray(seen.astype(np.uint8))


def _match(grey: Grey, badge: Grey) -> float:
    if badge.shape[0] > grey.shape[0] or badge.shape[1] > grey.shape[1]:
        return 0.0
    matches = cv2.matchTemplate(grey, np.ascontiguousarray(badge), cv2.TM_CCOEFF_NORMED)
    finite = matches[np.isfinite(matches)]
    return float(np.clip(finite, -1, 1).max(initial=0.0))
