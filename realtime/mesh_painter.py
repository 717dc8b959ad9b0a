"""Draws one textured face for another, on a crop of bounded size."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.face_alpha import ALL, face_alpha
from realtime.face_mesh import LEFT_EYE, RIGHT_EYE, FaceMesh
from realtime.face_openings import draw_openings, may_be_hidden, opening_zone
from realtime.face_parts import face_width_px
from realtime.face_texture import DETAIL_ONE, TONE_OFFSET, FaceTexture
from realtime.face_zones import MAP_PX
from realtime.frame import Image, Layer, Points
from realtime.geometry import bounding_box
from realtime.memory import Memory
from realtime.skin_light import GRID, LUMA, Colours, SkinLight, Weights
from realtime.texture_fill import Map

_MARGIN_PX = 4

_STEP_PX = 4
"""Sides of a crop are multiples of this, so that it halves twice without a rest."""

_LEAST_PX = 160
"""A crop of no more than this is not made smaller where time is short: it takes little."""

_LEAST_COVERAGE = np.float32(1e-3)

_MIN_EYE_PX = 6
"""An eye of fewer pixels is left as it is."""

_EYE_RINGS = tuple(np.array(ring) for ring in (RIGHT_EYE, LEFT_EYE))

_EYE_SHADE = (0.5, 1.6)
"""How far an eye may be darkened or lightened towards the source's."""


EyeShades = tuple[float, float]
"""Factors on the brightness of the target's right and left eye."""


class Crop:
    """The part of a picture around a face, at the size it is worked on.

    Attributes:
        region: the part at full size, a view into the picture.
        scale: size of the crop over the region, at most 1.
        width_px, height_px: size of the crop, multiples of four.
        crop_from_image: ``(2, 3)``, where the crop lies in the picture.
    """

    def __init__(
        self, image: Image, points: tuple[Points, ...], crop_px: int, share: float = 1.0
    ) -> None:
        """Cuts out the box around points; empty where the box misses the picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            points: ``(N, 2 or 3)`` image pixels.
            crop_px: the largest side of the crop.
            share: of the side it would have, above 0 to 1; small crops stay as they are.
        """
        height, width = image.shape[:2]
        boxes = (bounding_box(p).tolist() for p in points)
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        low_x, low_y, high_x, high_y = min(lefts), min(tops), max(rights), max(bottoms)
        left, right = _span(low_x - _MARGIN_PX, high_x + _MARGIN_PX, width)
        top, bottom = _span(low_y - _MARGIN_PX, high_y + _MARGIN_PX, height)
        self.region: Image = image[top:bottom, left:right]
        rows, columns = self.region.shape[:2]
        side_px = max(rows, columns, 1)
        worked_px = min(side_px, crop_px)
        self.scale = max(share * worked_px, min(worked_px, _LEAST_PX)) / side_px
        self.height_px = _whole_steps(rows * self.scale)
        self.width_px = _whole_steps(columns * self.scale)
        across, down = self.width_px / max(columns, 1), self.height_px / max(rows, 1)
        shift_x, shift_y = (0.5 - left) * across - 0.5, (0.5 - top) * down - 0.5
        self.crop_from_image = np.array([[across, 0.0, shift_x], [0.0, down, shift_y]])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as OpenCV wants them."""
        return self.width_px, self.height_px

    @property
    def half(self) -> tuple[int, int]:
        """Half of ``size``."""
        return self.width_px // 2, self.height_px // 2

    def inside(self, points: Points) -> Points:
        """``(N, 3)`` image points in the crop's pixels; depth is scaled alike."""
        (across, _, shift_x), (_, down, shift_y) = self.crop_from_image.tolist()
        scale = np.array([across, down, (across + down) / 2], points.dtype)
        return points * scale + np.array([shift_x, shift_y, 0.0], points.dtype)


class MeshPainter:
    """Holds the tables and the scratch for drawing; belongs to one thread.

    What is smooth (light, cover, the surface itself) is drawn at half the crop's size and
    enlarged; only the detail of the skin and the edges of the openings are drawn in full.
    """

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
        self._opening_zone = opening_zone(mesh)
        area = (crop_px + _STEP_PX) ** 2

        def scratch(channels: int, dtype: type[np.generic]) -> NDArray[Any]:
            return memory.host((area * channels,), dtype)

        self._surface, self._depth = scratch(3, np.float32), scratch(1, np.float32)
        self._across, self._down = scratch(1, np.float32), scratch(1, np.float32)
        self._weight = scratch(1, np.float32)
        self._four_details, self._detail = scratch(4, np.uint16), scratch(3, np.uint16)
        self._four_tones, self._shade = scratch(4, np.float32), scratch(3, np.float32)
        self._tone, self._tone_half = scratch(3, np.float32), scratch(3, np.float32)
        self._small, self._half = scratch(3, np.uint8), scratch(3, np.uint8)
        self._cover = scratch(4, np.uint8)

    def crop(self, image: Image, landmarks: Points, drawn: Points, share: float = 1.0) -> Crop:
        """The part of the picture that drawing will touch.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks, drawn: ``(468, 3)`` of the target, and where the texture's go.
            share: of the side it would have, above 0 to 1; small crops stay as they are.
        """
        return Crop(image, (landmarks, drawn), self._crop_px, share)

    def look(self, crop: Crop, landmarks: Points) -> tuple[Colours, Weights]:
        """The target's colours and how far they are skin, for ``SkinLight.measure``."""
        small = _plane(self._small, crop.size, 3)
        if crop.region.shape == small.shape:
            np.copyto(small, crop.region)
        else:
            _shrink(crop.region, out=small)
        half = _plane(self._half, crop.half, 3)
        cv2.resize(small, crop.half, half, interpolation=cv2.INTER_AREA)
        quarter = (crop.width_px // 4, crop.height_px // 4)
        thumb = cv2.GaussianBlur(cv2.resize(half, quarter, interpolation=cv2.INTER_AREA), (3, 3), 0)
        points = (crop.inside(landmarks)[:, :2] + np.float32(0.5)) / 4 - np.float32(0.5)
        colours = self._light.sample(np.asarray(thumb, np.uint8), np.asarray(points, np.float32))
        return colours, self._light.visible_skin(colours, landmarks)

    def picture(self, crop: Crop) -> Image:
        """What the crop shows, ``(h, w, 3) u8 BGR``, after ``look`` on it."""
        return _plane(self._small, crop.size, 3)

    def paint(
        self,
        crop: Crop,
        drawn: Points,
        light: Colours,
        texture: FaceTexture,
        *,
        out: NDArray[np.uint8],
    ) -> tuple[Layer, float]:
        """Draws the texture, after ``look`` on the same crop; the picture stays as it is.

        Args:
            crop: from ``crop``.
            drawn: ``(468, 3)`` image pixels, where the texture's landmarks go.
            light: ``(GRID, GRID, 3)`` the target's light.
            texture: the person.
            out: ``(layer_bytes(crop_px),) u8``; the layer is written into it.

        Returns:
            The layer, a view into ``out``, and the share of the face's surface that the texture
            covers, 0..1.
        """
        points = crop.inside(drawn)
        width_px = face_width_px(points)
        surface = self._draw_surface(crop, points)
        seen = np.asarray(cv2.extractChannel(surface, 2), np.float32)
        at_half = self._where(surface, crop.half)
        tone = _plane(self._tone_half, crop.half, 3)
        lit = cv2.cvtColor(light + np.float32(TONE_OFFSET), cv2.COLOR_BGR2BGRA)
        at_light = (_rescaled(at_half[0], GRID / MAP_PX), _rescaled(at_half[1], GRID / MAP_PX))
        four_tones = _plane(self._four_tones, crop.half, 4)
        cv2.remap(lit, *at_light, cv2.INTER_LINEAR, four_tones, cv2.BORDER_REPLICATE)
        cv2.cvtColor(four_tones, cv2.COLOR_BGRA2BGR, tone)
        cover = _plane(self._cover, crop.half, 4)
        cv2.remap(texture.four_covers, *at_half, cv2.INTER_LINEAR, cover)
        half = _plane(self._half, crop.half, 3)
        alpha = face_alpha(half, seen, tone, cover, points, width_px)
        surface_px = cv2.countNonZero(cv2.inRange(seen, 0.5, ALL))
        covered = cv2.countNonZero(cv2.inRange(alpha, 128, 255)) / max(surface_px, 1)
        openings = draw_openings(crop.size, points, width_px)
        if may_be_hidden(points):
            cv2.min(openings, self._seen_openings(crop, at_half), openings)
        layer = _layer(crop, out)
        # From here on the scratch of ``at_half`` is written again.
        self._colour(crop, surface, texture, width_px, out=layer.face)
        cv2.resize(alpha, crop.size, layer.alpha, interpolation=cv2.INTER_LINEAR)
        cv2.subtract(layer.alpha, openings, layer.alpha)
        return layer, covered

    def _seen_openings(self, crop: Crop, at_half: tuple[Map, Map]) -> NDArray[np.uint8]:
        """255 where an opening is the nearest part of the face, ``(h, w) u8``.

        On a head turned far to the side the nose stands before the other eye.
        """
        seen = cv2.remap(self._opening_zone, *at_half, cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(seen, crop.size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _draw_surface(self, crop: Crop, points: Points) -> NDArray[np.float32]:
        """Which spot of the map is seen where, ``(h/2, w/2, 3) f32``: x, y, and 1 on the face."""
        surface = _plane(self._surface, crop.half, 3)
        rasterize(
            np.asarray((points[:, :2] + 0.5) / 2 - 0.5, np.float32),
            np.asarray((points[:, 2] - points[:, 2].mean()) / 2, np.float32),
            self._mesh.closed,
            self._values,
            out=surface,
            depth=_plane(self._depth, crop.half, 1),
        )
        return surface

    def _where(self, surface: NDArray[np.float32], size: tuple[int, int]) -> tuple[Map, Map]:
        """Coordinates on the map at a size.

        They are weighted by coverage, so that enlarging them gives no pixel at the silhouette a
        value from beside the face.
        """
        if surface.shape[1::-1] != size:
            enlarged = _plane(self._shade, size, 3)
            surface = np.asarray(
                cv2.resize(surface, size, enlarged, interpolation=cv2.INTER_LINEAR), np.float32
            )
        at = (_plane(self._across, size, 1), _plane(self._down, size, 1))
        weight = _plane(self._weight, size, 1)
        cv2.split(surface, [*at, weight])
        np.maximum(weight, _LEAST_COVERAGE, out=weight)
        for weighted in at:
            cv2.divide(weighted, weight, weighted)
        return at

    def _colour(
        self,
        crop: Crop,
        surface: NDArray[np.float32],
        texture: FaceTexture,
        width_px: float,
        *,
        out: Image,
    ) -> None:
        """The texture under the target's light, ``(h, w, 3) u8``."""
        at = self._where(surface, crop.size)
        # The level at which a pixel of the crop steps over one to two pixels of the texture.
        coarsest = len(texture.detail) - 1
        level = min(max(int(math.log2(MAP_PX / max(width_px, 1.0))), 0), coarsest)
        if level:
            at = (_rescaled(at[0], 0.5**level), _rescaled(at[1], 0.5**level))
        detail = _plane(self._detail, crop.size, 3)
        four = _plane(self._four_details, crop.size, 4)
        source = texture.four_details[level]
        cv2.remap(source, *at, cv2.INTER_LINEAR, four, cv2.BORDER_REPLICATE)
        cv2.cvtColor(four, cv2.COLOR_BGRA2BGR, detail)
        tone = _plane(self._tone, crop.size, 3)
        half = _plane(self._tone_half, crop.half, 3)
        cv2.resize(half, crop.size, tone, interpolation=cv2.INTER_LINEAR)
        shade = _plane(self._shade, crop.size, 3)
        cv2.multiply(detail, tone, shade, 1 / DETAIL_ONE, cv2.CV_32F)
        cv2.addWeighted(shade, 1.0, shade, 0.0, -TONE_OFFSET, out, cv2.CV_8U)

    def match_eyes(
        self,
        crop: Crop,
        drawn: Points,
        face: Image,
        before: EyeShades,
        share: float,
        *,
        gains: EyeShades = (1.0, 1.0),
    ) -> EyeShades:
        """Gives each of the target's eyes some of the brightness the source's eye would have.

        Args:
            crop: of the last ``look``; the eyes in its region are written.
            drawn: ``(468, 3)`` image pixels, where the face was drawn.
            face: ``(h, w, 3) u8``, the drawn face.
            before: what was returned for the frame before; (1, 1) at first.
            share: how far the shades follow this frame, 0..1; 1 for the first.
            gains: of the texture.

        Returns:
            The factors of the right and the left eye.
        """
        shades = list(before)
        for number, ring in enumerate(_EYE_RINGS):
            eye = _find_eye(crop, crop.inside(drawn.take(ring, axis=0))[:, :2])
            if eye is not None and cv2.countNonZero(eye.inside) >= _MIN_EYE_PX:
                wanted = self._eye_shade(crop, eye, face, gains[number])
                shades[number] += share * (wanted - shades[number])
                _shade(crop, eye, shades[number])
        return shades[0], shades[1]

    def _eye_shade(self, crop: Crop, eye: "_Eye", face: Image, gain: float) -> float:
        """The factor that one eye of this frame asks for."""
        small = _plane(self._small, crop.size, 3)
        own, wanted = (
            float(LUMA @ cv2.mean(image[eye.rows, eye.columns], eye.inside)[:3])
            for image in (small, face)
        )
        least, most = _EYE_SHADE
        return math.sqrt(min(max((gain * wanted + 10) / (own + 10), least), most))


def layer_bytes(crop_px: int) -> int:
    """Size of the buffer that ``MeshPainter.paint`` writes a layer into."""
    return 4 * (crop_px + _STEP_PX) ** 2


def _layer(crop: Crop, buffer: NDArray[np.uint8]) -> Layer:
    """A layer of a crop's size in a buffer."""
    area = crop.width_px * crop.height_px
    face, alpha = buffer[: 3 * area], buffer[3 * area : 4 * area]
    face, alpha = _plane(face, crop.size, 3), _plane(alpha, crop.size, 1)
    return Layer(face, alpha, crop.crop_from_image, lit=True)


@dataclass(frozen=True, slots=True)
class _Eye:
    """Rows and columns of a crop around an eye, and 255 inside of it, 0 around."""

    rows: slice
    columns: slice
    inside: NDArray[np.uint8]


def _find_eye(crop: Crop, corners: Points) -> _Eye | None:
    """An eye by the corners of its outline in the crop; None off the picture."""
    low_x, low_y, high_x, high_y = bounding_box(corners).tolist()
    left, right = max(math.floor(low_x), 0), min(math.ceil(high_x) + 1, crop.width_px)
    top, bottom = max(math.floor(low_y), 0), min(math.ceil(high_y) + 1, crop.height_px)
    if right <= left or bottom <= top:
        return None
    inside = np.zeros((bottom - top, right - left), np.uint8)
    placed = corners - np.array((left, top), np.float32)
    cv2.fillPoly(inside, [np.rint(placed).astype(np.int32)], (255,))
    return _Eye(slice(top, bottom), slice(left, right), inside)


def _shade(crop: Crop, eye: _Eye, factor: float) -> None:
    """Multiplies an eye in the picture by a factor."""
    rows, columns = eye.rows, eye.columns
    region = crop.region[
        int(rows.start / crop.scale) : int(rows.stop / crop.scale),
        int(columns.start / crop.scale) : int(columns.stop / crop.scale),
    ]
    if region.size:
        mask = cv2.resize(eye.inside, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        soft = cv2.blur(mask, (3, 3))
        gain = cv2.addWeighted(soft, (factor - 1) / 255, soft, 0.0, 1.0, dtype=cv2.CV_32F)
        cv2.multiply(region, cv2.merge([gain, gain, gain]), region, dtype=cv2.CV_8U)


def _shrink(picture: Image, *, out: Image) -> None:
    """Makes a picture smaller, as finely as what is averaged over many pixels afterwards needs it.

    OpenCV averages blocks of two pixels by two quickly, and all others ten times as slowly.
    """
    rows, columns = out.shape[:2]
    while picture.shape[0] >= 2 * rows and picture.shape[1] >= 2 * columns:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(picture, (columns, rows), out, interpolation=cv2.INTER_LINEAR)


def _plane(scratch: NDArray[Any], size: tuple[int, int], channels: int) -> NDArray[Any]:
    """A picture of a size in a piece of scratch."""
    width, height = size
    shape = (height, width, channels) if channels > 1 else (height, width)
    return scratch[: width * height * channels].reshape(shape)


def _rescaled(at: Map, scale: float) -> Map:
    """Map coordinates on a smaller map; pixel centres lie at whole numbers on both.

    None lies before the first pixel: what lies outside is sampled slowly.
    """
    moved = np.asarray(cv2.addWeighted(at, scale, at, 0.0, 0.5 * scale - 0.5), np.float32)
    return np.maximum(moved, np.float32(0.0), out=moved)


def _span(low: float, high: float, extent: int) -> tuple[int, int]:
    """The pixels from low to high inside a picture, in whole steps where there is room."""
    first = min(max(math.floor(low), 0), extent)
    last = min(max(math.ceil(high) + 1, first), extent)
    missing = -(last - first) % _STEP_PX
    last = min(last + missing, extent)
    missing = -(last - first) % _STEP_PX
    return max(first - missing, 0), last


def _whole_steps(length_px: float) -> int:
    """The nearest multiple of the step; one step at least."""
    return max(1, round(length_px / _STEP_PX)) * _STEP_PX
