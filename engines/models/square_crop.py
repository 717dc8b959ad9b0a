"""A turned square of a picture, cut out for a network and taken back to the picture."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.models.halving import halve, num_halvings

_MAX_HALVINGS = 4


@dataclass(frozen=True, slots=True)
class CropSquare:
    """A turned square of a picture.

    Attributes:
        x_px, y_px: centre in image pixels.
        side_px: length of a side in image pixels.
        angle_rad: clockwise turn of its upper edge, as seen in the picture.
    """

    x_px: float
    y_px: float
    side_px: float
    angle_rad: float

    def crop_from_image(self, crop_px: int) -> NDArray[np.float64]:
        """The map from image pixels to the pixels of a crop of this square.

        Args:
            crop_px: side of the crop in its own pixels.

        Returns:
            ``(2, 3) f64``; pixel centres are whole numbers on both sides.
        """
        scale = crop_px / self.side_px
        cos, sin = scale * math.cos(self.angle_rad), scale * math.sin(self.angle_rad)
        middle = (crop_px - 1) / 2
        return np.array(
            [
                [cos, sin, middle - cos * self.x_px - sin * self.y_px],
                [-sin, cos, middle + sin * self.x_px - cos * self.y_px],
            ]
        )


_CALM, _MOVED, _TRAVELLED = 0.01, 0.04, 0.07
"""Differences between two squares, in sides and radians, up to which the way to the new one is
taken by half, and from which on at once. A centre that moves by the third takes the size with it
whatever ``size`` says."""

_GREW, _GROWN = 0.2, 0.4
_LEANT, _TILTED = 0.2, 0.4
"""Differences in sides and radians up to which ``size`` and ``lean`` say how far a square follows
in them, and from which on it follows in any case."""


def settled(
    before: CropSquare, now: CropSquare, *, size: float = 1.0, lean: float = 1.0
) -> CropSquare:
    """The square to look at next: half way where little has changed, the new one else.

    A network that sees its crop shifted by what it said last shifts what it says in turn: the two
    swing, and a still face trembles. Half the way damps that.

    Args:
        before: the square looked at last.
        now: the one that what was found there asks for.
        size: the share of that way that its side goes along, 0..1, while it hardly moves and grows.
        lean: the share of that way that it leans along, 0..1, while it leans hardly otherwise.
    """
    side_px = max(before.side_px, 1e-6)
    angle_rad = math.remainder(now.angle_rad - before.angle_rad, math.tau)
    x_px, y_px = now.x_px - before.x_px, now.y_px - before.y_px
    more_px = now.side_px - before.side_px
    moved = max(abs(x_px), abs(y_px)) / side_px
    change = max(moved, abs(more_px) / side_px, abs(angle_rad))
    share = 0.5 + 0.5 * _between(_CALM, _MOVED, change)
    size += (1.0 - size) * _between(_MOVED, _TRAVELLED, moved)
    size += (1.0 - size) * _between(_GREW, _GROWN, abs(more_px) / side_px)
    lean += (1.0 - lean) * _between(_LEANT, _TILTED, abs(angle_rad))
    return CropSquare(
        before.x_px + share * x_px,
        before.y_px + share * y_px,
        before.side_px + share * size * more_px,
        before.angle_rad + share * lean * angle_rad,
    )


def _between(low: float, high: float, value: float) -> float:
    """Where a value lies between two others, 0..1."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


class SquareCrop:
    """Cuts turned squares out of pictures, without aliasing, into a buffer of its own.

    Not safe for use by two threads at once.
    """

    def __init__(self, crop_px: int) -> None:
        """Takes the buffers.

        Args:
            crop_px: side of the crop in its own pixels.
        """
        self._crop_px = crop_px
        self._crop = np.zeros((crop_px, crop_px, 3), np.uint8)
        self._rgb = np.zeros_like(self._crop)
        # With a fourth channel OpenCV samples twice as quickly as with three.
        self._four = np.zeros((crop_px, crop_px, 4), np.uint8)
        self._picture = np.zeros((0, 0, 4), np.uint8)

    @property
    def crop_px(self) -> int:
        """Side of the crop."""
        return self._crop_px

    def cut(self, image: NDArray[np.uint8], square: CropSquare) -> NDArray[np.uint8]:
        """The picture inside a square.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where; what lies outside the picture is black.

        Returns:
            ``(S, S, 3) u8 BGR``, valid until the next call.
        """
        self._sample(image, square)
        cv2.cvtColor(self._four, cv2.COLOR_BGRA2BGR, dst=self._crop)
        return self._crop

    def fill(
        self, image: NDArray[np.uint8], square: CropSquare, *, out: NDArray[np.float32]
    ) -> None:
        """Writes a square into a network's input.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where; what lies outside the picture is black.
            out: ``(S, S, 3) f32`` is written: RGB 0..1.
        """
        self._sample(image, square)
        cv2.cvtColor(self._four, cv2.COLOR_BGRA2RGB, dst=self._rgb)
        np.multiply(self._rgb, np.float32(1.0 / 255.0), out=out)

    def to_image(
        self, points: NDArray[np.float32], square: CropSquare, *, out: NDArray[np.float32]
    ) -> None:
        """Takes a network's points from the crop to the picture.

        Args:
            points: ``(N, 3) f32``, x and y measured from the crop's edge, 0..crop_px.
            square: where the crop was cut.
            out: ``(N, 3) f32`` is written: image pixels, z in the scale of x.
        """
        scale = square.side_px / self._crop_px
        cos, sin = scale * math.cos(square.angle_rad), scale * math.sin(square.angle_rad)
        x, y = points[:, 0] - self._crop_px / 2, points[:, 1] - self._crop_px / 2
        out[:, 0] = cos * x - sin * y + square.x_px
        out[:, 1] = sin * x + cos * y + square.y_px
        out[:, 2] = scale * points[:, 2]

    def _sample(self, image: NDArray[np.uint8], square: CropSquare) -> None:
        """Writes the picture inside a square, with a channel that says nothing."""
        crop_from_image = square.crop_from_image(self._crop_px)
        halvings = min(num_halvings(square.side_px, self._crop_px), _MAX_HALVINGS)
        if halvings:
            image, crop_from_image = _shrunk(image, square, crop_from_image, halvings)
            if not image.size:
                self._four.fill(0)
                return
            picture = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
        else:
            picture = self._around(image, square)
        cv2.warpAffine(
            picture,
            crop_from_image,
            (self._crop_px, self._crop_px),
            dst=self._four,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )

    def _around(self, image: NDArray[np.uint8], square: CropSquare) -> NDArray[np.uint8]:
        """The whole picture with four channels, valid where a square is sampled."""
        height, width = image.shape[:2]
        if self._picture.shape[:2] != (height, width):
            # What is never written takes no memory.
            self._picture = np.zeros((height, width, 4), np.uint8)
        reach = _half_px(square) + 2.0
        # In this order a square that is nowhere shows nothing.
        left, right = (int(min(max(0.0, square.x_px + r), width)) for r in (-reach, reach))
        top, bottom = (int(min(max(0.0, square.y_px + r), height)) for r in (-reach, reach))
        if left < right and top < bottom:
            part = np.s_[top:bottom, left:right]
            cv2.cvtColor(image[part], cv2.COLOR_BGR2BGRA, dst=self._picture[part])
        return self._picture


def _half_px(square: CropSquare) -> float:
    """Half the side of the upright square around a turned one."""
    turned = abs(math.cos(square.angle_rad)) + abs(math.sin(square.angle_rad))
    return square.side_px / 2 * turned


def _shrunk(
    image: NDArray[np.uint8],
    square: CropSquare,
    crop_from_image: NDArray[np.float64],
    halvings: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the picture around a large square, made smaller.

    Bilinear sampling of a large square would alias, and what is found in it would tremble.
    """
    half = _half_px(square)
    height, width = image.shape[:2]
    block = 2**halvings
    # The grid of blocks stays where it is in the picture when the face moves by less than one.
    left = max(math.floor((square.x_px - half) / block) * block, 0)
    top = max(math.floor((square.y_px - half) / block) * block, 0)
    columns = (min(math.ceil(square.x_px + half), width) - left) // block
    rows = (min(math.ceil(square.y_px + half), height) - top) // block
    if columns < 1 or rows < 1:
        return image[:0], crop_from_image
    small = halve(image[top : top + rows * block, left : left + columns * block], halvings)
    offset = (block - 1) / 2
    image_from_small = np.array(
        [[block, 0.0, left + offset], [0.0, block, top + offset], [0.0, 0.0, 1.0]]
    )
    return small, crop_from_image @ image_from_small
