"""Draws one textured face onto another, on a crop of bounded size."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.face_mesh import FaceMesh
from realtime.face_texture import TONE_OFFSET, FaceTexture
from realtime.face_zones import MAP_PX
from realtime.frame import Image, Points
from realtime.memory import Memory
from realtime.skin_light import GRID, LUMA, Colours, SkinLight, Weights

_MARGIN_PX = 4

_HAIR_RATIO = (0.52, 0.71)
"""Brightness against the skin around it below which a spot is hair, above which it is skin."""

_EYE_SHADE = (0.5, 1.6)
"""How far an eye may be darkened or lightened towards the source's."""


class Crop:
    """The part of a picture around a face, at the size it is worked on.

    Attributes:
        region: the part at full size, a view into the picture.
        scale: size of the crop over the region, at most 1.
        width_px, height_px: size of the crop.
    """

    def __init__(self, image: Image, points: tuple[Points, ...], crop_px: int) -> None:
        """Cuts out the box around points; empty where the box misses the picture."""
        height, width = image.shape[:2]
        low = np.min([p[:, :2].min(axis=0) for p in points], axis=0) - _MARGIN_PX
        high = np.max([p[:, :2].max(axis=0) for p in points], axis=0) + _MARGIN_PX
        self._left = int(np.clip(np.floor(low[0]), 0, width))
        self._top = int(np.clip(np.floor(low[1]), 0, height))
        right = int(np.clip(np.ceil(high[0]) + 1, self._left, width))
        bottom = int(np.clip(np.ceil(high[1]) + 1, self._top, height))
        self.region: Image = image[self._top : bottom, self._left : right]
        rows, columns = self.region.shape[:2]
        self.scale = min(1.0, crop_px / max(rows, columns, 1))
        self.height_px = max(1, round(rows * self.scale)) if rows else 0
        self.width_px = max(1, round(columns * self.scale)) if columns else 0

    def inside(self, points: Points) -> Points:
        """``(N, 3)`` image points in the crop's pixels; depth is scaled alike."""
        rows, columns = self.region.shape[:2]
        scale = np.array([self.width_px / columns, self.height_px / rows], np.float32)
        moved = np.empty_like(points)
        moved[:, :2] = (points[:, :2] - (self._left, self._top) + 0.5) * scale - 0.5
        moved[:, 2] = points[:, 2] * scale.mean()
        return moved


class MeshPainter:
    """Holds the tables and the scratch for drawing; belongs to one thread."""

    def __init__(self, mesh: FaceMesh, light: SkinLight, crop_px: int, memory: Memory) -> None:
        """Takes its scratch.

        Args:
            mesh: the mesh.
            light: measures the target's light.
            crop_px: the largest side of a crop; larger faces are drawn at this size and enlarged.
            memory: gives out the scratch.
        """
        self._mesh = mesh
        self._light = light
        self._crop_px = crop_px
        self._values = np.empty((len(mesh.layout), 3), np.float32)
        self._values[:, :2] = mesh.layout * np.float32(MAP_PX) - np.float32(0.5)
        self._values[:, 2] = 1.0
        area = crop_px * crop_px

        def scratch(channels: int, dtype: type[np.generic]) -> NDArray[Any]:
            return memory.host((area * channels,), dtype)

        self._drawn, self._depth = scratch(3, np.float32), scratch(1, np.float32)
        self._at, self._at_level = scratch(2, np.float32), scratch(2, np.float32)
        self._detail, self._tone = scratch(3, np.float32), scratch(3, np.float32)
        self._cover, self._small = scratch(4, np.uint8), scratch(3, np.uint8)
        self._soft, self._face = scratch(3, np.uint8), scratch(3, np.uint8)

    def crop(self, image: Image, landmarks: Points, drawn: Points) -> Crop:
        """The part of the picture that drawing will touch."""
        return Crop(image, (landmarks, drawn), self._crop_px)

    def look(self, crop: Crop, landmarks: Points) -> tuple[Colours, Weights]:
        """The target's colours and how far they are skin, for ``SkinLight.measure``."""
        small = self._plane(self._small, crop, 3)
        cv2.resize(crop.region, (crop.width_px, crop.height_px), small, 0, 0, cv2.INTER_AREA)
        points = crop.inside(landmarks)
        soft = self._plane(self._soft, crop, 3)
        sigma_px = max(0.6, 0.02 * _width_px(points))
        cv2.GaussianBlur(small, (0, 0), sigma_px, soft)
        colours = self._light.sample(soft, points)
        return colours, self._light.visible_skin(colours, landmarks)

    def paint(self, crop: Crop, drawn: Points, light: Colours, texture: FaceTexture) -> None:
        """Draws the texture into the picture, after ``look`` on the same crop.

        Args:
            crop: from ``crop``; its region is written.
            drawn: ``(468, 3)`` image pixels, where the texture's landmarks go.
            light: ``(GRID, GRID, 3)`` the target's light.
            texture: the person.
        """
        points = crop.inside(drawn)
        surface = self._plane(self._drawn, crop, 3)
        rasterize(
            np.ascontiguousarray(points[:, :2]),
            np.ascontiguousarray(points[:, 2] - points[:, 2].mean()),
            self._mesh.closed,
            self._values,
            out=surface,
            depth=self._plane(self._depth, crop, 1)[..., 0],
        )
        at = self._plane(self._at, crop, 2)
        cv2.mixChannels([surface], [at], [0, 0, 1, 1])
        face = self._shade(crop, at, light, texture, _width_px(points))
        cover = self._plane(self._cover, crop, 4)
        cv2.remap(texture.cover, at, None, cv2.INTER_LINEAR, cover)
        alpha = self._alpha(crop, surface, cover, _width_px(points))
        self._match_eyes(crop, cover, face)
        self._blend(crop, face, alpha)

    def _shade(
        self,
        crop: Crop,
        at: NDArray[np.float32],
        light: Colours,
        texture: FaceTexture,
        width_px: float,
    ) -> Image:
        """The texture under the target's light, ``(h, w, 3) u8``."""
        tone = self._plane(self._tone, crop, 3)
        scaled = self._plane(self._at_level, crop, 2)
        _rescale(at, GRID / MAP_PX, scaled)
        lit = light + np.float32(TONE_OFFSET)
        cv2.remap(lit, scaled, None, cv2.INTER_LINEAR, tone, cv2.BORDER_REPLICATE)
        # The level at which a pixel of the crop steps over one to two pixels of the texture.
        level = int(np.clip(np.log2(MAP_PX / max(width_px, 1.0)), 0, len(texture.detail) - 1))
        if level:
            _rescale(at, 0.5**level, scaled)
        else:
            scaled = at
        detail = self._plane(self._detail, crop, 3)
        source = texture.detail[level]
        cv2.remap(source, scaled, None, cv2.INTER_LINEAR, detail, cv2.BORDER_REPLICATE)
        cv2.multiply(detail, tone, detail)
        face = self._plane(self._face, crop, 3)
        cv2.addWeighted(detail, 1.0, detail, 0.0, -TONE_OFFSET, face, cv2.CV_8U)
        return face

    def _alpha(
        self,
        crop: Crop,
        surface: NDArray[np.float32],
        cover: NDArray[np.uint8],
        width_px: float,
    ) -> NDArray[np.uint8]:
        """How far the texture covers each pixel, ``(h, w) u8``."""
        # The silhouette of a turned head is where the surface ends; it gets a soft edge too.
        solid = cv2.inRange(surface, (-1.0, -1.0, 0.5), (1e4, 1e4, 2.0))
        solid = cv2.erode(solid, np.ones((3, 3), np.uint8))
        side = 2 * max(1, int(0.015 * width_px)) + 1
        solid = cv2.blur(solid, (side, side))
        solid = cv2.addWeighted(solid, 2.0, solid, 0.0, -255.0)
        alpha = cv2.min(cv2.extractChannel(cover, 0), solid)
        luma = cv2.cvtColor(self._plane(self._soft, crop, 3), cv2.COLOR_BGR2GRAY)
        skin_luma = cv2.transform(self._plane(self._tone, crop, 3), LUMA[None])
        ratio = cv2.divide(luma, skin_luma, scale=1.0, dtype=cv2.CV_32F)
        low, high = _HAIR_RATIO
        gain = 255.0 / (high - low)
        hair = cv2.addWeighted(ratio, -gain, ratio, 0.0, gain * high, dtype=cv2.CV_8U)
        hair = cv2.multiply(hair, cv2.extractChannel(cover, 1), scale=1 / 255)
        return np.asarray(cv2.multiply(alpha, cv2.bitwise_not(hair), scale=1 / 255), np.uint8)

    def _match_eyes(self, crop: Crop, cover: NDArray[np.uint8], face: Image) -> None:
        """Gives each of the target's eyes some of the brightness the source's eye would have."""
        small = self._plane(self._small, crop, 3)
        for channel in (2, 3):
            inside = cv2.extractChannel(cover, channel)
            core = cv2.compare(inside, 128, cv2.CMP_GT)
            left, top, width, height = cv2.boundingRect(core)
            if width < 3 or height < 3:
                continue
            box = np.s_[top : top + height, left : left + width]
            own = np.array(cv2.mean(small[box], core[box])[:3])
            wanted = np.array(cv2.mean(face[box], core[box])[:3])
            factor = np.sqrt(np.clip((wanted + 10) / (own + 10), *_EYE_SHADE)).astype(np.float32)
            rows = slice(int(top / crop.scale), int((top + height) / crop.scale))
            columns = slice(int(left / crop.scale), int((left + width) / crop.scale))
            region = crop.region[rows, columns]
            if region.size == 0:
                continue
            mask = cv2.resize(inside[box], region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            soft = cv2.blur(mask, (3, 3))[..., None] / np.float32(255)
            region[:] = np.clip(region * (1 + soft * (factor - 1)), 0, 255)

    def _blend(self, crop: Crop, face: Image, alpha: NDArray[np.uint8]) -> None:
        size = crop.region.shape[1::-1]
        if crop.scale < 1.0:
            face = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        weight = cv2.multiply(alpha, 1 / 255, dtype=cv2.CV_32F)
        rest = cv2.subtract(1.0, weight)
        crop.region[:] = cv2.blendLinear(face, np.ascontiguousarray(crop.region), weight, rest)

    def _plane(
        self, scratch: NDArray[Any], crop: Crop, channels: int
    ) -> NDArray[Any]:
        """A picture of the crop's size in a piece of scratch."""
        shape = (crop.height_px, crop.width_px, channels)
        return scratch[: shape[0] * shape[1] * channels].reshape(shape)


def _rescale(at: NDArray[np.float32], scale: float, out: NDArray[np.float32]) -> None:
    """Map coordinates on a map of another size; pixel centres lie at whole numbers on both."""
    np.multiply(at, np.float32(scale), out=out)
    out += np.float32(0.5 * scale - 0.5)


def _width_px(points: Points) -> float:
    """Size of a face in pixels, about its width, steady while it turns."""
    extent = points[:, :2].max(axis=0) - points[:, :2].min(axis=0)
    return float(extent.max())
