"""The exponential memory of what a swapped face looks like, carried along by the flow."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from cuda_kernels.memory_blend import memory_blend, memory_warp
from realtime.frame import Motion
from realtime.geometry import Matrix, compose, invert

_REFERENCE_HZ = 30.0
"""Frame rate at which ``weight`` is meant."""

_STRETCH = (1.0, 2.0, 4.0)
"""How much longer half and quarter size are remembered than full size."""

_RECOVERY = 0.5
"""Share by which the trust in a memory rises with each reliable frame."""


class MemoryConfig(BaseModel, frozen=True, extra="forbid"):
    """How long a face is remembered.

    Attributes:
        enabled: False shows each frame as it was drawn.
        weight: what the memory counts for, against the newest frame, at 30 frames a second; at
            other rates it is remembered for the same time. 0.7 is the usual choice.
        half_life_ms: how fast trust in a memory fades while no frame that can be relied on comes.
        limit: grey levels by which the memory may leave the colours around a pixel now.
    """

    enabled: bool = True
    weight: float = Field(0.7, ge=0.0, lt=1.0)
    half_life_ms: float = Field(150.0, gt=0.0, le=10_000.0)
    limit: float = Field(12.0, ge=0.0, le=255.0)


@dataclass(slots=True)
class _State:
    """What is remembered.

    Attributes:
        features: ``(h, w, C) f32``.
        crop_from_image: where they were, in the frame they are of.
        trust: 0..1, halves in each half-life without a reliable frame.
    """

    features: NDArray[np.float32]
    crop_from_image: Matrix
    trust: float


class FeatureMemory:
    """Feature maps of one tracked face, full size and two coarser bands, over time.

    Any map fits: colours and coverage of a drawn face, or the inner features of a network.
    """

    def __init__(self, config: MemoryConfig) -> None:
        """Begins empty."""
        self._config = config
        self._state: _State | None = None

    @property
    def trust(self) -> float:
        """How far what is remembered can stand for a frame that is missing, 0..1."""
        return self._state.trust if self._state is not None else 0.0

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
    ) -> NDArray[np.float32]:
        """Blends a new frame with what is remembered.

        Args:
            current: ``(H, W, C) f32``, C at most 4.
            crop_from_image: ``(2, 3)``, its place in the frame.
            motion: how the picture moved; None begins afresh.
            elapsed_ns: since the frame before.
            reliability: 0..1; at 0 the memory alone counts, as far as the flow is trusted.

        Returns:
            ``(H, W, C) f32``, a new array that the memory keeps and the caller must not write.
        """
        state = self._state
        if state is None or motion is None:
            self._state = _State(current, crop_from_image, reliability)
            return current
        where, weight = _origins(current.shape, crop_from_image, motion, state)
        frames = elapsed_ns / 1e9 * _REFERENCE_HZ
        strengths = [self._config.weight ** (frames / stretch) for stretch in _STRETCH]
        doubt = (1.0 - reliability) * state.trust
        fine, middle, coarse = (value + (1.0 - value) * doubt for value in strengths)
        fused = np.empty_like(current)
        memory_blend(
            state.features,
            current,
            where,
            weight,
            (fine, middle, coarse),
            limit=self._config.limit if doubt < 0.5 else None,
            out=fused,
        )
        trust = self._faded(state.trust, elapsed_ns * (1.0 - reliability))
        trust += _RECOVERY * reliability * (1.0 - trust)
        self._state = _State(fused, crop_from_image, trust)
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
        features = np.empty_like(state.features)
        memory_warp(state.features, where, out=features)
        trust = self._faded(state.trust, elapsed_ns)
        self._state = _State(features, crop_from_image, trust)
        return features, crop_from_image

    def _faded(self, trust: float, unreliable_ns: float) -> float:
        half_lives = unreliable_ns / (self._config.half_life_ms * 1e6)
        return trust * math.pow(0.5, half_lives)


def _origins(
    shape: tuple[int, ...], crop_from_image: Matrix, motion: Motion, state: _State
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of a crop was in the memory, and how far that can be trusted.

    Returns:
        ``(H, W, 2) f32`` memory pixels and ``(H, W) f32`` 0..1.
    """
    height, width = shape[:2]
    view_from_crop = compose(motion.crop_from_image, invert(crop_from_image))
    memory_from_view = compose(state.crop_from_image, invert(motion.before_from_image))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flow = cv2.warpAffine(
        motion.flow, view_from_crop, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    weight = cv2.warpAffine(motion.confidence, view_from_crop, (width, height), flags=flags)
    where = cv2.transform(flow, np.ascontiguousarray(memory_from_view[:, :2]))
    straight = compose(memory_from_view, view_from_crop).astype(np.float32)
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    for axis in (0, 1):
        where[..., axis] += straight[axis, 0] * columns
        where[..., axis] += straight[axis, 1] * rows + straight[axis, 2]
    limit = np.array(state.features.shape[1::-1], np.float32) - 1.0
    inside = (where >= 0.0) & (where <= limit)
    weight *= inside[..., 0] & inside[..., 1]
    return np.asarray(where, np.float32), np.asarray(weight, np.float32)
