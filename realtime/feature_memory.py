"""The exponential memory of what a swapped face looks like, carried along by the flow."""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from cuda_kernels.carry import hold_still
from cuda_kernels.memory_blend import blend_scratch_size, memory_blend, memory_warp
from realtime.frame import Motion
from realtime.geometry import Matrix, apply, compose, invert
from realtime.memory_strength import REFERENCE_HZ, STILL_PX, band_strengths, still_gain

_SAME, _ANOTHER = 15.0, 40.0
"""Grey levels between memory and picture up to which they show the same, and from which not."""

_FLOW_STEP_PX = 4
"""Distance of the pixels for which it is looked up where they were."""

_EVERY_PX = 4
"""Distance of the pixels that are compared for it."""

_MOST_DOUBT = 0.5
"""A frame that is doubted more than so much is not let change what is remembered."""

_RECOVERY = 0.5
"""Share by which the trust in a memory rises with each reliable frame."""


class MemoryConfig(BaseModel, frozen=True, extra="forbid"):
    """How long a face is remembered.

    Attributes:
        enabled: False shows each frame as it was drawn.
        weight: what the memory counts for, against the newest frame, at 30 frames a second; at
            other rates it is remembered for the same time. 0.7 is the usual choice.
        still_weight: the same for the coarsest band of what hardly moves, where that is more.
        half_life_ms: how fast trust in a memory fades while no frame that can be relied on comes.
        limit: grey levels by which the memory may leave the colours around a pixel now.
    """

    enabled: bool = True
    weight: float = Field(0.7, ge=0.0, lt=1.0)
    still_weight: float = Field(0.9, ge=0.0, lt=1.0)
    half_life_ms: float = Field(150.0, gt=0.0, le=10_000.0)
    limit: float = Field(40.0, ge=0.0, le=255.0)


@dataclass(slots=True)
class _State:
    """What is remembered.

    Attributes:
        features: ``(h, w, C) f32``.
        crop_from_image: where they were, in the frame they are of.
        trust: 0..1, halves in each half-life without a reliable frame.
        buffer: the array that ``features`` lies in, perhaps with room to spare.
    """

    features: NDArray[np.float32]
    crop_from_image: Matrix
    trust: float
    buffer: NDArray[np.float32]


class FeatureMemory:
    """Feature maps of one tracked face, full size and two coarser bands, over time.

    Any map fits: colours and coverage of a drawn face, or the inner features of a network.
    """

    def __init__(self, config: MemoryConfig) -> None:
        """Begins empty."""
        self._config = config
        self._state: _State | None = None
        self._scratch = np.empty(0, np.float32)
        self._spare = np.empty(0, np.float32)

    @property
    def trust(self) -> float:
        """How far what is remembered can stand for a frame that is missing, 0..1."""
        return self._state.trust if self._state is not None else 0.0

    def retune(self, config: MemoryConfig) -> None:
        """Remembers as another configuration says, from now on."""
        self._config = config

    def reset(self) -> None:
        """Forgets everything: another person, another scene."""
        self._state = None

    def fuse(
        self,
        current: NDArray[np.float32],
        crop_from_image: Matrix,
        motion: Motion | None,
        *,
        elapsed_ns: int,
        reliability: float,
        fickle: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.float32]:
        """Blends a new frame with what is remembered.

        Args:
            current: ``(H, W, C) f32``, C at most 4.
            crop_from_image: ``(2, 3)``, its place in the frame.
            motion: how the picture moved; None begins afresh.
            elapsed_ns: since the frame before.
            reliability: 0..1; at 0 the memory alone counts, as far as the flow is trusted.
            fickle: ``(H, W) u8``, 255 where what is seen may change from one frame to the next, so
                that the memory gives way to what looks different.

        Returns:
            ``(H, W, C) f32``, which the memory keeps: valid until the call after the next, and
            not to be written.
        """
        state = self._state
        fused = self._take(current.shape)
        if state is None or motion is None:
            np.copyto(fused, current)
            self._keep(fused, crop_from_image, reliability)
            return fused
        frames = elapsed_ns / 1e9 * REFERENCE_HZ
        strengths = band_strengths(self._config.weight, frames)
        doubt = (1.0 - reliability) * state.trust
        gain = still_gain(self._config.weight, self._config.still_weight, frames)
        where, weight = _origins(
            current.shape, crop_from_image, motion, state, still_gain=gain + (1.0 - gain) * doubt
        )
        if fickle is not None and doubt < _MOST_DOUBT:
            _forget_changed(weight, state.features, current, where, fickle)
        fine, middle, coarse = (value + (1.0 - value) * doubt for value in strengths)
        memory_blend(
            state.features,
            current,
            where,
            weight,
            (fine, middle, coarse),
            limit=self._config.limit if doubt < _MOST_DOUBT else None,
            scratch=self._room(blend_scratch_size(*current.shape)),
            out=fused,
        )
        trust = self._faded(state.trust, elapsed_ns * (1.0 - reliability))
        trust += _RECOVERY * reliability * (1.0 - trust)
        self._keep(fused, crop_from_image, trust)
        return fused

    def recall(
        self, motion: Motion, *, elapsed_ns: int
    ) -> tuple[NDArray[np.float32], Matrix] | None:
        """What is remembered, moved to this frame, where the frame itself has nothing.

        Args:
            motion: how the picture moved.
            elapsed_ns: since the frame before.

        Returns:
            ``(h, w, C) f32`` and its ``crop_from_image``; None without a memory.
        """
        state = self._state
        if state is None:
            return None
        before_from_now = compose(invert(motion.before_from_image), motion.crop_from_image)
        crop_from_image = compose(state.crop_from_image, before_from_now)
        where, _ = _origins(state.features.shape, crop_from_image, motion, state)
        features = self._take(state.features.shape)
        memory_warp(state.features, where, out=features)
        self._keep(features, crop_from_image, self._faded(state.trust, elapsed_ns))
        return features, crop_from_image

    def _take(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Room for what is to be remembered next, in the array before the last where it fits."""
        size = math.prod(shape)
        if self._spare.size < size:
            self._spare = np.zeros(size, np.float32)
        return self._spare[:size].reshape(shape)

    def _keep(self, features: NDArray[np.float32], crop_from_image: Matrix, trust: float) -> None:
        """Remembers what was written into the room taken last."""
        last = self._spare
        self._spare = np.empty(0, np.float32) if self._state is None else self._state.buffer
        self._state = _State(features, crop_from_image, trust, last)

    def _room(self, size: int) -> NDArray[np.float32]:
        if self._scratch.size < size:
            self._scratch = np.zeros(size, np.float32)
        return self._scratch

    def _faded(self, trust: float, unreliable_ns: float) -> float:
        half_lives = unreliable_ns / (self._config.half_life_ms * 1e6)
        return trust * math.pow(0.5, half_lives)


def _origins(
    shape: tuple[int, ...],
    crop_from_image: Matrix,
    motion: Motion,
    state: _State,
    *,
    still_gain: float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of a crop was in the memory, and how far that can be trusted.

    Args:
        shape: of the crop.
        crop_from_image: its place.
        motion: since the frame before.
        state: the memory.
        still_gain: how much more than moving parts those count that stood still, at least 1.

    Returns:
        ``(H, W, 2) f32`` memory pixels and ``(H, W) f32`` 0..``still_gain``.
    """
    height, width = shape[:2]
    view_from_crop = compose(motion.crop_from_image, invert(crop_from_image))
    memory_from_view = compose(state.crop_from_image, invert(motion.before_from_image))
    # Flow is measured on fewer pixels yet: here a sixteenth of them loses nothing.
    few = (max(width // _FLOW_STEP_PX, 1), max(height // _FLOW_STEP_PX, 1))
    few_from_crop = np.array([[few[0] / width, 0.0, 0.0], [0.0, few[1] / height, 0.0]])
    few_from_crop[:, 2] = 0.5 * few_from_crop[[0, 1], [0, 1]] - 0.5
    view_from_few = compose(view_from_crop, invert(few_from_crop))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    # Plane by plane: of two channels that lie side by side OpenCV's loops are the slow ones.
    across, down = (
        cv2.warpAffine(plane, view_from_few, few, flags=flags, borderMode=border)
        for plane in cv2.split(motion.flow)
    )
    shifts = [
        np.asarray(cv2.addWeighted(across, float(row[0]), down, float(row[1]), 0.0), np.float32)
        for row in memory_from_view[:, :2]
    ]
    memory_from_crop = compose(memory_from_view, view_from_crop)
    known = np.asarray(
        cv2.warpAffine(motion.confidence, view_from_few, few, flags=flags), np.float32
    )
    if still_gain > 1.0:
        middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
        unmoved = compose(state.crop_from_image, invert(crop_from_image))
        apart = (apply(memory_from_crop, middle) - apply(unmoved, middle))[0]
        hold_still(
            np.dstack(shifts),
            apart.astype(np.float32),
            known,
            gain=still_gain,
            still_px=STILL_PX,
            out=known,
        )
    where = [
        _placed(np.asarray(cv2.resize(shift, (width, height)), np.float32), row)
        for row, shift in zip(memory_from_crop, shifts, strict=True)
    ]
    inside = (
        cv2.inRange(place, 0.0, extent - 1.0)
        for place, extent in zip(where, state.features.shape[1::-1], strict=True)
    )
    weight = cv2.copyTo(cv2.resize(known, (width, height)), cv2.bitwise_and(*inside))
    return np.asarray(cv2.merge(where), np.float32), np.asarray(weight, np.float32)


def _forget_changed(
    weight: NDArray[np.float32],
    features: NDArray[np.float32],
    current: NDArray[np.float32],
    where: NDArray[np.float32],
    fickle: NDArray[np.uint8],
) -> None:
    """Takes the weight from what may change, as far as it has.

    Args:
        weight: ``(H, W) f32``, written.
        features: ``(h, w, C) f32``, what is remembered.
        current: ``(H, W, C) f32``.
        where: ``(H, W, 2) f32``, from where in the memory each pixel comes.
        fickle: ``(H, W) u8``, where it may change; elsewhere it counts as the same.
    """
    step = slice(_EVERY_PX // 2, None, _EVERY_PX)
    few = np.ascontiguousarray(current[step, step])
    before = cv2.remap(
        features,
        np.ascontiguousarray(where[step, step, 0]),
        np.ascontiguousarray(where[step, step, 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    planes = cv2.split(cv2.absdiff(few, before))
    change = functools.reduce(cv2.max, planes)
    left, top, across, down = cv2.boundingRect((change > _SAME).astype(np.uint8))
    if not across:
        return
    changed = np.clip((change - _SAME) / (_ANOTHER - _SAME), 0.0, 1.0)
    share = cv2.resize(changed, fickle.shape[::-1], interpolation=cv2.INTER_LINEAR)
    # Nearly all of a face stays the same, so only the rectangle around the rest is gone over.
    part = tuple(
        slice(int(max(first - 1, 0) * size / num), math.ceil((first + extent + 1) * size / num))
        for first, extent, num, size in zip(
            (top, left), (down, across), change.shape, fickle.shape, strict=True
        )
    )
    lost = cv2.multiply(share[part], fickle[part], scale=1 / 255, dtype=cv2.CV_32F)
    weight[part] *= np.float32(1.0) - lost


def _placed(shift: NDArray[np.float32], row: NDArray[np.float64]) -> NDArray[np.float32]:
    """Adds to ``(h, w)``, in place, the coordinate that a row of an affine map gives each pixel."""
    across, down, begin = row
    height, width = shift.shape
    shift += (across * np.arange(width) + begin).astype(np.float32)
    # An upright crop needs only one of the two.
    if down:
        shift += (down * np.arange(height)).astype(np.float32)[:, None]
    return shift
