"""Moves a face's colours to those of the picture it is laid into.

By mean and deviation as Reinhard et al. ("Color transfer between images", 2001), or by rank
(histogram specification), each for luma and both chroma of ITU-R BT.601 by itself. What is found is
a shift for each of 256 levels, so that it can follow slowly over many pictures.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Array, Stream, dense, expect_shape, row_step

How = Literal["moments", "ranks"]

SHIFT_SHAPE = (3, 256)
"""Luma, red difference and blue difference; levels."""

COUNTS_SHAPE = (2, 3, 256)
"""The same for the face and for its target."""

_LEVELS = np.arange(256)
_BGR_FROM_SHIFT = np.array([[1, 0, 1.773], [1, -0.714, -0.344], [1, 1.403, 0]], np.float32)
_NUM_BLOCKS = 64
_PIXELS_PER_THREAD = 4
_LEAST_GAIN, _MOST_GAIN = 0.5, 2.0

_MOST_SLOPE = 1.8
"""How much contrast may grow at any level."""

_MOST_SHIFT = 90.0
_SMOOTH_LEVELS = 17

_GREY, _COLOURFUL = 1.2, 3.0
"""Deviation of the chroma, in levels, up to which a picture has none, and from which it has."""


def find_colour_shift(
    face: NDArray[np.uint8],
    target: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    how: How = "moments",
    rate: float = 1.0,
    counts: NDArray[np.uint32],
    shift: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Finds how far each level of a face must move for its colours to be the target's.

    Mean and deviation change contrast by a factor from 0.5 to 2. Where the mask is empty nothing
    is to move.

    Args:
        face, target: ``(H, W, 3) u8 BGR``.
        mask: ``(H, W) u8``; pixels from 128 up are compared.
        how: ``moments`` fits mean and deviation, ``ranks`` the whole distribution.
        rate: 0..1, the part of the way that ``shift`` goes to what is found; 1 forgets it.
        counts: ``COUNTS_SHAPE`` u32 scratch, C-contiguous.
        shift: ``SHIFT_SHAPE`` f32, C-contiguous; is updated.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = mask.shape
    for name, picture in (("face", face), ("target", target)):
        expect_shape(f"find_colour_shift: {name}", picture, (height, width, 3))
    dense("find_colour_shift: counts", counts, COUNTS_SHAPE)
    dense("find_colour_shift: shift", shift, SHIFT_SHAPE)
    if stream is None:
        _count(face, target, mask, counts)
        _move(_wanted_shift(counts, how), rate, shift)
        return
    num = counts.size
    stream.launch(
        "colour_match", "clear_counts", [counts, np.int32(num)], extent=(num, 1, 1), block=LINE
    )
    mask_step = row_step("find_colour_shift: mask", mask, np.uint8, 2)
    for picture, own in zip((face, target), counts, strict=True):
        step = row_step("find_colour_shift: picture", picture, np.uint8, 3)
        stream.launch(
            "colour_match",
            "count_levels",
            [picture, step, mask, mask_step, np.int32(width), np.int32(height), own],
            extent=(LINE[0] * min(_NUM_BLOCKS, height), 1, 1),
            block=LINE,
        )
    stream.launch(
        "colour_match",
        "find_shift",
        [counts, np.int32(how == "ranks"), np.float32(rate), shift],
        extent=(3 * LINE[0], 1, 1),
        block=LINE,
    )


def gentle_shift(
    shift: NDArray[np.float32],
    counts: NDArray[np.uint32],
    *,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Makes a shift smooth over the levels, monotone and of limited slope.

    What is found from counts is rough wherever there are few pixels; taken as it is it would draw
    bands.

    Args:
        shift: ``SHIFT_SHAPE`` f32 from ``find_colour_shift``, C-contiguous.
        counts: ``COUNTS_SHAPE`` u32, its scratch, of the face and of what it goes to.
        out: ``SHIFT_SHAPE`` f32 C-contiguous is written; not ``shift``. Where the picture has no
            colour at all it takes the face's away; nothing moves where nothing was counted.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    dense("gentle_shift: shift", shift, SHIFT_SHAPE)
    dense("gentle_shift: counts", counts, COUNTS_SHAPE)
    dense("gentle_shift: out", out, SHIFT_SHAPE)
    if stream is None:
        out[...] = _gentle(shift, counts)
        return
    limits = [np.float32(n) for n in (_MOST_SLOPE, _MOST_SHIFT, _GREY, _COLOURFUL)]
    stream.launch(
        "colour_match",
        "gentle_shift",
        [shift, counts, np.int32(_SMOOTH_LEVELS), *limits, out],
        extent=(3 * LINE[0], 1, 1),
        block=LINE,
    )


def shift_colours(
    face: NDArray[np.uint8],
    shift: NDArray[np.float32],
    strength: float = 1.0,
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Moves a face's colours.

    What is added to a pixel is the shift of its luma and chroma, so that a face that need not
    move comes out as it is.

    Args:
        face: ``(H, W, 3) u8 BGR``.
        shift: ``SHIFT_SHAPE`` f32 from ``find_colour_shift``, C-contiguous.
        strength: 0..1, the part of the shift that is made.
        out: ``(H, W, 3) u8 BGR`` is written; may be ``face``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = face.shape[:2]
    dense("shift_colours: shift", shift, SHIFT_SHAPE)
    expect_shape("shift_colours: out", out, (height, width, 3))
    if stream is None:
        seen = cv2.cvtColor(face, cv2.COLOR_BGR2YCrCb)
        table = np.ascontiguousarray(shift.T * np.float32(strength))[None]
        change = cv2.transform(cv2.LUT(seen, table), _BGR_FROM_SHIFT)
        out[...] = cv2.add(face, change, dtype=cv2.CV_8U)
        return
    face_step = row_step("shift_colours: face", face, np.uint8, 3)
    out_step = row_step("shift_colours: out", out, np.uint8, 3)
    size = [np.int32(width), np.int32(height)]
    stream.launch(
        "colour_match",
        "shift_colours",
        [face, face_step, *size, shift, np.float32(strength), out, out_step],
        extent=(-(-width // _PIXELS_PER_THREAD), height, 1),
    )


def _count(face: Array, target: Array, mask: Array, counts: Array) -> None:
    chosen = np.bitwise_and(mask, 128)
    for picture, own in zip((face, target), counts, strict=True):
        seen = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
        for channel in range(3):
            found = cv2.calcHist([seen], [channel], chosen, [256], [0, 256])
            own[channel] = found.reshape(-1)


def _move(wanted: Array, rate: float, shift: Array) -> None:
    if rate >= 1.0:
        shift[...] = wanted
    else:
        shift += np.float32(rate) * (wanted - shift)


def _wanted_shift(counts: Array, how: How) -> NDArray[np.float32]:
    ours, theirs = counts.astype(np.int64)
    nums = ours[0].sum(), theirs[0].sum()
    if not all(nums):
        return np.zeros(SHIFT_SHAPE, np.float32)
    if how == "ranks":
        return np.stack([_by_rank(a, b) for a, b in zip(ours, theirs, strict=True)])
    means, variances = [], []
    for side, num in zip((ours, theirs), nums, strict=True):
        mean = side @ _LEVELS / num
        means.append(mean)
        variances.append(np.maximum(side @ _LEVELS**2 / num - mean**2, 0.0))
    gain = np.sqrt((variances[1] + 1.0) / (variances[0] + 1.0))
    gain = np.clip(gain, _LEAST_GAIN, _MOST_GAIN)[:, None]
    moved = means[1][:, None] + gain * (_LEVELS - means[0][:, None])
    return np.asarray(moved - _LEVELS, np.float32)


def _by_rank(ours: Array, theirs: Array) -> NDArray[np.float32]:
    """The shift of each level to the level of the same rank."""
    # Twice the counts up to the middles of the levels, both brought to one size: whole numbers.
    our_middles = (2 * np.cumsum(ours) - ours) * theirs.sum()
    their_middles = (2 * np.cumsum(theirs) - theirs) * ours.sum()
    above = np.searchsorted(their_middles, our_middles)
    upper = np.minimum(above, 255)
    lower = np.maximum(upper - 1, 0)
    gap = np.maximum(their_middles[upper] - their_middles[lower], 1)
    there = upper - (their_middles[upper] - our_middles) / gap
    there = np.where(above > 255, 255.0, np.where(above == 0, 0.0, there))
    # A level that does not occur moves as far as the next below that does, or else above.
    first = np.flatnonzero(ours)[0]
    at = np.maximum.accumulate(np.where(ours > 0, _LEVELS, first))
    return np.asarray((there - _LEVELS)[at], np.float32)


def _gentle(shift: Array, counts: Array) -> NDArray[np.float32]:
    levels = np.arange(256, dtype=np.float32)
    kernel = np.full(_SMOOTH_LEVELS, 1 / _SMOOTH_LEVELS)
    padded = np.pad(shift, ((0, 0), (_SMOOTH_LEVELS // 2,) * 2), mode="edge")
    wanted = np.stack([np.convolve(row, kernel, mode="valid") for row in padded]) + levels
    slopes = np.clip(np.diff(wanted, axis=1), 0.0, _MOST_SLOPE)
    made = np.concatenate([np.zeros((3, 1)), np.cumsum(slopes, axis=1)], axis=1)
    nums = counts.sum(axis=2, keepdims=True).astype(np.float64)
    shares = counts / np.maximum(nums, 1.0)
    if not nums.all():
        return np.zeros_like(shift)
    # Limiting the slopes must not move the face as a whole.
    made += ((wanted - made) * shares[0]).sum(axis=1, keepdims=True)
    means = (shares[1] * levels).sum(axis=1, keepdims=True)
    deviations = np.sqrt((shares[1] * (levels - means) ** 2).sum(axis=1))
    grey = 1.0 - np.clip((deviations - _GREY) / (_COLOURFUL - _GREY), 0.0, 1.0)
    grey[0] = 0.0
    grey[1:] = grey[1:].min()
    made += grey[:, None] * (means - made)
    return np.asarray(np.clip(made - levels, -_MOST_SHIFT, _MOST_SHIFT), np.float32)
