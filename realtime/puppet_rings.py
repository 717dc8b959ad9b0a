"""What lies around a portrait's face and moves with it: hair, rim of the jaw, neck, background."""

import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import NUM_POINTS, OVAL

_Points = NDArray[np.float64]

# Of a ray from the middle of the face, by its angle from the top of the head to either side: how
# far the head's own hair or skin reaches and where the surroundings stand still, in lengths of the
# face along the ray. Fitted to a head with short full hair above a collar.
_RAY_DEGREES = (0.0, 25.0, 50.0, 70.0, 80.0, 92.0, 104.0, 125.0, 150.0, 180.0)
_HEAD_REACH = (1.9, 1.66, 1.56, 1.5, 1.42, 1.17, 1.04, 1.03, 1.02, 1.01)
_STILL_REACH = (2.9, 2.87, 2.85, 2.8, 2.75, 2.65, 2.4, 2.0, 2.0, 2.3)

_WITHIN = (0.34, 0.67, 1.0)
"""Where rings lie between the face's outline and the reach of the head."""

_BEYOND = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Where they lie between that and what stands still; the first one is where the picture behind the
head begins, as the portrait has it."""

_JAW_DEGREES = (80.0, 100.0, 135.0, 150.0)
_JAW_INWARD = (0.0, 0.08, 0.08, 0.0)
"""By rays as above: how far within the outline of the face the skin of its rim is taken, in lengths
of the face. The outline lies on the edge of what the portrait shows, and none of what is behind it
may come along when the side of the jaw turns into sight."""

_RIM = 0.85
"""Where the rim of the face begins, on rays from its middle to its outline."""

# Lengths in space are in the unit of the neutral head, about half a face's width.
_HAIR_DEPTH = 0.75
_NECK_DEPTH = 0.8

_CROWN = (0.0, -0.6, 1.3)
"""The point of the head that is farthest from the camera."""

_BACK_DEGREES = (0.0, 22.0, 45.0, 68.0, 90.0)
"""Where rings lie between the silhouette and that point, on a quarter of an ellipse."""

_BACK_INWARD = (0.06, 0.75)
"""Between which shares of the way from the silhouette to the face its hair is taken."""


def rings_around(
    head: NDArray[np.float64], start: int
) -> tuple[_Points, NDArray[np.float64], NDArray[np.int64]]:
    """Rings around the face's outline that carry hair, neck and what is behind the head.

    Args:
        head: ``(468, 3) f64``, the portrait's landmarks in the frame of the neutral head.
        start: number of the first ring's first point.

    Returns:
        Points ``(R, 3) f64``, how far they go with the head ``(R,) f64`` 0..1, and triangles
        ``(T, 3) i64``, those to the outline among them.
    """
    outline, middle, ray, angle = _outline(head)
    head_reach = np.interp(angle, _RAY_DEGREES, _HEAD_REACH)
    still_reach = np.interp(angle, _RAY_DEGREES, _STILL_REACH)
    behind = _silhouette_depth(angle)
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
    return np.vstack(points), np.concatenate(carried), strips(numbers, closed=True)


def back_of_head(
    head: NDArray[np.float64], start: int
) -> tuple[_Points, _Points, NDArray[np.int64]]:
    """Rings from the head's silhouette to its crown, with the hair of its sides.

    Args:
        head: as for ``rings_around``.
        start: number of the first point.

    Returns:
        Points ``(B, 3) f64``, where their colour is taken ``(B, 3) f64``, and triangles
        ``(T, 3) i64``.
    """
    outline, middle, ray, angle = _outline(head)
    reach, depth = np.interp(angle, _RAY_DEGREES, _HEAD_REACH), _silhouette_depth(angle)
    silhouette = _at_reach(middle, ray, reach, depth)
    points, places = [], []
    for degrees in _BACK_DEGREES:
        ahead, away = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        points.append(_CROWN + (silhouette - _CROWN) * (ahead, ahead, 1.0 - away))
        inward = _BACK_INWARD[0] + away * (_BACK_INWARD[1] - _BACK_INWARD[0])
        places.append(_at_reach(middle, ray, reach - inward * (reach - 1.0), depth))
    numbers = start + np.arange(len(points) * len(outline)).reshape(-1, len(outline))
    triangles = strips(numbers, closed=True)
    # Below the hair there is no back: the neck is what the picture shows of it.
    is_hair = (angle <= _JAW_DEGREES[0])[(triangles - start) % len(outline)].all(axis=1)
    return np.vstack(points), np.vstack(places), triangles[is_hair]


def skin_for_jaw(places: _Points, head: NDArray[np.float64], start: int) -> _Points:
    """How the colours of the jaw's rim and of the rings around it come to be taken from the skin.

    Args:
        places: ``(V, 3) f64``, where each point's colour is in the portrait; landmarks come first.
        head: as for ``rings_around``.
        start: number of the first ring's first point.

    Returns:
        ``(V, 3) f64``, from there to where the skin is.
    """
    outline, middle, ray, angle = _outline(head)
    num = len(outline)
    jaw = np.interp(angle, _JAW_DEGREES, _JAW_INWARD)
    is_jaw = jaw > 0.0
    moves = np.zeros_like(places)
    for number, share in enumerate(_WITHIN):
        rows = start + number * num + np.flatnonzero(is_jaw)
        skin = middle + ray * (1.0 - (1.0 + share) * jaw)[:, None]
        moves[rows] = skin[is_jaw] - places[rows]
    own = head[:, :2] - middle[:2]
    bearing = np.arctan2(own[:, 0], -own[:, 1])
    # With a period the rays may come in any order.
    around = np.arctan2(ray[:, 0], -ray[:, 1])
    length = np.linalg.norm(ray[:, :2], axis=1)
    reach = np.linalg.norm(own, axis=1) / np.interp(bearing, around, length, period=2.0 * np.pi)
    inward = np.interp(np.degrees(np.abs(bearing)), _JAW_DEGREES, _JAW_INWARD)
    beyond = np.maximum(reach - _RIM, 0.0) / (1.0 - _RIM)
    moves[:NUM_POINTS, :2] = -own * (inward * beyond / np.maximum(reach, _RIM))[:, None]
    return moves


def _outline(head: NDArray[np.float64]) -> tuple[_Points, _Points, _Points, _Points]:
    """The face's outline, its middle, the rays to it, and their degrees from the top."""
    outline = head[list(OVAL)]
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    ray = outline - middle
    return outline, middle, ray, np.degrees(np.abs(np.arctan2(ray[:, 0], -ray[:, 1])))


def _silhouette_depth(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """How deep the head is where its silhouette lies, by the rays' angles."""
    return np.asarray(np.interp(angle, (90.0, 150.0), (_HAIR_DEPTH, _NECK_DEPTH)))


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


def strips(numbers: NDArray[np.int64], *, closed: bool) -> NDArray[np.int64]:
    """Triangles between neighbouring rows of points.

    Args:
        numbers: ``(R, N)`` of the points.
        closed: a row's last point is next to its first.
    """
    if closed:
        numbers = np.hstack([numbers, numbers[:, :1]])
    a, b = numbers[:-1, :-1].ravel(), numbers[:-1, 1:].ravel()
    c, d = numbers[1:, :-1].ravel(), numbers[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])


def spread_to_rings(shapes: NDArray[np.float64], start: int, carried: NDArray[np.float64]) -> None:
    """Has the rings follow the outline's expression, the nearer the more.

    Args:
        shapes: ``(E, V, 3) f64``, how each expression moves the points; the rings' are written.
        start: number of the first ring's first point.
        carried: from ``rings_around``.
    """
    num_rings = len(carried) // len(OVAL)
    for number in range(num_rings):
        rows = slice(start + number * len(OVAL), start + (number + 1) * len(OVAL))
        weight = carried[number * len(OVAL) : (number + 1) * len(OVAL), None]
        # Two rings lie where the head ends: its own, and the one of what is behind it.
        rank = number + 1 if number < len(_WITHIN) else number
        fade = 1.0 - rank / (num_rings - 1)
        shapes[:, rows] = shapes[:, list(OVAL)] * weight * fade
