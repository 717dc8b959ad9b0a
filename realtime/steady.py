"""Landmarks that neither tremble nor lag: carried by the flow, settled by a One-Euro filter.

A filter on the landmarks themselves must either tremble or trail behind a moving head, and a mesh
that trails slides over the face. Here the flow says where each landmark went, to a fraction of a
pixel and without delay; what the landmark network measures only corrects the drift. The filter
works on the difference between the two, which is small and slow whatever the head does.

After Casiez, Roussel and Vogel, "1 € Filter" (2012), with the difference in the place of the speed.
"""

import math
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from realtime.frame import Motion, Points
from realtime.geometry import apply, invert

_MOBILE = (*RIGHT_EYE, *LEFT_EYE, *INNER_LIPS, *OUTER_LIPS)
"""Landmarks that open and shut faster than anything else moves."""

_MOBILE_SLACK, _MOBILE_GAIN = 0.3, 15.0
"""How much less they may be off, and how much faster they are put right."""

_TREND_HZ = 1.5
"""Cutoff of the trend of the differences: the network's tremble averages out, an error stays."""

_ENOUGH_TRUST = 0.15
"""Trust in the flow below which it begins to be doubted: lids and lips are then where they are
measured, all else goes with what is around it."""

_PARTED = (0.04, 0.06)
"""How far flow and landmark network part at one landmark from one frame to the next, in eye
distances, up to which that is tremble, and from which on the flow is that of something else: a hand
before a chin would take it along. Lids and lips, where the network is slow to say that they move,
are put right by what is measured of them anyway."""

_NUM_TO_START = 20
"""Frames of a new face that count alike, so that the error of the first does not last."""

_NEWEST, _REST = 3.0, 0.001
"""Weight of the newest frame over the mean of all frames at rest, and the movement of any part from
frame to frame, in eye distances, that is no rest any more but for 1/e: that of a head kept still.
The network's crop comes to its place in the first frames only, so they err together and are to be
forgotten sooner than a mean does; and while a face moves it errs otherwise from frame to frame."""

_REACH = 0.25
"""How far around a landmark the flow is asked where it cannot be trusted at the landmark itself,
in units of the neutral head."""

_LEAST_TRUST = 1e-3

_ROUNDS = 2
"""Steps in which a flow is turned around at single points; it is smooth, so two are enough."""

_OUTER_EYES, _UPRIGHT = (33, 263), (10, 152)
_EYES_OVER_HEIGHT = 0.45
"""Distance of the outer eye corners over the height of a face, seen from the front."""


class SteadyConfig(BaseModel, frozen=True, extra="forbid"):
    """How landmarks are kept steady.

    Attributes:
        enabled: False leaves them as measured.
        cutoff_hz: how fast small differences between flow and measurement settle while the face
            moves; at rest all its frames are averaged.
        slack: differences up to this count as small, in distances between the outer eye corners.
        gain_hz: how much the cutoff rises per eye distance beyond that.
    """

    enabled: bool = True
    cutoff_hz: float = Field(0.05, ge=0.0, le=30.0)
    slack: float = Field(0.02, ge=0.0, le=1.0)
    gain_hz: float = Field(60.0, ge=0.0, le=10_000.0)


class SteadyLandmarks:
    """The landmarks of one tracked face over time."""

    def __init__(self, config: SteadyConfig, near: NDArray[np.float32], landmarks: Points) -> None:
        """Starts with landmarks as they were measured.

        Args:
            config: settings.
            near: ``(468, 468)``, from ``nearness``.
            landmarks: ``(468, 3)`` image pixels.
        """
        self._config = config
        self._near = near
        self.landmarks: Points = landmarks.copy()
        # Coordinate by coordinate: NumPy takes rows of hundreds several times as quickly as pairs.
        self._trend = np.zeros((3, len(landmarks)), np.float32)
        self._left = np.zeros((2, len(landmarks)))
        self._num_frames, self._num_at_rest = 1, 1.0
        self._mobile = np.zeros(len(landmarks), bool)
        self._mobile[list(_MOBILE)] = True
        self._slack, self._gain_hz = (
            np.where(self._mobile, mobile, 1.0) * setting
            for mobile, setting in ((_MOBILE_SLACK, config.slack), (_MOBILE_GAIN, config.gain_hz))
        )

    def follow(
        self,
        measured: Points,
        carried: NDArray[np.float64],
        trust: NDArray[np.float32],
        elapsed_ns: int,
    ) -> Points:
        """Takes in one frame.

        Args:
            measured: ``(468, 3)`` what the landmark network says.
            carried: ``(468, 2)`` where the flow takes ``landmarks``.
            trust: ``(468,)`` 0..1, how far the flow is to be believed there.
            elapsed_ns: since the frame before.

        Returns:
            ``(468, 3) f32``, also kept in ``landmarks``.
        """
        unit_px = face_unit_px(measured)
        now, last = (np.ascontiguousarray(points.T) for points in (measured, self.landmarks))
        there = np.ascontiguousarray(carried.T)
        trust = trust * self._followed((now[:2] - there) / unit_px)
        shift = _filled_in(there - last[:2], trust, self._near)
        predicted = last
        predicted[:2] += shift
        off = (now - predicted) / unit_px
        share = _share(_TREND_HZ, elapsed_ns)
        self._trend += np.float32(share) * (off - self._trend)
        gain = self._gain(off, elapsed_ns)
        self._num_frames += 1
        if self._num_frames <= _NUM_TO_START:
            np.maximum(gain, 1.0 / self._num_frames, out=gain)
        rest = _rest(shift, unit_px)
        self._num_at_rest += rest
        np.maximum(gain, rest * _NEWEST / (self._num_at_rest + _NEWEST - 1.0), out=gain)
        at_once = np.where(self._mobile, 1.0 - trust / _ENOUGH_TRUST, 0.0)
        np.maximum(gain[0], at_once, out=gain[0])
        moved = np.empty(off.shape)
        np.multiply(gain[0], off[:2], out=moved[:2])
        np.multiply(gain[1], off[2], out=moved[2])
        self._trend -= (moved * share).astype(np.float32)
        settled = (predicted + moved * unit_px).astype(np.float32)
        self._left = ((now[:2] - settled[:2]) / unit_px).astype(np.float64)
        self.landmarks = np.ascontiguousarray(settled.T)
        return self.landmarks

    def _gain(self, off: NDArray[np.float32], elapsed_ns: int) -> NDArray[np.float64]:
        """How far each landmark is put right, ``(2, N)`` 0..1: in the picture, and in depth.

        Args:
            off: ``(3, N)`` eye distances, what is measured beyond what the flow says.
            elapsed_ns: since the frame before.
        """
        # Lids and lips are put right at once, all else when the error proves to stay.
        flat = np.where(self._mobile, off, self._trend)
        size = np.empty((2, off.shape[1]), np.float32)
        np.hypot(flat[0], flat[1], out=size[0])
        np.abs(flat[2], out=size[1])
        cutoff_hz = size - self._slack
        np.maximum(cutoff_hz, 0.0, out=cutoff_hz)
        cutoff_hz *= self._gain_hz
        cutoff_hz += self._config.cutoff_hz
        return _share(cutoff_hz, elapsed_ns)

    def _followed(self, off: NDArray[np.float64]) -> NDArray[np.float32]:
        """How far the flow moved each landmark as the network did, ``(N,) f32`` 0..1.

        Args:
            off: ``(2, N)`` eye distances, from where the flow takes it to where it is measured.
        """
        apart = off - self._left
        share = np.hypot(apart[0], apart[1])
        none, full = _PARTED
        np.subtract(full, share, out=share)
        share /= full - none
        np.minimum(np.maximum(share, 0.0, out=share), 1.0, out=share)
        share[self._mobile] = 1.0
        return np.asarray(share, np.float32)


def carried_along(
    motion: Motion, landmarks: Points
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Where the flow takes points of the frame before, and how far it is to be believed there.

    Args:
        motion: since the frame before.
        landmarks: ``(N, 3)`` image pixels in the frame before.

    Returns:
        ``(N, 2)`` image pixels in this frame, and ``(N,)`` 0..1.
    """
    start = apply(motion.before_from_image, landmarks[:, :2]).astype(np.float32)
    now = start - _sampled(motion.flow, start)
    for _ in range(_ROUNDS):
        now = start - _sampled(motion.flow, now)
    trust = _sampled(motion.confidence, now)
    return apply(invert(motion.crop_from_image), now), trust


def nearness(neutral: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much the landmarks of a head say about one another's movement.

    Args:
        neutral: ``(468, 3)``, the neutral head.

    Returns:
        ``(468, 468) f32``, 1 for a landmark itself, less with distance.
    """
    apart = np.linalg.norm(neutral[:, None] - neutral[None], axis=-1)
    return np.asarray(np.exp(-0.5 * (apart / _REACH) ** 2), np.float32)


def _filled_in(
    shift: NDArray[np.float64], trust: NDArray[np.float32], near: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The shift of each landmark, that of its trusted neighbours as far as its own is not.

    Args:
        shift: ``(2, N)`` pixels.
        trust: ``(N,)`` 0..1.
        near: ``(N, N)``.

    Returns:
        ``(2, N) f32``.
    """
    own = shift.astype(np.float32)
    if float(trust.min()) >= _ENOUGH_TRUST:
        return own
    weight = np.clip(trust / np.float32(_ENOUGH_TRUST), np.float32(_LEAST_TRUST), 1.0)
    around = (near @ np.column_stack([*(own * weight), weight])).T
    neighbours = around[:2] / around[2]
    return np.asarray(neighbours + weight * (own - neighbours), np.float32)


def _rest(shift: NDArray[np.float32], unit_px: float) -> float:
    """How far a face is at rest whose landmarks move by ``(2, N)`` pixels, 0..1."""
    moved = float(np.hypot(shift[0], shift[1]).max()) / unit_px
    return math.exp(-((moved / _REST) ** 2))


def face_unit_px(landmarks: Points) -> float:
    """The distance of the outer eye corners, as it would be seen from the front, in pixels.

    It stays about the same while the head turns, for the height of the face does.
    """
    across = math.dist(landmarks[_OUTER_EYES[0], :2], landmarks[_OUTER_EYES[1], :2])
    upright = math.dist(landmarks[_UPRIGHT[0], :2], landmarks[_UPRIGHT[1], :2])
    return max(across, _EYES_OVER_HEIGHT * upright, 1.0)


def _sampled(values: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values ``(S, S)`` or ``(S, S, C)`` at ``(N, 2)`` points, those at the rim beyond it."""
    rows = np.ascontiguousarray(points.T)
    at = cv2.remap(values, rows[:1], rows[1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(at[0], np.float32)


@overload
def _share(cutoff_hz: float, elapsed_ns: int) -> float: ...


@overload
def _share(cutoff_hz: NDArray[np.float64], elapsed_ns: int) -> NDArray[np.float64]: ...


def _share(cutoff_hz: NDArray[np.float64] | float, elapsed_ns: int) -> NDArray[np.float64] | float:
    """The weight of the newest value in an exponential filter of a cutoff, 0..1."""
    turns = 2.0 * math.pi * cutoff_hz * (elapsed_ns / 1e9)
    return turns / (turns + 1.0)
