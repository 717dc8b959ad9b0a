"""The mesh of the 468 face landmarks: which points form triangles, and a flat map of the face.

The numbers of the points are those of the MediaPipe face landmark model. The flat layout and the
neutral shape are averages over the landmarks of 162 frontal portraits of people who do not exist,
made symmetric; the triangles come from the model's own package.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from realtime.errors import EngineError

NUM_POINTS = 468

# Rings of points, each in the order in which they lie around their opening.
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
INNER_LIPS = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
OUTER_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
NOSTRILS = (98, 97, 2, 326, 327)
NOSE_OUTLINE = (168, 129, 358, 2, 98, 327, 48, 278)
BROW_LINE = (127, 70, 63, 105, 66, 107, 9, 336, 296, 334, 293, 300, 356)
"""Upper edge of the brows from temple to temple."""

EYES = (RIGHT_EYE, LEFT_EYE)
"""Rings of lids, each from the outer corner along the lower lid, and back along the upper one."""

OPENINGS = (*EYES, INNER_LIPS)
"""Rings whose inside belongs to the person in front of the camera: eyeballs, teeth, tongue."""

_LIST = re.compile(r"^FACEMESH_TESSELATION\s*=\s*frozenset\(\[(.*?)\]\)", re.DOTALL | re.MULTILINE)
_EDGE = re.compile(r"\(([0-9]{1,3}),\s*([0-9]{1,3})\)")
_CURE = "Fetch it again: rt-swap models pull face_mesh_connections"

Layout = NDArray[np.float32]
Triangles = NDArray[np.int32]


@dataclass(frozen=True)
class FaceMesh:
    """The mesh; arrays are read-only by convention.

    Attributes:
        skin: ``(852, 3) i32`` triangles of the face without eyes and inner mouth.
        layout: ``(468, 2) f32`` the face spread flat, 0..1, x to the picture's right, y down,
            symmetric about x = 0.5.
        neutral: ``(468, 3) f32`` a frontal face without expression, x right, y down, z away from
            the camera; the outer eye corners are 0.95 apart.
        mirror: ``(468,) i16`` the point on the other side of the face for each point.
    """

    skin: Triangles
    layout: Layout
    neutral: NDArray[np.float32]
    mirror: NDArray[np.int16]

    @cached_property
    def closed(self) -> Triangles:
        """``(898, 3) i32``: ``skin`` with eyes and inner mouth filled."""
        strips = [_strip(ring) for ring in OPENINGS]
        return np.ascontiguousarray(np.vstack([self.skin, *strips]), np.int32)

    def facing(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much the skin at each point looks towards the camera.

        Args:
            points: ``(468, 3)`` with z away from the camera in the scale of x.

        Returns:
            ``(468,) f32``, the cosine between the skin's normal and the line of sight: 1 looks
            into the camera, below 0 looks away.
        """
        # With x and y once more behind z each axis has the two others after it.
        planes = np.empty((5, len(points)), np.float32)
        planes[:3] = points.T
        planes[3:] = planes[:2]
        a, b, c = planes.take(self._corners, axis=1).transpose(1, 0, 2)
        b, c = b - a, c - a
        normals = np.zeros((3, len(self.skin) + 1), np.float32)
        np.multiply(b[1:4], c[2:5], out=normals[:, :-1])
        normals[:, :-1] -= b[2:5] * c[1:4]
        summed = normals.take(self._around, axis=1).sum(axis=1)
        length = np.sqrt((summed * summed).sum(axis=0))
        return np.asarray(
            summed[2] / np.maximum(length, 1e-12) * np.float32(self._turn), np.float32
        )

    @cached_property
    def _corners(self) -> NDArray[np.intp]:
        """``(3, 852)``: the first, second and third corner of each triangle."""
        return np.ascontiguousarray(self.skin.T, np.intp)

    @cached_property
    def _around(self) -> NDArray[np.intp]:
        """``(n, 468)``: the triangles at each point, filled up with the number after the last."""
        found = [np.flatnonzero((self.skin == point).any(axis=1)) for point in range(NUM_POINTS)]
        table = np.full((max(len(some) for some in found), NUM_POINTS), len(self.skin), np.intp)
        for point, some in enumerate(found):
            table[: len(some), point] = some
        return table

    @cached_property
    def _turn(self) -> float:
        """1 where triangles run clockwise in a picture of a face that is looked at, else -1."""
        a, b, c = (self.layout[self.skin[:, corner]] for corner in range(3))
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
        return float(np.sign(np.median(area)))


def load_face_mesh(connections: str) -> FaceMesh:
    """The mesh, from the landmark model's list of connections.

    Args:
        connections: text of the model package's list; it is read as data and never run.

    Raises:
        EngineError: the list does not hold the 852 triangles of the 468 landmarks.
    """
    found = _LIST.search(connections)
    pairs = _EDGE.findall(found.group(1)) if found else []
    if len(pairs) != 2556:
        raise EngineError(
            f"face mesh: the list must hold 2556 connections, got {len(pairs)}. {_CURE}"
        )
    rounds = np.array(pairs, np.int32).reshape(-1, 3, 2)
    is_triangle = (rounds[:, :, 1] == np.roll(rounds[:, :, 0], -1, axis=1)).all(axis=1)
    if not is_triangle.all():
        raise EngineError(
            "face mesh: every three connections must form a triangle, "
            f"got {np.count_nonzero(~is_triangle)} threes that do not. {_CURE}"
        )
    if rounds.max() >= NUM_POINTS:
        raise EngineError(
            f"face mesh: landmarks are numbered to {NUM_POINTS - 1}, got {rounds.max()}. {_CURE}"
        )
    with resources.files("realtime").joinpath("face_mesh.npz").open("rb") as file:
        tables = np.load(file)
        return FaceMesh(
            skin=np.ascontiguousarray(rounds[:, :, 0]),
            layout=tables["layout"],
            neutral=tables["neutral"],
            mirror=tables["mirror"],
        )


def _strip(ring: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Triangles that fill a ring by going to and fro between its two sides."""
    triangles = []
    low, high = 0, len(ring) - 1
    while high - low > 1:
        triangles.append((ring[low], ring[low + 1], ring[high]))
        low += 1
        if high - low > 1:
            triangles.append((ring[low], ring[high - 1], ring[high]))
            high -= 1
    return triangles
