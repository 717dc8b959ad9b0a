"""A turned head as seen more from the front, and back: resampling over its 3D mesh.

Swapping networks know faces from the front best. The mesh says where each spot of the skin lies in
a view that is turned towards the camera; a skirt of rings around it carries hair and background
along, all the less the farther out, so that both views agree at the crop's edges. Each view is
drawn with the places of the other one as its values, which makes the way there and the way back
two look-ups.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from engines.families.crops import cut_crop
from realtime.face_mesh import NUM_POINTS, OVAL, FaceMesh
from realtime.frame import Image, Points
from realtime.geometry import Matrix, Similarity, apply, compose, fit_similarity, invert
from realtime.memory import Memory

_RINGS = ((1.15, 0.85), (1.4, 0.5), (1.8, 0.2), (2.6, 0.0), (8.0, 0.0))
"""Distance of each ring from the face's middle, over that of its outline, and how far the ring
goes with the head."""

_BEHIND = 0.6
"""How far rings lie behind the outline, in head radii for each face radius outwards."""

_SOFT_DEG = 10.0
"""Width in which turning sets in, so that it does not start with a jerk."""

_BLEND_DEG = 3.0
"""Turn up to which the crop is blended with the one that is not turned."""

_LEVEL = 1e-9
"""Sine of a turn below which it has no direction."""

_TOLERANCE = 0.08
"""Depth behind the nearest surface up to which a spot counts as seen, in head radii."""

_GRAZING, _FACING = 0.05, 0.3
"""Cosines to the line of sight below which skin shows nothing, and from which it shows all."""

_DENSITY = 2
"""Pixels of the picture's crop for each pixel of the network's, so that stretching blurs little."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a head is turned towards the camera.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels after the turn.
        rotation: ``(3, 3) f64``, about the head's middle.
        pivot: ``(3,) f64`` the head's middle, image pixels.
        degrees: by how much, above 0.
        radius_px: of the head.
    """

    landmarks: Points
    rotation: NDArray[np.float64]
    pivot: NDArray[np.float64]
    degrees: float
    radius_px: float

    @property
    def share(self) -> float:
        """How much of the picture comes over the mesh: 0..1, rising smoothly with the turn."""
        share = min(self.degrees / _BLEND_DEG, 1.0)
        return share * share * (3.0 - 2.0 * share)


def turn_to_camera(
    landmarks: Points, head: Similarity, *, limit_deg: float, strength: float
) -> Turn | None:
    """Turns a head that looks past the camera by more than a limit part of the way back.

    Args:
        landmarks: ``(468, 3) f32`` image pixels.
        head: their ``fit_head``.
        limit_deg: angle between the head's front and the line of sight up to which it is left.
        strength: share of what is beyond the limit that is taken back, 0..1.

    Returns:
        None where there is nothing to turn. The angle begins at 0 at the limit, without a kink.
    """
    front = -head.rotation[:, 2]
    beyond = math.degrees(math.acos(min(max(-float(front[2]), -1.0), 1.0))) - limit_deg
    if beyond <= 0.0 or strength <= 0.0:
        return None
    degrees = strength * beyond * beyond / (beyond + _SOFT_DEG)
    # The axis lies in the picture, across the direction in which the head looks away.
    axis = np.array([-front[1], front[0], 0.0]) / max(math.hypot(front[0], front[1]), _LEVEL)
    rotation = np.asarray(cv2.Rodrigues(axis * math.radians(degrees))[0], np.float64)
    turned = (landmarks - head.shift) @ rotation.T + head.shift
    return Turn(turned.astype(np.float32), rotation, head.shift, degrees, head.scale)


class FrontalView:
    """Holds the tables and scratch for one size of crop; belongs to one thread."""

    def __init__(self, mesh: FaceMesh, crop_px: int, memory: Memory) -> None:
        """Takes its scratch.

        Args:
            mesh: of the landmarks.
            crop_px: side of the network's crop.
            memory: gives out the scratch.
        """
        self._mesh = mesh
        self._crop_px = crop_px
        self._triangles = np.vstack([mesh.closed, _skirt(len(_RINGS))]).astype(np.int32)
        num_rings = len(_RINGS) * len(OVAL)
        self._mirror = np.concatenate(
            [mesh.mirror.astype(np.intp), NUM_POINTS + np.arange(num_rings)]
        )
        side = (crop_px, crop_px)
        self._back, self._there, self._mirrored = (
            memory.host((*side, 3), np.float32) for _ in range(3)
        )
        self._depth = memory.host(side, np.float32)
        dense_px = _DENSITY * crop_px
        self._dense: Image = memory.host((dense_px, dense_px, 3), np.uint8)

    def cut(
        self, image: Image, landmarks: Points, turn: Turn, turned_from_image: Matrix, *, out: Image
    ) -> Matrix:
        """Writes the crop of the turned head, and prepares the way back.

        What the turn brings into view is taken from the other side of the face.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3) f32`` image pixels as they are in the picture.
            turn: how the head is turned.
            turned_from_image: ``(2, 3) f64``, the network's crop for the turned landmarks.
            out: ``(C, C, 3) u8 BGR`` is written.

        Returns:
            ``(2, 3) f64`` the crop of the picture that ``put_back`` writes.
        """
        there = apply(turned_from_image, turn.landmarks[:, :2])
        crop_from_image = fit_similarity(landmarks[:, :2], there).b_from_a
        direct, turned = self._corners(landmarks, turn, turned_from_image, crop_from_image)
        self._draw(direct, np.column_stack([turned[:, :2], direct[:, 2]]), self._back)
        self._draw(turned, direct, self._there)
        facing = np.ones(len(direct))
        facing[:NUM_POINTS] = self._mesh.facing(landmarks)
        self._draw(turned, np.column_stack([direct[self._mirror, :2], facing]), self._mirrored)
        middle = (_DENSITY - 1) / 2
        dense_from_crop = np.array([[_DENSITY, 0.0, middle], [0.0, _DENSITY, middle]])
        cut_crop(image, compose(dense_from_crop, crop_from_image), out=self._dense)
        seen = self._seen(turn.radius_px * _scale(turned_from_image))
        own, other = (self._looked_up(places) for places in (self._there, self._mirrored))
        over_mesh = cv2.blendLinear(own, other, seen, np.float32(1.0) - seen)
        if turn.share < 1.0:
            cut_crop(image, turned_from_image, out=out)
            cv2.addWeighted(over_mesh, turn.share, out, 1.0 - turn.share, 0.0, out)
        else:
            np.copyto(out, over_mesh)
        return crop_from_image

    def put_back(
        self,
        picture: NDArray[np.uint8],
        turn: Turn,
        *,
        border: int,
        out: NDArray[np.uint8],
    ) -> None:
        """Turns a crop back to where the head looks in the picture.

        Args:
            picture: ``(C, C)`` or ``(C, C, 3) u8``, in the crop that ``cut`` wrote.
            turn: as given to ``cut``.
            border: what lies beyond the crop, one of OpenCV's border modes.
            out: of the same shape, in the crop that ``cut`` returned; is written.
        """
        across, down = cv2.extractChannel(self._back, 0), cv2.extractChannel(self._back, 1)
        back = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=border)
        if turn.share < 1.0:
            cv2.addWeighted(back, turn.share, picture, 1.0 - turn.share, 0.0, out)
        else:
            np.copyto(out, back)

    def _corners(
        self, landmarks: Points, turn: Turn, turned_from_image: Matrix, crop_from_image: Matrix
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mesh with its skirt in both crops: twice ``(V, 3) f64`` crop pixels, z away."""
        scale = _scale(turned_from_image)
        turned = _in_crop(turned_from_image, scale, turn.landmarks)
        direct = _in_crop(crop_from_image, scale, landmarks)
        outline = turned[list(OVAL)]
        middle = outline.mean(axis=0)
        image_from_turned = invert(turned_from_image)
        rings_turned, rings_direct = [], []
        for reach, carried in _RINGS:
            ring = middle + reach * (outline - middle)
            ring[:, 2] = outline[:, 2] + (reach - 1.0) * _BEHIND * turn.radius_px * scale
            placed = np.column_stack([apply(image_from_turned, ring[:, :2]), ring[:, 2] / scale])
            unturned = (placed - turn.pivot) @ turn.rotation + turn.pivot
            goal = _in_crop(crop_from_image, scale, unturned)
            rings_turned.append(ring)
            rings_direct.append(ring + carried * (goal - ring))
        return np.vstack([direct, *rings_direct]), np.vstack([turned, *rings_turned])

    def _draw(
        self,
        corners: NDArray[np.float64],
        values: NDArray[np.float64],
        out: NDArray[np.float32],
    ) -> None:
        rasterize(
            corners[:, :2].astype(np.float32),
            (corners[:, 2] - corners[:NUM_POINTS, 2].mean()).astype(np.float32),
            self._triangles,
            values.astype(np.float32),
            out=out,
            depth=self._depth,
        )

    def _seen(self, radius_px: float) -> NDArray[np.float32]:
        """How far each pixel of the turned crop shows what the picture shows: ``(C, C) f32``."""
        nearest = cv2.remap(
            cv2.extractChannel(self._back, 2),
            cv2.extractChannel(self._there, 0),
            cv2.extractChannel(self._there, 1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        behind = (cv2.extractChannel(self._there, 2) - nearest) / np.float32(_TOLERANCE * radius_px)
        clear = np.clip(np.float32(2.0) - behind, 0.0, 1.0)
        facing = cv2.extractChannel(self._mirrored, 2)
        lit = np.clip((facing - _GRAZING) / np.float32(_FACING - _GRAZING), 0.0, 1.0)
        side = 2 * max(1, self._crop_px // 64) + 1
        return np.asarray(cv2.blur(clear * lit, (side, side)), np.float32)

    def _looked_up(self, places: NDArray[np.float32]) -> Image:
        """The dense crop at places given in pixels of the crop."""
        scale, shift = np.float32(_DENSITY), np.float32((_DENSITY - 1) / 2)
        found = cv2.remap(
            self._dense,
            places[..., 0] * scale + shift,
            places[..., 1] * scale + shift,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(found, np.uint8)


def _scale(crop_from_image: Matrix) -> float:
    """Crop pixels per image pixel of a similarity."""
    return math.hypot(crop_from_image[0, 0], crop_from_image[1, 0])


def _in_crop(
    crop_from_image: Matrix, scale: float, points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Image points ``(N, 3)`` in a crop; depth in crop pixels."""
    return np.column_stack([apply(crop_from_image, points[:, :2]), points[:, 2] * scale])


def _skirt(num_rings: int) -> NDArray[np.int32]:
    """Triangles between the face's outline and the rings around it, ``(T, 3)``."""
    count = len(OVAL)
    rings = NUM_POINTS + np.arange(num_rings * count).reshape(num_rings, count)
    rows = np.vstack([np.array(OVAL), rings])
    rows = np.hstack([rows, rows[:, :1]])
    a, b, c, d = rows[:-1, :-1], rows[:-1, 1:], rows[1:, :-1], rows[1:, 1:]
    triangles = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    return np.concatenate(triangles).astype(np.int32)
