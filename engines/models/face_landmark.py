"""The 468-point face landmark network on an eye-aligned square crop.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019).
The crop follows MediaPipe's published graphs: a square of 1.5 times the face's box, turned so that
the line between the eyes lies level.

Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time" (2020): such a
network looks a second time at lips and eyes, and what it sees there takes the place of the first
look.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.models.face_refinements import REFINEMENTS
from engines.models.point_tensors import crop_side, output_of_size
from engines.models.square_crop import CropSquare, SquareCrop
from engines.session import Array, HasTensors, Session, TensorSpec

NUM_LANDMARKS = 468
CROP_SCALE = 1.5
"""Side of the crop over the long side of the face's box."""

_EYE_CORNERS = (33, 263)

_WHERE, _CURE = "face landmark", "Use the face_landmark model."


def square_from_detection(box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> CropSquare:
    """The crop for a face that a detector has found.

    Args:
        box: ``(4,)`` left, top, right, bottom in image pixels.
        keypoints: ``(K, 2)`` image pixels; the first two are the right and the left eye.

    Returns:
        The square around the box's centre, its upper edge along the eyes.
    """
    left, top, right, bottom = (float(value) for value in box)
    return CropSquare(
        (left + right) / 2,
        (top + bottom) / 2,
        CROP_SCALE * max(right - left, bottom - top, 1.0),
        _angle_rad(keypoints[0], keypoints[1]),
    )


def square_from_landmarks(landmarks: NDArray[np.float32]) -> CropSquare:
    """The crop for a face whose landmarks are known from the frame before.

    Args:
        landmarks: ``(468, 2 or 3)`` image pixels.

    Returns:
        The square around the landmarks, its upper edge along the outer eye corners.
    """
    # Of rows that lie in one piece the extremes are found several times as quickly.
    across, down = np.ascontiguousarray(landmarks.T[:2])
    left, right = float(across.min()), float(across.max())
    top, bottom = float(down.min()), float(down.max())
    angle_rad = _angle_rad(landmarks[_EYE_CORNERS[0]], landmarks[_EYE_CORNERS[1]])
    side_px = CROP_SCALE * max(right - left, bottom - top, 1.0)
    return CropSquare((left + right) / 2, (top + bottom) / 2, side_px, angle_rad)


class FaceLandmark:
    """Places the 468 landmarks in a crop of a picture.

    Not safe for use by two threads at once: the buffers belong to the object.
    """

    def __init__(self, session: Session) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: ``(1, S, S, 3) f32`` RGB 0..1 in; 1404 and 1 ``f32`` values out, any order.
                Outputs of a second look beside them are used, any others are ignored.

        Raises:
            ModelError: the network's tensors are not those of the face landmark model.
        """
        self._session = session
        self._crop = SquareCrop(crop_side(session, _WHERE, _CURE))
        points, presence = bind_face_landmark(session)
        self._input = np.zeros(session.inputs[0].shape, np.float32)
        self._inputs: dict[str, Array] = {session.inputs[0].name: self._input}
        self._outputs: dict[str, Array] = {
            spec.name: np.zeros(spec.shape, np.float32) for spec in session.outputs
        }
        self._points = self._outputs[points.name].reshape(NUM_LANDMARKS, 3)
        self._presence = self._outputs[presence.name].reshape(1)
        self._refined = [
            (numbers, self._outputs[spec.name].reshape(-1, 2))
            for spec, numbers in _second_looks(session.outputs)
        ]

    @property
    def crop_px(self) -> int:
        """Side of the network's square input."""
        return self._crop.crop_px

    def locate(
        self,
        image: NDArray[np.uint8],
        square: CropSquare,
        *,
        out: NDArray[np.float32],
    ) -> float:
        """Finds the landmarks of the face in a square of the picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where to look; what lies outside the picture is black.
            out: ``(468, 3) f32`` is written: image pixels, z away from the camera in the scale
                of x.

        Returns:
            Probability 0..1 that the crop shows a face; below a half the points mean little.
        """
        self._crop.fill(image, square, out=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        for numbers, refined in self._refined:
            self._points[numbers, :2] = refined
        self._crop.to_image(self._points, square, out=out)
        logit = float(np.clip(self._presence[0], -80.0, 80.0))
        return 1.0 / (1.0 + math.exp(-logit))


def bind_face_landmark(session: HasTensors) -> tuple[TensorSpec, TensorSpec]:
    """Finds out which output holds the points, and which the presence of a face.

    Args:
        session: the network, or its tensors.

    Raises:
        ModelError: the tensors are not those of the face landmark model.
    """
    crop_side(session, _WHERE, _CURE)
    points = output_of_size(session, NUM_LANDMARKS * 3, _WHERE, _CURE)
    return points, output_of_size(session, 1, _WHERE, _CURE)


def _second_looks(
    outputs: Sequence[TensorSpec],
) -> list[tuple[TensorSpec, NDArray[np.intp]]]:
    """The outputs with lips or an eye, and the numbers of the landmarks they take the place of.

    Of two outputs of a size the first is the eye at the left of the picture, as in MediaPipe's
    graphs.
    """
    left = list(REFINEMENTS)
    found = []
    for spec in outputs:
        numbers = next((one for one in left if math.prod(spec.shape) == 2 * len(one)), None)
        if numbers is not None:
            left.remove(numbers)
            found.append((spec, np.array(numbers, np.intp)))
    return found


def _angle_rad(right_eye: NDArray[np.float32], left_eye: NDArray[np.float32]) -> float:
    """Clockwise turn of the line from the person's right eye to the left one."""
    return math.atan2(float(left_eye[1] - right_eye[1]), float(left_eye[0] - right_eye[0]))
