"""How one person's own face looks, learned while it is in view, to tell what is not part of it.

Everything lives on the coarse flat map of the face on which light is measured. The plate keeps for
each cell the usual colour. A new look is brought to the light of the plate by a smooth change of
brightness and tint over the face, fitted so that what stands in front does not pull it along. A
cell is foreign where its colour matches nothing that was ever seen around that cell: a smile, a
turn of the head or an open mouth moves the own features about by a few cells, but brings no new
colour, and a shadow darkens without a new tint.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import FaceMesh
from realtime.face_zones import FaceZones
from realtime.skin_light import GRID, LUMA, Colours, SkinLight, Weights, coarse
from realtime.tracks import share_after

_BLACK = 8.0
"""Added to colours before their logarithm, so that noise in the dark has no tint."""

_MIN_FACING = 0.35
"""Cells seen more from the side than this are not judged: there landmarks slip most."""

_EVIDENCE_DEPTH = 0.035
"""Nearer to the outline the background shows through when landmarks slip; in map widths."""

_MAX_FEATURE = 0.25
"""Cells with more of eye, lips or nostril than this move too much to be judged."""

_REACH = 7
"""Side of the neighbourhood, in cells, in which a colour counts as seen before."""

_KNOWN_S = 0.5
"""Time a cell must have been watched for its look to be known."""

_MIN_FIT_CELLS = 120
_FIT_ROUNDS, _FIT_STEP = 3, 3
_FIT_SCALE = np.array([0.12, 0.05, 0.05], np.float32)
"""Residuals (log brightness, two log ratios of colours) from which a cell loses its say."""

_DARK, _BRIGHT, _TINT = 0.9, 0.9, 0.16
"""What a cell must differ by to be foreign: log brightness below and above the plate (a shadow, or
the light beside one, stays within), and log ratio of colours."""

_CLIPPED = 248.0
"""Grey level from which a colour is too bright for its tint to say anything."""

_LEARN_S, _ABSORB_S = 3.0, 20.0
"""Half-lives with which the plate follows a cell that looks like itself, and one that does not."""

_OWN = 0.7
"""Up to this strength a cell looks like itself."""

Strength = NDArray[np.float32]
"""``(GRID, GRID) f32``, 1 from where on a cell is foreign."""


@dataclass(frozen=True)
class PlateTables:
    """What all plates of a mesh share; built once.

    Attributes:
        normals: ``(GRID, GRID, 3) f32`` of a neutral frontal face, z away from the camera.
        judged: ``(GRID, GRID) bool`` cells whose look says something.
        inside: ``(GRID, GRID) bool`` cells of the face, but for its outermost rim.
        light_change: ``(GRID * GRID, 6) f32`` the smooth changes of light.
    """

    normals: NDArray[np.float32]
    judged: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    light_change: NDArray[np.float32]


def build_plate_tables(mesh: FaceMesh, zones: FaceZones, light: SkinLight) -> PlateTables:
    """The tables of a mesh."""
    depth = coarse(zones.depth)
    features = np.maximum.reduce([coarse(z) for z in (zones.eyes, zones.lips, zones.nostrils)])
    down, across = np.mgrid[:GRID, :GRID].astype(np.float32) * np.float32(2 / (GRID - 1)) - 1
    terms = [np.ones_like(down), across, down, across * down, across**2, down**2]
    normals = light.spread(_normals(mesh))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return PlateTables(
        normals=normals,
        judged=(depth > _EVIDENCE_DEPTH) & (features < _MAX_FEATURE),
        inside=depth > _EVIDENCE_DEPTH,
        light_change=np.stack(terms, axis=-1).reshape(-1, len(terms)).astype(np.float32),
    )


@dataclass(frozen=True)
class Comparison:
    """A look at a face held against its plate, ``(GRID, GRID)`` each.

    Attributes:
        strength: ``f32``, how foreign each cell looks.
        look: ``(GRID, GRID, 3) f32``, log brightness and log ratios of blue and red to green.
        in_view: ``bool``, cells of the face that are turned to the camera.
        judged: ``bool``, those of them whose look says something.
        hands: ``bool``, cells that hands hide.
    """

    strength: Strength
    look: NDArray[np.float32]
    in_view: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    hands: NDArray[np.bool_]


class FacePlate:
    """The plate of one tracked face."""

    def __init__(self, tables: PlateTables) -> None:
        self._tables = tables
        self._usual: NDArray[np.float32] | None = None
        self._watched_s = np.zeros((GRID, GRID), np.float32)
        self._aligned = np.zeros((GRID, GRID, 3), np.float32)

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(GRID, GRID) bool``, cells that were seen clean for long enough."""
        return self._watched_s > _KNOWN_S

    def compare(
        self,
        colours: Colours,
        facing: Weights,
        hands: NDArray[np.bool_],
        foreign: NDArray[np.bool_],
    ) -> Comparison:
        """How foreign each cell looks; 0 where the plate does not know the cell yet.

        Args:
            colours: ``(GRID, GRID, 3) f32`` BGR of this frame, as ``SkinLight.sample`` has them.
            facing: ``(GRID, GRID) f32`` cosine between skin and line of sight.
            hands: ``(GRID, GRID) bool`` cells that hands hide.
            foreign: ``(GRID, GRID) bool`` cells that something else hid a moment ago.
        """
        look, in_view = _look(colours), self._tables.inside & (facing > _MIN_FACING)
        bright = colours.max(axis=-1) >= _CLIPPED
        judged = in_view & self._tables.judged & self.known & ~bright
        change = self._light_change(look, judged & ~hands & ~foreign)
        self._aligned = look - change
        usual = self._aligned if self._usual is None else self._usual
        window = np.ones((_REACH, _REACH), np.uint8)
        low = cv2.erode(usual, window) - self._aligned
        high = self._aligned - cv2.dilate(usual, window)
        off_luma = np.maximum(low[..., 0] / _DARK, high[..., 0] / _BRIGHT)
        outside = np.maximum(low, high)
        off_tint = np.maximum(outside[..., 1], outside[..., 2]) / _TINT
        off = np.hypot(np.maximum(off_luma, 0.0), np.maximum(off_tint, 0.0))
        return Comparison(np.asarray(off * judged, np.float32), look, in_view, judged, hands)

    def learn(self, comparison: Comparison, foreign: NDArray[np.bool_], elapsed_s: float) -> None:
        """Takes in the look that was compared last.

        Args:
            comparison: what ``compare`` said of it.
            foreign: ``(GRID, GRID) bool`` cells that something stands before; they are taken in
                very slowly.
            elapsed_s: time since the look before.
        """
        seen, hidden = comparison.in_view, comparison.hands | foreign
        own = seen & ~hidden & (comparison.strength < _OWN)
        first = elapsed_s / (self._watched_s + elapsed_s + 1e-6)
        follow = np.maximum(first, share_after(elapsed_s, _LEARN_S))
        absorb = np.where(self._watched_s > 0.0, share_after(elapsed_s, _ABSORB_S), 0.0)
        rate = np.where(own, follow, np.where(seen, absorb, 0.0)).astype(np.float32)
        if self._usual is None:
            self._usual = self._aligned.copy()
        self._usual += rate[..., None] * (self._aligned - self._usual)
        self._watched_s += np.float32(elapsed_s) * own

    def _light_change(
        self, look: NDArray[np.float32], use: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """The smooth change from the plate's light to that of a look, ``(GRID, GRID, 3)``.

        Iteratively reweighted least squares with the weights of Geman and McClure.
        """
        if self._usual is None or np.count_nonzero(use) < _MIN_FIT_CELLS:
            return np.zeros_like(look)
        # A part of the cells says as much about six numbers as all of them.
        chosen = np.flatnonzero(use)[::_FIT_STEP]
        terms = self._tables.light_change[chosen]
        apart = (look - self._usual).reshape(-1, 3)[chosen]
        fitted = np.median(apart, axis=0)[None]
        coefficients = np.zeros((terms.shape[1], 3), np.float32)
        for _ in range(_FIT_ROUNDS):
            rest = (apart - fitted) / _FIT_SCALE
            weight = 1.0 / (1.0 + np.einsum("ic,ic->i", rest, rest)) ** 2
            weighted = terms.T * weight
            ridge = 1e-2 * np.eye(len(weighted), dtype=np.float32)
            coefficients = np.linalg.solve(weighted @ terms + ridge, weighted @ apart)
            fitted = terms @ coefficients
        whole = self._tables.light_change @ coefficients
        return np.asarray(whole.reshape(look.shape), np.float32)


def _look(colours: Colours) -> NDArray[np.float32]:
    """Log brightness, and log ratios of blue and red to green."""
    logs = np.log(colours + np.float32(_BLACK))
    return np.stack(
        [logs @ LUMA, logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]], axis=-1
    )


def _normals(mesh: FaceMesh) -> NDArray[np.float32]:
    """Outward normals of the neutral face at its points, ``(468, 3) f32``."""
    a, b, c = (mesh.neutral[mesh.skin[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a)
    summed = np.stack(
        [
            np.bincount(mesh.skin.ravel(), np.repeat(faces[:, axis], 3), len(mesh.neutral))
            for axis in range(3)
        ],
        axis=1,
    )
    # The tip of the nose looks into the camera, against z.
    outward = summed if summed[4, 2] < 0 else -summed
    return np.asarray(outward, np.float32)
