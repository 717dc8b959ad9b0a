"""The light on a face: its skin's colour without any detail, measured on the flat map.

The colour of skin under the light of the moment is what a swapped face must take over, and what
must be taken out of the picture the swapped face comes from. Both are measured by the same
operator, a normalised convolution over the skin alone (Knutsson and Westin 1993), so that what
the two have in common cancels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import FaceMesh
from realtime.face_zones import MAP_PX, FaceZones, smoothstep

GRID = 48
"""Side of the coarse map on which light is measured."""

Colours = NDArray[np.float32]
"""``(GRID, GRID, 3) f32`` BGR 0..255."""

Weights = NDArray[np.float32]
"""``(GRID, GRID) f32`` 0..1."""

_YCC_FROM_BGR = np.array(
    [[0.114, 0.587, 0.299], [0.5, -0.3313, -0.1687], [-0.0813, -0.4187, 0.5]], np.float32
)
"""Luma and colour differences of ITU-R BT.601."""

_BACKSTOP = 0.3
"""Fineness, in map widths, of the light that is taken where hardly any skin is seen around."""

_FLAT_SHARE = 0.12
"""How much of the fine light flat skin takes over in the middle of the face."""

_BGR_FROM_YCC = np.linalg.inv(_YCC_FROM_BGR).astype(np.float32)

_SEEN = 0.2
"""How far skin must be turned to the camera to count for what skin looks like, 0..1."""

_MIDDLE = 0.3
"""From what share of ``SkinLight.core`` on a cell lies in the middle of the face."""

_EXACT = 1e-7
"""What of a blur is smaller than this share of the rest is lost in rounding anyway."""

LUMA = _YCC_FROM_BGR[0]
"""``(3,) f32`` luma of BGR."""


@dataclass(frozen=True, slots=True)
class LightScale:
    """How fine the light is measured, in map widths (standard deviations).

    Attributes:
        features: brightness around eyes, nose and mouth; coarse, so that the shading that makes
            up a person's features stays with the features.
        flat: brightness on the cheeks and the sides, and in part on other flat skin; fine, so
            that the tone follows the target.
        colour: colour on flat skin; around features it is as coarse as brightness there, so that
            the tints that make up a person's features stay with them.
    """

    features: float = 0.26
    flat: float = 0.03
    colour: float = 0.055


class SkinLight:
    """Measures light on faces of one mesh; holds tables only and may be shared."""

    def __init__(self, mesh: FaceMesh, zones: FaceZones, scale: LightScale) -> None:
        self._mesh = mesh
        wide = [_blur_matrix(sigma * GRID) for sigma in (_BACKSTOP, scale.features)]
        self._narrow, self._widen = _factors(np.stack(wide))
        self._flat_blur, self._colour_blur = (
            _blur_matrix(sigma * GRID) for sigma in (scale.flat, scale.colour)
        )
        corners, shares = _barycentric_grid(mesh)
        self._corners = np.ascontiguousarray(corners.reshape(-1, 3).T)
        self._shares = np.ascontiguousarray(shares.reshape(-1, 3).T)
        features = np.maximum.reduce([zones.brows, zones.eyes, zones.lips, zones.nostrils])
        self.skin: Weights = ((coarse(features) < 0.08) & (coarse(zones.face) > 0.5)).astype(
            np.float32
        )
        self._cells = np.flatnonzero(self.skin)
        self._skin_corners = self._corners[:, self._cells]
        self._skin_shares = self._shares[:, self._cells]
        sides = 0.7 * zones.flat * smoothstep(zones.aside, 0.2, 0.3)
        self.flat: Weights = coarse(
            np.maximum.reduce([_FLAT_SHARE * zones.flat, zones.cheeks, sides])
        )
        down, across = ((np.mgrid[:GRID, :GRID] + 0.5) / GRID).astype(np.float32)
        self.core: Weights = np.exp(
            -(((across - 0.5) / 0.22) ** 2) - ((down - 0.5) / 0.22) ** 2
        ).astype(np.float32)
        self._skin_core = self.core.ravel()[self._cells]
        self._skin_middle = self._skin_core > _MIDDLE

    def spread(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values at the landmarks, interpolated over the grid.

        Args:
            values: ``(468, C) f32``.

        Returns:
            ``(GRID, GRID, C) f32``.
        """
        return self._planes(np.ascontiguousarray(values.T)).transpose(1, 2, 0)

    def _planes(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """``spread`` with the values in front: ``(C, GRID, GRID) f32`` from ``(C, 468)``."""
        # Corner by corner: one sum over whole grids is several times as quick as many over three.
        picked = values.take(self._corners, axis=1)
        picked *= self._shares
        return np.asarray(picked.sum(axis=1), np.float32).reshape(-1, GRID, GRID)

    def sample(self, image: NDArray[np.uint8], points_px: NDArray[np.float32]) -> Colours:
        """Colours of a face in a picture that has been blurred to the grid's fineness.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            points_px: ``(468, 2) f32`` landmarks in it.
        """
        across, down = self._planes(np.ascontiguousarray(points_px[:, :2].T, np.float32))
        colours = cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(colours, np.float32)

    def visible_skin(self, colours: Colours, landmarks: NDArray[np.float32]) -> Weights:
        """Which of the sampled colours are this person's skin.

        Hair, glasses, beard and hands over the face are told from skin by their distance from
        what the middle of the face looks like.

        Args:
            colours: from ``sample``.
            landmarks: ``(468, 3)``.
        """
        facing = self._mesh.facing(landmarks).take(self._skin_corners)
        facing *= self._skin_shares
        weights = smoothstep(facing.sum(axis=0), 0.1, 0.4)
        out = np.zeros(self.skin.size, np.float32)
        seen = weights > _SEEN
        if seen.any():
            weights *= self._likely_skin(colours, weights, seen)
        out[self._cells] = weights
        return out.reshape(self.skin.shape)

    def _likely_skin(
        self, colours: Colours, weights: Weights, seen: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """How far the colour of each cell of skin is that of the middle of the face, 0..1.

        Args:
            colours: of the whole face.
            weights, seen: ``(N,)`` how far each cell of skin is turned to the camera, and whether
                it is so far enough to count for what skin looks like.
        """
        cells = colours.reshape(-1, 3).T.take(self._cells, axis=1)
        luma = LUMA @ cells
        middle = _weighted_median(luma, weights * self._skin_core * seen)
        apart = np.abs(luma - np.float32(middle))
        (shown,), (central,) = seen.nonzero(), (seen & self._skin_middle).nonzero()
        spread = float(_medians(apart.take(shown)[None])[0]) + 6.0
        off_luma = np.maximum(apart * np.float32(1 / spread) - np.float32(2.2), np.float32(0.0))
        cells /= luma + np.float32(8.0)
        usual = _medians(cells.take(central if central.size else shown, axis=1))
        cells -= usual[:, None]
        far = np.abs(cells, out=cells).max(axis=0)
        off_tint = np.maximum(far * np.float32(1 / 0.16) - np.float32(1.0), np.float32(0.0))
        apart = off_luma * off_luma + np.float32(2.0) * off_tint * off_tint
        return np.asarray(np.exp(-apart), np.float32)

    def measure(self, colours: Colours, weights: Weights, *, fine_shade: float = 1.0) -> Colours:
        """The light on the whole face, carried on smoothly where no skin is seen.

        Args:
            colours: from ``sample``.
            weights: how far each colour is skin.
            fine_shade: how much of the fine brightness of flat skin is light, 0..1; its colour
                is so in full.

        Returns:
            Colours of skin without detail, at least 1.
        """
        # Rows, channels, columns: so both directions of all blurs are one matrix product each. The
        # channels are luma, the weight itself, and colour differences: the next to one another
        # are blurred together.
        tones = np.asarray(cv2.transform(colours, _YCC_FROM_BGR), np.float32).transpose(0, 2, 1)
        weighted = np.empty((GRID, 4, GRID), np.float32)
        weighted[:, 1] = weights
        np.multiply(tones[:, 0], weights, out=weighted[:, 0])
        np.multiply(tones[:, 1:], weights[:, None], out=weighted[:, 2:])
        backstop, light = self._widely_blurred(weighted)
        # Normalised convolution falls back on coarser values where there is little weight.
        backstop += np.float32(1e-6)
        light += np.float32(0.02) * (backstop / backstop[:, 1:2])
        light /= light[:, 1:2].copy()
        shade = _blurred(weighted[:, :2], self._flat_blur) + np.float32(0.08) * light[:, :2]
        colour = _blurred(weighted[:, 1:], self._colour_blur) + np.float32(0.08) * light[:, 1:]
        shade_share = self.flat * np.float32(fine_shade)
        light[:, 0] += shade_share * (shade[:, 0] / shade[:, 1] - light[:, 0])
        light[:, 2:] += self.flat[:, None] * (colour[:, 1:] / colour[:, :1] - light[:, 2:])
        upright = np.asarray(cv2.merge([light[:, 0], light[:, 2], light[:, 3]]), np.float32)
        return np.asarray(np.maximum(cv2.transform(upright, _BGR_FROM_YCC), 1.0), np.float32)

    def _widely_blurred(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(2, GRID, C, GRID) f32``: values ``(GRID, C, GRID)`` under either of the wide blurs."""
        rank = self._narrow.shape[1]
        down = (self._narrow.reshape(-1, GRID) @ values.reshape(GRID, -1)).reshape(2, -1, GRID)
        narrow = (down @ self._narrow.transpose(0, 2, 1)).reshape(2, rank, -1)
        up = (self._widen @ narrow).reshape(2, -1, rank)
        both = np.asarray(up @ self._widen.transpose(0, 2, 1), np.float32)
        return both.reshape(2, GRID, -1, GRID)

    def luma(self, light: Colours, skin: Weights) -> float:
        """Brightness of the skin in the middle of a face, 0..255.

        Args:
            light: from ``measure``.
            skin: how far each cell is seen, and is skin; if none is, all count.
        """
        weights = self.core * (skin + np.float32(1e-3))
        return float(((light @ LUMA) * weights).sum() / weights.sum())


def _medians(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The medians of rows, ``(K,) f32`` of ``(K, N)``, which may change places in them.

    NumPy's own takes four times as long for so few.
    """
    low, high = (rows.shape[1] - 1) // 2, rows.shape[1] // 2
    rows.partition((low, high), axis=1)
    return (rows[:, low] + rows[:, high]) / np.float32(2.0)


def _weighted_median(levels: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """The level, 0..255, below which half of the weight lies, to an eighth of a level."""
    # Counted rather than sorted, which takes four times as long.
    counts = np.bincount((levels * np.float32(4.0)).astype(np.intp), weights)
    share = counts.cumsum()
    return (float(share.searchsorted(share[-1] / 2)) + 0.5) / 4.0


def coarse(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map shrunk to the grid."""
    return np.asarray(cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def finer(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grid enlarged to the map.

    Raises:
        ValueError: the values do not lie on the grid.
    """
    if grid.shape[0] != GRID:
        raise ValueError(f"grid: {GRID} rows are needed, got {grid.shape[0]}.")
    return np.asarray(cv2.resize(grid, (MAP_PX, MAP_PX), interpolation=cv2.INTER_CUBIC), np.float32)


def weighted_blur(
    values: Colours, weights: Weights, sigma: float
) -> tuple[NDArray[np.float32], Weights]:
    """Blurred weighted values, and the blurred weights to divide them by; sigma in map widths."""
    sigma_px = sigma * GRID
    border = cv2.BORDER_CONSTANT
    above = cv2.GaussianBlur(values * weights[..., None], (0, 0), sigma_px, borderType=border)
    below = cv2.GaussianBlur(weights, (0, 0), sigma_px, borderType=border)
    return np.asarray(above, np.float32), np.asarray(below, np.float32)


def _blur_matrix(sigma_px: float) -> NDArray[np.float32]:
    """``(GRID, GRID) f32``: blurs a row of the grid, with nothing beyond its ends."""
    reach = min(round(4.0 * sigma_px), GRID - 1)
    profile = np.zeros(2 * GRID - 1, np.float32)
    middle = GRID - 1
    profile[middle - reach : middle + reach + 1] = cv2.getGaussianKernel(
        2 * reach + 1, sigma_px, cv2.CV_32F
    )[:, 0]
    steps = np.arange(GRID)
    return np.asarray(profile[middle + steps[None] - steps[:, None]])


def _blurred(values: NDArray[np.float32], blur: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values ``(GRID, C, GRID)`` under a blur of both directions."""
    down = (blur @ values.reshape(GRID, -1)).reshape(-1, GRID)
    return np.asarray(down @ blur.T, np.float32).reshape(GRID, -1, GRID)


def _factors(
    blurs: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Wide blurs as narrow and widen, ``blur = widen @ narrow`` for each.

    A wide blur leaves only a few smooth shapes of a row, so there is little between the two.

    Args:
        blurs: ``(K, GRID, GRID)``.

    Returns:
        ``(K, r, GRID)`` and ``(K, GRID, r)``, as exact as the matrices are.
    """
    left, sizes, right = np.linalg.svd(blurs.astype(np.float64))
    rank = int((sizes > _EXACT * sizes[:, :1]).sum(axis=1).max())
    widen = left[..., :rank] * sizes[:, None, :rank]
    return right[:, :rank].astype(np.float32), widen.astype(np.float32)


def _barycentric_grid(mesh: FaceMesh) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each cell of the grid the three landmarks around it and their shares.

    Cells outside the face take the values of the nearest cell inside.
    """
    corners = np.zeros((GRID, GRID, 3), np.intp)
    shares = np.zeros((GRID, GRID, 3))
    found = np.zeros((GRID, GRID), bool)
    triangles = mesh.closed
    a, b, c = mesh.layout[triangles].astype(np.float64).transpose(1, 2, 0)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    heights = np.stack([a[1], b[1], c[1]])
    lowest, highest = heights.min(axis=0), heights.max(axis=0)
    cells = np.arange(GRID)
    middles = (cells + 0.5) / GRID
    across = middles[:, None]
    for row, y in enumerate(middles):
        near = np.flatnonzero((lowest <= y) & (y <= highest) & (np.abs(area) >= 1e-12))
        if not near.size:
            continue
        (ax, ay), (bx, by), (cx, cy) = a[:, near], b[:, near], c[:, near]
        at_b = ((across - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area[near]
        at_c = ((bx - ax) * (y - ay) - (across - ax) * (by - ay)) / area[near]
        three = np.stack([1 - at_b - at_c, at_b, at_c], axis=-1)
        deepest = three.min(axis=-1)
        best = deepest.argmax(axis=1)
        found[row] = deepest[cells, best] >= -1e-6
        corners[row] = triangles[near[best]]
        shares[row] = three[cells, best]
    inside = np.argwhere(found)
    for row, column in np.argwhere(~found):
        nearest = inside[((inside - (row, column)) ** 2).sum(axis=1).argmin()]
        corners[row, column] = corners[tuple(nearest)]
        shares[row, column] = shares[tuple(nearest)]
    return corners, shares.astype(np.float32)
