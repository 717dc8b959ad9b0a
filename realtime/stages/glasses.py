"""Finds the glasses of each face now and then, so that they can stay on the new one."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.models.square_crop import SquareCrop
from realtime.carried_mask import Mask, blend_in_time, carry, square_of
from realtime.frame import Face, FaceState, Frame, Image, Occluder, PictureSpec
from realtime.geometry import Matrix, apply
from realtime.glasses_finder import find_frames
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.tracks import of_recent, share_after

_MASK_PX = 288
"""Side of the masks; a thin frame is two of its pixels wide."""

_LOOK_NS = 150 * MS_NS
_HALF_LIVES_MS = (120.0, 160.0)
"""How often a face is looked at, and how slowly a mask comes and goes."""

_EVIDENCE_MS = 400.0
_WORN = 0.8
"""Half-life with which it is believed that a frame crosses the nose, and from where on it is."""


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        seen_ns, looked_ns: when it was last handled, and looked at.
        evidence: how far a frame was seen to cross the nose, 0..1; None before the first look.
        mask: ``(S, S) u8``; None for none.
        crop_from_image: where that belongs.
    """

    seen_ns: int
    looked_ns: int | None = None
    evidence: float | None = None
    mask: Mask | None = None
    crop_from_image: Matrix = field(default_factory=lambda: np.eye(2, 3))


class Glasses:
    """Sets ``Face.glasses`` of every face that is to be swapped and wears some."""

    def __init__(self) -> None:
        """Begins with nothing remembered."""
        self._crop = SquareCrop(_MASK_PX)
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """``glasses``."""
        return "glasses"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with nothing remembered."""
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Looks at the faces whose turn it is and carries the glasses of the others along."""
        self._tracks = of_recent(self._tracks, frame.media_ns)
        for face in frame.faces:
            if face.state is FaceState.SEEN and face.chosen:
                face.glasses = self._find(frame.image, face, frame.media_ns)

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()

    def _find(self, image: Image, face: Face, now_ns: int) -> Occluder | None:
        track = self._tracks.setdefault(face.track_id, _Track(now_ns))
        square = square_of(face)
        crop_from_image = square.crop_from_image(_MASK_PX)
        before = (track.mask, track.crop_from_image)
        track.seen_ns, track.crop_from_image = now_ns, crop_from_image
        since_ns = None if track.looked_ns is None else now_ns - track.looked_ns
        if since_ns is not None and 0 <= since_ns < _LOOK_NS:
            if before[0] is not None:
                track.mask = carry(before[0], before[1], crop_from_image, face.motion)
        else:
            crop = self._crop.cut(image, square)
            points = np.asarray(apply(crop_from_image, face.landmarks[:, :2]), np.float32)
            elapsed_ms = 0.0 if since_ns is None else max(since_ns, 0) / MS_NS
            mask = self._look(crop, points, track, elapsed_ms)
            track.looked_ns = now_ns
            track.mask = blend_in_time(
                mask, *before, crop_from_image, face.motion, elapsed_ms, _HALF_LIVES_MS
            )
        return None if track.mask is None else Occluder(track.mask, crop_from_image)

    def _look(
        self, crop: Image, points: NDArray[np.float32], track: _Track, elapsed_ms: float
    ) -> Mask | None:
        """The mask as this frame alone has it; None while no glasses are believed in."""
        strength, bridge = find_frames(crop, points)
        follow = share_after(elapsed_ms, _EVIDENCE_MS)
        known = bridge if track.evidence is None else track.evidence
        track.evidence = known + follow * (bridge - known)
        if track.evidence < _WORN or not strength.any():
            return None
        wide = cv2.dilate(strength, np.ones((3, 3), np.uint8))
        return np.asarray(cv2.convertScaleAbs(cv2.GaussianBlur(wide, (3, 3), 0), alpha=255.0))
