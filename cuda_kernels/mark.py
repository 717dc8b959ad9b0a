"""What says that a picture is artificial, laid over it: a faint pattern and a visible label."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import Argument, Stream, dense, expect_shape, row_step


def add_pattern(
    image: NDArray[np.uint8],
    lighter: NDArray[np.uint8],
    darker: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    share: float,
    *,
    stream: Stream | None = None,
) -> None:
    """Adds one pattern to a picture in place and takes another away, only in part in some boxes.

    Args:
        image: ``(H, W, 3) u8 BGR``, written.
        lighter, darker: ``(H, W, 3) u8``, what is added and then taken away; sums saturate.
        boxes: ``(N, 4) i32`` C-contiguous, left, top, right and bottom in pixels, the latter two
            outside; where they overlap, each takes its part of what the one before left.
        share: 0..1, how much of the pattern boxes get.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays are not of these kinds.
    """
    height, width = image.shape[:2]
    for name, picture in (("lighter", lighter), ("darker", darker)):
        expect_shape(f"add_pattern: {name}", picture, (height, width, 3))
    dense("add_pattern: boxes", boxes, (len(boxes), 4))
    if stream is None:
        parts = [
            image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            for left, top, right, bottom in boxes
        ]
        befores = [part.copy() for part in parts]
        cv2.add(image, lighter, dst=image)
        cv2.subtract(image, darker, dst=image)
        for part, before in zip(parts, befores, strict=True):
            if part.size:
                cv2.addWeighted(part, share, before, 1.0 - share, 0.0, dst=part)
        return
    arguments: list[Argument] = []
    for name, picture in (("image", image), ("lighter", lighter), ("darker", darker)):
        arguments += [picture, row_step(f"add_pattern: {name}", picture, np.uint8, 3)]
    numbers = [np.int32(len(boxes)), np.float32(share), np.int32(width), np.int32(height)]
    stream.launch("mark", "add_pattern", [*arguments, boxes, *numbers], extent=(width, height, 1))


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
