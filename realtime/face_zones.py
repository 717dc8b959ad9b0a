"""Where things lie on the flat map of a face: brows, eyes, lips, the forehead, the outer sides.

Everything here depends on the mesh's layout alone and is computed once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import (
    BROW_LINE,
    LEFT_BROW,
    LEFT_EYE,
    NOSE_OUTLINE,
    NOSTRILS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    FaceMesh,
)

MAP_PX = 512
"""Side of the square map of a face on which textures are kept."""

Mask = NDArray[np.float32]

_LOWER_LID, _UPPER_LID = range(7, 0, -1), range(9, 16)
"""The lids in the ring of an eye, both from the inner corner outwards, without the corners."""

_LASH_SHARES = tuple(math.sin(point * math.pi / 8) for point in range(1, 8))
"""How far the lashes hang down at each point of the upper lid, of the most."""

_LASHES, _LID_PX = 0.016, 3
"""The lashes of the upper lid in map widths, and the side of the square by which an eye below them
is grown, in pixels of the map."""

Outline = NDArray[np.floating]


def smoothstep(x: NDArray[np.float32] | Mask, low: float, high: float) -> Mask:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = (np.asarray(x, np.float32) - np.float32(low)) / np.float32(high - low)
    t = np.minimum(np.maximum(t, np.float32(0.0)), np.float32(1.0))
    return np.asarray(t * t * (np.float32(3.0) - np.float32(2.0) * t), np.float32)


@dataclass(frozen=True)
class FaceZones:
    """Soft masks on the map, ``(MAP_PX, MAP_PX) f32`` 0..1 unless said otherwise.

    Attributes:
        face: inside the face's outline.
        depth: distance from the outline inwards, in map widths; 0 outside.
        brows: the brows and what lies close around them.
        eyes: lids and lashes with a margin.
        eyeballs: eyes below the upper lashes, down to a little beyond the lower lid.
        sockets: eyes and brows together.
        brow_hair: the brows themselves.
        lips: the lips with a narrow margin.
        nostrils: the nostrils.
        forehead: above the brows.
        chin: where a beard grows in front.
        aside: distance from the middle line, in map widths.
        down: distance from the upper edge, in map widths.
        flat: skin away from eyes, brows, nose and mouth.
        cheeks: the part of it on the cheeks.
    """

    face: Mask
    depth: Mask
    brows: Mask
    eyes: Mask
    eyeballs: Mask
    sockets: Mask
    brow_hair: Mask
    lips: Mask
    nostrils: Mask
    forehead: Mask
    chin: Mask
    aside: Mask
    down: Mask
    flat: Mask
    cheeks: Mask


def draw_zones(mesh: FaceMesh) -> FaceZones:
    """Draws the zones of a mesh's layout.

    Args:
        mesh: the mesh.
    """
    pen = _Pen(mesh.layout)
    down, across = np.mgrid[:MAP_PX, :MAP_PX].astype(np.float32) / MAP_PX
    face = pen.ring(OVAL)
    inside = (face > 0.5).astype(np.uint8)
    brow_hair = np.maximum(pen.hull(RIGHT_BROW), pen.hull(LEFT_BROW))
    brows = _grown(brow_hair, 17, 11)
    eyes = np.maximum(pen.ring(RIGHT_EYE, grow=0.35), pen.ring(LEFT_EYE, grow=0.35))
    sockets = np.maximum(pen.hull(RIGHT_EYE + RIGHT_BROW), pen.hull(LEFT_EYE + LEFT_BROW))
    lips = pen.ring(OUTER_LIPS, grow=0.08)
    nostrils = pen.dots(NOSTRILS, 9)
    features = np.maximum.reduce([brows, eyes, lips, nostrils, pen.hull(NOSE_OUTLINE)])
    away = cv2.distanceTransform((features < 0.25).astype(np.uint8), cv2.DIST_L2, 5) / MAP_PX
    line = mesh.layout[list(BROW_LINE)]
    brow_height = np.interp(across[0], line[:, 0], line[:, 1]).astype(np.float32)
    forehead = np.clip((brow_height[None] - down) * MAP_PX / 10 + 0.5, 0, 1).astype(np.float32)
    aside = np.abs(across - np.float32(0.5))
    flat = smoothstep(np.asarray(away, np.float32), 0.0, 0.045)
    # Flat, not high: what lies lower, the hollow and the fold beside the mouth, is form.
    cheeks = np.exp(-((((aside - 0.22) / 0.13) ** 2 + ((down - 0.5) / 0.09) ** 2) ** 2))
    return FaceZones(
        face=face,
        depth=np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5) / MAP_PX, np.float32),
        brows=brows,
        eyes=eyes,
        eyeballs=np.maximum(pen.eyeball(RIGHT_EYE), pen.eyeball(LEFT_EYE)),
        sockets=np.asarray(cv2.GaussianBlur(_grown(sockets, 31, 17), (0, 0), 3), np.float32),
        brow_hair=_grown(brow_hair, 7, 7),
        lips=lips,
        nostrils=nostrils,
        forehead=np.asarray(forehead * inside, np.float32),
        chin=np.asarray(((down > 0.58) & (aside < 0.13) & (lips < 0.1) & (inside > 0)), np.float32),
        aside=aside,
        down=down,
        flat=flat,
        cheeks=np.asarray(flat * cheeks, np.float32),
    )


def below_lashes(outline: Outline, lashes: float) -> Outline:
    """The outline of an eye with its upper lid lowered.

    Args:
        outline: ``(16, 2)``, in the order of ``face_mesh.EYES``.
        lashes: how far in the middle of the eye, in the unit of the outline; less towards the
            corners, and never below the lower lid.
    """
    # Number by number: NumPy takes four times as long for so few.
    points = outline.tolist()
    for share, upper, lower in zip(_LASH_SHARES, _UPPER_LID, _LOWER_LID, strict=True):
        (x, y), (below_x, below_y) = points[upper], points[lower]
        height = math.hypot(below_x - x, below_y - y)
        part = min(share * lashes / max(height, 1e-6), 1.0)
        points[upper] = [x + part * (below_x - x), y + part * (below_y - y)]
    return np.array(points, outline.dtype)


def _grown(mask: Mask, width_px: int, height_px: int) -> Mask:
    return np.asarray(cv2.dilate(mask, np.ones((height_px, width_px), np.uint8)), np.float32)


class _Pen:
    """Draws shapes given by landmark numbers."""

    def __init__(self, layout: NDArray[np.float32]) -> None:
        self._points_px = layout.astype(np.float64) * MAP_PX

    def ring(self, points: Sequence[int], *, grow: float = 0.0) -> Mask:
        """The inside of a ring, optionally grown about its centre."""
        corners = self._points_px[list(points)]
        centre = corners.mean(axis=0)
        return self._fill(centre + (corners - centre) * (1 + grow))

    def eyeball(self, ring: Sequence[int]) -> Mask:
        """An eye below its lashes, grown a little: lids are not placed to the pixel."""
        outline = below_lashes(self._points_px[list(ring)], _LASHES * MAP_PX)
        inside = self._fill(np.asarray(outline, np.float64))
        return np.asarray(cv2.dilate(inside, np.ones((_LID_PX, _LID_PX), np.uint8)), np.float32)

    def hull(self, points: Sequence[int]) -> Mask:
        """The convex hull of points."""
        corners = self._points_px[list(points)].astype(np.float32)
        return self._fill(cv2.convexHull(corners)[:, 0].astype(np.float64))

    def dots(self, points: Sequence[int], radius_px: int) -> Mask:
        """Discs around points."""
        mask = np.zeros((MAP_PX, MAP_PX), np.uint8)
        for x, y in np.round(self._points_px[list(points)]).astype(int):
            cv2.circle(mask, (int(x), int(y)), radius_px, 255, -1)
        return np.asarray(mask / np.float32(255), np.float32)

    def _fill(self, corners_px: NDArray[np.float64]) -> Mask:
        mask = np.zeros((MAP_PX, MAP_PX), np.uint8)
        fixed_point = np.round(corners_px * 16).astype(np.int32)
        cv2.fillPoly(mask, [fixed_point], (255,), lineType=cv2.LINE_AA, shift=4)
        return np.asarray(mask / np.float32(255), np.float32)
