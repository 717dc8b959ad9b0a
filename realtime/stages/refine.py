"""The stage that makes drawn faces a part of the picture with FuseNet, before they are laid on it.

It stands behind the swapper and the match of sharpness. What it makes is in the picture's light and
tone, so of the blend stage only the rim is left, which the network alone does not join well enough.
A face that it leaves alone, or all of them while it rests, is blended as usual. The fuse stage
follows as before, with less weight: the network carries its own features along, but only that stage
calms the noise of eyes and mouth, which are the picture's, and stands in for a frame in which
nothing could be drawn.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from engines.families.fuser import Fuser
from realtime.frame import Face, Frame, Layer, PictureSpec
from realtime.fusenet_inputs import FusenetInputs, fill_inputs, head_crop
from realtime.fusenet_layer import refined
from realtime.ladder import QualityLadder, ladder_for, work_counts
from realtime.latent_memory import LatentMemory
from realtime.memory import Memory
from realtime.metrics import Json
from realtime.stages.blend import bounded
from realtime.tracks import GAP_NS, of_present

_COUNTED = ("refined", "remembered", "too_many")

_LOG = logging.getLogger(__name__)


class RefineConfig(BaseModel, frozen=True, extra="forbid"):
    """How drawn faces are made a part of the picture by FuseNet.

    Attributes:
        enabled: behind every swapper; behind ``fusenet`` it always is.
        network: its name in the catalogue: ``fusenet_lite`` for processors, ``fusenet_full``.
        max_faces: so many faces of a frame, the largest first; the others are blended.
        ladder: with live input it rests while the machine cannot keep up.
        fuse_share: what the fuse stage's memory counts for with faces that it made, against what
            it does with others; it carries its own features along.
    """

    enabled: bool = False
    network: str = Field("fusenet_lite", pattern=r"^[a-z0-9_.]+$")
    max_faces: int = Field(2, ge=1, le=16)
    ladder: bool = True
    fuse_share: float = Field(0.6, ge=0.0, le=1.0)


OpenFuser = Callable[[], AbstractContextManager[Fuser]]


@dataclass(slots=True)
class _Track:
    """What is remembered of one face, and whose it was.

    Attributes:
        whose: person and swapper.
        turn: the frame it is of, as the stage counts them.
        seen_ns: the same, in the stream's time.
    """

    whose: tuple[int, int]
    turn: int
    seen_ns: int
    memory: LatentMemory = field(default_factory=LatentMemory)


class Refine:
    """Replaces the layers of the largest faces by what FuseNet makes of them."""

    def __init__(self, config: RefineConfig, open_fuser: OpenFuser, *, on: bool = True) -> None:
        """Takes its settings; the network is loaded when it is needed first.

        Args:
            config: settings.
            open_fuser: loads the network for as long as the context lasts.
            on: whether it works from the start.
        """
        self._config = config
        self._open_fuser = open_fuser
        self._on = on
        self._opened = ExitStack()
        self._lock = threading.Lock()
        self._fuser: Fuser | None = None
        self._is_open = False
        self._ladder: QualityLadder | None = None
        self._faces = dict.fromkeys(_COUNTED, 0)
        self._tracks: dict[int, _Track] = {}
        self._turn = 0

    @property
    def name(self) -> str:
        """``refine``."""
        return "refine"

    @property
    def counts(self) -> Json:
        """How many faces were worked on, and what the quality ladder did."""
        return work_counts(self._faces, self._ladder)

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the network, if it is to work from the start.

        Raises:
            ModelError: it is missing or unusable.
        """
        with self._lock:
            self._is_open = True
        self._ladder = ladder_for(spec, allowed=self._config.ladder)
        self._faces = dict.fromkeys(_COUNTED, 0)
        self._tracks = {}
        if self._on:
            self.load()

    def load(self) -> None:
        """Loads the network unless it is loaded; from any thread, so that no frame waits for it.

        Raises:
            ModelError: it is missing or unusable.
        """
        with self._lock:
            if self._fuser is not None or not self._is_open:
                return
            fuser = self._opened.enter_context(self._open_fuser())
            # The first run takes the memory for all others, and shows whether it works at all.
            fuser.run()
            self._fuser = fuser

    def turn(self, on: bool) -> None:
        """Works, or works no more, from the next frame on; from any thread, after ``load``."""
        self._on = on

    def process(self, frame: Frame) -> None:
        """Changes the layers of the frame's faces.

        Raises:
            ModelError: the network fails, or gives what is no picture.
        """
        self._turn += 1
        fuser = self._fuser
        if not self._on:
            return
        if fuser is None:
            raise RuntimeError("Refine.process: the stage must be open, got a closed one.")
        if not self._has_time(frame):
            return
        self._tracks = of_present(self._tracks, frame.faces)
        drawn = [face for face in frame.faces if face.layer is not None and face.layer.face.size]
        for face in drawn[: self._config.max_faces]:
            if face.layer is not None:
                face.layer = self._refined(fuser, face, face.layer, frame)
        self._faces["too_many"] += max(len(drawn) - self._config.max_faces, 0)

    def close(self) -> None:
        """Lets the network go and forgets all faces."""
        with self._lock:
            self._is_open, self._fuser = False, None
            self._opened.close()
        self._tracks.clear()

    def _has_time(self, frame: Frame) -> bool:
        """Whether the machine keeps up; says so when that changes."""
        ladder = self._ladder
        if ladder is None:
            return True
        was_on = ladder.is_on
        is_on = ladder.allows(frame)
        if was_on and not is_on:
            _LOG.warning("%s: rests, as the machine is late. Faces are blended.", self.name)
        elif is_on and not was_on:
            _LOG.warning("%s: works again.", self.name)
        return is_on

    def _refined(self, fuser: Fuser, face: Face, layer: Layer, frame: Frame) -> Layer:
        """One face's layer after the network."""
        track = self._track(face, layer, frame.media_ns)
        if not layer.lit:
            layer = bounded(face, layer)
        tensors = fuser.inputs
        inputs = FusenetInputs.of(tensors)
        crop = head_crop(face.landmarks, fuser.side_px, track.memory.crop_from_image)
        fill_inputs(frame.image, layer, face.occluder, crop, out=inputs)
        knows = track.memory.recall(face.motion, crop, fuser.side_px, out=tensors)
        fuser.run()
        outputs = fuser.outputs
        track.memory.keep(outputs, crop)
        track.turn, track.seen_ns = self._turn, frame.media_ns
        self._faces["refined"] += 1
        self._faces["remembered"] += knows
        return refined(layer, inputs, outputs["image"], outputs["blend"], crop)

    def _track(self, face: Face, layer: Layer, now_ns: int) -> _Track:
        """What is remembered of a face; nothing of another person or from before a gap."""
        whose = (face.person, layer.origin)
        track = self._tracks.get(face.track_id)
        # The motion is known from the last frame only, so that must be the one remembered.
        goes_on = (
            track is not None
            and track.whose == whose
            and track.turn == self._turn - 1
            and 0 <= now_ns - track.seen_ns <= GAP_NS
        )
        if track is None or not goes_on:
            track = self._tracks[face.track_id] = _Track(whose, self._turn, now_ns)
        return track
