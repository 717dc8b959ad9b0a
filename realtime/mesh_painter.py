"""Draws one textured face for another, on a crop of bounded size."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.canvas import Canvas, plane
from realtime.crop import STEP_PX, Crop
from realtime.face_alpha import face_alpha
from realtime.face_mesh import FaceMesh
from realtime.face_openings import draw_openings, may_be_hidden
from realtime.face_texture import DETAIL_ONE, OPENING, TONE_OFFSET, FaceTexture
from realtime.face_zones import MAP_PX
from realtime.frame import Image, Layer, Points
from realtime.memory import Memory
from realtime.skin_light import GRID, LUMA, Colours, SkinLight, Weights
from realtime.texture_fill import Map

_LITTLE = 1e-6
"""Added to a coverage, so that none is divided by 0; what is covered is by a sixteenth at least."""

_TONE_ONE = 64.0
"""A grey level in the units in which light and texture are multiplied."""

_BLACK = np.full(4, _TONE_ONE * TONE_OFFSET)


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
        self._canvas = Canvas(crop_px, memory)

    def crop(self, image: Image, landmarks: Points, drawn: Points, share: float = 1.0) -> Crop:
        """The part of the picture that drawing will touch.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks, drawn: ``(468, 3)`` of the target, and where the texture's go.
            share: of the side it would have, above 0 to 1; small crops stay as they are.
        """
        return Crop(image, landmarks, drawn, self._crop_px, share)

    def look(self, crop: Crop, landmarks: Points, inside: Points) -> tuple[Colours, Weights]:
        """The target's colours and how far they are skin, for ``SkinLight.measure``.

        Args:
            crop: from ``crop``.
            landmarks: ``(468, 3)`` of the target.
            inside: the same in the crop's pixels.
        """
        canvas = self._canvas
        canvas.fit(crop)
        if not _is_whole(crop):
            _shrink(crop.region, out=canvas.small)
        cv2.resize(self.picture(crop), crop.half, canvas.half, interpolation=cv2.INTER_AREA)
        quarter = (crop.width_px // 4, crop.height_px // 4)
        thumb = cv2.resize(canvas.half, quarter, interpolation=cv2.INTER_AREA)
        thumb = cv2.GaussianBlur(thumb, (3, 3), 0)
        points = inside[:, :2] * np.float32(0.25) - np.float32(0.375)
        colours = self._light.sample(np.asarray(thumb, np.uint8), points)
        return colours, self._light.visible_skin(colours, landmarks)

    def picture(self, crop: Crop) -> Image:
        """What the crop shows, ``(h, w, 3) u8 BGR``, after ``look`` on it."""
        return crop.region if _is_whole(crop) else self._canvas.small

    def paint(
        self,
        crop: Crop,
        points: Points,
        light: Colours,
        texture: FaceTexture,
        *,
        out: NDArray[np.uint8],
    ) -> tuple[Layer, float]:
        """Draws the texture, after ``look`` on the same crop; the picture stays as it is.

        Args:
            crop: from ``crop``.
            points: ``(468, 3)`` the crop's pixels, where the texture's landmarks go.
            light: ``(GRID, GRID, 3)`` the target's light.
            texture: the person.
            out: ``(layer_bytes(crop_px),) u8``; the layer is written into it.

        Returns:
            The layer, a view into ``out``, and the share of the face's surface that the texture
            covers, 0..1.
        """
        canvas = self._canvas
        self._draw_surface(points)
        self._lay_light(light)
        at = (canvas.across, canvas.down)
        cv2.remap(texture.cover, *at, cv2.INTER_LINEAR, canvas.cover, cv2.BORDER_REPLICATE)
        seen = np.asarray(cv2.convertScaleAbs(canvas.seen, alpha=255.0), np.uint8)
        alpha = face_alpha(canvas.half, seen, canvas.tones, canvas.cover, points, crop.drawn_px)
        covered = cv2.countNonZero(cv2.inRange(alpha, 128, 255)) / max(cv2.countNonZero(seen), 1)
        layer = _layer(crop, out)
        self._colour(crop, texture, out=layer.face)
        cv2.resize(alpha, crop.size, layer.alpha, interpolation=cv2.INTER_LINEAR)
        _cut_openings(layer.alpha, crop, points, canvas.cover)
        return layer, covered

    def _draw_surface(self, points: Points) -> None:
        """Draws which spot of the map is seen where: x, y, and 1 on the face, all 0 beside it."""
        canvas = self._canvas
        halved = points * np.float32(0.5)
        halved[:, 0] -= np.float32(0.25)
        halved[:, 1] -= np.float32(0.25)
        rasterize(
            halved[:, :2],
            halved[:, 2] - halved[:, 2].mean(),
            self._mesh.closed,
            self._values,
            out=canvas.surface,
            depth=canvas.depth,
        )
        cv2.split(canvas.surface, [canvas.across, canvas.down, canvas.seen])

    def _lay_light(self, light: Colours) -> None:
        """Lays the light on the surface, as ``face_alpha`` wants it."""
        canvas = self._canvas
        shifted = light + np.float32(TONE_OFFSET)
        lit = cv2.cvtColor(shifted, cv2.COLOR_BGR2BGRA)
        cv2.insertChannel(cv2.transform(shifted, LUMA[None]), lit, 3)
        at = self._rescaled(GRID / MAP_PX)
        cv2.remap(lit, *at, cv2.INTER_LINEAR, canvas.tones, cv2.BORDER_REPLICATE)
        tones, out = canvas.tones, canvas.whole_tones
        cv2.addWeighted(tones, _TONE_ONE, tones, 0.0, 0.0, out, cv2.CV_16U)

    def _rescaled(self, scale: float) -> tuple[Map, Map]:
        """The surface's places on a smaller map; pixel centres lie at whole numbers on both.

        Beside the face they stay 0: what lies outside of a map is sampled slowly.
        """
        canvas = self._canvas
        shift = 0.5 * scale - 0.5
        cv2.addWeighted(canvas.across, scale, canvas.seen, shift, 0.0, canvas.at[0])
        cv2.addWeighted(canvas.down, scale, canvas.seen, shift, 0.0, canvas.at[1])
        return canvas.at

    def _colour(self, crop: Crop, texture: FaceTexture, *, out: Image) -> None:
        """The texture under the target's light, ``(h, w, 3) u8``."""
        canvas, coarsest = self._canvas, len(texture.detail) - 1
        # The level at which a pixel of the crop steps over one to two pixels of the texture.
        level = min(max(int(math.log2(MAP_PX / max(crop.drawn_px, 1.0))), 0), coarsest)
        at = self._enlarged(crop, self._rescaled(0.5**level))
        lit, source = canvas.detail, texture.four_details[level]
        cv2.remap(source, *at, cv2.INTER_LINEAR, lit, cv2.BORDER_REPLICATE)
        cv2.resize(canvas.whole_tones, crop.size, canvas.tone, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(lit, canvas.tone, lit, 1 / DETAIL_ONE)
        cv2.subtract(lit, _BLACK, lit)
        cv2.convertScaleAbs(lit, canvas.lit, 1 / _TONE_ONE)
        cv2.cvtColor(canvas.lit, cv2.COLOR_BGRA2BGR, out)

    def _enlarged(self, crop: Crop, at: tuple[Map, Map]) -> tuple[Map, Map]:
        """Places of the surface for each pixel of the crop.

        They are weighted by coverage, so that enlarging them gives no pixel at the silhouette a
        value from beside the face.
        """
        across, down, weight = self._canvas.planes
        cv2.resize(at[0], crop.size, across, interpolation=cv2.INTER_LINEAR)
        cv2.resize(at[1], crop.size, down, interpolation=cv2.INTER_LINEAR)
        cv2.resize(self._canvas.seen, crop.size, weight, interpolation=cv2.INTER_LINEAR)
        cv2.addWeighted(weight, 1.0, weight, 0.0, _LITTLE, weight)
        cv2.divide(across, weight, across)
        cv2.divide(down, weight, down)
        return across, down


def layer_bytes(crop_px: int) -> int:
    """Size of the buffer that ``MeshPainter.paint`` writes a layer into."""
    return 4 * (crop_px + STEP_PX) ** 2


def _layer(crop: Crop, buffer: NDArray[np.uint8]) -> Layer:
    """A layer of a crop's size in a buffer."""
    area = crop.width_px * crop.height_px
    face, alpha = buffer[: 3 * area], buffer[3 * area : 4 * area]
    return Layer(plane(face, crop.size, 3), plane(alpha, crop.size), crop.crop_from_image, lit=True)


def _cut_openings(
    alpha: NDArray[np.uint8], crop: Crop, points: Points, cover: NDArray[np.uint8]
) -> None:
    """Takes eyes and mouth out of what is covered, ``(h, w) u8``.

    On a head turned far to the side the nose stands before the other eye: there an opening is only
    where it is the nearest part of the face.
    """
    openings = draw_openings(crop.size, points, crop.drawn_px)
    if openings is None:
        return
    rows, columns, mask = openings.rows, openings.columns, openings.mask
    if may_be_hidden(points):
        nearest = cv2.extractChannel(cover, OPENING)
        nearest = cv2.resize(nearest, crop.size, interpolation=cv2.INTER_LINEAR)
        cv2.min(mask, nearest[rows, columns], mask)
    part = alpha[rows, columns]
    cv2.subtract(part, mask, part)


def _is_whole(crop: Crop) -> bool:
    """Whether the crop has as many pixels as the part of the picture it shows."""
    return crop.region.shape[1::-1] == crop.size


def _shrink(picture: Image, *, out: Image) -> None:
    """Makes a picture smaller, as finely as what is averaged over many pixels afterwards needs it.

    OpenCV averages blocks of two pixels by two quickly, and all others ten times as slowly.
    """
    rows, columns = out.shape[:2]
    while picture.shape[0] >= 2 * rows and picture.shape[1] >= 2 * columns:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(picture, (columns, rows), out, interpolation=cv2.INTER_LINEAR)
