"""The skeleton of a portrait that moves: points, triangles and how expressions displace them.

A portrait's face is its landmark mesh. Around it lie rings of points that carry hair and neck:
they go with the head near it and stand still where the background begins. Behind the skin lie the
eyeballs and the inside of the mouth, which lids and lips cover and uncover.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime.expressions import (
    LOWER_LIP,
    NUM_EXPRESSIONS,
    UPPER_LIP,
    expression_weights,
    expressions,
)
from realtime.face_mesh import (
    LEFT_EYE,
    NUM_POINTS,
    OVAL,
    RIGHT_EYE,
    FaceMesh,
)
from realtime.frame import Points
from realtime.geometry import Similarity, fit_head
from realtime.head_motion import HeadState

_Points = NDArray[np.float64]

# Of a ray from the middle of the face, by its angle from the top of the head to either side: how
# far the head's own hair or skin reaches and where the surroundings stand still, in lengths of the
# face along the ray. Fitted to a head with short full hair above a collar.
_RAY_DEGREES = (0.0, 50.0, 95.0, 125.0, 150.0, 180.0)
_HEAD_REACH = (2.05, 1.85, 1.72, 1.12, 1.03, 1.02)
_STILL_REACH = (2.9, 2.85, 2.65, 2.0, 2.0, 2.3)

_WITHIN = (0.34, 0.67, 1.0)
"""Where rings lie between the face's outline and the reach of the head."""

_BEYOND = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Where they lie between that and what stands still."""

# Lengths in space are in the unit of the neutral head, about half a face's width.
_PIVOT = (0.0, 1.35, 0.75)
"""The joint of neck and head."""

_HAIR_DEPTH = 0.85
_NECK_DEPTH = 0.8

_DEPTH_GAIN = 1.4
"""The network draws faces flatter than they are; with this gain it reads five sixths of the yaw
that a drawn head is turned by."""

_SIDE_DEPTH = 0.25
_SIDE_SHARE = 0.55
"""The sides of the face recede only by this part of their depth beyond ``_SIDE_DEPTH``: a frontal
portrait does not show them, and what it shows of them would be smeared over a turned head."""

_EYE_SINK = 0.04
_EYE_GROWTH = 1.5
"""How far eyeballs lie behind the lids, and how much larger than their opening they are drawn."""

_MOUTH_SINK = 0.1
_MOUTH_WIDTH = 1.15
"""How far the inside of the mouth lies behind the lips, and its width over that of the opening."""

_THROAT = (0.0, 0.5, 0.42)
"""How far below and behind the teeth the painted inside of the mouth reaches."""

_NOSE_TIP = 4


@dataclass(frozen=True, slots=True)
class Rig:
    """A portrait's points; rows 0..467 are the landmarks.

    Attributes:
        rest: ``(V, 3) f64`` pixels of the portrait, z away from the camera.
        carried: ``(V,) f64`` how far a point goes with the head, 0..1.
        face: ``(T, 3) i32`` triangles of skin, eyeballs and inner mouth.
        around: ``(U, 3) i32`` triangles of a coarse face and the rings around it.
        mouth_rows: ``(4, 11) i64`` numbers of the inner mouth's points, from above the teeth down.
        unit_px: a head unit in pixels.
        width_px: the face's width.
    """

    rest: NDArray[np.float64]
    carried: NDArray[np.float64]
    face: NDArray[np.int32]
    around: NDArray[np.int32]
    mouth_rows: NDArray[np.int64]
    unit_px: float
    width_px: float
    _pivot: NDArray[np.float64]
    _shapes: NDArray[np.float64]

    def pose(self, state: HeadState) -> NDArray[np.float64]:
        """Where the points are in a state, ``(V, 3) f64`` pixels."""
        weights = expression_weights(state)
        moved = self.rest + np.tensordot(weights, self._shapes, axes=1)
        turned = (moved - self._pivot) @ rotation(state).T * (1.0 + state.nearer) + self._pivot
        turned[:, 0] += state.shift_x * self.width_px
        turned[:, 1] += state.shift_y * self.width_px
        return np.asarray(moved + self.carried[:, None] * (turned - moved))


def rotation(state: HeadState) -> NDArray[np.float64]:
    """``(3, 3)``: the turn by roll, then pitch, then yaw, with the signs of ``Pose``."""
    yaw, pitch, roll = np.radians([state.yaw, state.pitch, state.roll])
    about_y = [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return np.asarray(np.array(about_y) @ np.array(about_x) @ np.array(about_z))


def build_rig(mesh: FaceMesh, landmarks: Points) -> Rig:
    """The rig of a portrait.

    Args:
        mesh: the landmarks' mesh.
        landmarks: ``(468, 3)`` pixels of the portrait; a face that looks into the camera.
    """
    fit = fit_head(landmarks)
    head = (_deepened(landmarks, fit) - fit.shift) @ fit.rotation / fit.scale
    eyes, eye_triangles = _eyeballs(head, NUM_POINTS)
    mouth_start = NUM_POINTS + len(eyes)
    mouth, mouth_rows, mouth_triangles = _inner_mouth(head, mouth_start)
    ring_start = mouth_start + len(mouth)
    rings, carried, ring_triangles = _rings(head, ring_start)
    points = np.vstack([head, eyes, mouth, rings])
    shapes = np.zeros((NUM_EXPRESSIONS, len(points), 3))
    shapes[:, :NUM_POINTS] = expressions(head)
    _spread_to_rings(shapes, ring_start, carried)
    return Rig(
        rest=fit.scale * points @ fit.rotation.T + fit.shift,
        carried=np.concatenate([np.ones(ring_start), carried]),
        face=np.vstack([mesh.skin, eye_triangles, mouth_triangles]).astype(np.int32),
        around=np.vstack([_fan(OVAL, _NOSE_TIP), ring_triangles]).astype(np.int32),
        mouth_rows=mouth_rows,
        unit_px=fit.scale,
        width_px=float(np.ptp(landmarks[:, 0])),
        _pivot=fit.scale * fit.rotation @ np.array(_PIVOT) + fit.shift,
        _shapes=fit.scale * shapes @ fit.rotation.T,
    )


def _deepened(landmarks: Points, fit: Similarity) -> NDArray[np.float64]:
    """The landmarks with the depth they are turned with; their place in the picture stays."""
    deepened = landmarks.astype(np.float64)
    depth = (deepened[:, 2] - fit.shift[2]) * _DEPTH_GAIN / fit.scale
    depth -= (1.0 - _SIDE_SHARE) * np.maximum(depth - _SIDE_DEPTH, 0.0)
    deepened[:, 2] = fit.shift[2] + fit.scale * depth
    return deepened


def _eyeballs(head: NDArray[np.float64], start: int) -> tuple[_Points, NDArray[np.int64]]:
    """Points and triangles of what lies behind the lids."""
    points: list[NDArray[np.float64]] = []
    triangles = []
    sink = np.array([0.0, 0.0, _EYE_SINK])
    for ring in (RIGHT_EYE, LEFT_EYE):
        middle = head[list(ring)].mean(axis=0)
        grown = middle + (head[list(ring)] - middle) * (_EYE_GROWTH, _EYE_GROWTH, 1.0)
        first = start + len(points)
        points += [*(grown + sink)]
        hub = first + len(ring)
        points.append(middle + sink)
        triangles.append(_fan(range(first, hub), hub))
    return np.array(points), np.vstack(triangles)


def _fan(ring: Sequence[int], hub: int) -> NDArray[np.int64]:
    """Triangles between a ring and a point inside it."""
    return np.array([(a, b, hub) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)])


def _inner_mouth(
    head: NDArray[np.float64], start: int
) -> tuple[_Points, NDArray[np.int64], NDArray[np.int64]]:
    """A curtain behind the lips that hangs from the upper jaw: points, rows, triangles."""
    upper, lower = head[list(UPPER_LIP)], head[list(LOWER_LIP)]
    bulge = np.sin(np.linspace(0.0, np.pi, len(upper)))[:, None] ** 0.7
    above = upper - bulge * (0.0, 0.08, 0.0)
    points = np.stack([above, upper, lower, lower + _THROAT])
    points[..., 2] += _MOUTH_SINK
    middle = points[..., 0].mean()
    points[:3, :, 0] = middle + (points[:3, :, 0] - middle) * _MOUTH_WIDTH
    numbers = start + np.arange(points.shape[0] * points.shape[1]).reshape(points.shape[:2])
    return points.reshape(-1, 3), numbers, _strips(numbers, closed=False)


def _rings(
    head: NDArray[np.float64], start: int
) -> tuple[_Points, NDArray[np.float64], NDArray[np.int64]]:
    """Rings around the face's outline: points, how far they are carried, triangles."""
    outline = head[list(OVAL)]
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    ray = outline - middle
    angle = np.degrees(np.abs(np.arctan2(ray[:, 0], -ray[:, 1])))
    head_reach = np.interp(angle, _RAY_DEGREES, _HEAD_REACH)
    still_reach = np.interp(angle, _RAY_DEGREES, _STILL_REACH)
    behind = np.interp(angle, (90.0, 150.0), (_HAIR_DEPTH, _NECK_DEPTH))
    points, carried = [], []
    for share in _WITHIN:
        reach = 1.0 + share * (head_reach - 1.0)
        points.append(_at_reach(middle, ray, reach, _eased(outline[:, 2], behind, share)))
        carried.append(np.ones(len(outline)))
    for share in _BEYOND:
        reach = head_reach + share * (still_reach - head_reach)
        points.append(_at_reach(middle, ray, reach, behind))
        carried.append(np.full(len(outline), 1.0 - share * share * (3.0 - 2.0 * share)))
    numbers = start + np.arange(len(points) * len(outline)).reshape(-1, len(outline))
    numbers = np.vstack([np.array(OVAL), numbers])
    return np.vstack(points), np.concatenate(carried), _strips(numbers, closed=True)


def _at_reach(
    middle: NDArray[np.float64],
    ray: NDArray[np.float64],
    reach: NDArray[np.float64],
    depth: NDArray[np.float64],
) -> _Points:
    points = middle + ray * reach[:, None]
    points[:, 2] = depth
    return points


def _eased(
    start: NDArray[np.float64], end: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Depth from the face's outline to the silhouette, rounded like a ball."""
    return np.asarray(start + (end - start) * (1.0 - np.sqrt(1.0 - share * share)))


def _strips(numbers: NDArray[np.int64], *, closed: bool) -> NDArray[np.int64]:
    """Triangles between neighbouring rows of points."""
    if closed:
        numbers = np.hstack([numbers, numbers[:, :1]])
    a, b = numbers[:-1, :-1].ravel(), numbers[:-1, 1:].ravel()
    c, d = numbers[1:, :-1].ravel(), numbers[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])


def _spread_to_rings(shapes: NDArray[np.float64], start: int, carried: NDArray[np.float64]) -> None:
    """The rings follow the outline's expression, the nearer the more."""
    num_rings = len(carried) // len(OVAL)
    for number in range(num_rings):
        rows = slice(start + number * len(OVAL), start + (number + 1) * len(OVAL))
        weight = carried[number * len(OVAL) : (number + 1) * len(OVAL), None]
        fade = 1.0 - (number + 1) / num_rings
        shapes[:, rows] = shapes[:, list(OVAL)] * weight * fade
