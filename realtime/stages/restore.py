"""The stage that gives swapped faces the detail that their network's few pixels lack."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel, Field, field_validator

from cuda_kernels.layers import lay_over
from cuda_kernels.levels import picture_from_levels
from engines.families.crops import cut_crop, feathered_box
from engines.families.enlarger import Enlarger
from engines.families.restorer import Restorer
from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.five_points import five_points
from realtime.frame import Face, Frame, Image, Layer, PictureSpec
from realtime.geometry import Matrix, compose, invert
from realtime.ladder import QualityLadder, ladder_for, work_counts
from realtime.layer_size import covering, scale_for, shown_factor, sized
from realtime.memory import Memory
from realtime.metrics import Json
from realtime.tracks import of_present

OFF = "off"

_SCALES = (2, 4)
_STILL_LONGER = 2.0
"""What stands still is remembered for so much longer: there the eye sees trembling first."""

_COUNTED = ("enlarged_x2", "enlarged_x4", "fine_already", "restored")


class RestoreConfig(BaseModel, frozen=True, extra="forbid"):
    """How swapped faces are restored.

    Attributes:
        model: ``off``; ``lite`` or ``full`` for the super-resolution networks that come with the
            program; or the name of a restoring network.
        look: of the networks that come with the program: ``fidelity`` invents nothing,
            ``perceptual`` draws likely texture.
        area: ``face``; ``picture`` for all of the picture too where ``--upscale`` makes it larger.
        strength: how much of it is seen, 0..1; of faces.
        steady: what a restored face looked like before counts for, against the newest picture, at
            30 pictures a second, 0..1; new detail would flicker with the noise it is made of. What
            stands still is remembered twice as long.
        ladder: with live input it rests while the machine cannot keep up.
    """

    model: str = Field(OFF, pattern=r"^[a-z0-9_.]+$")
    look: Literal["fidelity", "perceptual"] = "fidelity"
    area: Literal["face", "picture"] = "face"
    strength: float = Field(1.0, ge=0.0, le=1.0)
    steady: float = Field(0.6, ge=0.0, lt=1.0)
    ladder: bool = True

    @property
    def steady_still(self) -> float:
        """What it counts for where it stands still."""
        return float(self.steady ** (1.0 / _STILL_LONGER))

    @field_validator("model", mode="before")
    @classmethod
    def _bare_off(cls, value: Any) -> Any:
        """YAML reads a bare ``off`` as False."""
        return OFF if value is False else value


@dataclass(frozen=True, slots=True)
class Restorers:
    """What the stage runs, loaded: enlargers by their scale, or one restoring network."""

    enlargers: Mapping[int, Enlarger] = field(default_factory=dict)
    restorer: Restorer | None = None


OpenRestorers = Callable[[], AbstractContextManager[Restorers]]


@dataclass(slots=True)
class _Track:
    """What is remembered of one restored face, and whose it was.

    Attributes:
        memory: of its looks.
        whose: person and swapper.
        turn: the frame it is of, as the stage counts them.
        seen_ns: the same, in the stream's time.
    """

    memory: FeatureMemory
    whose: tuple[int, int]
    turn: int
    seen_ns: int


class Restore:
    """Replaces every face's layer with a finer one; before it is laid over the picture."""

    def __init__(self, config: RestoreConfig, open_restorers: OpenRestorers) -> None:
        """Takes its settings; networks are loaded by ``open``."""
        self._config = config
        self._open_restorers = open_restorers
        self._opened = ExitStack()
        self._restorers: Restorers | None = None
        self._ladder: QualityLadder | None = None
        self._faces = dict.fromkeys(_COUNTED, 0)
        self._tracks: dict[int, _Track] = {}
        self._turn = 0

    @property
    def name(self) -> str:
        """``restore``."""
        return "restore"

    @property
    def counts(self) -> Json:
        """How many faces were worked on and how, and what the quality ladder did."""
        return work_counts(self._faces, self._ladder)

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the networks.

        Raises:
            ModelError: one is missing or unusable.
        """
        with ExitStack() as opening:
            self._restorers = opening.enter_context(self._open_restorers())
            self._opened = opening.pop_all()
        self._ladder = ladder_for(spec, allowed=self._config.ladder)
        self._faces = dict.fromkeys(_COUNTED, 0)
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Changes the layers of the frame's faces.

        Raises:
            ModelError: a network fails, or gives no picture.
        """
        if self._restorers is None:
            raise RuntimeError("Restore.process: the stage must be open, got a closed one.")
        self._turn += 1
        ladder = self._ladder
        if ladder is not None and not ladder.allows(frame):
            return
        if self._config.strength == 0.0:
            return
        self._tracks = of_present(self._tracks, frame.faces)
        drawn = [face for face in frame.faces if face.layer is not None and face.layer.face.size]
        before = [face.layer for face in drawn]
        if self._restorers.restorer is not None:
            for face in drawn:
                self._restore(self._restorers.restorer, face, frame.image)
        else:
            self._enlarge(self._restorers.enlargers, drawn)
        for face, plain in zip(drawn, before, strict=True):
            if face.layer is not None and face.layer is not plain and self._config.steady:
                self._steady(face, face.layer, frame.media_ns)

    def close(self) -> None:
        """Lets the networks go."""
        self._restorers = None
        self._tracks.clear()
        self._opened.close()

    def _enlarge(self, enlargers: Mapping[int, Enlarger], faces: Sequence[Face]) -> None:
        """Layers of one size go through the network together."""
        alike: dict[tuple[int, tuple[int, ...]], list[Face]] = {}
        for face in faces:
            if face.layer is None:
                continue
            scale = scale_for(face.layer, tuple(enlargers))
            if scale == 1:
                self._count("fine_already", 1)
            elif face.layer.alpha.any():
                alike.setdefault((scale, face.layer.face.shape), []).append(face)
        for (scale, _), group in alike.items():
            layers = covering([face.layer for face in group if face.layer is not None])
            for face, layer in zip(group, self._enlarged(enlargers[scale], layers), strict=True):
                face.layer = layer
            self._count(f"enlarged_x{scale}", len(group))

    def _enlarged(self, enlarger: Enlarger, layers: Sequence[Layer]) -> list[Layer]:
        height, width = layers[0].alpha.shape
        shape = height * enlarger.scale, width * enlarger.scale, 3
        made: list[Image] = [np.empty(shape, np.uint8) for _ in layers]
        enlarger.enlarge([layer.face for layer in layers], out=made)
        found = []
        for layer, fine in zip(layers, made, strict=True):
            factor = shown_factor(layer, enlarger.scale)
            large = sized(layer, factor, fine)
            if self._config.strength < 1.0:
                large.face = self._mixed(sized(layer, factor).face, large.face)
            found.append(large)
        return found

    def _restore(self, restorer: Restorer, face: Face, image: Image) -> None:
        """Puts one face, as it would be seen, through a network with an alignment of its own.

        The layer covers what it covered, also where it reaches beyond the network's crop.
        """
        layer = face.layer
        if layer is None:
            return
        square = restorer.crop_px, restorer.crop_px
        crop_from_image = restorer.fit(five_points(face.landmarks))
        crop: Image = np.empty((*square, 3), np.uint8)
        cut_crop(image, crop_from_image, out=crop)
        crop_from_layer = compose(crop_from_image, invert(layer.crop_from_image))
        alpha = np.asarray(cv2.warpAffine(layer.alpha, crop_from_layer, square), np.uint8)
        seen = _resampled(layer.face, crop_from_layer, square)
        lay_over(seen, crop, alpha, out=seen)
        restored = np.empty_like(seen)
        restorer.restore(seen, out=restored)
        large = sized(layer, shown_factor(layer, scale_for(layer, _SCALES)))
        size = large.alpha.shape[1], large.alpha.shape[0]
        large_from_crop = compose(large.crop_from_image, invert(crop_from_image))
        box = feathered_box(restorer.crop_px)
        inside = np.asarray(cv2.warpAffine(box, large_from_crop, size), np.uint8)
        fine = _resampled(restored, large_from_crop, size)
        lay_over(fine, large.face, inside, out=fine)
        large.face = self._mixed(large.face, fine)
        face.layer = large
        self._count("restored", 1)

    def _steady(self, face: Face, layer: Layer, now_ns: int) -> None:
        """Blends a restored face with what was seen of it before."""
        weight, whose = self._config.steady, (face.person, layer.origin)
        track = self._tracks.get(face.track_id)
        # The motion is known from the last frame only, so that must be the one remembered.
        if track is None or track.whose != whose or track.turn != self._turn - 1:
            still = self._config.steady_still
            memory = FeatureMemory(MemoryConfig(weight=weight, still_weight=still))
            track = self._tracks[face.track_id] = _Track(memory, whose, self._turn, now_ns)
        fused = track.memory.fuse(
            layer.face.astype(np.float32),
            layer.crop_from_image,
            face.motion,
            elapsed_ns=now_ns - track.seen_ns,
            reliability=1.0,
        )
        track.turn, track.seen_ns = self._turn, now_ns
        layer.face = np.empty(fused.shape, np.uint8)
        picture_from_levels(fused, out=layer.face)

    def _mixed(self, plain: Image, restored: Image) -> Image:
        """The restored picture at the strength that is asked for."""
        strength = self._config.strength
        if strength == 1.0:
            return restored
        return np.asarray(cv2.addWeighted(restored, strength, plain, 1.0 - strength, 0.0), np.uint8)

    def _count(self, what: str, number: int) -> None:
        self._faces[what] += number


def _resampled(face: Image, b_from_a: Matrix, size: tuple[int, int]) -> Image:
    """A face as it looks in another crop; its edge is repeated around it."""
    border = cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(face, b_from_a, size, flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(moved, np.uint8)
