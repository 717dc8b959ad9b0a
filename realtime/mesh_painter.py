"""Draws one textured face onto another, on a crop of bounded size."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE, FaceMesh
from realtime.face_texture import TONE_OFFSET, FaceTexture, Map
from realtime.face_zones import MAP_PX
from realtime.frame import Image, Points
from realtime.memory import Memory
from realtime.skin_light import GRID, LUMA, Colours, SkinLight, Weights

_MARGIN_PX = 4

_COVERED, _FROM_ABOVE, _FROM_THE_SIDE, _EYES = range(4)
"""Planes of ``FaceTexture.cover``."""

_DARK_RATIO, _BRIGHT_RATIO, _TINT = (0.72, 0.55), (1.45, 1.8), (0.2, 0.34)
"""From where to where a spot turns from skin to something else: its brightness over that of the
skin around when darker and when brighter, and its difference in colour over its brightness."""

_EYE_RIM, _LIP_RIM = 0.012, 0.006
"""How far the source's lashes and lips reach into the openings, in widths of the face."""

_MIN_EYE_PX = 6
"""An eye of fewer pixels is left as it is."""

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
        self._across, self._down = scratch(1, np.float32), scratch(1, np.float32)
        self._across_level, self._down_level = scratch(1, np.float32), scratch(1, np.float32)
        self._detail, self._tone = scratch(3, np.float32), scratch(3, np.float32)
        self._cover, self._small = scratch(4, np.uint8), scratch(3, np.uint8)
        self._face = scratch(3, np.uint8)

    def crop(self, image: Image, landmarks: Points, drawn: Points) -> Crop:
        """The part of the picture that drawing will touch."""
        return Crop(image, (landmarks, drawn), self._crop_px)

    def look(self, crop: Crop, landmarks: Points) -> tuple[Colours, Weights]:
        """The target's colours and how far they are skin, for ``SkinLight.measure``."""
        small = self._plane(self._small, crop, 3)
        cv2.resize(crop.region, (crop.width_px, crop.height_px), small, 0, 0, cv2.INTER_AREA)
        # Shrunk until a pixel is about as large as a cell of the light's grid.
        shrink = min(1.0, 2 * GRID / max(crop.width_px, crop.height_px))
        size = (max(1, round(crop.width_px * shrink)), max(1, round(crop.height_px * shrink)))
        thumb = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        thumb = cv2.GaussianBlur(thumb, (0, 0), max(0.6, 1.8 * shrink))
        points = crop.inside(landmarks)[:, :2]
        scale = np.array([size[0] / crop.width_px, size[1] / crop.height_px], np.float32)
        colours = self._light.sample(
            np.asarray(thumb, np.uint8), (points + np.float32(0.5)) * scale - np.float32(0.5)
        )
        return colours, self._light.visible_skin(colours, landmarks)

    def paint(self, crop: Crop, drawn: Points, light: Colours, texture: FaceTexture) -> float:
        """Draws the texture into the picture, after ``look`` on the same crop.

        Args:
            crop: from ``crop``; its region is written.
            drawn: ``(468, 3)`` image pixels, where the texture's landmarks go.
            light: ``(GRID, GRID, 3)`` the target's light.
            texture: the person.

        Returns:
            The share of the face's surface that the texture covers, 0..1.
        """
        points = crop.inside(drawn)
        width_px = _width_px(points)
        surface = self._plane(self._drawn, crop, 3)
        rasterize(
            np.ascontiguousarray(points[:, :2]),
            np.ascontiguousarray(points[:, 2] - points[:, 2].mean()),
            self._mesh.closed,
            self._values,
            out=surface,
            depth=self._plane(self._depth, crop, 1),
        )
        at = (self._plane(self._across, crop, 1), self._plane(self._down, crop, 1))
        for axis in (0, 1):
            cv2.extractChannel(surface, axis, at[axis])
        face = self._shade(crop, at, light, texture, width_px)
        cover = self._plane(self._cover, crop, 4)
        cv2.remap(texture.cover, *at, cv2.INTER_LINEAR, cover)
        alpha = self._alpha(crop, surface, cover, points)
        self._match_eyes(crop, cover, points, face)
        self._blend(crop, face, alpha)
        surface_px = cv2.countNonZero(surface[..., 2])
        return int(np.count_nonzero(alpha > 127)) / max(surface_px, 1)

    def _shade(
        self,
        crop: Crop,
        at: tuple[Map, Map],
        light: Colours,
        texture: FaceTexture,
        width_px: float,
    ) -> Image:
        """The texture under the target's light, ``(h, w, 3) u8``."""
        tone = self._plane(self._tone, crop, 3)
        scaled = self._rescaled(crop, at, GRID / MAP_PX)
        lit = light + np.float32(TONE_OFFSET)
        cv2.remap(lit, *scaled, cv2.INTER_LINEAR, tone, cv2.BORDER_REPLICATE)
        # The level at which a pixel of the crop steps over one to two pixels of the texture.
        level = int(np.clip(np.log2(MAP_PX / max(width_px, 1.0)), 0, len(texture.detail) - 1))
        scaled = self._rescaled(crop, at, 0.5**level) if level else at
        detail = self._plane(self._detail, crop, 3)
        source = texture.detail[level]
        cv2.remap(source, *scaled, cv2.INTER_LINEAR, detail, cv2.BORDER_REPLICATE)
        cv2.multiply(detail, tone, detail)
        face = self._plane(self._face, crop, 3)
        cv2.addWeighted(detail, 1.0, detail, 0.0, -TONE_OFFSET, face, cv2.CV_8U)
        return face

    def _alpha(
        self,
        crop: Crop,
        surface: NDArray[np.float32],
        cover: NDArray[np.uint8],
        points: Points,
    ) -> NDArray[np.uint8]:
        """How far the texture covers each pixel, ``(h, w) u8``."""
        # The silhouette of a turned head is where the surface ends; it gets a soft edge too.
        width_px = _width_px(points)
        solid = cv2.inRange(surface, (-1.0, -1.0, 0.5), (1e4, 1e4, 2.0))
        solid = cv2.erode(solid, np.ones((3, 3), np.uint8))
        side = 2 * max(1, int(0.015 * width_px)) + 1
        solid = cv2.blur(solid, (side, side))
        solid = cv2.addWeighted(solid, 2.0, solid, 0.0, -255.0)
        alpha = cv2.min(cv2.extractChannel(cover, _COVERED), solid)
        alpha = cv2.subtract(alpha, _openings(crop, points, width_px))
        foreign = self._foreign(crop, surface, cover)
        return np.asarray(cv2.multiply(alpha, cv2.bitwise_not(foreign), scale=1 / 255), np.uint8)

    def _foreign(
        self, crop: Crop, surface: NDArray[np.float32], cover: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Where hair hangs over the face or the landmarks reach beyond it, ``(h, w) u8``.

        Both differ from the skin around and come in from outside the face. What differs but is
        cut off from the outside by skin, such as a brow, belongs to the face. Measured on every
        second pixel.
        """
        size = (max(1, crop.width_px // 2), max(1, crop.height_px // 2))
        picture = cv2.resize(self._plane(self._small, crop, 3), size, interpolation=cv2.INTER_AREA)
        skin = cv2.resize(self._plane(self._tone, crop, 3), size, interpolation=cv2.INTER_NEAREST)
        colour = picture.astype(np.float32) + np.float32(TONE_OFFSET)
        skin_luma = cv2.transform(skin, LUMA[None])
        ratio = np.asarray(cv2.divide(cv2.transform(colour, LUMA[None]), skin_luma), np.float32)
        level = cv2.divide(colour, cv2.merge([ratio, ratio, ratio]))
        blue, green, red = cv2.split(cv2.absdiff(level, skin))
        tint = cv2.divide(cv2.max(cv2.max(blue, green), red), skin_luma)
        dark, bright = _ramp(ratio, *_DARK_RATIO), _ramp(ratio, *_BRIGHT_RATIO)
        aside = cv2.max(cv2.max(dark, bright), _ramp(np.asarray(tint, np.float32), *_TINT))
        planes = cv2.resize(cover, size, interpolation=cv2.INTER_NEAREST)
        outside = cv2.resize(surface, size, interpolation=cv2.INTER_NEAREST)[..., 2] == 0.0

        def hanging(mask: NDArray[np.uint8], zone: int) -> NDArray[np.uint8]:
            kept = np.asarray(cv2.min(mask, cv2.extractChannel(planes, zone)), np.uint8)
            kept[outside] = 255
            return kept

        above = hanging(dark, _FROM_ABOVE)
        beside = hanging(np.asarray(aside, np.uint8), _FROM_THE_SIDE)
        down = np.minimum.accumulate(above, axis=0)
        rightwards = np.minimum.accumulate(beside, axis=1)
        leftwards = np.minimum.accumulate(beside[:, ::-1], axis=1)[:, ::-1]
        foreign = cv2.blur(np.maximum.reduce([down, rightwards, leftwards]), (3, 3))
        shape = (crop.width_px, crop.height_px)
        return np.asarray(cv2.resize(foreign, shape, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _match_eyes(
        self, crop: Crop, cover: NDArray[np.uint8], points: Points, face: Image
    ) -> None:
        """Gives each of the target's eyes some of the brightness the source's eye would have."""
        small = self._plane(self._small, crop, 3)
        eyes = np.asarray(cv2.extractChannel(cover, _EYES), np.uint8)
        limit = (crop.width_px, crop.height_px)
        for ring in (RIGHT_EYE, LEFT_EYE):
            corners = points[list(ring), :2]
            left, top = np.clip(np.floor(corners.min(axis=0)), 0, limit).astype(int)
            right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, limit).astype(int)
            inside = eyes[top:bottom, left:right]
            core = np.asarray((inside > 128) * np.uint8(255), np.uint8)
            if cv2.countNonZero(core) < _MIN_EYE_PX:
                continue
            own = np.array(cv2.mean(small[top:bottom, left:right], core)[:3], np.float32)
            wanted = np.array(cv2.mean(face[top:bottom, left:right], core)[:3], np.float32)
            factor = np.sqrt(np.clip((wanted + 10) / (own + 10), *_EYE_SHADE))
            rows = slice(int(top / crop.scale), int(bottom / crop.scale))
            columns = slice(int(left / crop.scale), int(right / crop.scale))
            region = crop.region[rows, columns]
            if region.size == 0:
                continue
            mask = cv2.resize(inside, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            soft = cv2.blur(mask, (3, 3))[..., None] / np.float32(255)
            region[:] = np.clip(region * (1 + soft * (factor - 1)), 0, 255)

    def _blend(self, crop: Crop, face: Image, alpha: NDArray[np.uint8]) -> None:
        size = crop.region.shape[1::-1]
        if crop.scale < 1.0:
            face = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        weight = np.multiply(alpha, np.float32(1 / 255))
        rest = np.float32(1.0) - weight
        crop.region[:] = cv2.blendLinear(face, np.ascontiguousarray(crop.region), weight, rest)

    def _rescaled(self, crop: Crop, at: tuple[Map, Map], scale: float) -> tuple[Map, Map]:
        """Map coordinates on a map of another size; pixel centres lie at whole numbers on both."""
        other = (self._plane(self._across_level, crop, 1), self._plane(self._down_level, crop, 1))
        for given, wanted in zip(at, other, strict=True):
            np.multiply(given, np.float32(scale), out=wanted)
            np.add(wanted, np.float32(0.5 * scale - 0.5), out=wanted)
        return other

    def _plane(self, scratch: NDArray[Any], crop: Crop, channels: int) -> NDArray[Any]:
        """A picture of the crop's size in a piece of scratch."""
        area = crop.height_px * crop.width_px
        shape = (crop.height_px, crop.width_px, channels) if channels > 1 else (crop.height_px, -1)
        return scratch[: area * channels].reshape(shape)


def _openings(crop: Crop, points: Points, width_px: float) -> NDArray[np.uint8]:
    """Where the target's own eyeballs, teeth and tongue show, ``(h, w) u8``.

    The rim of an opening stays covered, so that lashes and the edge of the lips are the source's,
    and a lid or a mouth that is all but shut is drawn shut.
    """
    mask = np.zeros((crop.height_px, crop.width_px), np.uint8)
    fixed_point = np.round(points[:, :2] * 16).astype(np.int32)
    for ring, rim in ((RIGHT_EYE, _EYE_RIM), (LEFT_EYE, _EYE_RIM), (INNER_LIPS, _LIP_RIM)):
        corners = [fixed_point[list(ring)]]
        cv2.fillPoly(mask, corners, (255,), cv2.LINE_AA, 4)
        thickness = max(1, round(2 * rim * width_px))
        cv2.polylines(mask, corners, True, (0,), thickness, cv2.LINE_AA, 4)
    return np.asarray(cv2.blur(mask, (3, 3)), np.uint8)


def _ramp(values: NDArray[np.float32], none: float, full: float) -> NDArray[np.uint8]:
    """0 up to ``none``, 255 from ``full`` on, linear between, in either direction."""
    gain = 255.0 / (full - none)
    return np.asarray(
        cv2.addWeighted(values, gain, values, 0.0, -gain * none, dtype=cv2.CV_8U), np.uint8
    )


def _width_px(points: Points) -> float:
    """Size of a face in pixels, about its width, steady while it turns."""
    extent = points[:, :2].max(axis=0) - points[:, :2].min(axis=0)
    return float(extent.max())
