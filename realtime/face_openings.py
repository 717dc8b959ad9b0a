"""Where the openings of a face lie, in which its own eyeballs, teeth and tongue show."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import EYES, INNER_LIPS, OPENINGS, FaceMesh
from realtime.face_zones import MAP_PX, below_lashes
from realtime.frame import Points

_RIM = 0.004
"""How far lids and lips of the source reach into the openings, in widths of the face."""

_LASHES = 0.008
"""How much further the lashes of the upper lids do, in the middle of an eye."""

_CORNERS = np.array([*EYES[0], *EYES[1], *INNER_LIPS])

_FIRST_EYE, _SECOND_EYE, _LIPS = slice(0, 16), slice(16, 32), slice(32, None)
"""What of ``_CORNERS`` is whose outline."""

_SOFT_PX = 4
"""How far a soft edge reaches beyond a line, at most."""

_SHIFT = 4
"""Outlines are drawn to sixteenths of a pixel."""

_OUTER_EYES = (33, 263)
_TURNED = 0.45
"""Depth between the outer eye corners over their distance as it is seen, up to which the nose
stands before neither eye: a turn of 24 degrees."""

_AROUND_PX = 25
"""How far around an opening the map still counts as it, both sides together: what is drawn at
half the size is not seen more finely on small faces."""


@dataclass(frozen=True, slots=True)
class Openings:
    """Where openings lie in a crop, whatever stands before them.

    Attributes:
        rows, columns: the part of the crop they lie in.
        mask: ``(h, w) u8`` of that part, 255 inside of an opening.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.uint8]


def draw_openings(size: tuple[int, int], points: Points, width_px: float) -> Openings | None:
    """Draws the openings of a face.

    The rim of an opening stays covered, so that the upper lashes and the edge of the lips are the
    source's, and a lid or a mouth that is all but shut is drawn shut.

    Args:
        size: width and height of the crop.
        points: ``(468, 2 or 3) f32`` landmarks in the crop.
        width_px: width of the face.

    Returns:
        None where they all lie beside the crop.
    """
    thickness = max(1, round(2 * _RIM * width_px))
    outlines = points[:, :2].take(_CORNERS, axis=0)
    for eye in (_FIRST_EYE, _SECOND_EYE):
        outlines[eye] = below_lashes(outlines[eye], _LASHES * width_px)
    left, top, width, height = cv2.boundingRect(outlines)
    around = thickness + _SOFT_PX
    columns = slice(max(left - around, 0), min(left + width + around, size[0]))
    rows = slice(max(top - around, 0), min(top + height + around, size[1]))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    outlines -= np.array((columns.start, rows.start), np.float32)
    corners = np.rint(outlines * np.float32(2**_SHIFT)).astype(np.int32)
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    for part in (_FIRST_EYE, _SECOND_EYE, _LIPS):
        outline = [corners[part]]
        cv2.fillPoly(mask, outline, (255,), cv2.LINE_AA, _SHIFT)
        cv2.polylines(mask, outline, True, (0,), thickness, cv2.LINE_AA, _SHIFT)
    return Openings(rows, columns, np.asarray(cv2.blur(mask, (3, 3)), np.uint8))


def opening_zone(mesh: FaceMesh) -> NDArray[np.uint8]:
    """255 on the map where openings and a little around them lie, ``(MAP_PX, MAP_PX) u8``."""
    zone = np.zeros((MAP_PX, MAP_PX), np.uint8)
    for ring in OPENINGS:
        corners = mesh.layout[list(ring)] * np.float32(MAP_PX) - np.float32(0.5)
        cv2.fillPoly(zone, [np.round(corners).astype(np.int32)], (255,))
    return np.asarray(cv2.dilate(zone, np.ones((_AROUND_PX, _AROUND_PX), np.uint8)), np.uint8)


def may_be_hidden(points: Points) -> bool:
    """Whether a head is turned so far that the nose may stand before an eye.

    Args:
        points: ``(468, 3) f32``, z away from the camera in the scale of x.
    """
    first, second = _OUTER_EYES
    across, down, away = (points[second] - points[first]).tolist()
    return float(abs(away)) > _TURNED * math.hypot(across, down)
