"""What FuseNet is trained with: drawn pairs of people, and sequences made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime.geometry import Matrix, apply, invert
from tools.fusenet_disturb import Plane, Random
from tools.fusenet_motion import CELL_PX
from tools.judge import ARCFACE_PX


@dataclass(frozen=True, slots=True)
class Pairs:
    """What ``tools.fusenet_data`` wrote; arrays are indexed by person or by pair.

    Attributes:
        canvas, landmarks, points, embedding: of each person.
        target, source: numbers of the persons of each pair.
        picture: ``(C, C, 3) u8`` the target, eyes and mouth where the drawn ones are.
        face, alpha: ``(C, C, 3)`` and ``(C, C) u8``, the source drawn on it.
    """

    canvas: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    points: NDArray[np.float32]
    embedding: NDArray[np.float32]
    target: NDArray[np.int64]
    source: NDArray[np.int64]
    picture: NDArray[np.uint8]
    face: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is of another kind.
        """
        with np.load(path) as given:
            missing = [one.name for one in fields(cls) if one.name not in given]
            if missing:
                raise ValueError(f"{path}: must be of tools.fusenet_data, got no {missing[0]}.")
            return cls(**{one.name: given[one.name] for one in fields(cls)})

    @property
    def selves(self) -> NDArray[np.int64]:
        """The pairs in which somebody is drawn on themselves."""
        return np.flatnonzero(self.target == self.source)

    @property
    def others(self) -> NDArray[np.int64]:
        """The pairs in which somebody is drawn on somebody else."""
        return np.flatnonzero(self.target != self.source)


@dataclass(frozen=True, slots=True)
class Shots:
    """Some sequences; arrays begin with ``(sequences, frames)``, f32, S is the network's side.

    Attributes:
        render, validity, context, keep: the network's inputs, ``(..., 3 or 1, S, S)``.
        truth: ``(..., 3, S, S)`` what the picture shows, without noise.
        hidden: ``(..., 1, S, S)`` where something stands in front, really.
        zones: ``(..., 2, S, S)`` bare skin and outer rim, see ``tools.fusenet_zones``.
        flow: ``(..., S, S, 2)`` pixels: what is at p was at p + flow in the frame before; 0 in the
            first.
        confidence: ``(..., 1, S/4, S/4)`` trust in it; 0 in the first.
        arcface: ``(..., 2, 3)`` matrix arcface_from_crop of the target's points.
        embedding: ``(sequences, 128)`` of the one who was drawn.
        own: ``(sequences,)`` 1 where that is the target.
    """

    render: Plane
    validity: Plane
    context: Plane
    keep: Plane
    truth: Plane
    hidden: Plane
    zones: Plane
    flow: Plane
    confidence: Plane
    arcface: Plane
    embedding: Plane
    own: Plane


def cut_out(random: Random, parts: dict[str, Plane], side: int, patch_px: int) -> dict[str, Plane]:
    """A part of every picture of a sequence, at whole cells of the memory."""
    left, top = (CELL_PX * random.integers((side - patch_px) // CELL_PX + 1, size=2)).tolist()
    rows, columns = slice(top, top + patch_px), slice(left, left + patch_px)
    cells = [slice(one.start // CELL_PX, one.stop // CELL_PX) for one in (rows, columns)]
    cut = dict(parts)
    for name in ("render", "validity", "context", "keep", "truth", "hidden", "zones"):
        cut[name] = parts[name][..., rows, columns]
    cut["flow"] = parts["flow"][:, rows, columns]
    cut["confidence"] = parts["confidence"][..., cells[0], cells[1]]
    arcface = parts["arcface"].copy()
    arcface[..., 2] += arcface[..., :2] @ np.array([left, top], np.float32)
    cut["arcface"] = arcface
    return cut


def arcface_grid(arcface_from_crop: Sequence[Matrix] | Plane, side_px: int) -> Plane:
    """Where ``grid_sample`` (corners not aligned) finds a recogniser's crop in the network's.

    Args:
        arcface_from_crop: ``(N, 2, 3)``.
        side_px: of the network's pictures.

    Returns:
        ``(N, 112, 112, 2) f32``, -1 … 1.
    """
    y, x = np.mgrid[:ARCFACE_PX, :ARCFACE_PX].astype(np.float64)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    grids = [apply(invert(np.asarray(one, np.float64)), pixels) for one in arcface_from_crop]
    scaled = (2 * np.stack(grids) + 1) / side_px - 1
    return np.asarray(scaled, np.float32).reshape(-1, ARCFACE_PX, ARCFACE_PX, 2)
