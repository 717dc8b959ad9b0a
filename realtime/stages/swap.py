"""Puts another person's face on every face of the frame, drawn as a textured mesh."""

from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, Field

from realtime.face_mesh import FaceMesh
from realtime.face_texture import FaceTexture
from realtime.face_zones import FaceZones
from realtime.frame import Face, FaceState, Frame, Image, PictureSpec
from realtime.likeness import Likeness, ShapeMemory
from realtime.memory import Memory
from realtime.mesh_painter import MeshPainter
from realtime.skin_light import Colours, SkinLight

_GAP_NS = 500_000_000
"""A track that was not seen for so long starts afresh."""

_MIN_COVERED = 0.35
"""A face of which less is covered does not count as swapped, and is hidden further on."""


class MeshSwapConfig(BaseModel, frozen=True, extra="forbid"):
    """How the mesh swapper draws.

    Attributes:
        crop_px: largest side of the picture part that is worked on; larger faces are drawn at
            this size and enlarged.
        shape: how much of the source's face shape is taken over, 0..1.
        light_ms: half-life with which the drawn skin follows the light on the target's.
    """

    crop_px: int = Field(384, ge=64, le=1024)
    shape: float = Field(0.9, ge=0.0, le=1.0)
    light_ms: float = Field(60.0, ge=0.0, le=2000.0)


@dataclass(frozen=True, slots=True)
class Identity:
    """The person to be drawn, and the mesh it is drawn with."""

    mesh: FaceMesh
    zones: FaceZones
    light: SkinLight
    texture: FaceTexture


@dataclass(slots=True)
class _Track:
    """What is remembered of one target face."""

    seen_ns: int
    shape: ShapeMemory = field(default_factory=ShapeMemory)
    light: Colours | None = None

    def follow_light(self, light: Colours, elapsed_ns: int, half_life_ms: float) -> Colours:
        """The light, smoothed in time."""
        if self.light is None or half_life_ms <= 0.0:
            self.light = light
        else:
            share = 1.0 - 0.5 ** (elapsed_ns / (half_life_ms * 1e6))
            self.light = np.asarray(self.light + np.float32(share) * (light - self.light))
        return self.light


class MeshSwap:
    """The default swapper: needs no GPU and no model beyond the landmarks."""

    def __init__(self, config: MeshSwapConfig, identity: Identity) -> None:
        """Takes the person; work begins with ``open``."""
        self._config = config
        self._identity = identity
        self._likeness = Likeness(identity.mesh, identity.zones, config.shape)
        self._painter: MeshPainter | None = None
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "swap"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Takes the scratch for one face at a time."""
        identity = self._identity
        self._painter = MeshPainter(identity.mesh, identity.light, self._config.crop_px, memory)

    def process(self, frame: Frame) -> None:
        """Replaces every face that was seen in this frame, the farthest first."""
        if self._painter is None:
            raise RuntimeError("MeshSwap.process: the stage must be open, got a closed one.")
        self._forget(frame.media_ns)
        for face in reversed(frame.faces):
            if face.state is FaceState.SEEN and face.chosen:
                covered = self._swap(self._painter, frame.image, face, frame.media_ns)
                face.swapped = covered >= _MIN_COVERED

    def close(self) -> None:
        """Forgets all tracks and gives the scratch back."""
        self._painter = None
        self._tracks.clear()

    def _swap(self, painter: MeshPainter, image: Image, face: Face, now_ns: int) -> float:
        """Draws over one face; returns how much of it is covered, 1 where none of it is seen."""
        texture, light = self._identity.texture, self._identity.light
        track = self._tracks.setdefault(face.track_id, _Track(now_ns))
        elapsed_ns = max(0, now_ns - track.seen_ns)
        track.seen_ns = now_ns
        rest = track.shape.learn(self._likeness.rest(face.landmarks), elapsed_ns / 1e9)
        drawn = self._likeness.place(face.landmarks, rest, texture.shape)
        crop = painter.crop(image, face.landmarks, drawn)
        if crop.region.size == 0:
            return 1.0
        colours, weights = painter.look(crop, face.landmarks)
        measured = light.measure(colours, weights)
        lit = track.follow_light(measured, elapsed_ns, self._config.light_ms)
        return painter.paint(crop, drawn, lit, texture)

    def _forget(self, now_ns: int) -> None:
        """Drops tracks that have not been seen for a while."""
        gone = [
            number for number, track in self._tracks.items() if now_ns - track.seen_ns > _GAP_NS
        ]
        for number in gone:
            del self._tracks[number]
