"""Where the invisible mark is strong and where it is left out: not on faces; pure.

The pattern stands still. Skin that moves under it would seem to shimmer, so there is none on faces
and half of it beside them. Where faces leave too little room the mark must go on them after all,
half as strong. Where pictures change from one to the next by much, by noise or by cuts, codecs
leave little of a mark and nobody can see a stronger one.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image
from realtime.metrics import MS_NS
from realtime.provenance.watermark import FULL, SHARES, Strengths

_NONE, _HALF, _, LIVELY, RESTLESS = range(len(SHARES))

_LEAST_ROOM, _ENOUGH_ROOM = 0.35, 0.45
"""Shares of the picture, counted by strength, that faces must leave: below the first the mark goes
on faces, above the second it leaves them again."""

_RISE_NS = 300 * MS_NS
"""How long a block must have been free before its mark gets stronger by a step. A face that sways
then makes the mark come and go only once."""

_CHANGES = ((LIVELY, 1.6, 1.3), (RESTLESS, 7.0, 5.0))
"""Strengths, and the mean change of pictures in levels from which on they get them and below which
no more."""

_SAMPLE_PX = 32
_NUM_REMEMBERED = 16
"""Pictures over which change is averaged, so that a single cut counts for little."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""

_Part = tuple[slice, slice]
"""Rows and columns of blocks."""


class Liveliness:
    """Tells by a few of their pixels how much pictures change from one to the next."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._change = 0.0
        self._strength = FULL

    @property
    def strength(self) -> int:
        """What the pictures seen last can bear: ``FULL``, ``LIVELY`` or ``RESTLESS``."""
        return self._strength

    def see(self, image: Image) -> None:
        """Looks at the next picture.

        Args:
            image: ``(H, W, 3) u8 BGR``, of the same size as those before.
        """
        now = np.ascontiguousarray(image[::_SAMPLE_PX, ::_SAMPLE_PX, 1])
        if self._before is not None:
            change = cv2.norm(now, self._before, cv2.NORM_L1) / now.size
            self._change += (change - self._change) / _NUM_REMEMBERED
        self._before = now
        borne = FULL
        for strength, much, little in _CHANGES:
            if self._change > (little if self._strength >= strength else much):
                borne = strength
        self._strength = borne


class MarkStrength:
    """Chooses the strength of each block for each picture of a stream.

    Args:
        size: width and height of the pictures in pixels.
        grid: columns and rows of blocks.
    """

    def __init__(self, size: tuple[int, int], grid: tuple[int, int]) -> None:
        columns, rows = grid
        self._block_px = (size[0] / columns, size[1] / rows)
        self._strengths: Strengths | None = None
        self._wanted: Strengths = np.full((rows, columns), FULL, np.uint8)
        self._waits = np.zeros((rows, columns), np.bool_)
        self._due_ns, self._last_ns = math.inf, 0
        self._since_ns = np.zeros((rows, columns), np.int64)
        self._parts: tuple[_Part, ...] = ()
        self._crowded = False
        self._most = FULL

    def choose(self, faces: Sequence[Box], media_ns: int, *, most: int = FULL) -> Strengths:
        """The strengths in the next picture.

        A block becomes weaker at once and stronger step by step.

        Args:
            faces: where faces are; boxes with numbers that are not finite are left out.
            media_ns: time of the picture.
            most: where nothing speaks against it, as ``Liveliness`` says.

        Returns:
            What stays valid up to the next call, and is changed by it.
        """
        parts = tuple(self._part(box) for box in faces if all(map(math.isfinite, box)))
        is_new = parts != self._parts or most != self._most
        if is_new:
            self._parts, self._most = parts, most
            self._want(parts)
        if self._strengths is None:
            self._strengths = self._wanted.copy()
        elif is_new or media_ns >= self._due_ns or media_ns < self._last_ns:
            self._approach(self._strengths, media_ns)
        self._last_ns = media_ns
        return self._strengths

    def _approach(self, strengths: Strengths, media_ns: int) -> None:
        """Takes one picture's step towards what is wanted."""
        np.minimum(strengths, self._wanted, out=strengths)
        waits = strengths < self._wanted
        # A clip that begins anew has an earlier time.
        begins = waits & (~self._waits | (self._since_ns > media_ns))
        self._since_ns[begins] = media_ns
        rises = waits & (media_ns - self._since_ns >= _RISE_NS)
        strengths[rises] += 1
        self._since_ns[rises] = media_ns
        self._waits = waits
        since_ns = self._since_ns[waits]
        self._due_ns = float(since_ns.min()) + _RISE_NS if since_ns.size else math.inf

    def _want(self, parts: tuple[_Part, ...]) -> None:
        """Sets what each block should have with faces on these blocks."""
        self._wanted.fill(self._most)
        for rows, columns in parts:
            beside = self._wanted[_wider(rows), _wider(columns)]
            np.minimum(beside, _HALF, out=beside)
        for part in parts:
            self._wanted[part] = _NONE
        room = float(np.minimum(self._wanted, FULL).mean()) / FULL
        self._crowded = room < (_ENOUGH_ROOM if self._crowded else _LEAST_ROOM)
        if self._crowded:
            np.maximum(self._wanted, _HALF, out=self._wanted)

    def _part(self, box: Box) -> _Part:
        """Rows and columns of the blocks that a box touches."""
        left, top, right, bottom = box
        width_px, height_px = self._block_px
        return (
            slice(max(0, math.floor(top / height_px)), max(0, math.ceil(bottom / height_px))),
            slice(max(0, math.floor(left / width_px)), max(0, math.ceil(right / width_px))),
        )


def _wider(part: slice) -> slice:
    """One more on each side, where there is anything."""
    if part.start >= part.stop:
        return part
    return slice(max(0, part.start - 1), part.stop + 1)
