"""The light of a picture carried onto a face: the smooth part of the difference between them.

It is kept on a coarse grid, so that it can follow slowly over many pictures and holds nothing of
the features of either face. The blend stage of the processor adds ``enlarged_light`` and the
correction of a face's rim at once; ``add_light`` adds the light alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Array, Stream, dense, expect_scratch

LIGHT_PX = 24
"""Side of the grid."""

LIGHT_SHAPE = (LIGHT_PX, LIGHT_PX, 3)

CELLS_SIZE = 4 * LIGHT_PX * LIGHT_PX
"""Elements of the scratch."""

_SIGMA_PX = 3.2
"""Fineness of the light, in cells of its grid: about an eighth of the face."""

_REACH_PX = 13
"""Cells on each side over which is averaged; OpenCV's choice for this fineness."""

_TRUST = 0.05
"""Weight of a cell at which its own difference counts as much as that of the whole face."""

_THREADS = (64, 1, 1)


def follow_light(
    face: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    weight: NDArray[np.float32] | NDArray[np.uint8],
    *,
    rate: float = 1.0,
    cells: NDArray[np.float32],
    light: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Finds what the light does to a face in a picture, carried on to where no skin is.

    Args:
        face, picture: ``(H, W, 3) u8 BGR``; on a GPU C-contiguous.
        weight: ``(H, W)``, where both show skin; f32 0..1, or u8, and on a GPU the latter.
        rate: 0..1, how far ``light`` goes to what is found; 1 forgets what it was.
        cells: ``(CELLS_SIZE,) f32`` scratch or more.
        light: ``LIGHT_SHAPE`` f32 levels, C-contiguous; is updated.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = weight.shape
    dense("follow_light: light", light, LIGHT_SHAPE)
    expect_scratch("follow_light", cells, CELLS_SIZE)
    if stream is None:
        _on_processor(face, picture, weight, rate, light)
        return
    given = [
        dense(f"follow_light: {name}", array, (height, width, *channels))
        for name, array, channels in (
            ("face", face, (3,)),
            ("picture", picture, (3,)),
            ("weight", weight, ()),
        )
    ]
    size = [np.int32(width), np.int32(height), np.int32(LIGHT_PX)]
    num = LIGHT_PX * LIGHT_PX
    stream.launch(
        "light",
        "light_cells",
        [*given, *size, cells],
        extent=(_THREADS[0] * num, 1, 1),
        block=_THREADS,
    )
    numbers = [np.float32(_SIGMA_PX), np.int32(_REACH_PX), np.float32(_TRUST), np.float32(rate)]
    block = (num, 1, 1)
    stream.launch("light", "follow_cells", [cells, *numbers, light], extent=block, block=block)


def add_light(
    face: NDArray[np.uint8],
    light: NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Puts a face into the light of a picture.

    Args:
        face: ``(H, W, 3) u8 BGR``, C-contiguous.
        light: ``LIGHT_SHAPE`` f32 from ``follow_light``.
        out: ``(H, W, 3) u8 BGR`` C-contiguous is written; may be ``face``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = face.shape[:2]
    dense("add_light: face", face, (height, width, 3))
    dense("add_light: light", light, LIGHT_SHAPE)
    dense("add_light: out", out, (height, width, 3))
    if stream is None:
        cv2.add(face, enlarged_light(light, (width, height)), dst=out, dtype=cv2.CV_8U)
        return
    stream.launch(
        "light",
        "add_light",
        [face, np.int32(width), np.int32(height), light, np.int32(LIGHT_PX), out],
        extent=(width, height, 1),
    )


def enlarged_light(light: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The light of each pixel, linear between the cells: ``(H, W, 3) f32`` in main memory."""
    return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _on_processor(face: Array, picture: Array, weight: Array, rate: float, light: Array) -> None:
    difference = cv2.subtract(picture, face, dtype=cv2.CV_32F)
    share = weight.astype(np.float32)
    if weight.dtype == np.uint8:
        share *= np.float32(1 / 255)
    size, area = (LIGHT_PX, LIGHT_PX), cv2.INTER_AREA
    above = cv2.resize(difference * share[..., None], size, interpolation=area)
    below = cv2.resize(share, size, interpolation=area)
    above, below = (
        np.asarray(cv2.GaussianBlur(v, (0, 0), _SIGMA_PX, borderType=cv2.BORDER_CONSTANT))
        for v in (above, below)
    )
    total = float(below.sum())
    usual = above.sum(axis=(0, 1)) / total if total > 1.0 else np.zeros(3)
    now = (above + np.float32(_TRUST) * usual) / (below + np.float32(_TRUST))[..., None]
    if rate >= 1.0:
        light[...] = now
    else:
        light += np.float32(rate) * (now - light)
