"""One face found in one picture: what makes it believable, and whether two are the same. Pure."""

import math
from dataclasses import dataclass, replace

import numpy as np

from engines.models.face_finder import LocatedFace
from engines.models.face_landmark import square_from_landmarks
from engines.models.square_crop import CropSquare
from realtime.frame import Image, Points, Pose
from realtime.geometry import (
    Box,
    bounding_box,
    box_area,
    box_overlap,
    fit_head,
    head_misfit,
    head_pose,
)

_MIN_SIDE_PX = 12.0
_MIN_VISIBLE = 0.3
# Twice what was seen on any face that a second detector agreed with, extreme expressions included.
_MAX_MISFIT = 0.25
# From one picture to the next at 15 pictures per second and more.
_MAX_GROWTH = 1.5
_MAX_MOVE = 1.2
# Bounds that at least 97 of 100 frames keep on any clip of people who talk, grimace and move. The
# first one is for heads that look ahead; twice that is the same for heads turned far.
_STEADY_MISFIT = 0.06
_STEADY_MISFIT_GROWTH = 1.3
_STEADY_GROWTH = 1.15
_STEADY_MOVE = 0.2
_SAME_PLACE = 0.6

_LEAST_SIDE, _LEAST_TURNED = 4.1, 4.6
"""Side of the square that a face is looked for in, over the radius of its head, at least: of one
that looks ahead and of one turned far. Squares around faces that look ahead are 4.0 to 4.8 radii
wide; the tighter the crop, the sooner a profile is drawn together into it."""


_TURNED = (15.0, 30.0)
"""From which to which yaw a head comes to count as turned far, in degrees as ``head_pose`` reads
them: 30 are about 40."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face found in one picture.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels.
        box: around the landmarks.
        score: probability 0..1 that the landmarks lie on a face.
        head_px: radius of the head, the root mean square one of its rigid points.
        pose: head pose.
        misfit: how far the landmarks are from the shape of a head, as ``head_misfit`` says.
        lean_rad: clockwise turn of the line between the eyes as the whole head has it.
    """

    landmarks: Points
    box: Box
    score: float
    head_px: float
    pose: Pose
    misfit: float
    lean_rad: float

    @property
    def side_px(self) -> float:
        """Long side of the box."""
        left, top, right, bottom = self.box.tolist()
        return float(max(right - left, bottom - top))

    @property
    def turn(self) -> float:
        """How far the head is turned to the side, from 0 for ahead to 1."""
        least, most = _TURNED
        return min(max((abs(self.pose.yaw) - least) / (most - least), 0.0), 1.0)

    @property
    def square(self) -> CropSquare:
        """Where the face is to be looked for in the next picture.

        Of a head that is turned away the network draws the landmarks together, the more so the
        tighter its crop. A crop around them would shrink from picture to picture, and stay too
        small while the head turns back; so it is never tighter than the head asks for. The corners
        of its eyes lie close together then, and the line between them leans as the crop does; so
        the more it is turned, the more its lean is that of all its rigid points.
        """
        square = square_from_landmarks(self.landmarks)
        more_rad = math.remainder(self.lean_rad - square.angle_rad, math.tau)
        least = _LEAST_SIDE + self.turn * (_LEAST_TURNED - _LEAST_SIDE)
        return replace(
            square,
            side_px=max(square.side_px, least * self.head_px),
            angle_rad=square.angle_rad + self.turn * more_rad,
        )


def believable(
    landmarks: Points, score: float, *, width_px: int, height_px: int
) -> Sighting | None:
    """The face, if its landmarks are finite, large enough, in view and shaped like a head.

    Args:
        landmarks: ``(468, 3) f32`` image pixels; kept, not copied.
        score: what the landmark network says.
        width_px, height_px: size of the picture.
    """
    if not np.isfinite(landmarks).all():
        return None
    box = bounding_box(landmarks)
    left, top, right, bottom = box.tolist()
    if max(right - left, bottom - top) < _MIN_SIDE_PX:
        return None
    across = max(min(right, width_px) - max(left, 0.0), 0.0)
    down = max(min(bottom, height_px) - max(top, 0.0), 0.0)
    if across * down < _MIN_VISIBLE * (right - left) * (bottom - top):
        return None
    head = fit_head(landmarks)
    misfit = head_misfit(landmarks, head)
    if misfit > _MAX_MISFIT:
        return None
    across, down = head.rotation[:2, 0].tolist()
    lean_rad = math.atan2(down, across)
    return Sighting(landmarks, box, score, head.scale, head_pose(head), misfit, lean_rad)


def sighting_in(image: Image, face: LocatedFace | None) -> Sighting | None:
    """The face, if there is one and it is believable in this picture.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        face: what the landmark network says of it.
    """
    if face is None:
        return None
    height_px, width_px = image.shape[:2]
    return believable(face.landmarks, face.score, width_px=width_px, height_px=height_px)


def is_steady(new: Sighting, last: Sighting) -> bool:
    """Whether a followed face looks as it did in the picture before.

    The landmark network can be sure of a crop that shows a part of a face only, and spread its
    points over the rest; the head they make is then out of shape, and it jumps.
    """
    small, large = sorted((new.side_px, last.side_px))
    floor = _STEADY_MISFIT * (1.0 + last.turn)
    return (
        new.misfit <= max(floor, _STEADY_MISFIT_GROWTH * last.misfit)
        and large <= _STEADY_GROWTH * small
        and distance_px(new, last) <= _STEADY_MOVE * large
    )


def likelier(followed: Sighting, recovered: Sighting, last: Sighting) -> Sighting:
    """Which of two sightings of one face goes on from the picture before.

    A detector confirms that a face is there. Of a head turned far its box holds the visible part
    alone, and landmarks that begin from it are drawn together; the face then keeps the place that
    it was followed to.

    Args:
        followed: where the face was followed to.
        recovered: where it is as the detector sees it. That counts, unless it is a jump to what is
            less like a head or too large or small to be this one, in the same place.
        last: the face in the picture before.
    """
    is_worse = recovered.misfit >= followed.misfit or not can_be_same(recovered, last)
    is_jump = is_worse and not is_steady(recovered, last)
    is_nearer = _growth(followed, last) <= _growth(recovered, last)
    if is_jump and is_nearer and is_same_place(followed, recovered):
        return followed
    return recovered


def can_be_same(a: Sighting, b: Sighting) -> bool:
    """Whether one face can be the other a moment later, by size and place."""
    small, large = sorted((a.side_px, b.side_px))
    return large <= _MAX_GROWTH * small and distance_px(a, b) <= _MAX_MOVE * large


def right_way_up(found: Sighting, turned: Sighting | None) -> Sighting:
    """Which of two sightings of one face, leaning differently, is the right one.

    The second one must look more like a face and be more like a head in shape.

    Args:
        found: as the face was found.
        turned: as it looks when it is taken to lean otherwise, if it looks like one then.
    """
    if turned is None or turned.score <= found.score or turned.misfit >= found.misfit:
        return found
    return turned


def distance_px(a: Sighting, b: Sighting) -> float:
    """Distance between the middles of two faces."""
    left, top, right, bottom = (a.box - b.box).tolist()
    return math.hypot(left + right, top + bottom) / 2


def _growth(a: Sighting, b: Sighting) -> float:
    """How many times as large the larger of two faces is."""
    small, large = sorted((a.side_px, b.side_px))
    return large / small


def is_same_place(a: Sighting, b: Sighting) -> bool:
    """Whether the smaller of two faces lies mostly within the other."""
    shared = float(box_overlap(a.box[None], b.box[None])[0, 0])
    return shared > _SAME_PLACE * min(float(box_area(a.box)), float(box_area(b.box)))
