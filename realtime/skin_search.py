"""What of a person's picture is their own bare skin, and what is hair or cloth or does not show."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_zones import MAP_PX, FaceZones, Mask, smoothstep
from realtime.skin_light import LUMA, SkinLight, Weights, coarse, finer, weighted_blur
from realtime.strands import hair_over_brow
from realtime.texture_fill import Map

_SHADED, _SHADE_PX = (0.45, 0.8), 31
"""How far skin is off from where on it may be hair's shadow or its thin edge, and for sure (from
0.85 on it may be hair itself); and the width of such an edge, in pixels of the map. A wrinkle is as
dark, but does not lie beside hair: two thresholds as in Canny 1986."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a picture on the flat map shows of a person.

    Attributes:
        unusable: ``(MAP_PX, MAP_PX) f32`` 0..1, hair, braids, headgear, background, and what the
            picture does not show.
        weights: of plain skin, on the grid of ``SkinLight``.
        colours: ``(GRID, GRID, 3) f32 BGR``, the picture on that grid.
        bare_chin: whether there is no beard.
    """

    unusable: Mask
    weights: Weights
    colours: NDArray[np.float32]
    bare_chin: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a map has not the look of plain skin, 0..1 each: what is surely something else, what
    has a colour that no skin or hair has, and what is merely darker or redder."""

    foreign: Mask
    painted: Mask
    shaded: Mask


class SkinSearch:
    """Tells a person's own skin from all else, on the flat map of the face."""

    def __init__(self, zones: FaceZones, light: SkinLight) -> None:
        self._zones = zones
        self._light = light

    def search(self, skin: Map, facing: Mask) -> Shown:
        """Looks through one picture.

        Args:
            skin: ``(MAP_PX, MAP_PX, 3) f32 BGR``, the picture on the map.
            facing: ``(MAP_PX, MAP_PX) f32``, how much each spot looks into the camera.
        """
        look, weights, colours = self._look_at(skin, facing)
        bare_chin = self._is_bare(skin, colours, weights)
        unusable = self._unusable(look, facing, bare_chin=bare_chin)
        return Shown(unusable, weights, colours, bare_chin)

    def _look_at(self, skin: Map, facing: Mask) -> tuple[_Look, Weights, NDArray[np.float32]]:
        """Grows this person's skin from the cheeks outwards.

        Returns:
            What is not plain skin; the weight of skin and the colours on the grid.
        """
        zones, small, towards = self._zones, coarse(skin), coarse(facing)
        aside, down = coarse(zones.aside), coarse(zones.down)
        central = (1.0 - smoothstep(aside, 0.2, 0.27)) * smoothstep(down, 0.32, 0.38)
        cheeks = np.exp(-((((aside - 0.23) / 0.12) ** 2 + ((down - 0.5) / 0.13) ** 2) ** 2))
        weights = np.asarray(
            self._light.skin * smoothstep(towards, 0.2, 0.45) * central, np.float32
        )
        smooth = cv2.GaussianBlur(skin, (0, 0), 1.2)
        nothing = np.zeros((MAP_PX, MAP_PX), np.float32)
        look = _Look(nothing, nothing, nothing)
        for _ in range(5):
            near, near_weight = weighted_blur(small, weights, 0.06)
            far, far_weight = weighted_blur(small, weights, 0.25)
            usual = near + 0.03 * far / (far_weight + 1e-4)[..., None]
            usual = np.maximum(finer(usual / (near_weight + 0.03)[..., None]), np.float32(5.0))
            shade = np.log((smooth + 8.0) / (usual + 8.0)) @ LUMA
            ratio = np.log((smooth + 28.0) / (usual + 28.0))
            tint = np.abs(ratio - (ratio @ LUMA)[..., None]).max(axis=-1)
            off = np.sqrt(np.where(shade < 0, -shade / 0.5, shade / 0.7) ** 2 + (tint / 0.28) ** 2)
            look = _Look(
                foreign=smoothstep(off, 0.85, 1.25),
                painted=smoothstep(tint, 0.4, 0.55),
                shaded=smoothstep(off, *_SHADED) * (shade < 0),
            )
            trust = np.maximum(smoothstep(1.0 - coarse(look.foreign), 0.4, 0.8), central * cheeks)
            weights = np.asarray(
                self._light.skin * smoothstep(towards, 0.06, 0.3) * trust, np.float32
            )
        return look, weights, small

    def _is_bare(self, skin: Map, small: NDArray[np.float32], weights: Weights) -> bool:
        """Whether the chin is without a beard, so that dark strands beside it are hair."""
        chin = self._zones.chin > 0.5
        usual = finer(self._light.measure(small, weights)) @ LUMA
        shade = np.log((skin @ LUMA + 8.0) / (usual + 8.0))
        return bool((shade[chin] < -0.35).mean() < 0.12)

    def _unusable(self, look: _Look, facing: Mask, *, bare_chin: bool) -> Mask:
        """Hair, braids, headgear and background, and what the picture does not show."""
        zones, foreign = self._zones, look.foreign
        lower = 0.0 if bare_chin else 0.17 * smoothstep(zones.down, 0.47, 0.62)
        side = smoothstep(zones.aside - lower, 0.16, 0.2)
        watched = np.maximum(zones.forehead, side) * (1 - zones.sockets) * (1 - zones.eyes)
        # Jewellery and cloth show beside the jaw too, where dark hair may be a beard.
        jaw = smoothstep(zones.aside, 0.2, 0.24) * (1 - zones.sockets)
        foreign_here = np.maximum(foreign * watched, look.painted * jaw)
        found = cv2.morphologyEx(foreign_here, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        # Fringes that reach down to the brows are hair up to the brows' own outline.
        fringe = foreign * zones.sockets * (1 - zones.eyes) * (1 - zones.brow_hair)
        found = np.maximum(found, fringe * cv2.dilate(found, np.ones((31, 31), np.uint8)))
        found = np.maximum(found, hair_over_brow(foreign, found, zones))
        found = self._from_outside(np.asarray(found, np.float32), facing)
        beside = smoothstep(zones.aside, 0.2, 0.26)
        bare = zones.forehead * (1.0 - zones.brows)
        edge = look.shaded * bare * grown(found, _SHADE_PX)
        found = np.maximum(grown(found, 9), grown(found * beside, 11 if bare_chin else 9))
        found = np.maximum(found, edge)
        found = cv2.GaussianBlur(found, (0, 0), 2.5)
        hidden = 1.0 - smoothstep(facing, 0.1, 0.22)
        return np.asarray(np.maximum(found, hidden), np.float32)

    def _from_outside(self, found: Mask, facing: Mask) -> Mask:
        """What hangs together with the rim; wrinkles and the ends of brows do not."""
        _, labels = cv2.connectedComponents((found > 0.3).astype(np.uint8))
        rim = (self._zones.depth < 0.05) | (facing < 0.25)
        touching = np.unique(labels[rim])
        return np.asarray(found * np.isin(labels, touching[touching > 0]), np.float32)


def grown(mask: Mask, width_px: int) -> Mask:
    """A mask with all around it; beside the face hair throws a shadow that goes with it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px))
    return np.asarray(cv2.dilate(np.asarray(mask, np.float32), disc), np.float32)
