"""The shape of the drawn face: a little of the source person's, all of the target's expression."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OUTER_LIPS, OVAL, RIGHT_EYE, FaceMesh
from realtime.face_zones import MAP_PX, FaceZones, smoothstep
from realtime.frame import Points
from realtime.geometry import Similarity, fit_similarity
from realtime.tracks import share_after

# Rings run from one corner along the lower edge to the other corner and back along the upper one.
_LOWER_LENGTH = {RIGHT_EYE: 8, LEFT_EYE: 8, INNER_LIPS: 10}

_EDGE = 0.04
"""Depth below the face's outline, in map widths, at which the shape may differ in full."""

_REACH = {RIGHT_EYE: 0.05, LEFT_EYE: 0.05, INNER_LIPS: 0.09}
"""How far around an opening the skin goes with its edges, in map widths."""

_MOUTH_SHAPE, _MOUTH_REACH = 0.6, 0.06
"""How much of the source's mouth shape is taken over beside its place, and how far around. A
picture of a smile is not told from a wide mouth, so little of it is."""

_SHRINKAGE = 0.83
"""Share of the difference between two faces that the landmarks are taken to show: a network that
is not sure places a point where most faces have it. Chosen by the likeness that results."""

_FORGET_S = 3.0
"""Half-life of what is remembered of the target's own shape."""

_FACING, _TURNED = math.cos(math.radians(20.0)), math.cos(math.radians(40.0))
"""Cosines of the turns up to which landmarks show a person's shape, and from which on hardly: the
network draws those of a turned head together."""

_LEAST_TRUST = 0.02
"""Trust in the shape of a head that is turned far away, or of one with its mouth wide open; all
there is until it looks ahead and its lips meet."""

_SHUT, _OPEN = 0.1, 0.35
"""Height of the mouth's opening over its width up to which lips and chin are where they rest, and
from which on they are not: they would be learnt as lying between the two, and be drawn so."""

_MOUTH_CORNERS, _MIDDLE_LIPS = (INNER_LIPS[0], INNER_LIPS[10]), (INNER_LIPS[5], INNER_LIPS[15])

_LEARNING, _ENOUGH = 0.03, 5.0
"""How far a point of a known shape is moved at most in a second, in units of the neutral head, each
about the distance of its outer eye corners: so slowly that nobody sees it slide over the skin, and
that little of an expression is taken for the person's own shape. And from how many frames of full
trust on a shape is known; many of little trust are none."""


@dataclass(frozen=True, slots=True)
class RestingShape:
    """A target's landmarks in the frame of the neutral head, and how they got there.

    Attributes:
        shape: ``(468, 3) f64``.
        fit: the neutral head from the picture.
    """

    shape: NDArray[np.float64]
    fit: Similarity

    @property
    def trust(self) -> float:
        """How far the shape is the person's own, above 0 to 1.

        Less where the head is turned or the mouth is open.
        """
        ahead = float(self.fit.rotation[2, 2])
        gap, width = (
            math.dist(*self.shape.take(ends, axis=0)) for ends in (_MIDDLE_LIPS, _MOUTH_CORNERS)
        )
        facing = (ahead - _TURNED) / (_FACING - _TURNED)
        shut = (_OPEN - gap / max(width, 1e-6)) / (_OPEN - _SHUT)
        share = min(max(min(facing, shut), 0.0), 1.0)
        return _LEAST_TRUST + (1.0 - _LEAST_TRUST) * share


_MOUTH = np.array(OUTER_LIPS)


class Likeness:
    """Moves a target's landmarks towards the shape of the source person.

    What differs between two faces at rest is identity; what differs from one moment to the next
    is expression. So the target's shape is averaged over time in the frame of the neutral head,
    and only the difference to that average is carried over. The openings of eyes and mouth keep
    the target's height in every frame.
    """

    def __init__(self, mesh: FaceMesh, zones: FaceZones, strength: float) -> None:
        """Prepares the tables.

        Args:
            mesh: the mesh.
            zones: its zones.
            strength: 0 leaves the target's shape, 1 takes the source's as far as the outline of
                the face allows.
        """
        cells = np.clip((mesh.layout * MAP_PX).astype(np.intp), 0, MAP_PX - 1)
        depth = zones.depth[cells[:, 1], cells[:, 0]]
        self._neutral = mesh.neutral
        inward = np.clip(depth / _EDGE, 0.0, 1.0)
        inward[list(OVAL)] = 0.0
        self._gain = (strength / _SHRINKAGE * inward)[:, None]
        rings = (RIGHT_EYE, LEFT_EYE, INNER_LIPS)
        change = np.sum([_gap_change(mesh.layout, ring) for ring in rings], axis=0)
        # Few points take part; the whole table would not fit into a core's cache.
        self._around, self._edges = (np.flatnonzero(np.any(change, axis=axis)) for axis in (1, 0))
        self._gap_change = np.ascontiguousarray(change[np.ix_(self._around, self._edges)])
        lips = mesh.layout[list(OUTER_LIPS)]
        apart = np.linalg.norm(mesh.layout[:, None] - lips[None], axis=-1).min(axis=1)
        inner = np.isin(np.arange(len(mesh.layout)), INNER_LIPS)
        near = np.where(inner, 1.0, 1.0 - smoothstep(apart, 0.0, _MOUTH_REACH))
        self._keep_smile = (near * (1.0 - _MOUTH_SHAPE))[:, None]

    def rest(self, landmarks: Points) -> RestingShape:
        """The landmarks ``(468, 3)`` of one frame without pose, size and place."""
        fit = fit_similarity(landmarks, self._neutral)
        shape = landmarks @ (fit.scale * fit.rotation.T) + fit.shift
        return RestingShape(np.asarray(shape, np.float64), fit)

    def place(
        self,
        landmarks: Points,
        fit: Similarity,
        target_shape: NDArray[np.float64],
        source_shape: NDArray[np.float32],
    ) -> Points:
        """Where the source's texture is drawn.

        Args:
            landmarks: ``(468, 3)`` of the target in this frame.
            fit: from ``rest`` on them.
            target_shape: the target's shape at rest, from ``ShapeMemory``.
            source_shape: the source's shape in the frame of the neutral head.
        """
        difference = source_shape - target_shape
        mouth = difference.take(_MOUTH, axis=0).sum(axis=0) / len(_MOUTH)
        difference += self._keep_smile * (mouth - difference)
        difference[self._around, 1] -= self._gap_change @ difference[:, 1].take(self._edges)
        difference *= self._gain
        moved = difference @ (fit.rotation / fit.scale)
        return np.asarray(landmarks + moved, np.float32)


class ShapeMemory:
    """The average shape of one tracked person."""

    def __init__(self) -> None:
        self._mean: NDArray[np.float64] | None = None
        self._trust, self._known = 0.0, 0.0

    def learn(
        self, shape: NDArray[np.float64], elapsed_s: float, trust: float = 1.0
    ) -> NDArray[np.float64]:
        """Takes in the shape of one frame.

        Args:
            shape, trust: from ``Likeness.rest``. A frame of little trust counts for little, and
                makes little be forgotten.
            elapsed_s: time since the frame before.

        Returns:
            The average up to now; the first frames count as they are trusted. Once it is known it
            changes slowly.
        """
        if self._mean is None:
            self._mean = shape.copy()
        self._trust += trust
        share = max(trust / self._trust, share_after(trust * elapsed_s, _FORGET_S))
        step = share * (shape - self._mean)
        if self._known >= _ENOUGH:
            length = np.sqrt(np.square(step).sum(axis=1, keepdims=True))
            step *= np.minimum(1.0, _LEARNING * elapsed_s / np.maximum(length, 1e-9))
        self._known += trust * trust
        self._mean += step
        return self._mean


def _gap_change(layout: NDArray[np.float32], ring: Sequence[int]) -> NDArray[np.float64]:
    """``(468, 468)``: from vertical moves of all points to what of them opens or shuts a ring.

    Subtracting it from the moves leaves the ring's height as it was; points around the ring go
    with the edge they are nearest to.
    """
    ring = tuple(ring)
    lower_length = _LOWER_LENGTH[ring]
    lower, upper = ring[1:lower_length], ring[:lower_length:-1]
    count = len(layout)
    edges = np.zeros((count, count))
    for below, above in zip(lower, upper, strict=True):
        edges[below, below] = edges[above, above] = 0.5
        edges[below, above] = edges[above, below] = -0.5
    middle = layout[list(ring)].mean(axis=0)
    spread = np.zeros((count, count))
    for side, points in (("lower", lower), ("upper", upper)):
        knots = list(points)
        apart = np.linalg.norm(layout[:, None] - layout[knots][None], axis=-1)
        near = 1.0 - smoothstep(apart.min(axis=1), 0.0, _REACH[ring])
        weight = np.exp(-((apart / 0.025) ** 2)) + 1e-9
        weight /= weight.sum(axis=1, keepdims=True)
        on_side = layout[:, 1] >= middle[1] if side == "lower" else layout[:, 1] < middle[1]
        on_side[list(lower)], on_side[list(upper)] = side == "lower", side == "upper"
        rows = on_side & ~np.isin(np.arange(count), [ring[0], ring[lower_length]])
        spread[np.ix_(rows, knots)] = (weight * near[:, None])[rows]
    spread[list(lower + upper)] = np.eye(count)[list(lower + upper)]
    return np.asarray(spread @ edges)
