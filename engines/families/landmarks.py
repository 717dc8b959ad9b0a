"""Networks that place 68 or 106 landmarks in a square around a face."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engines.families.crops import cut_crop
from engines.families.signature import ANY, buffer_for, expect_count, filled, find
from engines.families.specs import LandmarkFamily
from engines.families.templates import Matrix
from engines.families.tensors import Picture, PictureWriter
from engines.session import Session, TensorSpec

_CERTAIN_PEAK = 0.9
"""Mean height of the heat maps' peaks on a face that is plainly seen."""

# iBUG's 68 points: the rings around the eyes, the tip of the nose, the outer corners of the mouth.
_EYES_68 = (slice(36, 42), slice(42, 48))
_NOSE_AND_MOUTH_68 = (30, 48, 54)
# InsightFace's 106 points: the middles of the eyes, the tip of the nose, the corners of the mouth.
_FIVE_OF_106 = (38, 88, 86, 52, 61)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The landmarks of one face.

    Attributes:
        points: ``(N, 2) f32`` image pixels.
        score: 0..1, how sure the network is; None for one that does not say.
    """

    points: NDArray[np.float32]
    score: float | None


@dataclass(frozen=True, slots=True)
class LandmarkTensors:
    """The network's tensors by what they are; heat maps only where it gives any."""

    picture: TensorSpec
    points: TensorSpec
    heatmaps: TensorSpec | None


def bind_landmarks(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], family: LandmarkFamily, where: str
) -> LandmarkTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1,), where=where, role="input")
    picture = find(inputs, (ANY, 3, family.size_px, family.size_px), where=where, role="an input")
    count = family.num_points
    if family.units != "cells":
        points = find(outputs, (ANY, count * 2), where=where, role="an output")
        return LandmarkTensors(picture, points, None)
    points = find(outputs, (ANY, count, 3), (ANY, count, 2), where=where, role="an output")
    cells = family.heatmap_px
    heatmaps = find(outputs, (ANY, count, cells, cells), where=where, role="an output")
    return LandmarkTensors(picture, points, heatmaps)


class LandmarkNetwork:
    """One network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: LandmarkFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_landmarks(session.inputs, session.outputs, family, family.role)
        size_px = family.size_px
        self._session = session
        self._family = family
        self._crop = np.zeros((size_px, size_px, 3), np.uint8)
        self._input = buffer_for(tensors.picture, (1, 3, size_px, size_px))
        self._inputs = {tensors.picture.name: self._input}
        self._outputs: dict[str, NDArray[Any]] = {
            spec.name: buffer_for(spec, filled(spec, open_px=family.heatmap_px))
            for spec in session.outputs
        }
        self._points = self._outputs[tensors.points.name]
        self._heatmaps = self._outputs[tensors.heatmaps.name] if tensors.heatmaps else None
        self._writer = PictureWriter(family.mean, family.std, family.colours, tensors.picture.dtype)

    def locate(self, image: Picture, box: ArrayLike, *, angle_rad: float = 0.0) -> Landmarks:
        """Places the landmarks of one face.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            box: ``(4,)`` left, top, right, bottom in image pixels.
            angle_rad: clockwise turn of the head, as seen in the picture.

        Raises:
            ModelError: the network fails.
        """
        family = self._family
        crop_from_image = fit_square(box, family.size_px, family.box_scale, angle_rad)
        cut_crop(image, crop_from_image, out=self._crop)
        self._writer.write(self._crop, planes=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        points = self._in_crop()
        turn, shift = crop_from_image[:, :2], crop_from_image[:, 2]
        placed = np.linalg.solve(turn, (points - shift).T).T
        return Landmarks(placed.astype(np.float32), self._score())

    def _in_crop(self) -> NDArray[np.float64]:
        """The points in pixels of the crop: ``(N, 2) f64``."""
        family = self._family
        raw = self._points.astype(np.float64).reshape(family.num_points, -1)[:, :2]
        if family.units == "cells":
            return np.asarray(raw * (family.size_px / family.heatmap_px))
        if family.units == "centred":
            return np.asarray((raw + 1.0) * (family.size_px / 2))
        return np.asarray(raw * family.size_px)

    def _score(self) -> float | None:
        if self._heatmaps is None:
            return None
        peak = float(self._heatmaps[0].max(axis=(1, 2)).astype(np.float64).mean())
        return min(max(peak / _CERTAIN_PEAK, 0.0), 1.0)


def fit_square(box: ArrayLike, size_px: int, box_scale: float, angle_rad: float = 0.0) -> Matrix:
    """The crop around a box: a square of ``box_scale`` times its longer side, turned.

    Args:
        box: ``(4,)`` left, top, right, bottom in image pixels.
        size_px: side of the crop in its own pixels.
        box_scale: side of the square over the longer side of the box.
        angle_rad: clockwise turn of the square, as seen in the picture.

    Returns:
        ``(2, 3) f64``, crop pixels from image pixels; the box's middle goes to half the side.
    """
    left, top, right, bottom = np.asarray(box, np.float64)
    scale = size_px / (box_scale * max(right - left, bottom - top, 1.0))
    cos, sin = scale * math.cos(angle_rad), scale * math.sin(angle_rad)
    x, y = (left + right) / 2, (top + bottom) / 2
    half = size_px / 2
    return np.array([[cos, sin, half - cos * x - sin * y], [-sin, cos, half + sin * x - cos * y]])


def five_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The five points of the templates, read off 68 or 106 landmarks.

    Args:
        points: ``(68, 2)`` or ``(106, 2)`` in the order of iBUG or InsightFace.

    Returns:
        ``(5, 2) f32``.

    Raises:
        ValueError: another number of points.
    """
    if len(points) == 106:
        return points[list(_FIVE_OF_106)]
    if len(points) != 68:
        raise ValueError(f"five_points: there must be 68 or 106 points, got {len(points)}.")
    eyes = [points[ring].mean(axis=0) for ring in _EYES_68]
    return np.stack([*eyes, *points[list(_NOSE_AND_MOUTH_68)]]).astype(np.float32)
