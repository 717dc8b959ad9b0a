"""What a swapping network's inner features were for each face, carried along and averaged."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engines.session import Array
from engines.split_session import Work
from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.feature_sheet import IDENTITY, FeatureSheet
from realtime.frame import Face, Frame, Motion
from realtime.geometry import Matrix

_GAP_NS = 500_000_000
"""A face that was not drawn for so long starts afresh."""

_SPREAD = 40.0
"""Standard deviation each channel is brought to: that of a face in grey levels, which the memory's
settings are meant for."""

_LEAST_SPREAD = 0.05
"""Of the mean spread: a channel with less says nothing, and is not blown up to more."""

_NOTHING = 1e-6
"""A spread that is that of rounding, where all channels are flat."""

_SURE = 1.0
"""A face that is drawn was found; how doubtful it is, the memory of the drawn face weighs."""


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        memory: of its features.
        person: whom it becomes.
        frame: number of the frame it was drawn in last.
        seen_ns: that frame's time.
        crop_from_image: that frame's crop.
        scale: ``(C, 1, 1) f32``, from features to what the memory holds; None before the first.
    """

    memory: FeatureMemory
    person: int
    frame: int
    seen_ns: int
    crop_from_image: Matrix
    scale: NDArray[np.float32] | None = None


class NetworkMemory:
    """Averages the features of one network over time, for each tracked face."""

    def __init__(self, config: MemoryConfig, shape: tuple[int, ...], crop_px: int) -> None:
        """Begins empty.

        Args:
            config: how long is remembered.
            shape: of the features, ``(1, c, h, w)``.
            crop_px: side of the network's crop, all of which they show.
        """
        self._config = config
        self._sheet = FeatureSheet(*shape[1:])
        self._crop_px = crop_px
        self._tracks: dict[int, _Track] = {}
        self._frame = 0

    def begin(self, frame: Frame) -> None:
        """Goes on to the next frame, and forgets the faces that are gone."""
        self._frame += 1
        present = {face.track_id for face in frame.faces}
        self._tracks = {number: t for number, t in self._tracks.items() if number in present}

    def reset(self) -> None:
        """Forgets everything: other people are put in."""
        self._tracks = {}

    def work(self, face: Face, crop_from_image: Matrix, now_ns: int) -> Work:
        """What is to be done with the features of a face in this frame.

        A face begins afresh after a cut, when it becomes another person, and when it was not
        drawn in the frame before.

        Args:
            face: its motion says how it moved.
            crop_from_image: ``(2, 3)``, the network's crop.
            now_ns: the frame's time.
        """
        track = self._tracks.get(face.track_id)
        goes_on = (
            track is not None
            and face.motion is not None
            and track.frame == self._frame - 1
            and track.person == face.person
            and now_ns - track.seen_ns <= _GAP_NS
        )
        if track is None or not goes_on:
            memory = FeatureMemory(self._config)
            track = _Track(memory, face.person, self._frame, now_ns, crop_from_image)
            self._tracks[face.track_id] = track
        return partial(self._fuse, track, face.motion, crop_from_image, now_ns)

    def _fuse(
        self,
        track: _Track,
        motion: Motion | None,
        crop_from_image: Matrix,
        now_ns: int,
        features: Array,
    ) -> None:
        """Replaces the features ``(1, c, h, w)`` by what they are together with the memory."""
        maps = features[0].astype(np.float32)
        if not np.isfinite(maps.sum()):
            # The network says so itself; nothing of it may stay for the frames to come.
            track.frame = -1
            return
        moved = None
        if track.scale is None:
            track.scale = _scale(maps)
        elif motion is not None:
            before = track.crop_from_image
            moved = self._sheet.motion(motion, crop_from_image, before, self._crop_px)
        fused = track.memory.fuse(
            self._sheet.lay(maps * track.scale),
            IDENTITY,
            moved,
            elapsed_ns=now_ns - track.seen_ns,
            reliability=_SURE,
        )
        self._sheet.take(fused, out=maps)
        np.divide(maps, track.scale, out=features[0], casting="same_kind")
        track.frame, track.seen_ns = self._frame, now_ns
        track.crop_from_image = crop_from_image


def _scale(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factors ``(C, 1, 1) f32`` that give every channel the spread the memory is meant for."""
    spread = maps.std(axis=(1, 2), keepdims=True)
    least = max(_LEAST_SPREAD * float(spread.mean()), _NOTHING)
    return np.asarray(_SPREAD / np.maximum(spread, least), np.float32)
