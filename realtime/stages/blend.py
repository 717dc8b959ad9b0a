"""The stage that makes a drawn face part of the picture: its colours, its light, its rim."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from cuda_kernels.colour_match import shift_colours
from cuda_kernels.layers import lay_over
from cuda_kernels.light import CELLS_SIZE, enlarged_light, follow_light
from realtime.face_parts import face_outline
from realtime.frame import Face, Frame, Image, Layer, PictureSpec
from realtime.geometry import apply
from realtime.kept_parts import Region, kept_parts, without, without_kept
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.seam_fit import NEUTRAL, Membrane, Rim, SeamFit, enlarge_into, rim_trust
from realtime.skin_tone import (
    How,
    OneColour,
    ToneMemory,
    follow_tone,
    one_colour,
    skin_weights,
    without_colours,
)
from realtime.small_copy import SmallCopy, small_copy
from realtime.tracks import GAP_NS, of_present, share_after

_SAMPLES, _LOOK_NS = 20, 250 * MS_NS
"""Rows or columns of the picture that are looked at to tell whether it has colours, and how often
that is done."""


def _spelled(value: object) -> object:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


Colour = Annotated[Literal["auto", "yuv_histogram", "mean_std", "off"], BeforeValidator(_spelled)]


class CompositeConfig(BaseModel, frozen=True, extra="forbid"):
    """How a drawn face becomes part of the picture.

    Attributes:
        color: what brings its colours to those of the skin it is laid over. ``auto`` is
            ``yuv_histogram`` for swapping networks; the mesh swapper draws in the picture's
            light anyway, and only loses its colours in a picture without any.
        blend: how its rim is joined to the picture.
        light: whether the light of the picture is carried onto a face that was drawn without it.
        settle_ms: half-life with which colours and light follow the picture.
        keep: parts of the person in front of the camera that stay.
    """

    color: Colour = "auto"
    blend: Rim = "multiband"
    light: bool = True
    settle_ms: float = Field(150.0, ge=0.0, le=10_000.0)
    keep: tuple[Region, ...] = ()


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        seen_ns: when it was last worked on.
        whose: person and origin of its layer.
    """

    seen_ns: int
    whose: tuple[int, int]
    tone: ToneMemory = field(default_factory=ToneMemory)
    membrane: Membrane = field(default_factory=Membrane)


class Blend:
    """Changes each face's layer so that laying it over the picture shows no seam."""

    def __init__(self, config: CompositeConfig) -> None:
        """Takes its settings."""
        self._config = config
        self._tracks: dict[int, _Track] = {}
        self._fit: SeamFit | None = None
        self._cells = np.empty(0, np.float32)
        self._tone: OneColour | None = None
        self._looked_ns: int | None = None

    @property
    def name(self) -> str:
        """``blend``."""
        return "blend"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Takes the scratch; nothing is remembered."""
        self._tracks = {}
        self._tone = self._looked_ns = None
        self._fit = SeamFit(memory)
        self._cells = memory.host((CELLS_SIZE,), np.float32)

    def process(self, frame: Frame) -> None:
        """Replaces the layers of the frame's faces."""
        fit = self._fit
        if fit is None:
            raise RuntimeError("Blend.process: the stage must be open, got a closed one.")
        self._tracks = of_present(self._tracks, frame.faces)
        drawn = [(face, face.layer) for face in frame.faces if face.layer is not None]
        if not drawn:
            return
        toned = self._one_colour(frame)
        for face, layer in drawn:
            track, rate = self._track(face, layer, frame.media_ns)
            within = layer if layer.lit else bounded(face, layer)
            small = small_copy(frame.image, face, within)
            picture = layer.face
            if toned is not None:
                small.face = without_colours(small.face, toned)
                picture = without_colours(picture, toned)
            elif (how := self._how(layer)) is not None:
                picture = _toned(picture, small, track.tone, how, rate)
            correction = self._correction(fit, layer, small, track, rate)
            if correction is not None:
                picture = enlarge_into(picture, correction)
            alpha = self._without_kept(face, within)
            face.layer = replace(layer, face=picture, alpha=alpha)
            track.tone.is_new = False

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()
        self._fit = None

    def _one_colour(self, frame: Frame) -> OneColour | None:
        """How the picture is toned, if it has no colours; looked at now and then."""
        if self._config.color == "off":
            return None
        if self._looked_ns is None or not 0 <= frame.media_ns - self._looked_ns < _LOOK_NS:
            image = frame.image
            step = max(1, min(image.shape[:2]) // _SAMPLES)
            self._tone = one_colour(np.ascontiguousarray(image[::step, ::step]))
            self._looked_ns = frame.media_ns
        return self._tone

    def _track(self, face: Face, layer: Layer, now_ns: int) -> tuple[_Track, float]:
        """What is remembered of a face, and how far that follows this frame."""
        whose = (face.person, layer.origin)
        track = self._tracks.get(face.track_id)
        # A cut ends all tracks; a face that was lost for a while is lit anew.
        if track is None or track.whose != whose or not 0 <= now_ns - track.seen_ns <= GAP_NS:
            track = self._tracks[face.track_id] = _Track(now_ns, whose)
        rate = share_after(now_ns - track.seen_ns, self._config.settle_ms * MS_NS)
        track.seen_ns = now_ns
        return track, rate

    def _how(self, layer: Layer) -> How | None:
        """How a layer's colours are found; None to leave them."""
        color = self._config.color
        if color == "auto":
            return None if layer.lit else "yuv_histogram"
        return None if color == "off" else color

    def _correction(
        self, fit: SeamFit, layer: Layer, small: SmallCopy, track: _Track, rate: float
    ) -> NDArray[np.uint8] | None:
        """What is to be added to the face, small, plus ``NEUTRAL``; None for nothing."""
        blend = self._config.blend
        is_dark = self._config.light and not layer.lit
        if blend == "feather" and not is_dark:
            return None
        difference = small.difference()
        light: NDArray[np.float32] | None = None
        if is_dark:
            skin, held = small.skin(), track.tone
            follow_light(
                small.face,
                small.under,
                skin,
                rate=1.0 if held.is_new else rate,
                cells=self._cells,
                light=held.light,
            )
            light = enlarged_light(held.light, small.size)
            difference -= light
        rim = None
        if blend != "feather":
            trust = rim_trust(difference, small.alpha, small.hidden)
            covered = small.without_holes()
            for mask in kept_parts(self._config.keep, small.points, small.size):
                covered = without(covered, mask)
            rim = fit.find(difference, trust, covered, blend, track.membrane)
        if light is None:
            return rim
        if rim is not None:
            light += rim.astype(np.float32) - np.float32(NEUTRAL)
        level = light * small.bare[..., None] + np.float32(NEUTRAL)
        return np.asarray(np.clip(np.rint(level), 0, 255), np.uint8)

    def _without_kept(self, face: Face, layer: Layer) -> NDArray[np.uint8]:
        """The layer's coverage without what stays of the person in front of the camera."""
        keep, alpha = self._config.keep, layer.alpha
        if not keep:
            return alpha
        points = np.asarray(apply(layer.crop_from_image, face.landmarks[:, :2]), np.float32)
        return without_kept(alpha, keep, face, points, layer.crop_from_image)


def bounded(face: Face, layer: Layer) -> Layer:
    """A layer that covers nothing beside the face: networks redraw all of their crop."""
    points = np.asarray(apply(layer.crop_from_image, face.landmarks[:, :2]), np.float32)
    outline = face_outline(points, (layer.alpha.shape[1], layer.alpha.shape[0]))
    return replace(layer, alpha=np.minimum(layer.alpha, outline))


def _toned(face: Image, small: SmallCopy, memory: ToneMemory, how: How, rate: float) -> Image:
    """A face with its skin in the picture's colours; the small one follows."""
    skin = np.asarray(np.rint(small.skin() * np.float32(255)), np.uint8)
    shift = follow_tone(memory, small.face, small.under, skin, how, rate)
    weight = skin_weights(small.face, np.full_like(skin, 255)) * small.bare
    small.face = _shifted(small.face, shift, weight)
    size = (face.shape[1], face.shape[0])
    return _shifted(face, shift, np.asarray(cv2.resize(weight, size), np.float32))


def _shifted(face: Image, shift: NDArray[np.float32], weight: NDArray[np.float32]) -> Image:
    """A face whose colours are moved as far as the weight says."""
    moved = np.empty_like(face)
    shift_colours(face, shift, out=moved)
    lay_over(moved, face, weight, out=moved)
    return moved
