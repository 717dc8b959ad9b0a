"""The stage that fits a drawn face to the picture it will be laid into."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from cuda_kernels.sharpness import (
    ALL_DETAIL,
    NUM_SUMS,
    finest_sigma_px,
    follow_detail,
    soften,
)
from realtime.frame import Face, Frame, Image, Layer, PictureSpec
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.tracks import of_present, share_after


class MatchConfig(BaseModel, frozen=True, extra="forbid"):
    """How a swapped face is fitted to the picture.

    Attributes:
        sharpness: hold the face's finest detail to the strength it has in the picture.
        sharpness_ms: half-life with which that follows the picture.
    """

    sharpness: bool = True
    sharpness_ms: float = Field(500.0, gt=0.0, le=60_000.0)


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        measured_ns: when its finest detail was measured last.
        gain: ``(1,) f32``, on that detail.
    """

    measured_ns: int
    gain: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32))


class Match:
    """Makes each face's layer as sharp as the picture, and no sharper."""

    def __init__(self, config: MatchConfig) -> None:
        """Takes its settings."""
        self._config = config
        self._tracks: dict[int, _Track] = {}
        self._sums = np.zeros(NUM_SUMS, np.uint64)

    @property
    def name(self) -> str:
        """``match``."""
        return "match"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with nothing remembered."""
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Changes the layers of the frame's faces."""
        self._tracks = of_present(self._tracks, frame.faces)
        for face in frame.faces:
            if face.layer is not None and self._config.sharpness:
                face.layer.face = self._softened(face, face.layer, frame)

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()

    def _softened(self, face: Face, layer: Layer, frame: Frame) -> Image:
        """The layer's colours, no sharper than the picture."""
        size = np.linalg.norm(layer.crop_from_image[:, 0])
        sigma_px = finest_sigma_px(float(size * (face.box[2] - face.box[0])))
        track = self._tracks.get(face.track_id)
        now_ns = frame.media_ns
        # Sharpness changes slowly; looking for it in every frame would cost as much as the swap.
        every_ns = self._config.sharpness_ms * MS_NS / 2
        if track is None or now_ns - track.measured_ns >= every_ns:
            height, width = layer.alpha.shape
            # Not averaged as ``cuda_kernels.warp`` does: that would take of the finest detail.
            under = cv2.warpAffine(
                frame.image,
                layer.crop_from_image,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            rate = 1.0
            if track is None:
                track = self._tracks[face.track_id] = _Track(now_ns)
            else:
                since_ns = now_ns - track.measured_ns
                rate = share_after(since_ns, self._config.sharpness_ms * MS_NS)
            follow_detail(
                layer.face,
                np.asarray(under, np.uint8),
                layer.alpha,
                sigma_px,
                rate=rate,
                sums=self._sums,
                gain=track.gain,
            )
            track.measured_ns = now_ns
        if track.gain[0] > ALL_DETAIL:
            return layer.face
        softened = np.empty_like(layer.face)
        soften(layer.face, track.gain, sigma_px, out=softened)
        return softened
