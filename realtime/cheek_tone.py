"""Keeps the tone of a target's cheeks on the drawn ones, whatever the texture shows there.

The light that is measured on the target is that of plain skin, and no texture is plain: a person's
cheeks lie in the shade of their own bones, and on another face they are drawn a little aside. So
the drawn cheeks are compared with those of the picture, and the light on them and smoothly around
is changed by what they are off. What a person's cheeks are against the rest of the face may come
along, and their tone is still the target's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import FaceMesh
from realtime.face_texture import TONE_OFFSET
from realtime.frame import Image, Points
from realtime.skin_light import GRID, Colours, Weights

_ASIDE, _DOWN = 0.18, 0.49
"""Where the front of a cheek lies, from the middle line and from the upper edge, in map widths."""

_SIZE, _SPREAD = 0.03, 0.12
"""How large it is, and how far around it the light is changed: deviations in map widths."""

_REACH = 0.035
"""Half the side of the squares that are compared, in face widths."""

_MOST = 0.15
"""Largest change of a cheek's light, in logarithms; beyond it what lies beside the cheek would be
too bright or too dark."""

_LEAST_SHARE = np.float32(1e-6)
"""What counts for less of a cheek is left out."""

_LEAST_SKIN = 0.3
"""How much of a cheek must be seen as skin for it to be compared, 0..1."""

Offsets = NDArray[np.float32]
"""``(2, 3) f32``: log of the change of light on the cheek in the left half of the map, and on the
other, BGR."""


@dataclass(frozen=True, slots=True)
class Lit:
    """A picture of a face and the light on it.

    Attributes:
        picture: ``(h, w, 3) u8 BGR``.
        light: on plain skin.
    """

    picture: Image
    light: Colours


class CheekTone:
    """Compares cheeks and changes light; holds tables only and may be shared."""

    def __init__(self, mesh: FaceMesh) -> None:
        """Prepares the tables of a mesh."""
        down, across = ((np.mgrid[:GRID, :GRID] + 0.5) / GRID).astype(np.float32)
        middles = np.array([(0.5 - _ASIDE, _DOWN), (0.5 + _ASIDE, _DOWN)], np.float32)
        cells = np.stack([across, down], axis=-1)[None] - middles[:, None, None]
        apart = np.square(cells).sum(axis=-1)
        near = np.exp(apart / (-2.0 * _SPREAD**2))
        near /= np.maximum(near.sum(axis=0), 1.0)
        self._near = np.asarray(near.reshape(2, -1).T, np.float32)
        shares = _shares(apart.reshape(2, -1))
        # What lies farther away counts for nothing.
        self._cells = np.flatnonzero(shares.max(axis=0) > _LEAST_SHARE)
        self._cell_shares = shares[:, self._cells] / shares[:, self._cells].sum(axis=1)[:, None]
        points = np.square(mesh.layout[None] - middles[:, None]).sum(axis=-1)
        self._points = _shares(points)

    def lit(self, light: Colours, offsets: Offsets) -> Colours:
        """The light with its change.

        Args:
            light: of the target.
            offsets: of the face, from ``follow``.
        """
        change = (self._near @ (np.exp(offsets) - np.float32(1.0))).reshape(light.shape)
        change *= light + np.float32(TONE_OFFSET)
        change += light
        return np.asarray(np.maximum(change, np.float32(1.0), out=change), np.float32)

    def follow(
        self,
        offsets: Offsets,
        drawn: Lit,
        target: Lit,
        landmarks: Points,
        width_px: float,
        skin: Weights,
        share: float,
    ) -> Offsets:
        """The change of light that brings the cheeks just drawn to those of the picture.

        Args:
            offsets: the change with which they were drawn.
            drawn, target: what was drawn, and what it is laid over, of one size; each with its
                light, for that of the drawn face may lag behind on purpose.
            landmarks: ``(468, 3)`` of the target, in pixels of both.
            width_px: size of the target's face in them.
            skin: how far each cell of the target is seen, and is skin.
            share: how far this frame counts, 0..1.
        """
        reach_px = max(2, round(_REACH * width_px))
        middles = (self._points @ landmarks[:, :2]).tolist()
        shown = (self._cell_shares @ skin.ravel().take(self._cells)).tolist()
        lights = [
            (self._cell_shares @ one.light.reshape(-1, 3).take(self._cells, axis=0)).tolist()
            for one in (drawn, target)
        ]
        changed = offsets.tolist()
        for cheek, (x, y) in enumerate(middles):
            rows, columns = _around(y, reach_px), _around(x, reach_px)
            patches = [one.picture[rows, columns] for one in (drawn, target)]
            if shown[cheek] < _LEAST_SKIN or not patches[0].size:
                continue
            # What the target's cheek is over its light, less what the drawn one is over its.
            above, over = (
                _over(cv2.mean(patch), light[cheek])
                for patch, light in zip(patches, lights, strict=True)
            )
            changed[cheek] = [
                min(max(before + share * (wanted - got), -_MOST), _MOST)
                for before, got, wanted in zip(changed[cheek], above, over, strict=True)
            ]
        return np.array(changed, np.float32)


def _shares(apart: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each place counts for either cheek, ``(2, N) f32``, from squares of its distance."""
    shares = np.exp(apart / (-2.0 * _SIZE**2))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def _over(colour: Sequence[float], light: Sequence[float]) -> list[float]:
    """What a colour is over the light on it, as the log of each channel; a fourth has no light."""
    return [
        math.log((shown + TONE_OFFSET) / (lit + TONE_OFFSET))
        for shown, lit in zip(colour, light, strict=False)
    ]


def _around(middle: float, reach_px: int) -> slice:
    """Rows or columns around a place, as far as they are not before the first."""
    return slice(max(math.floor(middle) - reach_px, 0), max(math.floor(middle) + reach_px + 1, 0))
