"""The stage that makes a drawn face part of the picture: its colours, its light, its rim."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from cuda_kernels.colour_match import shift_colours
from cuda_kernels.warp import warp
from realtime.face_parts import kept_eyes, kept_mouth, without_skin
from realtime.frame import Face, Frame, Image, Layer, Occluder, PictureSpec, Points
from realtime.geometry import Matrix, apply, compose, invert
from realtime.layer_pixels import same_pixels
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.seam_fit import (
    NEUTRAL,
    Membrane,
    SeamFit,
    enlarge_into,
    halved,
    num_halvings_of,
    rim_trust,
)
from realtime.skin_tone import (
    How,
    ToneMemory,
    follow_light,
    follow_tone,
    grey_chroma,
    skin_weights,
    without_colours,
)
from realtime.tracks import of_present

_SKIN = 128
"""Weight from which a pixel's colour counts as skin's."""


def _spelled(value: object) -> object:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


Colour = Annotated[
    Literal["auto", "yuv_histogram", "mean_std", "off"], BeforeValidator(_spelled)
]
Region = Literal["glasses", "mouth", "eyes"]


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
    blend: Literal["multiband", "poisson", "feather"] = "multiband"
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


@dataclass(slots=True)
class _Small:
    """A layer and what lies under it, small.

    Attributes:
        face, under: ``(h, w, 3) u8 BGR``.
        alpha: ``(h, w) u8``.
        hidden: ``(h, w) u8``, what stands in front; None for nothing.
        points: ``(468, 2) f32`` its pixels, the landmarks.
    """

    face: Image
    under: Image
    alpha: NDArray[np.uint8]
    hidden: NDArray[np.uint8] | None
    points: Points


class Blend:
    """Changes each face's layer so that laying it over the picture shows no seam."""

    def __init__(self, config: CompositeConfig) -> None:
        """Takes its settings."""
        self._config = config
        self._tracks: dict[int, _Track] = {}
        self._fit: SeamFit | None = None

    @property
    def name(self) -> str:
        """``blend``."""
        return "blend"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Takes the scratch; nothing is remembered."""
        self._tracks = {}
        self._fit = SeamFit(memory)

    def process(self, frame: Frame) -> None:
        """Replaces the layers of the frame's faces."""
        fit = self._fit
        if fit is None:
            raise RuntimeError("Blend.process: the stage must be open, got a closed one.")
        self._tracks = of_present(self._tracks, frame.faces)
        for face in frame.faces:
            if face.layer is not None:
                track, rate = self._track(face, face.layer, frame.media_ns)
                small = _shrink(frame.image, face, face.layer)
                face.layer = self._blended(fit, face, face.layer, small, track, rate)
                track.tone.is_new = False

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()
        self._fit = None

    def _track(self, face: Face, layer: Layer, now_ns: int) -> tuple[_Track, float]:
        """What is remembered of a face, and how far that follows this frame."""
        whose = (face.person, layer.origin)
        track = self._tracks.get(face.track_id)
        # Without motion nothing ties this frame to the one before: a cut, or a face found again.
        if track is None or track.whose != whose or face.motion is None:
            track = self._tracks[face.track_id] = _Track(now_ns, whose)
        half_life_ns = self._config.settle_ms * MS_NS
        elapsed_ns = max(0, now_ns - track.seen_ns)
        track.seen_ns = now_ns
        return track, 1.0 - 0.5 ** (elapsed_ns / half_life_ns) if half_life_ns > 0.0 else 1.0

    def _blended(
        self, fit: SeamFit, face: Face, layer: Layer, small: _Small, track: _Track, rate: float
    ) -> Layer:
        """The layer in the colours and the light of the picture, without what is kept."""
        picture, how = layer.face, self._how(layer)
        is_bare = layer.lit and how is None
        size = (small.alpha.shape[1], small.alpha.shape[0])
        guarded = None if is_bare else without_skin(small.points, size)
        chroma = grey_chroma(small.under) if self._config.color != "off" else None
        if chroma is not None:
            picture = without_colours(picture, chroma)
            small.face = without_colours(small.face, chroma)
        elif how is not None:
            picture = _toned(picture, small, guarded, track.tone, how, rate)
        correction = self._correction(fit, layer, small, guarded, track, rate)
        if correction is not None:
            picture = enlarge_into(picture, correction)
        alpha = self._without_kept(face, layer)
        return Layer(picture, alpha, layer.crop_from_image, layer.origin, layer.lit)

    def _how(self, layer: Layer) -> How | None:
        """How a layer's colours are found; None to leave them."""
        color = self._config.color
        if color == "auto":
            return None if layer.lit else "yuv_histogram"
        return None if color == "off" else color

    def _correction(
        self,
        fit: SeamFit,
        layer: Layer,
        small: _Small,
        guarded: NDArray[np.uint8] | None,
        track: _Track,
        rate: float,
    ) -> NDArray[np.uint8] | None:
        """What is to be added to the face, small, plus ``NEUTRAL``; None for nothing."""
        config, needs_light = self._config, self._config.light and not layer.lit
        if config.blend == "feather" and not needs_light:
            return None
        difference = np.asarray(cv2.subtract(small.under, small.face, dtype=cv2.CV_32F), np.float32)
        light = None
        if needs_light:
            skin = _skin(small, guarded)
            light = follow_light(track.tone, difference, skin, rate)
            difference -= light
        correction = None
        if config.blend != "feather":
            trust = rim_trust(difference, small.alpha, small.hidden)
            covered = _without_holes(small)
            correction = fit.find(difference, trust, covered, config.blend, track.membrane)
        if light is None:
            return correction
        total = light + np.float32(NEUTRAL)
        if correction is not None:
            total += correction.astype(np.float32) - np.float32(NEUTRAL)
        if guarded is not None:
            bare = np.float32(1.0) - guarded * np.float32(1 / 255)
            total = (total - np.float32(NEUTRAL)) * bare[..., None] + np.float32(NEUTRAL)
        return np.asarray(np.clip(np.rint(total), 0, 255), np.uint8)

    def _without_kept(self, face: Face, layer: Layer) -> NDArray[np.uint8]:
        """The layer's coverage without what stays of the person in front of the camera."""
        keep, alpha = self._config.keep, layer.alpha
        if not keep:
            return alpha
        points = np.asarray(apply(layer.crop_from_image, face.landmarks[:, :2]), np.float32)
        size = (alpha.shape[1], alpha.shape[0])
        masks = [kept_eyes(points, size)] if "eyes" in keep else []
        masks += [kept_mouth(points, size)] if "mouth" in keep else []
        if "glasses" in keep and face.glasses is not None:
            masks.append(_placed(face.glasses, layer.crop_from_image, size))
        for mask in masks:
            alpha = np.asarray(cv2.multiply(alpha, cv2.bitwise_not(mask), scale=1 / 255), np.uint8)
        return alpha


def _shrink(image: Image, face: Face, layer: Layer) -> _Small:
    """A layer and what lies under it, small."""
    height, width = layer.alpha.shape
    num = num_halvings_of(height, width)
    drawn, alpha = halved(layer.face, num), halved(layer.alpha, num)
    across, down = alpha.shape[1] / width, alpha.shape[0] / height
    small_from_crop = np.array([[across, 0.0, across / 2 - 0.5], [0.0, down, down / 2 - 0.5]])
    small_from_image = compose(small_from_crop, layer.crop_from_image)
    part = same_pixels(layer, image)
    if part is not None:
        under = halved(part, num)
    else:
        under = np.empty_like(drawn)
        warp(image, small_from_image, out=under)
    hidden = None
    size = (alpha.shape[1], alpha.shape[0])
    for thing in (face.occluder, face.glasses):
        if thing is not None:
            placed = _placed(thing, small_from_image, size)
            hidden = placed if hidden is None else np.maximum(hidden, placed)
    points = np.asarray(apply(small_from_image, face.landmarks[:, :2]), np.float32)
    return _Small(drawn, under, alpha, hidden, points)


def _placed(
    thing: Occluder, crop_from_image: Matrix, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """What stands in front, in the pixels of a crop of this size."""
    crop_from_mask = compose(crop_from_image, invert(thing.crop_from_image))
    return np.asarray(cv2.warpAffine(thing.mask, crop_from_mask, size), np.uint8)


def _without_holes(small: _Small) -> NDArray[np.uint8]:
    """The coverage with eyes and mouth filled: what shows in them is no rim."""
    size = (small.alpha.shape[1], small.alpha.shape[0])
    holes = cv2.dilate(without_skin(small.points, size, brows=False), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.max(small.alpha, holes), np.uint8)


def _skin(small: _Small, guarded: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """Where picture and face both show skin, ``(h, w) f32`` 0..1."""
    allowed = small.alpha
    for mask in (guarded, small.hidden):
        if mask is not None:
            bare = cv2.bitwise_not(mask)
            allowed = np.asarray(cv2.multiply(allowed, bare, scale=1 / 255), np.uint8)
    return skin_weights(small.under, allowed) * skin_weights(small.face, allowed)


def _toned(
    picture: Image,
    small: _Small,
    guarded: NDArray[np.uint8] | None,
    memory: ToneMemory,
    how: How,
    rate: float,
) -> Image:
    """The face with its skin in the colours of the picture's; the small one follows in place."""
    skin = np.asarray(np.rint(_skin(small, guarded) * np.float32(255)), np.uint8)
    chosen = np.asarray(cv2.compare(skin, _SKIN, cv2.CMP_GE), np.uint8)
    shift = follow_tone(memory, small.face, small.under, chosen, how, rate)
    weight = skin_weights(small.face, np.full_like(skin, 255))
    if guarded is not None:
        weight *= np.float32(1.0) - guarded * np.float32(1 / 255)
    small.face = _shifted(small.face, shift, weight)
    size = (picture.shape[1], picture.shape[0])
    return _shifted(picture, shift, np.asarray(cv2.resize(weight, size), np.float32))


def _shifted(
    face: Image, shift: NDArray[np.float32], weight: NDArray[np.float32]
) -> Image:
    moved = np.empty_like(face)
    shift_colours(face, shift, out=moved)
    return np.asarray(cv2.blendLinear(moved, face, weight, np.float32(1.0) - weight), np.uint8)
