"""The 21-point hand landmark network on a square crop in which the hand points up.

Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020). The crops follow
MediaPipe's published graphs: 2.6 times the palm's box around a point half a box towards the
fingers, and 2 times the box around the knuckles and finger joints once these are known.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engines.models.point_tensors import crop_side, output_of_size
from engines.models.square_crop import CropSquare, SquareCrop
from engines.session import Array, Session

NUM_HAND_POINTS = 21
"""Wrist, then four points from the root to the tip of thumb, index, middle, ring, little finger."""

WRIST, INDEX_KNUCKLE, MIDDLE_KNUCKLE, RING_KNUCKLE, LITTLE_KNUCKLE = 0, 5, 9, 13, 17

_STEADY_POINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Points that the next crop is built on; finger tips move too much."""

_PALM_SCALE, _PALM_SHIFT = 2.6, 0.5
_HAND_SCALE, _HAND_SHIFT = 2.0, 0.1

_WHERE, _CURE = "hand landmark", "Use one of the hand landmark models."


def square_from_palm(box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> CropSquare:
    """The crop for a hand whose palm a detector has found.

    Args:
        box: ``(4,)`` left, top, right, bottom in image pixels.
        keypoints: ``(7, 2)`` image pixels; the first is the wrist, the third the knuckle of the
            middle finger.
    """
    centre = (box[:2] + box[2:]).astype(np.float64) / 2
    size = np.maximum(box[2:] - box[:2], 1.0)
    angle_rad = _angle_rad(keypoints[0], keypoints[2])
    return _square(centre, size, angle_rad, _PALM_SCALE, _PALM_SHIFT)


def square_from_hand(points: NDArray[np.float32]) -> CropSquare:
    """The crop for a hand whose points are known from the frame before.

    Args:
        points: ``(21, 2 or 3)`` image pixels.
    """
    plane = points[:, :2].astype(np.float64)
    knuckles = (
        plane[INDEX_KNUCKLE] / 4 + plane[RING_KNUCKLE] / 4 + plane[MIDDLE_KNUCKLE] / 2
    ).astype(np.float32)
    angle_rad = _angle_rad(points[WRIST], knuckles)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    image_from_hand = np.array([[cos, -sin], [sin, cos]])
    upright = plane[list(_STEADY_POINTS)] @ image_from_hand
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = image_from_hand @ ((low + high) / 2)
    return _square(centre, np.maximum(high - low, 1.0), angle_rad, _HAND_SCALE, _HAND_SHIFT)


class HandLandmark:
    """Places the 21 points of a hand in a crop of a picture.

    Not safe for use by two threads at once: the buffers belong to the object.
    """

    def __init__(self, session: Session) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: ``(1, S, S, 3) f32`` RGB 0..1 in; out, in this order among those of their
                size, 63 ``f32`` values (points of the picture, then of the world) and 1 (presence,
                then handedness).

        Raises:
            ModelError: the network's tensors are not those of a hand landmark model.
        """
        self._session = session
        self._crop = SquareCrop(crop_side(session, _WHERE, _CURE))
        points = output_of_size(session, NUM_HAND_POINTS * 3, _WHERE, _CURE)
        presence = output_of_size(session, 1, _WHERE, _CURE)
        self._input = np.zeros(session.inputs[0].shape, np.float32)
        self._inputs: dict[str, Array] = {session.inputs[0].name: self._input}
        self._outputs: dict[str, Array] = {
            spec.name: np.zeros(spec.shape, np.float32) for spec in session.outputs
        }
        self._points = self._outputs[points.name].reshape(NUM_HAND_POINTS, 3)
        self._presence = self._outputs[presence.name].reshape(1)

    def locate(
        self, image: NDArray[np.uint8], square: CropSquare, *, out: NDArray[np.float32]
    ) -> float:
        """Finds the points of the hand in a square of the picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where to look; what lies outside the picture is black.
            out: ``(21, 3) f32`` is written: image pixels, z away from the camera from the wrist
                on, in the scale of x.

        Returns:
            Probability 0..1 that the crop shows a hand; below a half the points mean little.
        """
        self._crop.fill(image, square, out=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        self._crop.to_image(self._points, square, out=out)
        return float(np.clip(self._presence[0], 0.0, 1.0))


def _square(
    centre: NDArray[np.float64],
    size: NDArray[np.floating],
    angle_rad: float,
    scale: float,
    shift: float,
) -> CropSquare:
    """A square around a turned box, moved towards the fingers by a share of the box's height."""
    up = np.array([math.sin(angle_rad), -math.cos(angle_rad)])
    x_px, y_px = centre + shift * float(size[1]) * up
    return CropSquare(float(x_px), float(y_px), scale * float(size.max()), angle_rad)


def _angle_rad(wrist: NDArray[np.float32], knuckle: NDArray[np.float32]) -> float:
    """Clockwise turn of a hand from pointing up."""
    return math.atan2(float(knuckle[0] - wrist[0]), float(wrist[1] - knuckle[1]))
