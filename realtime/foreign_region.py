"""Which foreign cells on the map of a face are things in front of it, and which are chance."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_plate import Comparison, Strength

_FOREIGN, _DOUBTFUL = 1.0, 0.6
"""A region starts from foreign cells and reaches as far as doubtful ones hang together."""

_MIN_HELD_CELLS, _MIN_FREE_CELLS = 8, 24
"""Foreign cells a region must have beside a hand, and elsewhere; the map has about 1500."""

_HAND_REACH, _HELD_REACH = 11, 27
"""Sides of the neighbourhoods of a hand, in cells: what comes into the first is held, and what is
held is within the second; beyond it may be background beside a turned cheek."""

_FILL_REACH, _ALIKE_STRENGTH = 15, 0.3
"""Side of the neighbourhood into which a thing is followed by its colour, and how foreign a cell
must look for that where that can be told."""

_GAP = 5
"""Gaps of fewer cells are closed."""

_ALIKE = np.array([0.3, 0.12, 0.12], np.float32)
"""How far the colour of a thing may vary at least: log brightness, log ratios of colours."""

Cells = NDArray[np.bool_]


def foreign_cells(comparison: Comparison, settled: Strength) -> Cells:
    """The cells with something in front that is no hand.

    Args:
        comparison: how the face looks in this frame.
        settled: how foreign each cell looked over the last few frames.

    Returns:
        ``(GRID, GRID) bool``; without the cells that hands hide.
    """
    strength, hands, in_view = comparison.strength, comparison.hands, comparison.in_view
    chosen = np.zeros(strength.shape, bool)
    if hands.any():
        beside, around = _grown(hands, _HAND_REACH), _grown(hands, _HELD_REACH)
        for region in _regions(strength, hands):
            if np.count_nonzero(region & (strength > _FOREIGN)) >= _MIN_HELD_CELLS:
                chosen |= region & around & (region & beside).any()
    border = in_view & ~(cv2.erode(in_view.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    for region in _regions(np.minimum(strength, settled), hands):
        start = region & (settled > _FOREIGN)
        if np.count_nonzero(start) >= _MIN_FREE_CELLS and (region & border).any():
            chosen |= region
    return _filled(chosen, comparison) if chosen.any() else chosen


def _filled(chosen: Cells, comparison: Comparison) -> Cells:
    """The thing to its end: over lips and eyes, which are not judged, its colour tells."""
    own = comparison.look[chosen]
    middle = np.median(own, axis=0)
    spread = np.maximum(2.0 * np.median(np.abs(own - middle), axis=0), _ALIKE)
    alike = (np.abs(comparison.look - middle) < spread).all(axis=-1)
    alike &= _grown(chosen, _FILL_REACH) & (
        (comparison.strength > _ALIKE_STRENGTH) | ~comparison.judged
    )
    free = comparison.in_view & ~comparison.hands
    _, labels = cv2.connectedComponents(((chosen | alike) & free).astype(np.uint8))
    whole = np.isin(labels, np.unique(labels[chosen & free])) & (labels > 0)
    joined = (whole | comparison.hands).astype(np.uint8)
    closed = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8)) > 0
    # The corner of the grid lies outside the face, so what hangs together with it is no hole.
    _, outside = cv2.connectedComponents((~closed).astype(np.uint8))
    holes = ~closed & (outside != outside[0, 0]) & ~comparison.judged
    return np.asarray((closed | holes) & free, bool)


def _grown(cells: Cells, side: int) -> Cells:
    """All cells within a square neighbourhood of some."""
    return np.asarray(cv2.dilate(cells.astype(np.uint8), np.ones((side, side), np.uint8)) > 0, bool)


def _regions(strength: Strength, hands: Cells) -> list[Cells]:
    """Connected regions of doubtful cells that hold a foreign one."""
    doubtful = (strength > _DOUBTFUL) & ~hands
    foreign = (strength > _FOREIGN) & ~hands
    if np.count_nonzero(foreign) < _MIN_HELD_CELLS:
        return []
    _, labels = cv2.connectedComponents(doubtful.astype(np.uint8))
    return [labels == number for number in np.unique(labels[foreign])]
