"""A person's looks as a texture that fits any face: the skin's detail without the picture's light.

The texture is a factor on the light of the target's skin. Where it is 1 there is plain skin in
the target's own tone; a brow darkens it, a wrinkle shades it, lips tint it. So whatever the tone
and the light of the picture in which the swap ends up, the swapped skin has them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.face_mesh import FaceMesh
from realtime.face_openings import opening_zone
from realtime.face_zones import MAP_PX, FaceZones, Mask, smoothstep
from realtime.frame import Image, Points
from realtime.geometry import fit_similarity
from realtime.skin_light import LUMA, SkinLight, Weights, coarse, finer, weighted_blur
from realtime.skin_search import Shown, SkinSearch, grown
from realtime.strands import find_strands
from realtime.texture_fill import Map, mend, without_eyeballs

TONE_OFFSET = 16.0
"""Added to colours before they are divided, so that noise in the dark is not blown up."""

COVERED, FROM_ABOVE, FROM_THE_SIDE, OPENING = range(4)
"""Planes of ``FaceTexture.cover``."""

_DARKEST = 4.0
"""What is darker, skin or the light on it, says nothing."""

DETAIL_ONE = 16384.0
"""The factor 1 in a texture; what is brighter than four times the light is cut off."""

_FOLD_PX, _SHALLOW, _DEEPEST = 25, 0.3, 0.6
"""What is darker than the skin on both sides and narrower than this is a fold, in pixels of the
map; how dark one stays as it is, and how dark one gets, in logarithms."""

_BEARD_PX, _BEARD = 45, (0.22, 0.4)
"""Side of the neighbourhood, and from what share of it that is dark to what it is a beard."""

_USUAL_CONTRAST = 0.16
"""Standard deviation of log skin detail that looks natural on any skin."""

_BRIGHTEST = 0.8
"""Limit of the log of a highlight over the skin around it; sun on one face is not on another."""

_DARK_HAIR_LUMA = 110.0
"""Skin this light gives brows and lashes their usual contrast; on darker skin they have less."""

_ONE_SIDED = 0.04
"""How coarse a difference between the sides of a face is taken for light, in map widths."""

_BESIDE_SKIN = np.float32(0.15)
"""What brows, eyes and lips weigh against plain skin where the two sides are compared."""

_LIT = 0.3
"""How much of the fine shading of a cheek is taken for light. The rest is taken for its hollows and
bulges, which make up a person as a nose does; of its tint all is light. That the cheek as a whole
keeps the target's tone ``CheekTone`` sees to."""

_TINT_PX = 3
"""Size of the finest differences in colour that plain skin has, in pixels of the map."""

_EDGE, _EDGE_PX = 0.05, 25
"""Contrast that is left beside what is unusable at a face's sides, as the log of a brightness, and
how wide that is, in pixels of the map."""

_GRAZING, _GRAZING_PX = (0.22, 0.48), 8
"""How far skin looks into the camera up to which a picture shows only its shade, and from which on
its detail; and the size of the shade, in pixels of the map."""


@dataclass(frozen=True)
class FaceTexture:
    """A person, ready to be drawn.

    Attributes:
        detail: factor on the light in units of 1 / DETAIL_ONE, ``(S, S, 3) u16`` for S = 512,
            256, 128.
        cover: ``(512, 512, 4) u8``: how far the texture covers the target; where hair of the
            target may hang in from above, and where from the side; openings of the face and a
            little around them.
        shape: ``(468, 3) f32`` landmarks of the person in the frame of the mesh's neutral face.
        eye_gains: how much brighter the person's right and left eye are than ``detail`` there,
            which holds lids only.
        skin_luma: brightness of the person's skin in the pictures, 0..255.
    """

    detail: tuple[NDArray[np.uint16], ...]
    cover: NDArray[np.uint8]
    shape: NDArray[np.float32]
    eye_gains: tuple[float, float] = (1.0, 1.0)
    skin_luma: float = 255.0

    @cached_property
    def four_details(self) -> tuple[NDArray[np.uint16], ...]:
        """``detail`` with an empty fourth channel: four are sampled twice as quickly as three."""
        return tuple(
            np.asarray(cv2.cvtColor(level, cv2.COLOR_BGR2BGRA), np.uint16) for level in self.detail
        )


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What one picture shows of a face: log detail, what of it is unusable, what it is worth, its
    shape, and how bright its skin is."""

    detail: Map
    unusable: Mask
    worth: Mask
    shape: NDArray[np.float32]
    skin_luma: float


class TextureMaker:
    """Turns pictures of a person into a texture."""

    def __init__(self, mesh: FaceMesh, zones: FaceZones, light: SkinLight) -> None:
        self._mesh = mesh
        self._zones = zones
        self._light = light
        self._search = SkinSearch(zones, light)

    def make(self, pictures: Sequence[tuple[Image, Points]]) -> FaceTexture:
        """The texture of one person; where pictures overlap, the best-posed one wins.

        Args:
            pictures: each with the person's landmarks in it.
        """
        sheets = [self._unroll(image, landmarks) for image, landmarks in pictures]
        worth = np.stack([sheet.worth for sheet in sheets]) ** 4 + np.float32(1e-6)
        share = worth / worth.sum(axis=0)
        detail = sum(
            part[..., None] * sheet.detail for part, sheet in zip(share, sheets, strict=True)
        )
        unusable = np.minimum.reduce([sheet.unusable for sheet in sheets])
        frontal = np.array([sheet.worth.sum() for sheet in sheets])
        shape = np.average([sheet.shape for sheet in sheets], axis=0, weights=frontal)
        skin_luma = float(np.average([sheet.skin_luma for sheet in sheets], weights=frontal))
        mended = mend(np.exp(np.asarray(detail, np.float32)), unusable)
        factor, eye_gains = without_eyeballs(mended, self._zones.eyeballs)
        units = np.clip(np.round(factor * DETAIL_ONE), 0, 65535).astype(np.uint16)
        levels = tuple(
            np.asarray(cv2.resize(units, (side, side), interpolation=cv2.INTER_AREA), np.uint16)
            for side in (MAP_PX, MAP_PX // 2, MAP_PX // 4)
        )
        return FaceTexture(levels, self._cover(), shape.astype(np.float32), eye_gains, skin_luma)

    def _unroll(self, image: Image, landmarks: Points) -> _Sheet:
        skin, facing = self._flatten(image, landmarks)
        shown = self._search.search(skin, facing)
        unusable, weights = shown.unusable, shown.weights
        measured = self._light.measure(shown.colours, weights, fine_shade=_LIT)
        light = np.maximum(finer(measured), np.float32(_DARKEST))
        detail = self._detail(skin, light, unusable)
        usable = coarse(np.asarray(1.0 - unusable, np.float32))
        detail -= self._one_sided(detail, usable * smoothstep(coarse(facing), 0.1, 0.35))
        detail -= self._tone_error(detail, weights * usable)
        detail = self._calm_beside(self._without_glare(detail), facing, unusable)
        detail = self._without_edges(detail, shown)
        fit = fit_similarity(landmarks, self._mesh.neutral)
        shape = fit.scale * landmarks @ fit.rotation.T + fit.shift
        worth = np.asarray(np.maximum(facing, 0.0) * (1.0 - unusable), np.float32)
        skin_luma = self._light.luma(measured, weights)
        return _Sheet(detail, unusable, worth, np.asarray(shape, np.float32), skin_luma)

    def _flatten(self, image: Image, landmarks: Points) -> tuple[Map, Mask]:
        """The picture on the map, and how much each spot of skin looks into the camera."""
        height, width = image.shape[:2]
        values = np.empty((len(landmarks), 3), np.float32)
        values[:, :2] = landmarks[:, :2] / (width, height)
        values[:, 2] = np.clip(self._mesh.facing(landmarks), 0.0, 1.0)
        drawn = np.empty((MAP_PX, MAP_PX, 3), np.float32)
        rasterize(
            self._mesh.layout * np.float32(MAP_PX) - np.float32(0.5),
            np.zeros(len(landmarks), np.float32),
            self._mesh.closed,
            values,
            out=drawn,
            depth=np.empty((MAP_PX, MAP_PX), np.float32),
        )
        skin = cv2.remap(
            image,
            drawn[..., 0] * np.float32(width),
            drawn[..., 1] * np.float32(height),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return skin.astype(np.float32), drawn[..., 2].copy()

    def _detail(self, skin: Map, light: Map, unusable: Mask) -> Map:
        """Log of the skin over its light, with natural contrast on any skin."""
        zones = self._zones
        ratio = np.log((np.maximum(skin, _DARKEST) + TONE_OFFSET) / (light + TONE_OFFSET))
        shade = ratio @ LUMA
        features = np.maximum.reduce([zones.brows, zones.eyes, zones.lips, zones.nostrils])
        plain = (zones.face > 0.5) & (unusable < 0.2) & (features < 0.08) & (np.abs(shade) < 0.5)
        contrast = float(np.std(shade[plain])) if plain.any() else _USUAL_CONTRAST
        gain = float(np.clip(_USUAL_CONTRAST / max(contrast, 1e-3), 0.4, 1.2))
        hairy = cv2.GaussianBlur(np.maximum(zones.brows, zones.eyes), (0, 0), 4)
        hairy = hairy * smoothstep(-shade, 0.1, 0.35)
        shaped = 1.0 - np.maximum(zones.flat, zones.cheeks)
        gains = gain + (max(gain, 1.0) - gain) * shaped
        gains = gains + (1.0 - gains) * hairy
        tint_limit = np.where(
            np.maximum.reduce([zones.brows, zones.eyes, zones.lips]) > 0.25, 0.4, 0.15
        )
        tint = (ratio - shade[..., None]) * gains[..., None]
        tint = tint_limit[..., None] * np.tanh(tint / tint_limit[..., None])
        # Cameras and JPEG know colour half as finely as light; finer specks are theirs.
        plain_tint = cv2.GaussianBlur(tint, (0, 0), _TINT_PX)
        shown = cv2.GaussianBlur(np.asarray(features, np.float32), (0, 0), _TINT_PX)
        tint = plain_tint + np.minimum(2.0 * shown, 1.0)[..., None] * (tint - plain_tint)
        shade = shade * gains
        bright = _BRIGHTEST * np.tanh(shade / _BRIGHTEST)
        shade = np.where(shade > 0, bright, shade)
        filled, share = self._folds(np.asarray(shade, np.float32), np.asarray(features, np.float32))
        shade = shade + filled
        # The red of a fold goes with its depth.
        tint = tint * (1.0 - share)[..., None]
        bridged, strands = find_strands(np.asarray(shade, np.float32), zones)
        shade = shade + strands * (bridged - shade)
        tint = tint * (1.0 - strands)[..., None]
        darker = np.minimum(np.log((light @ LUMA + 4) / (_DARK_HAIR_LUMA + 4)), 0.0) * 0.8
        return np.asarray((shade + hairy * darker)[..., None] + tint, np.float32)

    def _folds(self, shade: Map, features: Mask) -> tuple[Map, Mask]:
        """What makes the deepest folds of the skin less deep, and the share of them it takes.

        A fold is dark because its own light does not get into it. On a smooth face under another
        lamp, and moved by another person's smile, it would look like a cut. A beard, dark all
        around, stays. The depth of a fold is what a closing adds (Serra 1982).
        """
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_FOLD_PX, _FOLD_PX))
        depth = cv2.morphologyEx(shade, cv2.MORPH_CLOSE, disc) - shade
        near = np.asarray(cv2.GaussianBlur(features, (0, 0), 3), np.float32)
        side = (_BEARD_PX, _BEARD_PX)
        dark = np.asarray(cv2.blur(smoothstep(-shade, 0.2, 0.4), side), np.float32)
        skin = (1.0 - smoothstep(near, 0.1, 0.4)) * (1.0 - smoothstep(dark, *_BEARD))
        deeper, room = np.maximum(depth - _SHALLOW, 0.0), _DEEPEST - _SHALLOW
        less = skin * (deeper - room * np.tanh(deeper / room))
        share = cv2.GaussianBlur(np.asarray(less / (depth + 0.05), np.float32), (0, 0), 1.5)
        return np.asarray(less, np.float32), np.asarray(share, np.float32)

    def _without_glare(self, detail: Map) -> Map:
        """The detail without what shines at the outline: an earring, or the wall behind."""
        zones = self._zones
        jaw = smoothstep(zones.down, 0.5, 0.56) * smoothstep(zones.aside, 0.15, 0.2)
        rim = smoothstep(zones.depth / (1.0 + jaw), 0.0, 0.06)
        limit = 0.15 + (_BRIGHTEST - 0.15) * rim
        return np.asarray(np.minimum(detail, limit[..., None]), np.float32)

    def _calm_beside(self, detail: Map, facing: Mask, unusable: Mask) -> Map:
        """The detail without what a grazing view makes of the face's sides.

        A pixel of the picture covers many of the map there, and mixes skin with the wall behind:
        specks and stripes on a face that is seen from that side. Their shade is kept, without its
        colour.
        """
        usable = np.asarray(1.0 - unusable, np.float32)
        above = cv2.GaussianBlur(detail @ LUMA * usable, (0, 0), _GRAZING_PX)
        below = cv2.GaussianBlur(usable, (0, 0), _GRAZING_PX)
        shade = (above / (below + np.float32(0.05)))[..., None]
        beside = smoothstep(self._zones.aside, 0.16, 0.2) * (1.0 - self._zones.sockets)
        share = cv2.GaussianBlur(beside * (1.0 - smoothstep(facing, *_GRAZING)), (0, 0), 2)
        return np.asarray(detail + share[..., None] * (shade - detail), np.float32)

    def _without_edges(self, detail: Map, shown: Shown) -> Map:
        """The detail with little contrast beside what is unusable at the face's sides.

        There a picture shows the rim of hair, its shadow and the light around a turned cheek: arcs
        and dark patches on a cheek that is seen in full. What is dark may be a beard and stays
        where there is one.
        """
        zones = self._zones
        beside = smoothstep(zones.aside, 0.2, 0.26) * (1.0 - zones.sockets)
        near = cv2.GaussianBlur(grown(shown.unusable, _EDGE_PX), (0, 0), 5)
        shade = detail @ LUMA
        little = _EDGE * np.tanh(shade / np.float32(_EDGE))
        kept = little if shown.bare_chin else np.where(shade > 0, little, shade)
        return np.asarray(detail + (beside * near * (kept - shade))[..., None], np.float32)

    def _tone_error(self, detail: Map, weights: Weights) -> Map:
        """The mean detail of plain skin; without it the skin keeps the target's tone.

        Of its shade what is not taken for light stays.
        """
        above, below = weighted_blur(coarse(detail), np.asarray(weights, np.float32), 0.04)
        error = 0.95 * above / (below + 0.02)[..., None] * self._light.flat[..., None]
        error -= np.float32(1.0 - _LIT) * (error @ LUMA)[..., None]
        return finer(np.asarray(error, np.float32))

    def _one_sided(self, detail: Map, weights: Weights) -> Map:
        """What the skin of one side has and the other lacks.

        Faces are alike on both sides, lamps and windows are not: what is left of the light differs
        from side to side, what is the person's own does so only in small things.
        """
        trust = weights * np.maximum(self._light.skin, _BESIDE_SKIN)
        above, below = weighted_blur(coarse(detail), trust, _ONE_SIDED)
        mean = above / (below + 0.05)[..., None]
        known = smoothstep(np.minimum(below, below[:, ::-1]), 0.05, 0.3)[..., None]
        return finer(np.asarray(0.5 * (mean - mean[:, ::-1]) * known, np.float32))

    def _cover(self) -> NDArray[np.uint8]:
        """The masks that are drawn with the texture."""
        zones = self._zones
        alpha = smoothstep(zones.depth, 0.002, 0.02)
        # Beyond the outline too: over it hair comes in, and no pixel on it may stop the hair.
        beyond = (zones.face < 1.0) & (zones.down < 0.3)
        above = np.asarray((zones.forehead > 0) | beyond, np.float32)
        sides = smoothstep(zones.aside, 0.23, 0.3)
        openings = opening_zone(self._mesh) * np.float32(1 / 255)
        stacked = np.stack([alpha, above, sides, openings], axis=-1)
        return np.ascontiguousarray(np.round(np.clip(stacked, 0.0, 1.0) * 255.0), np.uint8)
