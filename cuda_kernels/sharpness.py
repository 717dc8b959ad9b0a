"""Makes a drawn face as sharp as the picture it is laid into.

A source portrait is usually sharper than a webcam's picture, and pores and wrinkles that the
camera would never have shown look pasted on; they also flicker, for no two frames sample them
alike. So the finest detail of the face is held to the strength it has in the picture around.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import TILE, Array, Stream, dense, expect_shape

NUM_SUMS = 3
"""Elements of the scratch."""

ALL_DETAIL = 0.98
"""A face with a larger gain than this keeps all of its detail."""

MAX_REACH_PX = 16
"""Of a blur on the GPU."""

_FINEST = 1 / 200
"""Standard deviation of the blur that parts the finest detail from the rest, in face widths."""

_MIN_SIGMA_PX = 1.0
_RATIO = 1.15
"""Strength of the face's finest detail over that of the picture's; a little more is not seen."""

_LEAST_GAIN = 0.25
_NO_DETAIL = 1e-3
_COVERED = 127
_MIN_PIXELS = 256

_PARTS = 4096.0
"""Parts of a level in which the GPU sums detail; whole numbers come out alike in every order."""


def finest_sigma_px(width_px: float) -> float:
    """Standard deviation of the blur that parts the finest detail of a face of this width."""
    return max(_MIN_SIGMA_PX, _FINEST * width_px)


def follow_detail(
    face: NDArray[np.uint8] | NDArray[np.float32],
    picture: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    sigma_px: float,
    *,
    rate: float = 1.0,
    sums: NDArray[np.uint64],
    gain: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Finds what the face's finest detail must be multiplied with to match the picture's.

    Args:
        face: ``(H, W, 3) BGR`` levels, u8 or f32; on a GPU the latter, C-contiguous.
        picture: ``(H, W, 3) u8 BGR``, what the face is laid over; on a GPU C-contiguous.
        alpha: ``(H, W) u8``; detail is measured where the face covers more than half.
        sigma_px: from ``finest_sigma_px``; on a GPU up to half of ``MAX_REACH_PX``.
        rate: 0..1, the part of the way that ``gain`` goes to what is found; 1 forgets it.
        sums: ``(NUM_SUMS,) u64`` scratch; the processor leaves it alone.
        gain: ``(1,) f32``, is updated: 1 where the face is no sharper, down to 0.25; 1 where too
            little of it is seen to tell.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = alpha.shape
    dense("follow_detail: gain", gain, (1,))
    dense("follow_detail: sums", sums, (NUM_SUMS,))
    for name, image in (("face", face), ("picture", picture)):
        expect_shape(f"follow_detail: {name}", image, (height, width, 3))
    if stream is None:
        found = np.float32(_detail_gain(face, picture, alpha, sigma_px))
        gain[0] = found if rate >= 1.0 else gain[0] + np.float32(rate) * (found - gain[0])
        return
    given = [
        dense(f"follow_detail: {name}", array, array.shape)
        for name, array in (("face", face), ("picture", picture), ("alpha", alpha))
    ]
    size, parts = [np.int32(width), np.int32(height)], np.float32(_PARTS)
    blur = _blur("follow_detail", sigma_px)
    one = (1, 1, 1)
    stream.launch("sharpness", "clear_detail", [sums], extent=(32, 1, 1), block=(32, 1, 1))
    stream.launch(
        "sharpness",
        "sum_detail",
        [*given, *size, *blur, np.int32(_COVERED), parts, sums],
        extent=(width, height, 1),
        block=TILE,
    )
    limits = [np.int32(_MIN_PIXELS), *map(np.float32, (_NO_DETAIL, _RATIO, _LEAST_GAIN, rate))]
    stream.launch("sharpness", "follow_detail", [sums, parts, *limits, gain], extent=one, block=one)


def soften(
    face: NDArray[Any],
    gain: NDArray[np.float32],
    sigma_px: float,
    *,
    out: NDArray[Any],
    stream: Stream | None = None,
) -> None:
    """Multiplies the finest detail of a face by a factor of at most 1.

    Args:
        face: ``(H, W, 3) BGR`` levels, u8 or f32; on a GPU the latter, C-contiguous.
        gain: ``(1,) f32`` from ``follow_detail``; above ``ALL_DETAIL`` nothing changes.
        sigma_px: as there.
        out: the same shape and kind is written; not ``face``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = face.shape[:2]
    dense("soften: gain", gain, (1,))
    expect_shape("soften: out", out, (height, width, 3))
    if stream is None:
        share = float(gain[0])
        if share > ALL_DETAIL:
            np.copyto(out, face)
        else:
            cv2.addWeighted(face, share, _blurred(face, sigma_px), 1.0 - share, 0.0, dst=out)
        return
    stream.launch(
        "sharpness",
        "soften",
        [
            dense("soften: face", face, (height, width, 3)),
            np.int32(width),
            np.int32(height),
            *_blur("soften", sigma_px),
            gain,
            np.float32(ALL_DETAIL),
            dense("soften: out", out, (height, width, 3)),
        ],
        extent=(width, height, 1),
        block=TILE,
    )


def _detail_gain(face: Array, picture: Array, alpha: Array, sigma_px: float) -> float:
    covered = alpha > _COVERED
    if np.count_nonzero(covered) < _MIN_PIXELS:
        return 1.0
    own, wanted = (_detail(image, sigma_px)[covered].mean() for image in (face, picture))
    ratio = max(wanted, _NO_DETAIL) / max(own, _NO_DETAIL)
    return float(np.clip(_RATIO * ratio, _LEAST_GAIN, 1.0))


def _detail(image: Array, sigma_px: float) -> NDArray[np.float32]:
    """Strength of the finest detail of the luma at each pixel, ``(h, w) f32`` grey levels."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine = cv2.absdiff(grey, _blurred(grey, sigma_px))
    return np.asarray(fine, np.float32)


def _blurred(image: Array, sigma_px: float) -> Array:
    """A Gaussian that ends at two standard deviations; three take twice the time."""
    side = 2 * _reach_px(sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma_px))


def _reach_px(sigma_px: float) -> int:
    return round(2.0 * sigma_px)


def _blur(where: str, sigma_px: float) -> list[np.generic]:
    """The same as kernels take it.

    Raises:
        ValueError: it reaches too far.
    """
    reach_px = _reach_px(sigma_px)
    if not 1 <= reach_px <= MAX_REACH_PX:
        raise ValueError(
            f"{where}: the blur must reach 1 to {MAX_REACH_PX} pixels, got {reach_px}. "
            "Shrink the face."
        )
    return [np.float32(sigma_px), np.int32(reach_px)]
