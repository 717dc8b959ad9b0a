"""Single strands of hair on a person's flat map: over one brow, and over the forehead."""

import cv2
import numpy as np

from realtime.face_zones import MAP_PX, FaceZones, Mask, smoothstep

_STRAND, _STRAND_PX = (0.4, 0.55), 61
"""Log shade by which a spot of the forehead is darker than the skin around when it begins to be
hair and when it surely is, and the width up to which hair is bridged, in pixels of the map."""

_STRAND_END_PX = 41
"""Side of the neighbourhood of a strand over a brow within which what is as dark goes with it, and
the width up to which hair goes on across a brow between hair on both sides of it."""

_MOSTLY = 0.5
"""A brow of which more than this part lies under hair is taken from the other one."""


def hair_over_brow(foreign: Mask, found: Mask, zones: FaceZones) -> Mask:
    """Hair that lies over brows; it is as dark as they are.

    It hangs down from above without a gap, or there is hair on both sides of the brow. The end of
    a brow that is lost in hair may go with it. Where most of a brow lies under hair the other one
    takes its place and is kept whole; where most of both does, both are, for a face needs brows.

    Args:
        foreign: ``(MAP_PX, MAP_PX) f32`` 0..1, what has not the look of skin, brows among it.
        found: the same, what is known to be no part of the face.
        zones: of the map.

    Returns:
        ``(MAP_PX, MAP_PX) f32`` 0..1, that hair on the brows.
    """
    hair = np.asarray(np.maximum(foreign, found), np.float32)
    hanging = np.minimum.accumulate(np.where(zones.face < 0.5, 1.0, hair), axis=0)
    # A strand's fringes leave gaps, and its end lies over the brow alone.
    square = np.ones((_STRAND_END_PX, _STRAND_END_PX), np.uint8)
    around = cv2.dilate(np.asarray(hanging * zones.brows, np.float32), square)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, square.shape)
    across = cv2.morphologyEx(np.asarray(found, np.float32), cv2.MORPH_CLOSE, disc)
    over = np.asarray(foreign * zones.brows * np.maximum(around, across), np.float32)
    halves = [slice(None, MAP_PX // 2), slice(MAP_PX // 2, None)]
    hidden = [_share(over[:, half], zones.brow_hair[:, half]) > _MOSTLY for half in halves]
    for half, other_is_hidden in zip(halves, reversed(hidden), strict=True):
        if other_is_hidden:
            over[:, half] = 0.0
    return over


def _share(mask: Mask, part: Mask) -> float:
    """How much of a part a mask covers, 0..1."""
    return float((mask * part).sum() / part.sum())


def find_strands(shade: Mask, zones: FaceZones) -> tuple[Mask, Mask]:
    """The shade of the forehead and temples between strands of hair, and where strands are.

    A closing bridges what is dark and narrow (Serra 1982). Wrinkles are not as dark and stay.

    Args:
        shade: ``(MAP_PX, MAP_PX) f32``, log brightness over that of plain skin.
        zones: of the map.

    Returns:
        Both ``(MAP_PX, MAP_PX) f32``: the shade without strands, and 0..1, where they are.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_STRAND_PX, _STRAND_PX))
    closed = cv2.GaussianBlur(cv2.morphologyEx(shade, cv2.MORPH_CLOSE, disc), (0, 0), 6)
    bridged = np.clip(np.asarray(closed, np.float32), -0.1, 0.05)
    hair = cv2.dilate(smoothstep(bridged - shade, *_STRAND), np.ones((5, 5), np.uint8))
    brow = int(np.argmax(zones.brow_hair.max(axis=0) > 0.5))
    temple = smoothstep(zones.aside, 0.5 - brow / MAP_PX - 0.02, 0.5 - brow / MAP_PX + 0.01)
    bare = np.maximum(zones.forehead * (1.0 - zones.brows), temple * (zones.down < 0.45))
    bare = cv2.GaussianBlur(bare * (1.0 - zones.eyes), (0, 0), 2)
    return bridged, np.asarray(bare * cv2.GaussianBlur(hair, (0, 0), 1.5), np.float32)
