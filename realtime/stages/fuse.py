"""The stage that makes a swapped face steady: each track's layer passes through its memory."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.frame import Face, FaceState, Frame, Layer, Motion, PictureSpec
from realtime.memory import Memory

_GAP_NS = 500_000_000
"""A face that was not seen for so long starts afresh."""

_DOUBTFUL_SCORE, _SURE_SCORE = 0.3, 0.8
"""Landmark scores up to which a frame counts for nothing, and from which it counts in full."""

_MIN_TRUST = 0.25
"""Trust in a memory down to which it may stand for a frame that could not be drawn."""


@dataclass(slots=True)
class _Track:
    """What is remembered of one face, and whose it became."""

    seen_ns: int
    memory: FeatureMemory
    origin: tuple[int, int] | None = None


class Fuse:
    """Blends every face's layer with what was seen of it before.

    Where a face could not be drawn for a moment the memory stands for it.
    """

    def __init__(self, config: MemoryConfig) -> None:
        """Takes its settings."""
        self._config = config
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """``fuse``."""
        return "fuse"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with nothing remembered."""
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Replaces the layers of the frame's faces."""
        present = {face.track_id for face in frame.faces}
        self._tracks = {number: t for number, t in self._tracks.items() if number in present}
        for face in frame.faces:
            if face.chosen and face.state is FaceState.SEEN and not face.swapped:
                self._fuse(face, frame.media_ns)

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()

    def _fuse(self, face: Face, now_ns: int) -> None:
        track = self._tracks.get(face.track_id)
        if track is None:
            track = self._tracks[face.track_id] = _Track(now_ns, FeatureMemory(self._config))
        elapsed_ns = now_ns - track.seen_ns
        track.seen_ns = now_ns
        motion = face.motion
        origin = track.origin if face.layer is None else (face.layer.origin, face.person)
        if motion is None or elapsed_ns > _GAP_NS or origin != track.origin:
            track.memory.reset()
            motion = None
        track.origin = origin
        if face.layer is not None:
            face.layer = _fused(face, face.layer, track.memory, motion, elapsed_ns)
        elif motion is not None and track.memory.trust >= _MIN_TRUST:
            recalled = track.memory.recall(motion, elapsed_ns=elapsed_ns)
            face.layer = None if recalled is None else _layer(*recalled)


def _fused(
    face: Face, layer: Layer, memory: FeatureMemory, motion: Motion | None, elapsed_ns: int
) -> Layer:
    """The layer after the memory has taken it in."""
    sure = (face.score - _DOUBTFUL_SCORE) / (_SURE_SCORE - _DOUBTFUL_SCORE)
    fused = memory.fuse(
        cv2.merge([*cv2.split(layer.face), layer.alpha]).astype(np.float32),
        layer.crop_from_image,
        motion,
        elapsed_ns=elapsed_ns,
        reliability=min(max(sure, 0.0), 1.0),
    )
    return _layer(fused, layer.crop_from_image, layer.origin)


def _layer(
    features: NDArray[np.float32], crop_from_image: NDArray[np.float64], origin: int = 0
) -> Layer:
    """The layer that colours and coverage make."""
    pixels = np.clip(np.rint(features), 0.0, 255.0).astype(np.uint8)
    return Layer(
        np.ascontiguousarray(pixels[..., :3]),
        np.ascontiguousarray(pixels[..., 3]),
        crop_from_image,
        origin,
    )
