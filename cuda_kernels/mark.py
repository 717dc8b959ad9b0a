"""What says that a picture is artificial, laid over it: a faint pattern and a visible label."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Stream, expect_shape, row_step

_HIGHEST_BIT = np.uint8(0x80)


def add_pattern(
    image: NDArray[np.uint8],
    pattern: NDArray[np.int8],
    lines: int = 1,
    *,
    stream: Stream | None = None,
) -> None:
    """Adds a pattern to a picture in place; sums saturate.

    Args:
        image: ``(H, W, 3) u8 BGR``, written.
        pattern: ``(ceil(H / lines), W, 3) i8``, lighter and darker levels.
        lines: so many lines of the picture are given one of the pattern, at least 1.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = image.shape[:2]
    if lines < 1:
        raise ValueError(f"add_pattern: lines must be 1 or more, got {lines}. Give each its own.")
    expect_shape("add_pattern: image", image, (height, width, 3))
    expect_shape("add_pattern: pattern", pattern, (-(-height // lines), width, 3))
    if stream is None:
        # Turning the highest bit takes 128 away, so that one saturating sum of signed bytes does.
        signed = image.view(np.int8)
        np.bitwise_xor(image, _HIGHEST_BIT, out=image)
        for line in range(min(lines, height)):
            part = signed[line::lines]
            cv2.add(part, pattern[: len(part)], dst=part)
        np.bitwise_xor(image, _HIGHEST_BIT, out=image)
        return
    image_step = row_step("add_pattern: image", image, np.uint8, 3)
    pattern_step = row_step("add_pattern: pattern", pattern, np.int8, 3)
    arguments: list[Argument] = [image, image_step, pattern, pattern_step]
    numbers = [np.int32(lines), np.int32(width), np.int32(height)]
    stream.launch("mark", "add_pattern", [*arguments, *numbers], extent=(width, height, 1))


def lay_label(
    image: NDArray[np.uint8],
    keep: NDArray[np.uint8],
    light: NDArray[np.uint8],
    left: int,
    top: int,
    *,
    stream: Stream | None = None,
) -> None:
    """Lays a drawn label over a picture in place; what reaches beyond the picture is left out.

    Args:
        image: ``(H, W, 3) u8 BGR``, written.
        keep: ``(h, w, 3) u8``, how much of the picture stays.
        light: ``(h, w, 3) u8``, what is added to that.
        left, top: where the label begins, in pixels, at least 0.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds, or the label begins outside.
    """
    expect_shape("lay_label: light", light, keep.shape)
    if left < 0 or top < 0:
        raise ValueError(
            f"lay_label: left and top must be 0 or more, got {left} and {top}. Move the label."
        )
    place = image[top : top + keep.shape[0], left : left + keep.shape[1]]
    height, width = place.shape[:2]
    if not place.size:
        return
    keep, light = keep[:height, :width], light[:height, :width]
    if stream is None:
        cv2.multiply(place, keep, dst=place, scale=1 / 255)
        cv2.add(place, light, dst=place)
        return
    arguments: list[Argument] = []
    for name, picture in (("image", place), ("keep", keep), ("light", light)):
        arguments += [picture, row_step(f"lay_label: {name}", picture, np.uint8, 3)]
    size = [np.int32(width), np.int32(height)]
    stream.launch("mark", "lay_label", [*arguments, *size], extent=(width, height, 1))
