"""A turned head as seen more from the front, looked up over its mesh, and the way back.

The mesh is drawn with ``rasterize`` three times, with places of the other view as its values:
``back`` in the picture's crop says where each pixel lies in the turned one, and how deep; ``there``
in the turned crop says where it lies in the picture's, and how deep; ``mirrored`` says the same of
the other side of the face, and how far the skin faces the camera in the picture.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Array, Stream, dense, expect_shape

NUMBERS = 2
"""What changes from frame to frame: how much of the picture comes over the mesh, 0..1, and the
depth behind the nearest surface up to which a spot counts as seen, in pixels of the crop."""

_GRAZING, _FACING = 0.05, 0.3
"""Cosines to the line of sight below which skin shows nothing, and from which it shows all."""


def cut_turned(
    crop: NDArray[np.uint8],
    plain: NDArray[np.uint8],
    back: NDArray[np.float32],
    there: NDArray[np.float32],
    mirrored: NDArray[np.float32],
    numbers: NDArray[np.float32],
    *,
    seen: NDArray[np.float32],
    out: NDArray[np.uint8],
    stream: Stream | None = None,
) -> None:
    """Draws the crop of the turned head.

    What the turn brings into view is taken from the other side of the face.

    Args:
        crop: ``(D, D, 3) u8 BGR`` C-contiguous, the picture's crop with so many times the pixels.
        plain: ``(C, C, 3) u8 BGR`` C-contiguous, the picture where the turned crop lies.
        back, there, mirrored: ``(C, C, 3) f32`` C-contiguous, the drawn meshes, in pixels of crops
            of side C.
        numbers: ``(NUMBERS,) f32``.
        seen: ``(C, C) f32`` C-contiguous scratch.
        out: ``(C, C, 3) u8 BGR`` C-contiguous is written.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    side = len(out)
    density = len(crop) // side
    for name, array in (
        ("plain", plain),
        ("back", back),
        ("there", there),
        ("mirrored", mirrored),
        ("out", out),
    ):
        dense(f"cut_turned: {name}", array, (side, side, 3))
    dense("cut_turned: crop", crop, (side * density, side * density, 3))
    dense("cut_turned: seen", seen, (side, side))
    dense("cut_turned: numbers", numbers, (NUMBERS,))
    reach = max(1, side // 64)
    if stream is None:
        _cut_on_processor(crop, plain, back, there, mirrored, numbers, reach, seen, out)
        return
    views: list[Argument] = [there, mirrored]
    limits = [np.float32(_GRAZING), np.float32(_FACING)]
    stream.launch(
        "frontal",
        "find_seen",
        [back, *views, numbers, np.int32(side), *limits, seen],
        extent=(side, side, 1),
    )
    sizes = [np.int32(number) for number in (side, density, reach)]
    stream.launch(
        "frontal",
        "cut_turned",
        [crop, *views, seen, plain, numbers, *sizes, out],
        extent=(side, side, 1),
    )


def turn_back(
    levels: NDArray[np.float32],
    back: NDArray[np.float32],
    numbers: NDArray[np.float32],
    *,
    out: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Turns levels of the turned crop back to where the head looks in the picture.

    Args:
        levels: ``(C, C, 3) f32`` C-contiguous.
        back: ``(C, C, 3) f32`` C-contiguous, the drawn mesh.
        numbers: ``(NUMBERS,) f32``.
        out: ``(C, C, 3) f32`` C-contiguous is written; not ``levels``.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    side = len(out)
    for name, array in (("levels", levels), ("back", back), ("out", out)):
        dense(f"turn_back: {name}", array, (side, side, 3))
    dense("turn_back: numbers", numbers, (NUMBERS,))
    if stream is None:
        put_back(levels, back, float(numbers[0]), border=cv2.BORDER_REPLICATE, out=out)
        return
    stream.launch(
        "frontal",
        "turn_back",
        [levels, back, numbers, np.int32(side), out],
        extent=(side, side, 1),
    )


def put_back(picture: Array, back: Array, share: float, *, border: int, out: Array) -> None:
    """``turn_back`` for a picture or a mask of any kind, on the processor.

    Args:
        picture: ``(C, C)`` or ``(C, C, 3)``, u8 or f32.
        back: ``(C, C, 3) f32``, the drawn mesh.
        share: 0..1, how much of it comes over the mesh.
        border: what lies beyond the crop, one of OpenCV's border modes.
        out: like the picture, is written.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    expect_shape("put_back: out", out, picture.shape)
    across, down = cv2.extractChannel(back, 0), cv2.extractChannel(back, 1)
    turned = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=border)
    if share < 1.0:
        cv2.addWeighted(turned, share, picture, 1.0 - share, 0.0, out)
    else:
        np.copyto(out, turned)


def _cut_on_processor(
    crop: Array,
    plain: Array,
    back: Array,
    there: Array,
    mirrored: Array,
    numbers: Array,
    reach: int,
    seen: Array,
    out: Array,
) -> None:
    nearest = cv2.remap(
        cv2.extractChannel(back, 2),
        cv2.extractChannel(there, 0),
        cv2.extractChannel(there, 1),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    behind = (cv2.extractChannel(there, 2) - nearest) / numbers[1]
    clear = np.clip(np.float32(2.0) - behind, 0.0, 1.0)
    facing = cv2.extractChannel(mirrored, 2)
    lit = np.clip((facing - _GRAZING) / np.float32(_FACING - _GRAZING), 0.0, 1.0)
    side = 2 * reach + 1
    seen[...] = cv2.blur(clear * lit, (side, side))
    own, other = (_looked_up(crop, places, len(out)) for places in (there, mirrored))
    over_mesh = cv2.blendLinear(own, other, seen, np.float32(1.0) - seen)
    share = float(numbers[0])
    if share < 1.0:
        cv2.addWeighted(over_mesh, share, plain, 1.0 - share, 0.0, out)
    else:
        np.copyto(out, over_mesh)


def _looked_up(crop: Array, places: Array, side: int) -> NDArray[np.uint8]:
    """The dense crop at places given in pixels of the crop."""
    density = len(crop) // side
    scale, shift = np.float32(density), np.float32((density - 1) / 2)
    found = cv2.remap(
        crop,
        places[..., 0] * scale + shift,
        places[..., 1] * scale + shift,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, np.uint8)
