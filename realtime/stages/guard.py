"""Fail closed: nobody's own face leaves the engine because something went wrong.

The guard looks at every frame last, whatever happened before. A picture passes as it is only when
no stage failed, a face was seen in this very frame, and every face seen was swapped. All else is
hidden: single faces where others are fine, else the whole picture.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from realtime.frame import Face, FaceState, Frame, Image, PictureSpec, Points
from realtime.geometry import fit_similarity
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.slate import draw_slate

_REGION_GROWTH = 1.6
"""Side of the hidden region over that of the box around the landmarks: hair, chin, ears too."""

_LOST_GROWTH_HZ = 1.0
"""How much that factor grows per second for a face that is lost and may have moved."""

_RIM = 0.1
"""Width of the soft rim around a held face, in widths of the region."""

_MAX_REGION_GROWTH = 3.0
_REGION_CELLS = 8
"""A hidden region keeps 8 x 8 colours, so the face in it about 5 x 5."""

_PICTURE_ROWS = 16
"""A hidden picture keeps 16 rows of colours, too few to know even a face that fills it."""


class GuardConfig(BaseModel, frozen=True, extra="forbid"):
    """What is shown where a picture must not be.

    Attributes:
        on_loss: ``hold`` keeps the last good face where the picture moves to, or repeats the last
            good picture where that cannot be told, then blurs, then shows the slate; ``blur``
            blurs at once and stays so; ``slate`` shows the slate at once; ``pass`` shows the raw
            picture where no face is seen, but never after a failure or with a face not swapped,
            where it does as ``hold``.
        hold_ms: how long the last good picture is held.
        blur_ms: how long the blurred picture is shown after that.
    """

    on_loss: Literal["hold", "blur", "slate", "pass"] = "hold"
    hold_ms: int = Field(default=500, ge=0, le=10_000)
    blur_ms: int = Field(default=2000, ge=0, le=600_000)


class _Verdict(Enum):
    """What may be seen of a frame."""

    SHOW = "show"
    HIDE_REGIONS = "hide regions"
    NO_FACE = "no face"
    HIDE = "hide"


@dataclass(frozen=True, slots=True)
class _Region:
    """Pixels ``[top:bottom, left:right]``, never empty."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class _Patch:
    """A swapped face, kept while its surroundings are hidden.

    Attributes:
        pixels: ``(h, w, 3) u8``, a copy.
        mask: ``(h, w) u8``, 255 on the face.
        place: where it belongs, a view into the picture.
    """

    pixels: Image
    mask: NDArray[np.uint8]
    place: Image


class Guard:
    """The last stage. It keeps a copy of the last good picture, if the policy may need it."""

    def __init__(self, config: GuardConfig | None = None) -> None:
        self._config = config or GuardConfig()
        self._good: Image | None = None
        self._good_ns: int | None = None
        self._good_faces: dict[int, Points] = {}
        self._lost_ns: int | None = None

    @property
    def name(self) -> str:
        """Name in the statistics."""
        return "guard"

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Takes room for one picture, where the policy holds pictures."""
        self._good_ns = self._lost_ns = None
        self._good_faces = {}
        if self._config.on_loss in ("hold", "pass") and self._config.hold_ms > 0:
            self._good = memory.host((spec.height, spec.width, 3), np.uint8)

    def process(self, frame: Frame) -> None:
        """Hides in place what must not be seen."""
        verdict = _judge(frame)
        regions: list[_Region] = []
        hidden = [face for face in frame.faces if _must_hide(face)]
        if verdict is _Verdict.HIDE_REGIONS:
            located = [_region(face, frame.image) for face in hidden]
            regions = [region for region in located if region is not None]
            if len(regions) < len(located):
                verdict = _Verdict.HIDE
        if verdict is _Verdict.NO_FACE and self._hold_faces(frame):
            return
        if verdict in (_Verdict.SHOW, _Verdict.HIDE_REGIONS):
            if regions:
                _hide_regions(frame, regions)
            self._keep(frame)
        elif verdict is _Verdict.NO_FACE and self._config.on_loss == "pass":
            self._lost_ns = None
        else:
            self._hide(frame)

    def close(self) -> None:
        """Forgets the last good picture."""
        self._good = None
        self._good_ns = self._lost_ns = None
        self._good_faces = {}

    def _keep(self, frame: Frame) -> None:
        self._lost_ns = None
        if self._good is not None:
            np.copyto(self._good, frame.image)
            self._good_ns = frame.media_ns
            self._good_faces = {
                face.track_id: face.landmarks.copy() for face in frame.faces if face.swapped
            }

    def _hold_faces(self, frame: Frame) -> bool:
        """Lays the last good faces where the picture has moved to; False where that is unsure.

        All that would be hidden of a lost face is covered, so nothing of its own comes through.
        """
        hold_ns = self._config.hold_ms * MS_NS
        if self._config.on_loss != "hold" or self._good is None or not frame.faces:
            return False
        if self._good_age_ns(frame) > hold_ns:
            return False
        held = []
        for face in frame.faces:
            then, region = self._good_faces.get(face.track_id), _region(face, frame.image)
            if face.motion is None or then is None or region is None:
                return False
            held.append((then, face.landmarks, region))
        if self._lost_ns is None:
            self._lost_ns = frame.media_ns
        for then, now, region in held:
            _lay_held(self._good, then, now, region, out=frame.image)
        return True

    def _hide(self, frame: Frame) -> None:
        """Covers the whole picture, with less and less of it the longer nothing is good."""
        if self._lost_ns is None or frame.media_ns < self._lost_ns:
            self._lost_ns = frame.media_ns
        hold_ns = self._config.hold_ms * MS_NS
        if self._config.on_loss == "slate":
            self._show_slate(frame)
        elif self._config.on_loss == "blur":
            _hide_picture(frame.image)
        elif self._good is not None and self._good_age_ns(frame) <= hold_ns:
            np.copyto(frame.image, self._good)
        else:
            held_ns = 0 if self._good_ns is None else hold_ns
            if frame.media_ns - self._lost_ns <= held_ns + self._config.blur_ms * MS_NS:
                _hide_picture(frame.image)
            else:
                self._show_slate(frame)

    def _good_age_ns(self, frame: Frame) -> float:
        """Time since the last good picture; infinite without one or when time has jumped back."""
        if self._good_ns is None or frame.media_ns < self._good_ns:
            return math.inf
        return frame.media_ns - self._good_ns

    def _show_slate(self, frame: Frame) -> None:
        draw_slate("Picture hidden" if frame.failed else "No face in view", out=frame.image)


def _must_hide(face: Face) -> bool:
    return face.state is FaceState.LOST or not face.swapped


def _judge(frame: Frame) -> _Verdict:
    if frame.failed:
        return _Verdict.HIDE
    seen = [face for face in frame.faces if face.state is FaceState.SEEN]
    if not seen:
        return _Verdict.NO_FACE
    if not any(face.swapped for face in seen):
        return _Verdict.HIDE
    if any(_must_hide(face) for face in frame.faces):
        return _Verdict.HIDE_REGIONS
    return _Verdict.SHOW


def _region(face: Face, image: Image) -> _Region | None:
    """Where a face that must be hidden can be; None if its box does not say."""
    if not np.isfinite(face.box).all():
        return None
    left, top, right, bottom = (float(edge) for edge in face.box)
    if right <= left or bottom <= top:
        return None
    growth = min(_REGION_GROWTH + _LOST_GROWTH_HZ * face.lost_ns / 1e9, _MAX_REGION_GROWTH)
    half_x, half_y = growth * (right - left) / 2, growth * (bottom - top) / 2
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    height, width = image.shape[:2]
    # At least one pixel at the rim: a face that has just left the picture costs nothing to hide.
    first_x = min(max(math.floor(centre_x - half_x), 0), width - 1)
    first_y = min(max(math.floor(centre_y - half_y), 0), height - 1)
    last_x = min(max(math.ceil(centre_x + half_x), first_x), width - 1)
    last_y = min(max(math.ceil(centre_y + half_y), first_y), height - 1)
    return _Region(first_x, first_y, last_x + 1, last_y + 1)


def _lay_held(good: Image, then: Points, now: Points, region: _Region, *, out: Image) -> None:
    """Lays a part of an earlier picture over a region and a soft rim around it.

    Args:
        good: ``(H, W, 3) u8``, the earlier picture.
        then, now: ``(468, 3)`` landmarks in it and in this one.
        region: what must be covered.
        out: ``(H, W, 3) u8``, written.
    """
    fit = fit_similarity(then[:, :2], now[:, :2])
    rim = max(1, round(_RIM * (region.right - region.left)))
    height, width = out.shape[:2]
    left, top = max(region.left - rim, 0), max(region.top - rim, 0)
    right, bottom = min(region.right + rim, width), min(region.bottom + rim, height)
    out_from_good = fit.b_from_a.copy()
    out_from_good[:, 2] -= (left, top)
    size = (right - left, bottom - top)
    moved = cv2.warpAffine(
        good, out_from_good, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    # The ramp lies outside the region: inside of it nothing shines through.
    inside = np.zeros((bottom - top, right - left), np.uint8)
    inside[region.top - top : region.bottom - top, region.left - left : region.right - left] = 1
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    weight = np.clip(1.0 - away / (rim + 1), 0.0, 1.0).astype(np.float32)
    part = out[top:bottom, left:right]
    part[:] = cv2.blendLinear(
        np.asarray(moved, np.uint8), np.ascontiguousarray(part), weight, 1.0 - weight
    )


def _cut_out(face: Face, image: Image, regions: list[_Region]) -> _Patch | None:
    """The pixels of a swapped face that lies in the way of what must be hidden."""
    if _must_hide(face) or not np.isfinite(face.landmarks).all():
        return None
    limit = np.array([image.shape[1], image.shape[0]])
    left, top = np.clip(np.floor(face.box[:2]), 0, limit).astype(int)
    right, bottom = np.clip(np.ceil(face.box[2:]), 0, limit).astype(int)
    touched = any(
        left < region.right and region.left < right and top < region.bottom and region.top < bottom
        for region in regions
    )
    if not touched or right <= left or bottom <= top:
        return None
    place = image[top:bottom, left:right]
    outline = cv2.convexHull(np.round(face.landmarks[:, :2] - (left, top)).astype(np.int32))
    mask = np.zeros(place.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, outline, (255,))
    return _Patch(place.copy(), mask, place)


def _hide_regions(frame: Frame, regions: list[_Region]) -> None:
    """Hides parts of a picture, but for the swapped faces that lie in the way."""
    swapped = [_cut_out(face, frame.image, regions) for face in frame.faces]
    for region in regions:
        _hide_region(frame.image, region)
    for patch in swapped:
        if patch is not None:
            cv2.copyTo(patch.pixels, patch.mask, patch.place)


def _hide_region(image: Image, region: _Region) -> None:
    """Leaves a few colours of a part of the picture."""
    part = image[region.top : region.bottom, region.left : region.right]
    cells = (min(_REGION_CELLS, part.shape[1]), min(_REGION_CELLS, part.shape[0]))
    part[:] = _coarse(part, cells)


def _hide_picture(image: Image) -> None:
    """Leaves a few colours of the whole picture."""
    height, width = image.shape[:2]
    rows = min(_PICTURE_ROWS, height)
    image[:] = _coarse(image, (max(1, min(width, round(rows * width / height))), rows))


def _coarse(image: Image, cells: tuple[int, int]) -> Image:
    """The picture averaged over so many columns and rows, blurred, and brought back to its size."""
    size = (image.shape[1], image.shape[0])
    # Averaging every pixel of a large picture would take most of a frame's time; a quarter of the
    # rows and columns gives the same few colours.
    quarter = (size[0] // 4, size[1] // 4)
    if quarter[0] > cells[0] and quarter[1] > cells[1]:
        image = np.asarray(cv2.resize(image, quarter, interpolation=cv2.INTER_LINEAR), np.uint8)
    small = cv2.resize(image, cells, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
