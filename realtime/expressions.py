"""How expressions move the points of a face, in the frame of a neutral head.

The unit is that of ``realtime.geometry.fit_head``, about half the width of a face; x points to the
right of the picture, y down, z away from the camera.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import INNER_LIPS, LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from realtime.face_zones import smoothstep
from realtime.head_motion import HeadState

Shape = NDArray[np.float64]
"""``(P, 3)`` movements of points at full expression."""

LOWER_LIP = INNER_LIPS[:11]
UPPER_LIP = (INNER_LIPS[0], *INNER_LIPS[:10:-1], INNER_LIPS[10])
"""Inner edges of the lips from the person's right corner of the mouth to the left one."""

NUM_EXPRESSIONS = 5

_JAW_DROP = (0.0, 0.46, 0.1)
"""Way of the chin and the lower lip when the mouth opens in full."""

_OPEN_AS_PICTURED = 0.3
"""The opening of the mouth, 0..1, that stands for the lips as the portrait has them."""


def expressions(head: NDArray[np.float64]) -> NDArray[np.float64]:
    """The movements of a face's points: ``(NUM_EXPRESSIONS, 468, 3)``.

    Args:
        head: ``(468, 3)`` landmarks in the frame of the neutral head.
    """
    makers = (_jaw, _shut_lips, _round_lips, _lids, _brows)
    return np.stack([make(head) for make in makers])


def expression_weights(state: HeadState) -> NDArray[np.float64]:
    """How much of each of ``expressions`` a state shows: ``(NUM_EXPRESSIONS,)``."""
    shut = max(0.0, 1.0 - state.mouth_open / _OPEN_AS_PICTURED)
    dropped = max(0.0, state.mouth_open - _OPEN_AS_PICTURED) / (1.0 - _OPEN_AS_PICTURED)
    return np.array([dropped, shut, state.mouth_round, state.eyes_closed, state.brows_up])


def _jaw(head: NDArray[np.float64]) -> Shape:
    """The lower jaw drops: chin and lower lip wholly, cheeks and corners of the mouth partly."""
    corners = head[[INNER_LIPS[0], INNER_LIPS[10]]]
    half = float(np.ptp(corners[:, 0])) / 2
    across = np.abs(head[:, 0] - corners[:, 0].mean())
    line = _lip_line(head)
    soft = 0.02 + 0.4 * smoothstep(across, 0.4 * half, 1.3 * half)
    low = np.clip((head[:, 1] - line + soft) / (2 * soft), 0.0, 1.0)
    low = low * low * (3.0 - 2.0 * low)
    inward = 1.0 - smoothstep(across, 0.5, 1.25).astype(np.float64)
    return np.asarray((low * inward)[:, None] * _JAW_DROP)


def _lip_line(head: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the line between the lips above or below each point."""
    middle = (head[list(UPPER_LIP)] + head[list(LOWER_LIP)]) / 2
    return np.asarray(np.interp(head[:, 0], middle[:, 0], middle[:, 1]))


def _shut_lips(head: NDArray[np.float64]) -> Shape:
    """The lips meet."""
    upper, lower = head[list(UPPER_LIP)], head[list(LOWER_LIP)]
    meeting = 0.4 * upper + 0.6 * lower
    is_low = head[:, 1] > _lip_line(head)
    shape = _follow(head, UPPER_LIP, meeting - upper, ~is_low, reach=0.4)
    return shape + _follow(head, LOWER_LIP[1:-1], (meeting - lower)[1:-1], is_low, reach=0.4)


def _round_lips(head: NDArray[np.float64]) -> Shape:
    """The corners of the mouth draw together and the lips come forward."""
    lips = head[list(INNER_LIPS)]
    middle, half = lips.mean(axis=0), float(np.ptp(lips[:, 0])) / 2
    across, along = head[:, 0] - middle[0], head[:, 1] - middle[1]
    near = np.exp(-((across / (1.35 * half)) ** 4) - (along / 0.5) ** 2)
    shape = np.zeros_like(head)
    shape[:, 0] = -0.24 * across * near
    shape[:, 2] = -0.08 * near
    return shape


def _lids(head: NDArray[np.float64]) -> Shape:
    """The upper lids come down to the lower ones."""
    shape = np.zeros_like(head)
    for ring in (RIGHT_EYE, LEFT_EYE):
        lower, upper = list(ring[1:8]), list(ring[:8:-1])
        gap = head[lower] - head[upper]
        corners = head[[ring[0], ring[8]]]
        corners = corners[np.argsort(corners[:, 0])]
        middle = np.interp(head[:, 0], corners[:, 0], corners[:, 1])
        is_high = head[:, 1] < middle
        is_high[upper], is_high[lower] = True, False
        is_high[[ring[0], ring[8]]] = False
        shape += _follow(head, upper, 0.9 * gap, is_high, reach=0.3)
        shape[lower] -= 0.1 * gap
    return shape


def _brows(head: NDArray[np.float64]) -> Shape:
    """The brows rise."""
    brows = RIGHT_BROW + LEFT_BROW
    rise = np.tile((0.0, -0.1, 0.0), (len(brows), 1))
    return _follow(head, brows, rise, np.ones(len(head), np.bool_), reach=0.5)


def _follow(
    head: NDArray[np.float64],
    leaders: Sequence[int],
    moves: NDArray[np.float64],
    members: NDArray[np.bool_],
    *,
    reach: float,
) -> Shape:
    """Points go with the leaders next to them, less with distance, not at all beyond the reach."""
    apart = np.linalg.norm((head[:, None] - head[list(leaders)][None])[..., :2], axis=-1)
    weight = np.exp(-((apart / 0.08) ** 2)) + 1e-12
    weight /= weight.sum(axis=1, keepdims=True)
    near = 1.0 - smoothstep(apart.min(axis=1), 0.0, reach)
    shape = (weight * (near * members)[:, None]) @ moves
    shape[list(leaders)] = moves
    return np.asarray(shape)
