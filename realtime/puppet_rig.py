"""The skeleton of a portrait that moves: points, triangles and how expressions displace them.

A portrait's face is its landmark mesh, as deep as the landmark network says it is. Around it lie
rings of points that carry hair and neck: they go with the head near it and stand still where the
background begins. Behind them the head is round, with the hair of its sides on its back. Behind the
skin lie the eyeballs and the inside of the mouth, which lids and lips cover and uncover.
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
from realtime.geometry import fit_head
from realtime.head_motion import HeadState
from realtime.puppet_rings import (
    back_of_head,
    rings_around,
    skin_for_jaw,
    spread_to_rings,
    strips,
)

_Points = NDArray[np.float64]

# Lengths in space are in the unit of the neutral head, about half a face's width.
_PIVOT = (0.0, 1.35, 0.75)
"""The joint of neck and head."""

_JAW_TURN = (5.0, 25.0)
"""From which to which yaw, in degrees, the side of the jaw comes to take other skin for its own."""

_EYE_SINK = 0.04
_EYE_GROWTH = 1.5
"""How far eyeballs lie behind the lids, and how much larger than their opening they are drawn."""

_MOUTH_SINK = 0.1
_MOUTH_WIDTH = 1.15
"""How far the inside of the mouth lies behind the lips, and its width over that of the opening."""

_THROAT = (0.0, 0.5, 0.42)
"""How far below and behind the teeth the painted inside of the mouth reaches."""


@dataclass(frozen=True, slots=True)
class Rig:
    """A portrait's points; rows 0..467 are the landmarks.

    Attributes:
        rest: ``(V, 3) f64`` pixels of the portrait, z away from the camera.
        source: ``(V, 2) f64`` pixels of the portrait, where a point's colour is taken while the
            head looks ahead; that is where the point itself is, but for the back of the head.
        carried: ``(V,) f64`` how far a point goes with the head, 0..1.
        face: ``(T, 3) i32`` triangles of skin, eyeballs and inner mouth.
        around: ``(U, 3) i32`` triangles of the face's rim, the rings around it and the back.
        mouth_rows: ``(4, 11) i64`` numbers of the inner mouth's points, from above the teeth down.
        unit_px: a head unit in pixels.
        width_px: the face's width.
    """

    rest: NDArray[np.float64]
    source: NDArray[np.float64]
    carried: NDArray[np.float64]
    face: NDArray[np.int32]
    around: NDArray[np.int32]
    mouth_rows: NDArray[np.int64]
    unit_px: float
    width_px: float
    _jaw: NDArray[np.float64]
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

    def taken_aside(self, state: HeadState) -> NDArray[np.float64]:
        """How far beside ``source`` colours are taken in a state, ``(V, 2) f64`` pixels.

        The side of the jaw that turns into sight takes the skin beside it: what a frontal portrait
        shows at its outline is what is behind the head. At rest the picture is the portrait.
        """
        inward = np.sign(self._jaw[:, 0]) * state.yaw
        turn = np.clip((inward - _JAW_TURN[0]) / (_JAW_TURN[1] - _JAW_TURN[0]), 0.0, 1.0)
        return self._jaw * (turn * turn * (3.0 - 2.0 * turn))[:, None]


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
    head = (landmarks - fit.shift) @ fit.rotation / fit.scale
    eyes, eye_triangles = _eyeballs(head, NUM_POINTS)
    mouth_start = NUM_POINTS + len(eyes)
    mouth, mouth_rows, mouth_triangles = _inner_mouth(head, mouth_start)
    back_start = mouth_start + len(mouth)
    back, back_source, back_triangles = back_of_head(head, back_start)
    ring_start = back_start + len(back)
    rings, carried, ring_triangles = rings_around(head, ring_start)
    points = np.vstack([head, eyes, mouth, back, rings])
    places = points.copy()
    places[back_start:ring_start] = back_source
    jaw = skin_for_jaw(places, head, ring_start)
    shapes = np.zeros((NUM_EXPRESSIONS, len(points), 3))
    shapes[:, :NUM_POINTS] = expressions(head)
    spread_to_rings(shapes, ring_start, carried)
    rim = mesh.skin[np.isin(mesh.skin, OVAL).any(axis=1)]
    return Rig(
        rest=fit.scale * points @ fit.rotation.T + fit.shift,
        source=(fit.scale * places @ fit.rotation.T + fit.shift)[:, :2],
        carried=np.concatenate([np.ones(ring_start), carried]),
        face=np.vstack([mesh.skin, eye_triangles, mouth_triangles]).astype(np.int32),
        around=np.vstack([rim, back_triangles, ring_triangles]).astype(np.int32),
        mouth_rows=mouth_rows,
        unit_px=fit.scale,
        width_px=float(np.ptp(landmarks[:, 0])),
        _jaw=fit.scale * jaw @ fit.rotation[:2].T,
        _pivot=fit.scale * fit.rotation @ np.array(_PIVOT) + fit.shift,
        _shapes=fit.scale * shapes @ fit.rotation.T,
    )


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
    return points.reshape(-1, 3), numbers, strips(numbers, closed=False)
