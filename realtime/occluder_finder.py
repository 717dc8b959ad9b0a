"""One face at a time: from hands and foreign colours to the mask of what stands in front."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from engines.models.square_crop import SquareCrop
from realtime.carried_mask import blend_in_time, square_of
from realtime.edge_fit import fit_to_edges
from realtime.face_mesh import OVAL, FaceMesh
from realtime.face_plate import FacePlate, PlateTables, Strength, build_plate_tables
from realtime.face_zones import FaceZones
from realtime.foreign_region import Cells, foreign_cells
from realtime.frame import Face, Image, Occluder, Points
from realtime.geometry import Matrix, apply, fit_head
from realtime.hand_mask import draw_hand
from realtime.memory import Memory
from realtime.skin_light import GRID, SkinLight
from realtime.tracks import share_after

_LOOK_NS, _BUSY_LOOK_NS = 80_000_000, 45_000_000
"""How often a face is compared with its plate: with nothing foreign on it, and otherwise."""

_RISE_MS, _FALL_MS = 25.0, 25.0
"""Half-lives with which a mask comes and goes."""

_SETTLE_MS = 90.0
"""Half-life with which the strength of a cell is averaged for things that no hand holds."""

_EDGE_RADIUS = 0.025
"""How far the mask's edge may snap to the picture's, in sides of the crop."""

_OVERHANG = 0.05
"""How far a thing is taken to go on beyond the face's outline, in sides of the crop."""

_ALARM_CELLS = 20
"""So many foreign cells make the search for hands hurry."""

Mask = NDArray[np.uint8]


@dataclass(slots=True)
class OccluderMemory:
    """What is remembered of one tracked face.

    Attributes:
        plate: its usual look.
        settled: how foreign its cells were over the last frames.
        cells: where something foreign was last seen.
        mask: ``(S, S) u8`` of the frame before; None where nothing was in front.
        crop_from_image: ``(2, 3) f64``, where that mask belongs.
        seen_ns, looked_ns: when the face was last handled, and compared with its plate.
        alarmed: whether cells looked foreign, whatever became of them.
    """

    plate: FacePlate
    seen_ns: int
    settled: Strength = field(default_factory=lambda: np.zeros((GRID, GRID), np.float32))
    cells: Cells = field(default_factory=lambda: np.zeros((GRID, GRID), bool))
    mask: Mask | None = None
    crop_from_image: Matrix = field(default_factory=lambda: np.eye(2, 3))
    looked_ns: int | None = None
    alarmed: bool = False


class OccluderFinder:
    """Holds the tables and the scratch; belongs to one thread."""

    def __init__(
        self,
        mesh: FaceMesh,
        zones: FaceZones,
        light: SkinLight,
        *,
        mask_px: int,
        objects: bool,
        memory: Memory,
    ) -> None:
        """Builds the tables.

        Args:
            mesh, zones, light: of the face.
            mask_px: side of the masks.
            objects: look for other things than hands.
            memory: gives out the scratch.
        """
        self._mesh = mesh
        self._light = light
        self._objects = objects
        self._crop = SquareCrop(mask_px)
        self._tables: PlateTables = build_plate_tables(mesh, zones, light)
        self._values = np.empty((len(mesh.layout), 3), np.float32)
        self._values[:, :2] = mesh.layout * np.float32(GRID) - np.float32(0.5)
        self._values[:, 2] = 1.0
        half = mask_px // 2
        self._surface = memory.host((half, half, 3), np.float32)
        self._depth = memory.host((half, half), np.float32)
        self._hands = memory.host((mask_px, mask_px), np.uint8)

    def remember(self, now_ns: int) -> OccluderMemory:
        """The empty memory of a new face."""
        return OccluderMemory(FacePlate(self._tables), now_ns)

    def find(
        self,
        image: Image,
        face: Face,
        hands: list[NDArray[np.float32]],
        memory: OccluderMemory,
        now_ns: int,
    ) -> Occluder | None:
        """What stands in front of a face.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            face: seen in this frame.
            hands: ``(21, 3)`` image pixels each.
            memory: of this face; is brought up to date.
            now_ns: time of the frame.
        """
        elapsed_ms = max(now_ns - memory.seen_ns, 0) / 1e6
        memory.seen_ns = now_ns
        is_clear = not hands and memory.mask is None and not memory.cells.any()
        if is_clear and not self._look_is_due(memory, now_ns, has_hand=False):
            return None
        square = square_of(face)
        crop_from_image = square.crop_from_image(self._crop.crop_px)
        points = np.asarray(apply(crop_from_image, face.landmarks[:, :2]), np.float32)
        has_hand = self._draw_hands(hands, crop_from_image, points)
        look = self._look_is_due(memory, now_ns, has_hand=has_hand)
        if is_clear and not look:
            return None
        crop = self._crop.cut(image, square)
        if look:
            self._look(crop, face, points, memory, now_ns)
        mask = self._mask_now(crop, face, points, memory, has_hand=has_hand)
        before = (memory.mask, memory.crop_from_image)
        memory.mask = blend_in_time(
            mask, *before, crop_from_image, face.motion, elapsed_ms, (_RISE_MS, _FALL_MS)
        )
        memory.crop_from_image = crop_from_image
        if memory.mask is None:
            return None
        share = hidden_share(memory.mask, points)
        return Occluder(memory.mask, crop_from_image, share) if share > 0.0 else None

    def _look_is_due(self, memory: OccluderMemory, now_ns: int, *, has_hand: bool) -> bool:
        """Whether this frame is compared with the plate."""
        if not self._objects:
            return False
        if memory.looked_ns is None:
            return True
        wait_ns = _BUSY_LOOK_NS if memory.alarmed or has_hand else _LOOK_NS
        return now_ns - memory.looked_ns >= wait_ns

    def _draw_hands(
        self, hands: list[NDArray[np.float32]], crop_from_image: Matrix, points: Points
    ) -> bool:
        """Draws the hands into the scratch mask; True where one comes near the face."""
        self._hands.fill(0)
        if not hands:
            return False
        for hand in hands:
            draw_hand(hand, crop_from_image, out=self._hands)
        low = np.clip(np.floor(points.min(axis=0)), 0, None).astype(int)
        high = np.ceil(points.max(axis=0)).astype(int) + 1
        return bool(self._hands[low[1] : high[1], low[0] : high[0]].any())

    def _look(
        self, crop: Image, face: Face, points: Points, memory: OccluderMemory, now_ns: int
    ) -> None:
        """Compares the face with its plate, and learns."""
        tables, plate = self._tables, memory.plate
        since_ns = 0 if memory.looked_ns is None else now_ns - memory.looked_ns
        memory.looked_ns = now_ns
        # The cells are a few pixels of the crop wide.
        smooth = np.asarray(cv2.blur(crop, (3, 3)), np.uint8)
        at = self._light.spread(points)
        across, down = np.ascontiguousarray(np.moveaxis(at, -1, 0))
        border = cv2.BORDER_REPLICATE
        colours = cv2.remap(smooth, across, down, cv2.INTER_LINEAR, borderMode=border)
        hands = cv2.remap(self._hands, across, down, cv2.INTER_LINEAR) > 0
        toward = -fit_head(face.landmarks).rotation[2].astype(np.float32)
        facing = np.asarray(tables.normals @ toward, np.float32)
        comparison = plate.compare(np.asarray(colours, np.float32), facing, hands, memory.cells)
        share = np.float32(share_after(since_ns / 1e6, _SETTLE_MS))
        memory.settled += share * (comparison.strength - memory.settled)
        memory.cells = foreign_cells(comparison, memory.settled)
        memory.alarmed = int(np.count_nonzero(comparison.strength > 1.0)) >= _ALARM_CELLS
        plate.learn(comparison, memory.cells, since_ns / 1e9)

    def _mask_now(
        self,
        crop: Image,
        face: Face,
        points: Points,
        memory: OccluderMemory,
        *,
        has_hand: bool,
    ) -> Mask | None:
        """The mask as this frame alone has it."""
        if not (has_hand or memory.cells.any()):
            return None
        mask = self._hands.copy() if has_hand else np.zeros_like(self._hands)
        if memory.cells.any():
            np.maximum(mask, self._draw_cells(memory.cells, face, points), out=mask)
        grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)
        return fit_to_edges(mask, grey, max(1, round(_EDGE_RADIUS * self._crop.crop_px)))

    def _draw_cells(self, cells: Cells, face: Face, points: Points) -> Mask:
        """Cells of the map as they lie on the face in the crop, ``(S, S) u8``."""
        depth = face.landmarks[:, 2] - face.landmarks[:, 2].mean()
        scale = np.ptp(points[:, 0]) / max(float(np.ptp(face.landmarks[:, 0])), 1.0)
        rasterize(
            np.asarray((points + 0.5) / 2 - 0.5, np.float32),
            np.asarray(depth * scale / 2, np.float32),
            self._mesh.closed,
            self._values,
            out=self._surface,
            depth=self._depth,
        )
        planes = np.ascontiguousarray(np.moveaxis(self._surface, -1, 0))
        drawn = cv2.remap(
            cells.astype(np.uint8) * np.uint8(255), planes[0], planes[1], cv2.INTER_LINEAR
        )
        drawn[planes[2] < 0.5] = 0
        side = 2 * max(1, round(_OVERHANG * len(drawn))) + 1
        beyond = cv2.dilate(drawn, np.ones((side, side), np.uint8))
        drawn = np.where(planes[2] < 0.5, beyond, drawn)
        size = (self._crop.crop_px, self._crop.crop_px)
        return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def hidden_share(mask: Mask, points: Points) -> float:
    """Share of the face inside its outline that a mask hides, 0..1.

    Args:
        mask: ``(S, S) u8``.
        points: ``(468, 2)`` its pixels, the landmarks.
    """
    outline = np.zeros_like(mask)
    cv2.fillPoly(outline, [np.round(points[list(OVAL)] * 16).astype(np.int32)], (1,), shift=4)
    area = int(outline.sum())
    return float(np.sum(mask * (outline > 0), dtype=np.int64)) / (255.0 * area) if area else 0.0
