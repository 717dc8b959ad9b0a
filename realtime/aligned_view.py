"""The view of a face on which its motion is measured: a square crop that travels with the head.

A view is never turned and, within one track, hardly ever scaled, and it moves by whole pixels. So
a picture that stands still is sampled alike in every frame, noise and all, and flow is not made up
by sampling.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_parts import face_width_px
from realtime.frame import Image, Points
from realtime.geometry import Matrix, apply, bounding_box, compose

_SIZE = 1.35
"""Side of a view over the larger side of the box around the landmarks."""

_MAX_SCALE = 4.0
"""Small faces are enlarged by no more than this; there is nothing more to be seen in them."""

_RESCALE = 1.3
"""A view keeps its scale until the face has grown or shrunk by this factor."""


_SMALL = 4
"""A picture of up to so many times a view's pixels gets a fourth channel before it is sampled."""


@dataclass(frozen=True, slots=True)
class AlignedView:
    """One face in one frame.

    Attributes:
        crop_from_image: ``(2, 3) f64``, scale and shift.
        picture: ``(S, S, 3) u8 BGR``; outside the frame its edge is repeated.
        grey: ``(S, S) u8``.
        points: ``(468, 2) f32`` view pixels, the landmarks as they were measured.
    """

    crop_from_image: Matrix
    picture: Image
    grey: NDArray[np.uint8]
    points: Points

    @property
    def scale(self) -> float:
        """View pixels per image pixel."""
        return float(self.crop_from_image[0, 0])


def view_extent_px(landmarks: Points) -> float:
    """Side of the square that a view shows, in pixels of the picture; at least 1."""
    return max(_SIZE * face_width_px(landmarks), 1.0)


def view_scale(extent_px: float, side_px: int, before: float | None = None) -> float:
    """View pixels per image pixel.

    Args:
        extent_px: what the view must show, from ``view_extent_px``.
        side_px: side of the view.
        before: the scale of the frame before, kept while it fits.
    """
    wanted = min(_MAX_SCALE, side_px / extent_px)
    if before is not None and 1 / _RESCALE < wanted / before < _RESCALE:
        return before
    return wanted


def look(image: Image, landmarks: Points, side_px: int, scale: float) -> AlignedView:
    """Cuts the view of a face out of a picture.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        landmarks: ``(468, 3)`` image pixels.
        side_px: side of the view.
        scale: from ``view_scale``.
    """
    points = landmarks[:, :2]
    box = bounding_box(landmarks)
    middle = (box[:2] + box[2:]) / 2
    # Pixel centres lie at whole numbers, so a scale moves them by half its difference to 1.
    corner = np.round((middle + 0.5) * scale - side_px / 2)
    shift = 0.5 * scale - 0.5 - corner
    crop_from_image = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    source, crop_from_source = _shrunk(image, crop_from_image, side_px)
    picture = _warped(source, crop_from_source, side_px)
    placed = apply(crop_from_image, points).astype(np.float32)
    return AlignedView(crop_from_image, picture, _grey(picture), placed)


def rescaled(view: AlignedView, scale: float, side_px: int | None = None) -> AlignedView:
    """The same view at another scale about its middle, with another side where one is given."""
    side_px = side_px or len(view.grey)
    factor = scale / view.scale
    shift = (side_px - 1) / 2 - factor * (len(view.grey) - 1) / 2
    new_from_old = np.array([[factor, 0.0, shift], [0.0, factor, shift]])
    picture = _warped(view.picture, new_from_old, side_px)
    return AlignedView(
        compose(new_from_old, view.crop_from_image),
        picture,
        _grey(picture),
        apply(new_from_old, view.points).astype(np.float32),
    )


def _warped(image: Image, view_from_image: Matrix, side_px: int) -> Image:
    is_small = image.shape[0] * image.shape[1] <= _SMALL * side_px * side_px
    # With a fourth channel OpenCV samples twice as quickly as with three.
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_BGR2BGRA) if is_small else image,
        view_from_image,
        (side_px, side_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR) if is_small else warped, np.uint8)


def _grey(picture: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def _shrunk(image: Image, crop_from_image: Matrix, side_px: int) -> tuple[Image, Matrix]:
    """The part of a large picture that is looked at, made smaller by a whole factor.

    Sampling a large face at single pixels would alias, and noise would look like movement.
    """
    scale, *shift = crop_from_image[[0, 0, 1], [0, 2, 2]].tolist()
    factor = math.floor(1.0 / scale)
    if factor < 2:
        return image, crop_from_image
    spans = []
    for begin, limit in zip(shift, image.shape[1::-1], strict=True):
        low, high = (-0.5 - begin) / scale, (side_px - 0.5 - begin) / scale
        first = int(min(max(low, 0), limit)) // factor * factor
        num = (int(min(max(math.ceil(high), 0), limit)) - first) // factor
        if num < 1:
            return image, crop_from_image
        spans.append((first, num))
    (left, columns), (top, rows) = spans
    region = image[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA)
    across, down = (
        scale * (first + (factor - 1) / 2) + begin
        for (first, _), begin in zip(spans, shift, strict=True)
    )
    crop_from_small = np.array([[scale * factor, 0.0, across], [0.0, scale * factor, down]])
    return np.asarray(small, np.uint8), crop_from_small
