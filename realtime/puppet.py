"""A photograph brought to life: draws a portrait in any pose and expression of its rig."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from realtime.face_mesh import NUM_POINTS, FaceMesh
from realtime.frame import Image, Points, Pose
from realtime.geometry import fit_head, head_pose
from realtime.head_motion import HeadState
from realtime.puppet_rig import build_rig

_COARSE = 4
"""The surroundings of the face move smoothly, so their movement is drawn this much smaller."""

_FAR = 20.0
"""How far behind the head what stands still is, in its units."""

_ASPECTS = (9 / 16, 16 / 9)
"""Narrowest and widest picture, width over height; beyond that there are black bars."""

_WINDOW = 9 / 16
"""Short side of the part of the portrait that is shown, over the portrait's side."""

_FACE_HEIGHT = 0.47
"""Where the middle of the face lies in the picture, from above."""

_MARGIN_PX = 3

_SHARPENING = 0.45
"""How much of what enlarging and the softening of edges take away is given back."""

_THROAT_BGR = (16.0, 14.0, 30.0)
_TONGUE_BGR = (34.0, 26.0, 62.0)
"""What the throat's colour grows by towards the lower jaw."""

_APART = 8
"""Part of the picture's height that it is continued by below, so that what moves up from there
is not what is painted below."""

_GRAIN_MEAN = 4
"""What noise adds in the mean, in grey levels; the picture is darker by as much."""

_GRAIN_SIGMA = 1.2
_GRAIN_PLACES = 64
_GRAIN_STEP = 2_654_435_761
"""Spreads successive numbers over all places; a prime by Knuth's multiplicative hashing."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What a drawn picture shows.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels, z away from the camera.
        mouth_open: 0..1.
        eyes_closed: 0..1.
    """

    landmarks: Points
    mouth_open: float
    eyes_closed: float

    @property
    def pose(self) -> Pose:
        """Of the head, as ``realtime.geometry.head_pose`` reads it from the landmarks."""
        return head_pose(fit_head(self.landmarks))


class Puppet:
    """Draws one portrait at one size; belongs to one thread."""

    def __init__(
        self, mesh: FaceMesh, portrait: Image, landmarks: Points, size: tuple[int, int]
    ) -> None:
        """Cuts the portrait to the picture and takes all scratch.

        Args:
            mesh: the landmarks' mesh.
            portrait: ``(h, w, 3) u8 BGR`` with one face that looks into the camera.
            landmarks: ``(468, 3)`` pixels of the portrait.
            size: width and height of the pictures to be drawn.
        """
        self._left, self._top, width, height = inner_box(size)
        picture, points = _frame_portrait(portrait, landmarks, (width, height))
        self._rig = build_rig(mesh, points)
        texture, texture_points = _add_mouth(picture, self._rig.source, self._rig.mouth_rows)
        self._texture = cv2.subtract(texture, np.full_like(texture, _GRAIN_MEAN))
        self._texture_points = texture_points.astype(np.float32)
        self._picture = cv2.GaussianBlur(self._texture[:height], (3, 3), 0)
        self._grain = _draw_grain(width, height)
        around = self._rig.rest[self._rig.around.ravel()]
        self._columns = _reach(around[:, 0], width)
        self._rows = _reach(around[:, 1], height)
        rows = -(-(self._rows.stop - self._rows.start) // _COARSE)
        columns = -(-(self._columns.stop - self._columns.start) // _COARSE)
        self._coarse = np.empty((rows, columns, 3), np.float32)
        self._coarse_depth = np.empty((rows, columns), np.float32)
        self._moves = np.empty((rows, columns, 2), np.float32)
        rows, columns = rows * _COARSE, columns * _COARSE
        across = np.arange(columns, dtype=np.float32) + self._columns.start
        down = np.arange(rows, dtype=np.float32) + self._rows.start
        self._grid = np.ascontiguousarray(np.stack(np.meshgrid(across, down), axis=-1))
        self._at = np.empty_like(self._grid)
        area = rows * columns
        self._drawn = np.empty(3 * area, np.float32)
        self._depth = np.empty(area, np.float32)
        self._face_at = np.empty(2 * area, np.float32)
        self._covered = np.empty(area, np.float32)
        # Four channels are sampled three times as quickly as three.
        self._four_texture = cv2.cvtColor(self._texture, cv2.COLOR_BGR2BGRA)
        self._four_warped = np.empty((rows, columns, 4), np.uint8)
        self._warped: Image = np.empty((rows, columns, 3), np.uint8)

    def draw(self, state: HeadState, *, out: Image, grain: int = 0) -> GroundTruth:
        """Draws one picture.

        Args:
            state: pose and expression.
            out: ``(H, W, 3) u8 BGR`` of the size asked for; written whole.
            grain: number of the sensor's noise; the same number gives the same noise.
        """
        points = self._rig.pose(state)
        aside = self._rig.taken_aside(state)
        self._draw_surroundings(points, aside)
        self._draw_face(points, aside)
        cv2.remap(
            self._four_texture,
            self._at,
            None,  # type: ignore[call-overload]
            cv2.INTER_LINEAR,
            self._four_warped,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        cv2.cvtColor(self._four_warped, cv2.COLOR_BGRA2BGR, self._warped)
        # Where one surface covers another the map jumps; a lens would not show such hard edges.
        cv2.GaussianBlur(self._warped, (3, 3), 0, self._warped)
        self._fill(out, grain)
        landmarks = points[:NUM_POINTS].astype(np.float32)
        landmarks[:, :2] += (self._left, self._top)
        return GroundTruth(landmarks, state.mouth_open, state.eyes_closed)

    def _draw_surroundings(self, points: NDArray[np.float64], aside: NDArray[np.float64]) -> None:
        """Fills ``_at`` with where each pixel comes from, as far as it moves smoothly."""
        moves = np.zeros((len(points), 3), np.float32)
        moves[:, :2] = self._rig.source + aside - points[:, :2]
        place = (points[:, :2] - (self._columns.start, self._rows.start) + 0.5) / _COARSE - 0.5
        depth = points[:, 2] - self._rig.rest[:NUM_POINTS, 2].mean()
        depth += _FAR * self._rig.unit_px * (1.0 - self._rig.carried)
        rasterize(
            place.astype(np.float32),
            depth.astype(np.float32),
            self._rig.around,
            moves,
            out=self._coarse,
            depth=self._coarse_depth,
        )
        cv2.mixChannels([self._coarse], [self._moves], [0, 0, 1, 1])
        cv2.resize(self._moves, self._at.shape[1::-1], self._at, interpolation=cv2.INTER_LINEAR)
        cv2.add(self._at, self._grid, self._at)

    def _draw_face(self, points: NDArray[np.float64], aside: NDArray[np.float64]) -> None:
        """Puts the face, eyes and mouth into ``_at`` at full resolution."""
        place = points[:, :2] - (self._columns.start, self._rows.start)
        low = np.floor(place[:NUM_POINTS].min(axis=0)).astype(int) - _MARGIN_PX
        high = np.ceil(place[:NUM_POINTS].max(axis=0)).astype(int) + _MARGIN_PX
        rows, columns = self._at.shape[:2]
        left, top = np.clip(low, 0, (columns, rows))
        right, bottom = np.clip(high, (left, top), (columns, rows))
        width, height = int(right - left), int(bottom - top)
        if width == 0 or height == 0:
            return
        drawn, depth, at, covered = (
            scratch[: height * width * channels].reshape(height, width, channels)
            for scratch, channels in (
                (self._drawn, 3),
                (self._depth, 1),
                (self._face_at, 2),
                (self._covered, 1),
            )
        )
        values = np.ones((len(points), 3), np.float32)
        values[:, :2] = self._texture_points + aside
        rasterize(
            (place - (left, top)).astype(np.float32),
            (points[:, 2] - points[:NUM_POINTS, 2].mean()).astype(np.float32),
            self._rig.face,
            values,
            out=drawn,
            depth=depth[..., 0],
        )
        cv2.mixChannels([drawn], [at, covered], [0, 0, 1, 1, 2, 2])
        cv2.copyTo(at, (covered > 0.5).view(np.uint8), self._at[top:bottom, left:right])

    def _fill(self, out: Image, grain: int) -> None:
        """Lays the moving part over the still picture, with bars around it where it is smaller."""
        height, width = self._picture.shape[:2]
        inner = out[self._top : self._top + height, self._left : self._left + width]
        if inner.shape != out.shape:
            out.fill(0)
        down, across = divmod(grain * _GRAIN_STEP % _GRAIN_PLACES**2, _GRAIN_PLACES)
        noise = self._grain[down : down + height, across : across + width]
        cv2.add(self._picture, noise, inner)
        moving = inner[self._rows, self._columns]
        warped = self._warped[: moving.shape[0], : moving.shape[1]]
        cv2.add(warped, noise[self._rows, self._columns], moving)


def inner_box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of a picture that is not bars."""
    width, height = size
    narrowest, widest = _ASPECTS
    inner_width = min(width, max(1, round(height * widest)))
    inner_height = min(height, max(1, round(width / narrowest)))
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height


def _frame_portrait(
    portrait: Image, landmarks: Points, size: tuple[int, int]
) -> tuple[Image, Points]:
    """The part of the portrait that fills the picture, and the landmarks in it."""
    width, height = size
    side = min(portrait.shape[:2])
    scale = min(width, height) / (_WINDOW * side)
    full_height, full_width = (int(np.ceil(side * scale)) for side in portrait.shape[:2])
    full = (max(full_width, width), max(full_height, height))
    how = cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    enlarged = cv2.resize(portrait, full, interpolation=how)
    stretch = np.array([full[0] / portrait.shape[1], full[1] / portrait.shape[0]])
    points = landmarks.astype(np.float64)
    points[:, :2] = (points[:, :2] + 0.5) * stretch - 0.5
    points[:, 2] *= stretch.mean()
    middle = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2
    left = int(np.clip(middle[0] - width / 2, 0, full[0] - width))
    top = int(np.clip(middle[1] - _FACE_HEIGHT * height, 0, full[1] - height))
    points[:, :2] -= (left, top)
    picture = np.ascontiguousarray(enlarged[top : top + height, left : left + width])
    return _sharpened(picture.astype(np.uint8, copy=False), scale), points.astype(np.float32)


def _add_mouth(
    picture: Image, source: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[Image, NDArray[np.float64]]:
    """Paints the inside of the mouth below the picture.

    Returns:
        The picture with the painting below it, and where the points lie on it: ``(V, 2)``.
    """
    points = source.copy()
    mouth = points[rows]
    low = np.floor(mouth.min(axis=(0, 1))).astype(int) - _MARGIN_PX
    high = np.ceil(mouth.max(axis=(0, 1))).astype(int) + _MARGIN_PX + 1
    height, width = picture.shape[:2]
    down, across = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    patch = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    patch_rows, patch_columns = patch.shape[:2]
    dark = 1.0 - _teeth(picture.shape[:2], mouth)[low[1] : high[1], low[0] : high[0], None]
    deep = np.clip((down - mouth[1, 5, 1]) / np.ptp(mouth[1:, 5, 1]), 0.0, 1.0)[..., None]
    throat = np.array(_THROAT_BGR) + np.array(_TONGUE_BGR) * deep
    patch = patch * (1.0 - dark) + throat * dark
    apart = height // _APART + _MARGIN_PX
    above = cv2.copyMakeBorder(picture, 0, apart, 0, 0, cv2.BORDER_REFLECT_101)
    texture = np.zeros((height + apart + patch_rows, max(width, patch_columns), 3), np.uint8)
    texture[: height + apart, :width] = above
    texture[height + apart :, :patch_columns] = np.clip(patch, 0, 255).astype(np.uint8)
    points[rows.ravel()] += np.array([0, height + apart]) - low
    return texture, points


def _teeth(shape: tuple[int, int], mouth: NDArray[np.float64]) -> NDArray[np.float32]:
    """1 between the lips as the portrait has them and a little above, 0 elsewhere, softly."""
    mask = np.zeros(shape, np.uint8)
    # Upper row of the curtain, then back along the lower lip.
    outline = np.vstack([mouth[0], mouth[2, ::-1]])
    fixed_point = np.round(outline * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed_point], (255,), lineType=cv2.LINE_AA, shift=4)
    softness_px = 0.06 * float(np.ptp(mouth[1:3, 5, 1])) + 0.3
    soft = cv2.GaussianBlur(mask, (0, 0), softness_px)
    return np.asarray(soft / np.float32(255), np.float32)


def _sharpened(picture: Image, sigma_px: float) -> Image:
    """Makes up for the softness of a picture that was enlarged."""
    soft = cv2.GaussianBlur(picture, (0, 0), max(sigma_px, 0.3))
    return np.asarray(cv2.addWeighted(picture, 1.0 + _SHARPENING, soft, -_SHARPENING, 0), np.uint8)


def _draw_grain(width: int, height: int) -> Image:
    """Noise of a camera's sensor, larger than the picture so that it can be laid on shifted."""
    shape = (height + _GRAIN_PLACES, width + _GRAIN_PLACES, 3)
    noise = np.random.default_rng(1).normal(_GRAIN_MEAN, _GRAIN_SIGMA, shape)
    return np.clip(np.round(noise), 0, 2 * _GRAIN_MEAN).astype(np.uint8)


def _reach(values: NDArray[np.float64], limit: int) -> slice:
    """The pixels that points span inside a picture."""
    start = int(np.clip(np.floor(values.min()), 0, limit))
    return slice(start, int(np.clip(np.ceil(values.max()) + 1, start, limit)))
