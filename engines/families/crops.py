"""Cuts aligned crops out of pictures, and the soft edge with which they go back."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.families.templates import Matrix
from engines.families.tensors import Picture
from engines.models.halving import halve, num_halvings

_MAX_HALVINGS = 4

FEATHER = 0.3
"""Width of the soft edge, both sides together, as a share of the crop's side."""


def cut_crop(image: Picture, crop_from_image: Matrix, *, out: Picture) -> None:
    """Resamples a turned square of a picture; what lies outside repeats the picture's edge.

    A face much larger than the crop is halved first: bilinear sampling alone would skip pixels,
    and the crop would tremble as the face moves.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        crop_from_image: ``(2, 3) f64`` similarity.
        out: ``(S, S, 3) u8 BGR`` is written.
    """
    size_px = out.shape[0]
    scale = math.hypot(crop_from_image[0, 0], crop_from_image[1, 0])
    halvings = min(num_halvings(1.0, scale), _MAX_HALVINGS) if scale > 0.0 else 0
    if halvings:
        image, crop_from_image = _shrunk(image, crop_from_image, size_px, halvings)
    cv2.warpAffine(
        image,
        crop_from_image,
        (size_px, size_px),
        dst=out,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def feathered_box(size_px: int, feather: float = FEATHER) -> NDArray[np.uint8]:
    """How far a crop covers the picture: fully inside, fading to nothing at its edges.

    Args:
        size_px: side of the crop.
        feather: width of the soft edge as a share of the side, 0..1; 0 covers all of it.

    Returns:
        ``(S, S) u8``.
    """
    width_px = int(size_px * 0.5 * feather)
    box = np.full((size_px, size_px), 255.0, np.float32)
    if width_px:
        margin = max(width_px // 2, 1)
        box[:margin] = box[-margin:] = 0.0
        box[:, :margin] = box[:, -margin:] = 0.0
        box = np.asarray(
            cv2.GaussianBlur(box, (0, 0), width_px * 0.25, borderType=cv2.BORDER_CONSTANT)
        )
        # What the blur leaves at the very edge would be seen as a line.
        left_over = box[0].max()
        box = np.clip((box - left_over) * (255.0 / (255.0 - left_over)), 0.0, 255.0)
    return np.rint(box).astype(np.uint8)


def _shrunk(
    image: Picture, crop_from_image: Matrix, size_px: int, halvings: int
) -> tuple[Picture, Matrix]:
    """The part of the picture under a large crop, made smaller."""
    block = 2**halvings
    image_from_crop = cv2.invertAffineTransform(crop_from_image)
    corners = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]]) - 0.5
    placed = corners @ image_from_crop[:, :2].T + image_from_crop[:, 2]
    height, width = image.shape[:2]
    if min(height, width) < block:
        return image, crop_from_image
    # The grid of blocks stays where it is in the picture when the face moves by less than one.
    low = np.floor(placed.min(axis=0) / block).astype(int)
    high = np.ceil(placed.max(axis=0) / block).astype(int)
    left, right = _inside(int(low[0]), int(high[0]), width // block)
    top, bottom = _inside(int(low[1]), int(high[1]), height // block)
    part = image[top * block : bottom * block, left * block : right * block]
    offset = (block - 1) / 2
    image_from_small = np.array(
        [
            [block, 0.0, left * block + offset],
            [0.0, block, top * block + offset],
            [0.0, 0.0, 1.0],
        ]
    )
    return halve(part, halvings), np.asarray(crop_from_image @ image_from_small)


def _inside(low: int, high: int, count: int) -> tuple[int, int]:
    """A range of blocks cut at the picture's edges; at least one block, the nearest."""
    low = min(max(low - 1, 0), count - 1)
    return low, max(min(high + 1, count), low + 1)
