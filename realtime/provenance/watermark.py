"""The invisible mark: a faint fixed pattern in the brightness of every picture, and its reading.

Spread spectrum in the sense of Cox et al., Secure Spread Spectrum Watermarking for Multimedia
(1997), made for a live picture: the payload stays the same for a session, so the pattern is made
once and costs a saturating sum for each frame.

The picture is thought of as a grid of blocks, 40 by 22 where it is wide, stretched to its size
whatever that is. A public key chooses a third of the blocks. In each of these twelve low
frequencies of an 8 by 8 cosine transform carry a chip each: one of the 63 bits of a code word, in a
place and with a sign that the key chooses, too. About 55 chips share a bit. A reader adds the chips
of a bit up over the picture and over many pictures.

Why only a third: codecs leave nothing of what is too faint for them. A mark in few blocks, and a
little stronger there, is read as well as a fainter one everywhere, and disturbs half as much.

The key is public, so that anybody can find the mark; so anybody who wants to can remove it, too.
"""

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.mark import add_pattern
from realtime.frame import Image
from realtime.provenance import bch

BLOCK = 8
"""Side of a block in cells of the grid."""

GRIDS = ((40, 22), (32, 24), (28, 28), (24, 32), (22, 40))
"""Columns and rows of blocks: for 16:9, 4:3, square, 3:4 and 9:16; others take the nearest."""

FREQUENCIES = tuple(
    (row, column) for row in range(5) for column in range(5) if 2 <= row + column <= 4
)
"""Row and column in a block's cosine transform: high enough to stand out from the scene's own
light and shade, low enough to survive compression."""

_NUM_LOW = 1 + max(max(place) for place in FREQUENCIES)
"""So many of a block's eight frequencies in each direction are looked at."""

FORMAT_VERSION = 1
"""Version of what the payload means, 0 to 15."""

_KEY = b"rt-swap invisible mark 1"

_ROW_SHARE = 3
"""Of so many blocks beside each other one carries the mark; which one, differs from row to row."""

_VERSION_SHIFT = 32

SHARES = (0.0, 0.5, 1.0, 1.25, 2.0)
"""How strong the mark may be in a block: not at all, half, in full, and more than that."""

FULL = 2
"""Index of the strength that is usual."""

_NARROW_PX, _WIDE_PX = 16.0, 48.0
_SIZE_POWER = 0.65

_LEAST_LINES = 4
"""Where a cell of the grid has so many lines of the picture, one is kept of the pattern and added
to each: reading the pattern is much of what adding it costs, and readers see the mean only."""

_MAX_REDRAWN = 128
"""So many blocks are drawn anew for a picture, the weakest first: the rest waits for the next."""

Floats = NDArray[np.float32]

Strengths = NDArray[np.uint8]
"""``(rows, columns) u8``, of each block the index of its strength in ``SHARES``."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What the mark says.

    Attributes:
        session: 0 up to 2**32 - 1, drawn at random for each run.
        version: 0..15, of this format.
    """

    session: int
    version: int = FORMAT_VERSION

    def word(self) -> bch.Bits:
        """The code word that is spread over the picture.

        Raises:
            ValueError: a number is out of its range.
        """
        if not 0 <= self.session < 1 << _VERSION_SHIFT or not 0 <= self.version < 16:
            raise ValueError("mark: the session must have 32 bits and the version 4, got more.")
        return bch.encode(self.version << _VERSION_SHIFT | self.session)

    @classmethod
    def of_word(cls, word: bch.Bits) -> "Payload":
        """What a code word says."""
        message = bch.message_of(word)
        return cls(message & (1 << _VERSION_SHIFT) - 1, message >> _VERSION_SHIFT)


@dataclass(frozen=True, slots=True)
class Chips:
    """Which bit each chip carries, and with which sign.

    Attributes:
        bits: ``(rows, columns, 12) i64`` 0..62; without meaning where there is no chip.
        signs: ``(rows, columns, 12) f32``, -1 or 1, and 0 where there is no chip.
    """

    bits: NDArray[np.int64]
    signs: Floats


def nearest_grid(width: int, height: int) -> tuple[int, int]:
    """The grid whose shape is nearest to that of a picture."""
    return min(GRIDS, key=lambda grid: abs(np.log(width * grid[1] / (height * grid[0]))))


def draw_chips(grid: tuple[int, int]) -> Chips:
    """The chips of a grid; the same for everybody, on every machine and with every NumPy."""
    columns, rows = grid
    carriers = _draw_carriers(grid)
    count = len(FREQUENCIES) * int(carriers.sum())
    noise = _noise(b"chips", grid, count)
    # Shuffled and dealt out in turn, so that every bit has the same number of chips but for one.
    dealt = np.empty(count, np.int64)
    dealt[np.argsort(noise, kind="stable")] = np.arange(count) % bch.LENGTH
    bits = np.zeros((rows, columns, len(FREQUENCIES)), np.int64)
    signs = np.zeros(bits.shape, np.float32)
    bits[carriers] = dealt.reshape(-1, len(FREQUENCIES))
    signs[carriers] = np.where(noise & 1, 1, -1).reshape(-1, len(FREQUENCIES))
    return Chips(bits, signs)


def _draw_carriers(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Which blocks carry chips, ``(rows, columns)``: one of those side by side in a group."""
    columns, rows = grid
    groups = -(-columns // _ROW_SHARE)
    chosen = _noise(b"blocks", grid, rows * groups).reshape(rows, groups) % _ROW_SHARE
    places = np.arange(groups) * _ROW_SHARE + chosen.astype(np.int64)
    carriers = np.zeros((rows, groups * _ROW_SHARE), np.bool_)
    np.put_along_axis(carriers, places, values=True, axis=1)
    return carriers[:, :columns]


def _noise(what: bytes, grid: tuple[int, int], count: int) -> NDArray[np.uint64]:
    """Random numbers that follow from the key."""
    stream = hashlib.shake_256(_KEY + bytes(grid) + what).digest(8 * count)
    return np.frombuffer(stream, "<u8").astype(np.uint64)


def draw_pattern(payload: Payload, size: tuple[int, int], amplitude: float) -> Floats:
    """The pattern that is added to the brightness of every picture.

    Args:
        payload: what it says.
        size: width and height of the pictures in pixels.
        amplitude: of each chip; the pattern's root mean square is about 0.43 times that in the
            blocks that carry chips, a quarter of it over the whole picture.

    Returns:
        ``(H, W) f32`` levels.
    """
    grid = nearest_grid(*size)
    chips = draw_chips(grid)
    polarity = 1 - 2 * np.array(payload.word(), np.float32)
    blocks = np.zeros((grid[1], grid[0], BLOCK, BLOCK), np.float32)
    for index, (row, column) in enumerate(FREQUENCIES):
        blocks[:, :, row, column] = (
            amplitude * chips.signs[..., index] * polarity[chips.bits[..., index]]
        )
    basis = _cosines()
    cells = basis.T @ blocks @ basis
    flat = cells.transpose(0, 2, 1, 3).reshape(grid[1] * BLOCK, grid[0] * BLOCK)
    return np.asarray(cv2.resize(flat, size, interpolation=cv2.INTER_CUBIC), np.float32)


def chip_amplitude(size: tuple[int, int], amplitude: float) -> float:
    """The amplitude that a mark needs in pictures of a size.

    What compression leaves of a chip grows with the side of its block, as fewer of a codec's own
    frequencies share it. So it may be fainter where pictures are larger; how much was measured.

    Args:
        size: width and height of the pictures in pixels.
        amplitude: where blocks are at most 16 pixels wide; beyond 48 it gets no fainter, as too
            little of it would survive the rounding to whole levels.
    """
    columns, rows = nearest_grid(*size)
    block_px = math.sqrt(size[0] * size[1] / (columns * rows))
    block_px = min(max(block_px, _NARROW_PX), _WIDE_PX)
    return float(amplitude * (_NARROW_PX / block_px) ** _SIZE_POWER)


class Watermark:
    """Adds one pattern to pictures of one size, in each block as strongly as is asked for.

    Args:
        payload: what it says.
        size: width and height in pixels.
        amplitude: of each chip, in levels; see ``draw_pattern``.
    """

    def __init__(self, payload: Payload, size: tuple[int, int], amplitude: float) -> None:
        columns, rows = nearest_grid(*size)
        width, height = size
        lines = height // (rows * BLOCK)
        self._step = lines if lines >= _LEAST_LINES else 1
        pattern = _thinned(draw_pattern(payload, size, amplitude), self._step)
        self._drawn = tuple(_whole_levels(share * pattern) for share in SHARES)
        self._pattern = self._drawn[FULL].copy()
        self._strengths: Strengths = np.full((rows, columns), FULL, np.uint8)
        self._lefts = np.rint(np.arange(columns + 1) * width / columns).astype(int)
        self._tops = np.rint(np.arange(rows + 1) * height / rows / self._step).astype(int)
        self._tops[-1] = len(pattern)

    def begin(self, strengths: Strengths) -> None:
        """Draws all blocks anew, before the first picture.

        Args:
            strengths: of each block.
        """
        self._redraw(np.argwhere(strengths != self._strengths), strengths)

    def add(self, image: Image, strengths: Strengths | None = None) -> None:
        """Adds the pattern in place.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the size told at the beginning.
            strengths: what the blocks should have; where many change they follow within a few
                pictures. None: as before, in full at the beginning.
        """
        # Comparing bytes is the quickest way to see that nothing has changed, as is usual.
        if strengths is not None and strengths.tobytes() != self._strengths.tobytes():
            blocks = np.argwhere(strengths != self._strengths)
            if len(blocks) > _MAX_REDRAWN:
                weakest = np.argsort(strengths[tuple(blocks.T)], kind="stable")
                blocks = blocks[weakest[:_MAX_REDRAWN]]
            self._redraw(blocks, strengths)
        add_pattern(image, self._pattern, self._step)

    def _redraw(self, blocks: NDArray[np.intp], strengths: Strengths) -> None:
        """Draws some blocks, ``(N, 2)`` rows and columns, as strong as they should be."""
        for row, column in blocks:
            part = (
                slice(self._tops[row], self._tops[row + 1]),
                slice(self._lefts[column], self._lefts[column + 1]),
            )
            strength = strengths[row, column]
            self._pattern[part] = self._drawn[strength][part]
            self._strengths[row, column] = strength


def _thinned(pattern: Floats, step: int) -> Floats:
    """The middle of so many lines at a time; the last of them may have fewer."""
    middles = np.arange(step // 2, len(pattern) + step // 2, step)
    return pattern[np.minimum(middles, len(pattern) - 1)]


def _whole_levels(pattern: Floats) -> NDArray[np.int8]:
    """The same level in blue, green and red, so that brightness changes and colour does not."""
    levels = np.clip(np.rint(pattern), -127, 127).astype(np.int8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def transform(grey: Floats, grid: tuple[int, int]) -> Floats:
    """The frequencies of each block that carry chips.

    Args:
        grey: ``(..., rows * 8, columns * 8) f32``: one picture or several.
        grid: columns and rows of blocks.

    Returns:
        ``(..., rows, columns, 12) f32``.
    """
    columns, rows = grid
    # Whole rows of blocks at a time: products of many small matrices are slow.
    down = _LOW_COSINES @ grey.reshape(-1, BLOCK, columns * BLOCK)
    both = down.reshape(-1, BLOCK) @ _LOW_COSINES_ACROSS
    low = both.reshape(-1, _NUM_LOW, columns, _NUM_LOW).transpose(0, 2, 1, 3)
    places = [row * _NUM_LOW + column for row, column in FREQUENCIES]
    found = np.take(low.reshape(-1, columns, _NUM_LOW**2), places, axis=2)
    shape = (*grey.shape[:-2], rows, columns, len(FREQUENCIES))
    return np.asarray(found, np.float32).reshape(shape)


def _cosines() -> Floats:
    """The orthonormal 8-point cosine transform (DCT-II), a frequency in each row."""
    frequency = np.arange(BLOCK)[:, None]
    place = np.arange(BLOCK)[None, :]
    basis = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * place + 1) * frequency / (2 * BLOCK))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


_LOW_COSINES = _cosines()[:_NUM_LOW]
_LOW_COSINES_ACROSS = np.ascontiguousarray(_LOW_COSINES.T)
