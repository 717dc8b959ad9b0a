"""The stage that lays the swapped faces over the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from realtime.frame import Face, Frame, Image, Layer, Occluder, PictureSpec
from realtime.geometry import Matrix, apply, compose, invert
from realtime.memory import Memory
from realtime.sharpness import detail_gain, finest_sigma_px, soften

_NS_PER_MS = 1_000_000

_UPRIGHT = 1e-9
"""A layer turned by less than this is only scaled and shifted, which takes half the time."""

_ALL_DETAIL = 0.98
_MOST = 0.65
"""With more than this share of a face hidden its landmarks cannot be relied on, and what is laid
over them may leave the person's own face beside it."""


class CompositeConfig(BaseModel, frozen=True, extra="forbid"):
    """How a swapped face is fitted into the picture.

    Attributes:
        match_sharpness: hold the face's finest detail to the strength it has in the picture.
        sharpness_ms: half-life with which that follows the picture.
    """

    match_sharpness: bool = True
    sharpness_ms: float = Field(500.0, gt=0.0, le=60_000.0)


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        gain: on its finest detail.
        measured_ns: when that was measured last.
    """

    gain: float
    measured_ns: int


class Composite:
    """Lays each face's layer over the picture, the farthest first.

    What stands in front of a face stays in front. A face counts as swapped from here on, but not
    one most of which is hidden, so that the guard covers it.
    """

    def __init__(self, config: CompositeConfig) -> None:
        """Takes its settings."""
        self._config = config
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """``composite``."""
        return "composite"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with nothing remembered."""
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Writes into the picture."""
        present = {face.track_id for face in frame.faces}
        self._tracks = {number: t for number, t in self._tracks.items() if number in present}
        for face in reversed(frame.faces):
            if face.layer is not None and _share_hidden(face) <= _MOST:
                self._lay(face, face.layer, frame)
                face.swapped = True

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()

    def _lay(self, face: Face, layer: Layer, frame: Frame) -> None:
        pixels = layer.face
        if self._config.match_sharpness:
            pixels = self._softened(face, layer, frame)
        alpha = layer.alpha
        if face.occluder is not None:
            alpha = _in_front(layer, face.occluder)
        lay(pixels, alpha, layer.crop_from_image, out=frame.image)

    def _softened(self, face: Face, layer: Layer, frame: Frame) -> Image:
        """The layer's colours, no sharper than the picture."""
        size = np.linalg.norm(layer.crop_from_image[:, 0])
        sigma_px = finest_sigma_px(float(size * (face.box[2] - face.box[0])))
        track = self._tracks.get(face.track_id)
        now_ns = frame.media_ns
        # Sharpness changes slowly; looking for it in every frame would cost as much as the swap.
        every_ns = self._config.sharpness_ms * _NS_PER_MS / 2
        if track is None or now_ns - track.measured_ns >= every_ns:
            height, width = layer.alpha.shape
            under = cv2.warpAffine(
                frame.image,
                layer.crop_from_image,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            gain = detail_gain(layer.face, np.asarray(under, np.uint8), layer.alpha, sigma_px)
            if track is None:
                track = self._tracks[face.track_id] = _Track(gain, now_ns)
            half_lives = (now_ns - track.measured_ns) / (self._config.sharpness_ms * _NS_PER_MS)
            track.gain += (1.0 - 0.5**half_lives) * (gain - track.gain)
            track.measured_ns = now_ns
        return layer.face if track.gain > _ALL_DETAIL else soften(layer.face, track.gain, sigma_px)


def lay(face: Image, alpha: NDArray[np.uint8], crop_from_image: Matrix, *, out: Image) -> None:
    """Lays a crop over a picture.

    Args:
        face: ``(h, w, 3) u8``.
        alpha: ``(h, w) u8``, how far it covers the picture.
        crop_from_image: ``(2, 3)``, where it belongs; any part may lie outside the picture.
        out: ``(H, W, 3) u8``, written.
    """
    height, width = face.shape[:2]
    image_from_crop = invert(crop_from_image)
    corners = np.array([(x - 0.5, y - 0.5) for x in (0, width) for y in (0, height)])
    around = apply(image_from_crop, corners) + 0.5
    low, high = around.min(axis=0), around.max(axis=0)
    limit = np.array([out.shape[1], out.shape[0]])
    left, top = np.clip(np.floor(low + 1e-6), 0, limit).astype(int)
    right, bottom = np.clip(np.ceil(high - 1e-6), 0, limit).astype(int)
    if right <= left or bottom <= top:
        return
    region = out[top:bottom, left:right]
    size = (region.shape[1], region.shape[0])
    region_from_image = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])
    region_from_crop = compose(region_from_image, image_from_crop)
    whole = np.allclose(low, (left, top)) and np.allclose(high, (right, bottom))
    slant = abs(region_from_crop[0, 1]) + abs(region_from_crop[1, 0])
    if whole and slant < _UPRIGHT and region_from_crop[[0, 1], [0, 1]].min() > 0.0:
        if size != (width, height):
            face = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    else:
        turned = cv2.warpAffine(
            face, region_from_crop, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        face = np.asarray(turned, np.uint8)
        alpha = np.asarray(cv2.warpAffine(alpha, region_from_crop, size), np.uint8)
    weight = np.multiply(alpha, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    region[:] = cv2.blendLinear(face, np.ascontiguousarray(region), weight, rest)


def _share_hidden(face: Face) -> float:
    """The share of a face that something stands in front of."""
    return 0.0 if face.occluder is None else face.occluder.share


def _in_front(layer: Layer, occluder: Occluder) -> NDArray[np.uint8]:
    """The layer's alpha without what something stands in front of."""
    layer_from_mask = compose(layer.crop_from_image, invert(occluder.crop_from_image))
    height, width = layer.alpha.shape
    hidden = cv2.warpAffine(occluder.mask, layer_from_mask, (width, height))
    return np.asarray(cv2.multiply(layer.alpha, cv2.bitwise_not(hidden), scale=1 / 255), np.uint8)
