"""Where the crop of a detected face lies, found without asking the processor.

Where the processor follows the faces it fits crops to their landmarks itself, for a GPU too; tests
hold that fit to this one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.affine import MAX_SHIFT
from cuda_kernels.launch import Array, Stream, dense
from cuda_kernels.paste import PASTE_PLACE, paste_place
from cuda_kernels.pick import FOUND_SIZE
from cuda_kernels.warp import CROP_PLACE, crop_place

_ONE = (1, 1, 1)
_LEAST_POWER = 1e-6
"""Of the points about their middle, in square pixels, from which they are in different places."""

_LEAST_SCALE = 1e-12
"""Of the square of a crop's pixels for each pixel of the picture."""


def place_face(
    found: NDArray[np.float32],
    per_px: float,
    wanted: NDArray[np.float32],
    crop_px: int,
    drawn_px: int,
    picture: tuple[int, int],
    *,
    crop: NDArray[np.float32],
    under: NDArray[np.float32],
    paste: NDArray[np.float32],
    stream: Stream | None = None,
) -> None:
    """Lays a network's crop onto a detected face, and says so to the kernels that work there.

    The crop's five points come to lie on the face's with the least squared error (Umeyama 1991,
    without reflection). Where no face was found the crop lies somewhere, and nothing is pasted.

    Args:
        found: ``(FOUND_SIZE,) f32`` from ``pick_face``.
        per_px: pixels of the picture for each one of the detector's input.
        wanted: ``(5, 2) f32`` C-contiguous, the five points in the crop.
        crop_px: side of the crop.
        drawn_px: side of the face that is laid over the picture, where it has other pixels.
        picture: width and height.
        crop, under: ``(CROP_PLACE,) f32`` are written, for the crop and for the larger face.
        paste: ``(PASTE_PLACE,) f32`` is written, for the larger face.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    dense("place_face: found", found, (FOUND_SIZE,))
    dense("place_face: wanted", wanted, (5, 2))
    for name, place, size in (
        ("crop", crop, CROP_PLACE),
        ("under", under, CROP_PLACE),
        ("paste", paste, PASTE_PLACE),
    ):
        dense(f"place_face: {name}", place, (size,))
    times = float(np.float32(drawn_px / crop_px))
    if stream is None:
        _on_processor(found, per_px, wanted, times, drawn_px, picture, crop, under, paste)
        return
    sides = (drawn_px, *picture, _most(*picture), _most(drawn_px, drawn_px))
    stream.launch(
        "place",
        "place_face",
        [
            found,
            np.float32(per_px),
            wanted,
            np.float32(times),
            *(np.int32(number) for number in sides),
            crop,
            under,
            paste,
        ],
        extent=_ONE,
        block=_ONE,
    )


def _most(width: int, height: int) -> int:
    """How often a picture may be halved."""
    return min(MAX_SHIFT, int(math.log2(min(width, height))))


def _on_processor(
    found: Array,
    per_px: float,
    wanted: Array,
    times: float,
    drawn_px: int,
    picture: tuple[int, int],
    crop: Array,
    under: Array,
    paste: Array,
) -> None:
    points = found[5:].reshape(5, 2).astype(np.float64) * np.float32(per_px) - 0.5
    image, target = (xy.astype(np.float64) @ np.array([1.0, 1j]) for xy in (points, wanted))
    spread = image - image.mean()
    power = float(np.vdot(spread, spread).real)
    turn, shift = 1.0 + 0.0j, 0.0 + 0.0j
    is_found = bool(found[0] > 0.0 and power > _LEAST_POWER)
    if is_found:
        fitted = np.vdot(spread, target - target.mean()) / power
        is_found = bool(abs(fitted) ** 2 > _LEAST_SCALE)
        if is_found:
            turn, shift = fitted, target.mean() - fitted * image.mean()
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    crop_from_image = np.array(rows)
    drawn_from_image = times * crop_from_image
    drawn_from_image[:, 2] += (times - 1.0) / 2.0
    crop[:] = crop_place(crop_from_image, *picture)
    under[:] = crop_place(drawn_from_image, *picture)
    paste[:] = paste_place(drawn_from_image, (drawn_px, drawn_px), picture)
    if not is_found:
        paste[9:] = 0.0
