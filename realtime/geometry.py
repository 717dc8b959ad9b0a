"""Plane and space geometry of faces: maps, boxes, rigid fits and the head's pose. Pure NumPy.

Matrices are named ``b_from_a``: ``apply(crop_from_image, points)`` takes points of the picture to
the crop, and ``compose(c_from_b, b_from_a)`` reads like the product it is.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from realtime.frame import Pose

Matrix = NDArray[np.float64]
"""``(2, 3)`` affine map of the plane unless said otherwise."""

Box = NDArray[np.float32]
"""``(4,) f32`` left, top, right, bottom in image pixels."""

# Rigid points of the head: landmark index and its place in a neutral frontal head; x to the right
# of the picture, y down, z away from the camera, centred, root mean square distance 1. Measured as
# the generalised Procrustes mean of this landmark model's output over 180 frontal portraits of
# people who do not exist, averaged with its mirror image. Points that speech or chewing move
# (mouth, chin, lids, brows) are left out.
_RIGID_POINTS = (
    (10, 0.000, -0.891, -0.355),
    (151, 0.000, -0.609, -0.400),
    (9, 0.000, -0.313, -0.431),
    (168, 0.000, -0.036, -0.384),
    (6, 0.000, 0.102, -0.456),
    (197, 0.000, 0.233, -0.539),
    (195, 0.000, 0.355, -0.629),
    (4, 0.000, 0.645, -0.758),
    (33, -0.803, 0.034, 0.020),
    (263, 0.803, 0.034, 0.020),
    (133, -0.313, 0.061, -0.076),
    (362, 0.313, 0.061, -0.076),
    (127, -1.201, 0.098, 0.904),
    (356, 1.201, 0.098, 0.904),
    (234, -1.187, 0.345, 1.003),
    (454, 1.187, 0.345, 1.003),
    (54, -1.038, -0.568, 0.232),
    (284, 1.038, -0.568, 0.232),
    (67, -0.617, -0.832, -0.206),
    (297, 0.617, -0.832, -0.206),
    (117, -0.924, 0.321, 0.042),
    (346, 0.924, 0.321, 0.042),
    (129, -0.394, 0.679, -0.223),
    (358, 0.394, 0.679, -0.223),
    (143, -1.085, 0.118, 0.280),
    (372, 1.085, 0.118, 0.280),
)

_RIGID_NUMBERS = np.array([number for number, *_ in _RIGID_POINTS])
_RIGID_PLACES = np.array([place for _, *place in _RIGID_POINTS])
_RIGID_MEAN = _RIGID_PLACES.mean(axis=0)
_RIGID_CENTRED = _RIGID_PLACES - _RIGID_MEAN


@dataclass(frozen=True, slots=True)
class Similarity:
    """A map ``b = scale * rotation @ a + shift`` of the plane or of space.

    Attributes:
        scale: positive.
        rotation: ``(D, D) f64`` proper rotation.
        shift: ``(D,) f64``.
    """

    scale: float
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    @property
    def b_from_a(self) -> NDArray[np.float64]:
        """The same map as one ``(D, D + 1) f64`` matrix."""
        return np.hstack([self.scale * self.rotation, self.shift[:, None]])


def fit_similarity(a: ArrayLike, b: ArrayLike) -> Similarity:
    """The similarity that takes points ``a`` to points ``b`` with the least squared error.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    IEEE PAMI 13 (1991).

    Args:
        a, b: ``(N, D)`` corresponding points, N >= 2 (D = 2) or N >= 3 (D = 3).

    Returns:
        The map; never a reflection.

    Raises:
        ValueError: the shapes differ, or all points of ``a`` or of ``b`` coincide.
    """
    source, target = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if source.shape != target.shape or source.ndim != 2 or len(source) < source.shape[1]:
        raise ValueError(
            f"fit_similarity: needs two equal (N, D) sets of at least D points, "
            f"got {source.shape} and {target.shape}."
        )
    source_mean = source.sum(axis=0) / len(source)
    return _fit_centred(source - source_mean, source_mean, target)


def _fit_centred(
    source: NDArray[np.float64], source_mean: NDArray[np.float64], target: NDArray[np.float64]
) -> Similarity:
    """``fit_similarity`` of points that are given about their mean, and it."""
    target_mean = target.sum(axis=0) / len(target)
    spread = float(np.vdot(source, source))
    shared = (target - target_mean).T @ source
    matched, rotation = _turned_most(shared) if len(shared) == 2 else _turned_most_by_svd(shared)
    if not spread > 0.0 or not matched > 0.0:
        raise ValueError("fit_similarity: the points of each set must not all coincide.")
    scale = matched / spread
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def _turned_most(shared: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The rotation of the plane that has the most in common with a matrix, and how much.

    Args:
        shared: ``(2, 2)``.

    Returns:
        The trace of ``rotation.T @ shared``, and the rotation.
    """
    (a, b), (c, d) = shared.tolist()
    along, across = a + d, c - b
    matched = math.hypot(along, across)
    if not matched > 0.0:
        return 0.0, np.eye(2)
    cos, sin = along / matched, across / matched
    return matched, np.array([[cos, -sin], [sin, cos]])


def _turned_most_by_svd(shared: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The same in any number of dimensions."""
    left, stretch, right = np.linalg.svd(shared)
    rotation = left @ right
    if np.linalg.det(rotation) < 0.0:
        stretch[-1] *= -1.0
        left[:, -1] *= -1.0
        rotation = left @ right
    return float(stretch.sum()), rotation


def invert(b_from_a: Matrix) -> Matrix:
    """The ``(2, 3)`` map back, ``a_from_b``.

    Raises:
        numpy.linalg.LinAlgError: the map flattens the plane.
    """
    (a, b, across), (c, d, down) = b_from_a.tolist()
    area = a * d - b * c
    if area == 0.0:
        raise np.linalg.LinAlgError("Singular matrix")
    a, b, c, d = d / area, -b / area, -c / area, a / area
    # Written out: a general solver takes ten times as long for so small a matrix.
    return np.array([[a, b, -a * across - b * down], [c, d, -c * across - d * down]])


def compose(c_from_b: Matrix, b_from_a: Matrix) -> Matrix:
    """The ``(2, 3)`` map ``c_from_a``: first ``b_from_a``, then ``c_from_b``."""
    c_from_a: Matrix = c_from_b[:, :2] @ b_from_a
    c_from_a[:, 2] += c_from_b[:, 2]
    return c_from_a


def apply(b_from_a: Matrix, points: ArrayLike) -> NDArray[np.float64]:
    """Takes points through an affine map of the plane.

    Args:
        b_from_a: ``(2, 3)``.
        points: ``(N, 2)``.

    Returns:
        ``(N, 2) f64``.
    """
    mapped: NDArray[np.float64] = np.asarray(points, np.float64) @ b_from_a[:, :2].T
    mapped += b_from_a[:, 2]
    return mapped


def bounding_box(points: NDArray[np.float32]) -> Box:
    """The smallest upright box around ``(N, 2 or 3)`` points: ``(4,) f32``."""
    # Of a row that lies in one piece the extremes are found several times as quickly.
    planes = np.ascontiguousarray(points.T[:2], np.float32)
    box = np.empty(4, np.float32)
    planes.min(axis=1, out=box[:2])
    planes.max(axis=1, out=box[2:])
    return box


def box_area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Areas of ``(..., 4)`` boxes in square pixels; 0 for a box that is turned inside out."""
    size = np.clip(boxes[..., 2:] - boxes[..., :2], 0.0, None)
    area: NDArray[np.float32] = size[..., 0] * size[..., 1]
    return area


def box_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Area shared by each pair of ``(N, 4)`` and ``(M, 4)`` boxes: ``(N, M)`` square pixels."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return box_area(np.concatenate([low, high], axis=-1))


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each pair of ``(N, 4)`` and ``(M, 4)`` boxes: ``(N, M)``, 0..1."""
    shared = box_overlap(a, b)
    union = box_area(a)[:, None] + box_area(b)[None, :] - shared
    ratio: NDArray[np.float32] = shared / np.maximum(union, np.float32(1e-6))
    return ratio


def fit_head(landmarks: NDArray[np.float32]) -> Similarity:
    """Where a neutral frontal head must be put to meet 468 landmarks best.

    Args:
        landmarks: ``(468, 3)`` image pixels, z away from the camera in the scale of x.

    Returns:
        Image pixels from the neutral head, whose unit is its root mean square radius.

    Raises:
        ValueError: the landmarks all coincide.
    """
    placed = landmarks.take(_RIGID_NUMBERS, axis=0).astype(np.float64)
    return _fit_centred(_RIGID_CENTRED, _RIGID_MEAN, placed)


def head_misfit(landmarks: NDArray[np.float32], head: Similarity) -> float:
    """How far landmarks are from the shape of a head.

    Args:
        landmarks: ``(468, 3)`` image pixels.
        head: their ``fit_head``.

    Returns:
        Root mean square distance of the rigid points, as a share of the head's radius; 0.03 on
        a frontal portrait, below 0.2 on any face that was placed well.
    """
    apart = _RIGID_PLACES @ (head.scale * head.rotation.T)
    apart += head.shift
    apart -= landmarks.take(_RIGID_NUMBERS, axis=0)
    return math.sqrt(np.vdot(apart, apart) / len(apart)) / head.scale


def head_pose(head: Similarity) -> Pose:
    """The pose of a head.

    The rotation is read as a turn about the nose's own axis (roll), followed by raising the nose
    (pitch) and turning it to the side (yaw), so yaw and pitch say where the nose points in the
    picture whatever the roll. Zero is the mean of the portraits the neutral head was measured on.
    The network draws its points together in depth as a head turns away, so yaws beyond 40 degrees
    read low: a full profile reads between 50 and 60.

    Args:
        head: the head's ``fit_head``.

    Returns:
        Degrees, signs as ``Pose`` says.
    """
    (right_x, _, away_x), (right_y, _, away_y), (right_z, _, away_z) = head.rotation.tolist()
    yaw = math.atan2(-away_x, away_z)
    pitch = math.asin(min(max(away_y, -1.0), 1.0))
    # The head's right-hand axis against the level axis across the nose's direction, and against
    # the axis downwards from that.
    cos, sin = math.cos(yaw), math.sin(yaw)
    level = right_x * cos + right_z * sin
    down = right_x * away_y * sin + right_y * (away_z * cos - away_x * sin) - right_z * away_y * cos
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(down, level)))
