"""What the detectors of the BlazeFace family find, and the anchors each of them measures from.

The short range of faces is 128 px with two anchors per cell at stride 8 and six at stride 16, the
full range is 192 px with one anchor per cell at stride 4; both take RGB in [-1, 1]. The palm
detector is 192 px with the anchors of the short range and takes RGB in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError

NUM_KEYPOINTS = 6
"""Of a face: right eye, left eye, nose tip, mouth centre, right ear, left ear: its own sides."""

Layout = tuple[tuple[int, int], ...]
"""Stride in pixels and anchors per cell of each layer."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a detector of this family finds.

    Attributes:
        what: in error messages.
        num_keypoints: points that come with each box.
        black: what the network takes for black; white is 1.
        layouts: the anchors by the side of the network's input in pixels.
        cure: which models are of this kind.
    """

    what: str
    num_keypoints: int
    black: float
    layouts: Mapping[int, Layout]
    cure: str


FACES = Kind(
    what="blazeface",
    num_keypoints=NUM_KEYPOINTS,
    black=-1.0,
    layouts=MappingProxyType({128: ((8, 2), (16, 6)), 192: ((4, 1),)}),
    cure="Use the short-range or the full-range face detection model.",
)
"""Faces of either range, with the keypoints of ``NUM_KEYPOINTS``."""

PALMS = Kind(
    what="blazepalm",
    num_keypoints=7,
    black=0.0,
    layouts=MappingProxyType({192: ((8, 2), (16, 6))}),
    cure="Use one of the palm detection models.",
)
"""Palms; the first keypoint is the wrist, the third the knuckle of the middle finger."""


def anchor_centres(input_px: int, kind: Kind = FACES) -> NDArray[np.float64]:
    """Centres of the network's anchors, in the order of its outputs.

    Args:
        input_px: side of the network's input.
        kind: what it finds.

    Returns:
        ``(A, 2) f64`` x, y in 0..1 of the input: 896 (short range), 2304 (full range) or 2016
        (palms).

    Raises:
        ModelError: there is no such network of this input size.
    """
    if input_px not in kind.layouts:
        sides = " or ".join(str(side) for side in kind.layouts)
        raise ModelError(
            f"{kind.what}: the input must be {sides} px, got {input_px} px. {kind.cure}"
        )
    parts = []
    for stride, per_cell in kind.layouts[input_px]:
        cells = input_px // stride
        axis = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(parts)
