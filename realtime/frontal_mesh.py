"""A turned head as seen more from the front, and back: its mesh in both views.

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

from realtime.face_mesh import NUM_POINTS, OVAL, FaceMesh
from realtime.frame import Points
from realtime.geometry import Matrix, Similarity, apply, compose, fit_similarity, invert

DENSITY = 2
"""Pixels of the picture's crop for each pixel of the network's, so that stretching blurs little."""

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


@dataclass(frozen=True, slots=True)
class MeshViews:
    """A head's mesh as it is drawn in the picture's crop and in the turned one.

    Attributes:
        crop_from_image: ``(2, 3) f64``, the crop of the picture.
        direct_px, turned_px: ``(V, 2) f32``, its corners in both crops.
        direct_depth, turned_depth: ``(V,) f32``, away from the viewer, in pixels of the crops.
        back, there, mirrored: ``(V, 3) f32``, the values that are drawn, see
            ``cuda_kernels.frontal``; the first in the picture's crop, the others in the turned one.
        tolerance_px: depth behind the nearest surface up to which a spot counts as seen.
    """

    crop_from_image: Matrix
    direct_px: NDArray[np.float32]
    turned_px: NDArray[np.float32]
    direct_depth: NDArray[np.float32]
    turned_depth: NDArray[np.float32]
    back: NDArray[np.float32]
    there: NDArray[np.float32]
    mirrored: NDArray[np.float32]
    tolerance_px: float


class FrontalMesh:
    """The mesh with its skirt.

    Args:
        mesh: of the landmarks.
    """

    def __init__(self, mesh: FaceMesh) -> None:
        self._mesh = mesh
        self.triangles = np.vstack([mesh.closed, _skirt(len(_RINGS))]).astype(np.int32)
        num_rings = len(_RINGS) * len(OVAL)
        self._mirror = np.concatenate(
            [mesh.mirror.astype(np.intp), NUM_POINTS + np.arange(num_rings)]
        )

    @property
    def num_corners(self) -> int:
        """How many ``MeshViews`` have."""
        return len(self._mirror)

    def views(self, landmarks: Points, turn: Turn, turned_from_image: Matrix) -> MeshViews:
        """The mesh in both crops.

        Args:
            landmarks: ``(468, 3) f32`` image pixels as they are in the picture.
            turn: how the head is turned.
            turned_from_image: ``(2, 3) f64``, the network's crop for the turned landmarks.
        """
        goal = apply(turned_from_image, turn.landmarks[:, :2])
        crop_from_image = fit_similarity(landmarks[:, :2], goal).b_from_a
        direct, turned = self._corners(landmarks, turn, turned_from_image, crop_from_image)
        facing = np.ones(len(direct))
        facing[:NUM_POINTS] = self._mesh.facing(landmarks)
        back, there, mirrored = (
            values.astype(np.float32)
            for values in (
                np.column_stack([turned[:, :2], direct[:, 2]]),
                direct,
                np.column_stack([direct[self._mirror, :2], facing]),
            )
        )
        direct_depth, turned_depth = (
            (view[:, 2] - view[:NUM_POINTS, 2].mean()).astype(np.float32)
            for view in (direct, turned)
        )
        return MeshViews(
            crop_from_image=crop_from_image,
            direct_px=direct[:, :2].astype(np.float32),
            turned_px=turned[:, :2].astype(np.float32),
            direct_depth=direct_depth,
            turned_depth=turned_depth,
            back=back,
            there=there,
            mirrored=mirrored,
            tolerance_px=_TOLERANCE * turn.radius_px * _scale(turned_from_image),
        )

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


def dense_from_image(crop_from_image: Matrix) -> Matrix:
    """The crop of the picture that ``cut_turned`` looks up in."""
    middle = (DENSITY - 1) / 2
    dense_from_crop = np.array([[DENSITY, 0.0, middle], [0.0, DENSITY, middle]])
    return np.asarray(compose(dense_from_crop, crop_from_image))
