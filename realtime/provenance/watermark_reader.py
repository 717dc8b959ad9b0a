"""Finding the invisible mark in pictures that may have been compressed, resized, cut or mirrored.

Each picture gives two soft values for each chip, one read from the picture itself and one from its
fine detail, where edges leave less and compression more of a trace. Values are added up over
pictures, so that what moves averages out while the mark stays. The bits follow from the sums.

How sure a reading is: its score is the sum of all chips, each with the sign that the word found
gives it, over the root of the sum of their squares. As the signs of the key are random, that is
below ``t`` with a probability of at least ``1 - exp(-t**2 / 2)`` in any picture without the mark
(Hoeffding's inequality), whatever the picture shows. ``MIN_SCORE`` keeps that true for all 2**32
words of a version and a hundred ways of looking at once: a false find in less than one of 10**7
windows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image
from realtime.provenance import bch
from realtime.provenance.watermark import (
    BLOCK,
    FORMAT_VERSION,
    FREQUENCIES,
    GRIDS,
    Chips,
    Floats,
    Payload,
    draw_chips,
    nearest_grid,
    transform,
)

MIN_SCORE = 9.3

_SURE_LEAD = 0.1
"""Lead over score: below 0.1 for what two equally strong marks give, above it for nine of ten marks
that are alone and score 16, and for all with 20. Two words differ in at least 11 of 63 bits."""

_HOST_LEVEL = 2.0
"""Below this strength of a block, in levels of a chip, its detail is no measure of what disturbs
the reading: rounding and compression leave less than that and in places nothing."""

_CLIP_LEVEL = 3 * _HOST_LEVEL
_MAX_HOST_LEVEL = 50.0

_DETAIL_CELLS = 5
"""Side of the median that detail stands out from."""

_DETAIL_LEVEL = 1.0
"""The same as ``_HOST_LEVEL`` for the detail, of which less is left."""

_LEAST_ACTIVITY = np.array([_HOST_LEVEL**2, _DETAIL_LEVEL**2], np.float32).reshape(2, 1, 1, 1)

_MEAN = np.full((len(FREQUENCIES), 1), 1 / len(FREQUENCIES), np.float32)

_TINY = 1e-9

_MAX_SIDE_PX = 640
_NUM_SEARCHED = 6
"""Pictures of a window that are looked at in every way; all are where the size fits."""

_ZOOMS = tuple(1 + 0.007 * step for step in range(1, 18))
"""How far a picture may have been enlarged about its middle; a finer step than the mark needs."""

_ASPECTS = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)
_BAR_LEVEL = 24
"""Brightness up to which a whole row or column counts as a black bar."""

_MIN_CONTENT = 0.2
"""Share of a picture's side that bars must leave to be taken for bars."""

Grey = NDArray[np.uint8]
"""``(h, w) u8``, its longer side at most 640 px."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A mark that was found.

    Attributes:
        payload: what it says.
        score: how sure that is; at least ``MIN_SCORE``, usually above 20.
        num_corrected: how many of the 63 bits were wrong.
        lead: how much lower the next best word scores.
        mirrored: whether left and right are exchanged.
        below: what a fainter mark says that lies under this one, where a picture went through the
            program twice; None without one.
    """

    payload: Payload
    score: float
    num_corrected: int
    lead: float
    mirrored: bool
    below: Payload | None = None

    @property
    def is_sure(self) -> bool:
        """Whether there is no doubt about what it says, beside that there is a mark.

        Where two marks are equally strong many words fit equally well, which say neither.
        """
        return self.lead >= _SURE_LEAD * self.score


@dataclass(frozen=True, slots=True)
class View:
    """Where the marked picture may lie in the one that is seen.

    Attributes:
        left, top, width, height: in pixels of the grey picture; may reach beyond it.
        grid: columns and rows of blocks.
    """

    left: float
    top: float
    width: float
    height: float
    grid: tuple[int, int]


def shrink(image: Image) -> Grey:
    """What the reader needs of a picture.

    Args:
        image: ``(H, W, 3) u8 BGR``, at least one pixel.
    """
    scale = min(1.0, _MAX_SIDE_PX / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


class MarkReader:
    """Finds marks; keeps the key's chips for every shape of picture.

    Args:
        min_score: readings below it count as none; less than ``MIN_SCORE`` serves to find out how
            near pictures without a mark come to it.
    """

    def __init__(self, min_score: float = MIN_SCORE) -> None:
        self._min_score = min_score
        self._chips = {grid: draw_chips(grid) for grid in GRIDS}

    def read(self, pictures: Sequence[Grey]) -> Reading | None:
        """Looks for the mark in pictures of one stream, as they are and in every other view.

        Args:
            pictures: of one size, for example thirty in a row.

        Returns:
            What was found, or None.
        """
        return next(self.readings(pictures), None)

    def readings(self, pictures: Sequence[Grey]) -> Iterator[Reading]:
        """What every view shows, that of the pictures as they are first.

        Args:
            pictures: of one size; none give no reading.
        """
        if not pictures:
            return
        some = pictures[:: math.ceil(len(pictures) / _NUM_SEARCHED)]
        others = ((some, view) for view in other_views(some))
        for seen, view in chain([(pictures, plain_view(pictures[0]))], others):
            reading = self._read_view(seen, view)
            if reading is not None:
                yield reading

    def decode(self, values: Floats, grid: tuple[int, int]) -> Reading | None:
        """Reads sums of chip values as they are and mirrored.

        Args:
            values: ``(2, rows, columns, 12) f32``, of any number of pictures in one view.
            grid: columns and rows of blocks.
        """
        values = _as_one(*(_evened(one) for one in values))
        # A mirrored cosine of odd frequency changes its sign.
        parity = np.array([1 - 2 * (column % 2) for _, column in FREQUENCIES], np.float32)
        for mirrored, seen in ((False, values), (True, values[:, ::-1] * parity)):
            decoded = _decode(seen, self._chips[grid], self._min_score)
            if decoded is not None:
                rest = _without(seen, self._chips[grid], decoded[0])
                second = _decode(rest, self._chips[grid], self._min_score)
                return Reading(*decoded, mirrored, None if second is None else second[0])
        return None

    def _read_view(self, pictures: Sequence[Grey], view: View) -> Reading | None:
        total = np.zeros((2, view.grid[1], view.grid[0], len(FREQUENCIES)), np.float32)
        for picture in pictures:
            total += chip_values(picture, view)
        return self.decode(total, view.grid)


def plain_view(picture: Grey) -> View:
    """The picture as it is."""
    height, width = picture.shape
    return View(0, 0, width, height, nearest_grid(width, height))


def other_views(pictures: Sequence[Grey]) -> Iterator[View]:
    """Every way a picture usually gets another shape.

    Args:
        pictures: of one size, at least one.
    """
    plain = plain_view(pictures[0])
    left, top, width, height = plain.left, plain.top, plain.width, plain.height
    for grid in GRIDS:  # stretched to another shape
        if grid != plain.grid:
            yield View(left, top, width, height, grid)
    content = _content(pictures)
    if content != (0, 0, width, height):  # black bars were added
        yield from _fitting(*content)
    for aspect in _ASPECTS:
        # Cut to another shape, then bars again, as their edges cannot be seen in the dark.
        for larger in (max, min):
            size = (larger(width, height * aspect), larger(height, width / aspect))
            if not np.allclose(size, (width, height)):
                yield _centred(plain, *size, _grid_of(aspect))
    for zoom in _ZOOMS:
        yield _centred(plain, width * zoom, height * zoom, plain.grid)


def _fitting(left: float, top: float, width: float, height: float) -> Iterator[View]:
    """The two grids nearest to the shape of a part of the picture, whose edges are uncertain."""
    ranked = sorted(GRIDS, key=lambda grid: abs(math.log(width * grid[1] / (height * grid[0]))))
    for grid in ranked[:2]:
        yield View(left, top, width, height, grid)


def _grid_of(aspect: float) -> tuple[int, int]:
    """The grid of pictures of this width over height."""
    return nearest_grid(round(aspect * 1000), 1000)


def _centred(plain: View, width: float, height: float, grid: tuple[int, int]) -> View:
    left, top = (plain.width - width) / 2, (plain.height - height) / 2
    return View(left, top, width, height, grid)


def _content(pictures: Sequence[Grey]) -> tuple[int, int, int, int]:
    """Left, top, width and height of what lies between black bars."""
    brightest = np.max(np.stack(pictures), axis=0)
    height, width = brightest.shape
    columns = np.flatnonzero(np.median(brightest, axis=0) > _BAR_LEVEL)
    rows = np.flatnonzero(np.median(brightest, axis=1) > _BAR_LEVEL)
    if not len(columns) or not len(rows):
        return 0, 0, width, height
    left, top = int(columns[0]), int(rows[0])
    inner_width, inner_height = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
    if inner_width < _MIN_CONTENT * width or inner_height < _MIN_CONTENT * height:
        return 0, 0, width, height
    return left, top, inner_width, inner_height


def chip_values(picture: Grey, view: View) -> Floats:
    """How strongly each chip shows in one picture and in its detail.

    Blocks full of detail, where a chip says little, count for less.

    Returns:
        ``(2, rows, columns, 12) f32``; also where there are no chips.
    """
    cells = _cells(picture, view)
    both = np.empty((2, *cells.shape), np.float32)
    both[0] = cells
    cv2.subtract(cells, cv2.medianBlur(cells, _DETAIL_CELLS), dst=both[1], dtype=cv2.CV_32F)
    values = transform(both, view.grid)
    power = np.square(values)
    np.minimum(power[0], _MAX_HOST_LEVEL**2, out=power[0])
    np.clip(values[0], -_CLIP_LEVEL, _CLIP_LEVEL, out=values[0])
    values /= power @ _MEAN + _LEAST_ACTIVITY
    return values


def _as_one(values: Floats, fine: Floats) -> Floats:
    """Both kinds of values, each with the same weight on the whole."""
    powers = (float(np.square(one).mean()) for one in (values, fine))
    weights = [1 / math.sqrt(power) if power > 0 else 0.0 for power in powers]
    return np.asarray(values * weights[0] + fine * weights[1], np.float32)


def _evened(values: Floats) -> Floats:
    """Sums of chip values in which no frequency and no block outweighs the rest.

    What stands out after many pictures is a still background rather than the mark.
    """
    evened = values / (np.sqrt(np.square(values).mean(axis=(0, 1))) + _TINY)
    power = np.square(evened).mean(axis=2, keepdims=True)
    return np.asarray(evened / np.sqrt(power + np.median(power) + _TINY), np.float32)


def _cells(picture: Grey, view: View) -> Grey:
    """The picture, or the part that is meant, on the grid; mid grey where there is none."""
    columns, rows = view.grid[0] * BLOCK, view.grid[1] * BLOCK
    height, width = picture.shape
    if (view.left, view.top, view.width, view.height) == (0, 0, width, height):
        cells = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cells, np.uint8)
    # Pixel centres lie at whole numbers, hence the halves.
    scale_x, scale_y = view.width / columns, view.height / rows
    picture_from_cells = np.array(
        [
            [scale_x, 0, view.left + scale_x / 2 - 0.5],
            [0, scale_y, view.top + scale_y / 2 - 0.5],
        ]
    )
    cells = cv2.warpAffine(
        picture,
        picture_from_cells,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(float(picture.mean()),),
    )
    return np.asarray(cells, np.uint8)


def _decode(
    values: Floats, chips: Chips, min_score: float
) -> tuple[Payload, float, int, float] | None:
    """The best code word near the sums of the bits, if it is beyond doubt."""
    signed = values * chips.signs
    energy = float(np.sqrt(np.square(signed, dtype=np.float64).sum()))
    if energy == 0:
        return None
    sums = np.bincount(chips.bits.ravel(), signed.ravel(), minlength=bch.LENGTH)
    certainty = sums / energy
    # No word can score more than the one that agrees with every bit.
    if np.abs(certainty).sum() < min_score:
        return None
    word, other = bch.likeliest_words(certainty)
    score, next_score = (float((1 - 2 * np.array(one)) @ certainty) for one in (word, other))
    if score < min_score:
        return None
    payload = Payload.of_word(word)
    if payload.version != FORMAT_VERSION:
        return None
    num_corrected = int(np.sum((certainty < 0) != np.array(word, bool)))
    return payload, score, num_corrected, score - next_score


def _without(values: Floats, chips: Chips, payload: Payload) -> Floats:
    """The values without the mark of a payload, as strong as it is on average."""
    polarity = 1 - 2 * np.array(payload.word(), np.float32)
    mark = chips.signs * polarity[chips.bits]
    strength = np.sum(values * mark) / np.count_nonzero(mark)
    return np.asarray(values - strength * mark, np.float32)
