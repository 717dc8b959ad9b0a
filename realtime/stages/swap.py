"""Draws another person's face for every face of the frame, as a textured mesh."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from realtime.cheek_tone import CheekTone, Lit, Offsets
from realtime.eye_shades import EyeShades, match_eyes
from realtime.face_mesh import FaceMesh
from realtime.face_texture import FaceTexture
from realtime.face_zones import FaceZones
from realtime.frame import Face, FaceState, Frame, Image, Layer, Motion, PictureSpec, Points
from realtime.highlights import Highlights
from realtime.ladder import QualityLadder, ladder_for
from realtime.likeness import Likeness, ShapeMemory
from realtime.memory import Memory
from realtime.mesh_painter import MeshPainter, layer_bytes
from realtime.openings import carry_openings
from realtime.skin_light import Colours, SkinLight
from realtime.steady import SteadyConfig, SteadyLandmarks, carried_along, nearness
from realtime.tracks import of_recent, share_after
from realtime.work_size import RUNG_SHARES

_LOG = logging.getLogger(__name__)

_MIN_COVERED = 0.35
"""A face of which less is covered does not count as swapped, and is hidden further on."""

_CHEEKS_NS = 300e6
"""Half-life with which the light on drawn cheeks follows what they are off the target's."""


class MeshSwapConfig(BaseModel, frozen=True, extra="forbid"):
    """How the mesh swapper draws.

    Attributes:
        crop_px: largest side of the picture part that is worked on; larger faces are drawn at
            this size and enlarged.
        shape: how much of the source's face shape is taken over, 0..1.
        light_ms: half-life with which the drawn skin follows the light on the target's.
        ladder: with live input faces are drawn at fewer pixels while the machine cannot keep up.
    """

    crop_px: int = Field(384, ge=64, le=1024)
    shape: float = Field(0.9, ge=0.0, le=1.0)
    light_ms: float = Field(60.0, ge=0.0, le=2000.0)
    ladder: bool = True


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
    texture: FaceTexture | None = None
    cheeks: Offsets = field(default_factory=lambda: np.zeros((2, 3), np.float32))
    eyes: EyeShades = (1.0, 1.0)
    drawn: SteadyLandmarks | None = None

    def follow_light(self, light: Colours, share: float) -> Colours:
        """The light, smoothed in time."""
        if self.light is None:
            self.light = light
        else:
            mixed = cv2.addWeighted(light, share, self.light, 1.0 - share, 0.0)
            self.light = np.asarray(mixed, np.float32)
        return self.light


class MeshSwap:
    """The default swapper: needs no GPU and no model beyond the landmarks."""

    def __init__(
        self,
        config: MeshSwapConfig,
        identity: Identity,
        *,
        keeps: Collection[str] = (),
        steady: SteadyConfig | None = None,
    ) -> None:
        """Takes the person; work begins with ``open``.

        Args:
            config: settings.
            identity: the person.
            keeps: parts of the target that stay as and where they are: ``eyes``, ``mouth``.
            steady: how the drawn landmarks are kept steady; None draws them where each frame by
                itself says.
        """
        self._config = config
        self._steady = steady
        self._near = nearness(identity.mesh.neutral)
        self._keeps = frozenset(keeps)
        self._identity = identity
        self._cheeks = CheekTone(identity.mesh)
        self._highlights = Highlights(identity.texture)
        self._likeness = Likeness(identity.mesh, identity.zones, config.shape)
        self._painter: MeshPainter | None = None
        self._ladder: QualityLadder | None = None
        self._work_share = 1.0
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "swap"

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Takes the scratch for drawing."""
        identity = self._identity
        self._ladder = ladder_for(spec, allowed=self._config.ladder, num_rungs=len(RUNG_SHARES))
        self._work_share = 1.0
        self._painter = MeshPainter(identity.mesh, identity.light, self._config.crop_px, memory)

    def process(self, frame: Frame) -> None:
        """Draws the layer of every face that was seen in this frame, the farthest first."""
        if self._painter is None:
            raise RuntimeError("MeshSwap.process: the stage must be open, got a closed one.")
        if self._ladder is not None:
            self._keep_up(self._ladder, frame)
        self._tracks = of_recent(self._tracks, frame.media_ns)
        chosen = [face for face in frame.faces if face.state is FaceState.SEEN and face.chosen]
        present = {face.track_id for face in chosen}
        for track_id, track in self._tracks.items():
            if track_id not in present:
                # The next motion will be that of one frame, and not begin where it was drawn last.
                track.drawn = None
        for index, face in reversed(list(enumerate(chosen))):
            room = frame.room(index, layer_bytes(self._config.crop_px))
            face.layer = self._swap(self._painter, frame.image, face, frame.media_ns, room)

    def close(self) -> None:
        """Forgets all tracks and gives the scratch back."""
        self._painter = None
        self._tracks.clear()

    def _swap(
        self,
        painter: MeshPainter,
        image: Image,
        face: Face,
        now_ns: int,
        buffer: NDArray[np.uint8],
    ) -> Layer | None:
        """Draws one face; None where too little of it can be covered.

        A face none of which lies in the picture needs no layer, and counts as swapped.
        """
        light = self._identity.light
        is_new = face.track_id not in self._tracks
        track = self._tracks.setdefault(face.track_id, _Track(now_ns))
        elapsed_ns = max(0, now_ns - track.seen_ns)
        track.seen_ns = now_ns
        rest = self._likeness.rest(face.landmarks)
        shape = track.shape.learn(rest.shape, elapsed_ns / 1e9, rest.trust)
        drawn = self._likeness.place(face.landmarks, rest.fit, shape, self._identity.texture.shape)
        drawn = self._kept_steady(track, face.motion, drawn, elapsed_ns)
        crop = painter.crop(image, face.landmarks, drawn, self._work_share)
        if crop.region.size == 0:
            face.swapped = True
            return None
        carry_openings(image, face.landmarks, drawn, face.occluder, self._keeps)
        face.worked_px = max(crop.size)
        share = 1.0 if is_new else share_after(elapsed_ns, self._config.light_ms * 1e6)
        target, points = crop.inside(face.landmarks), crop.inside(drawn)
        colours, skin = painter.look(crop, face.landmarks, target)
        measured = light.measure(colours, skin)
        lit = track.follow_light(measured, share)
        texture = self._highlights.on_skin(light.luma(lit, skin), track.texture)
        track.texture = texture
        seen = Lit(painter.picture(crop), measured)

        def paint(cheek_share: float) -> tuple[Layer, float]:
            cheeks_lit = self._cheeks.lit(lit, track.cheeks)
            layer, covered = painter.paint(crop, points, cheeks_lit, texture, out=buffer)
            track.cheeks = self._cheeks.follow(
                track.cheeks,
                Lit(layer.face, lit),
                seen,
                target,
                crop.target_px,
                skin,
                cheek_share,
            )
            return layer, covered

        if is_new:
            # How far its cheeks are off is not known before it has been drawn once.
            paint(1.0)
        layer, covered = paint(share_after(elapsed_ns, _CHEEKS_NS))
        if covered < _MIN_COVERED:
            return None
        if "eyes" not in self._keeps:
            pictures = (seen.picture, layer.face)
            track.eyes = match_eyes(
                crop, points, pictures, track.eyes, share, gains=texture.eye_gains
            )
        return layer

    def _keep_up(self, ladder: QualityLadder, frame: Frame) -> None:
        """Chooses how finely this frame's faces are drawn."""
        share = RUNG_SHARES[ladder.follow(frame)]
        if share < self._work_share and ladder.counts.switched_off == 1:
            _LOG.info(
                "%s: the machine is late, so faces are drawn with fewer pixels where that helps. "
                "Smaller pictures cost less: --config speed.",
                self.name,
            )
        self._work_share = share

    def _kept_steady(
        self, track: _Track, motion: Motion | None, drawn: Points, elapsed_ns: int
    ) -> Points:
        """The drawn landmarks, carried along by the picture they lie on.

        Those of the target are so already, but another person's lips lie beside them, on skin that
        moves a little differently: moved as the target's lips are they would slide over it.
        """
        if self._steady is None:
            return drawn
        if motion is None or track.drawn is None or elapsed_ns == 0:
            track.drawn = SteadyLandmarks(self._steady, self._near, drawn)
            return drawn
        carried, trust = carried_along(motion, track.drawn.landmarks)
        steady = track.drawn.follow(drawn, carried, trust, elapsed_ns).copy()
        # The flow knows nothing of depth.
        steady[:, 2] = drawn[:, 2]
        return steady
