"""What FuseNet is shown of a face: the drawn one and the target's context, on one aligned crop.

The engine and the training tool both fill the network's inputs here, so that it meets in the
engine what it was trained on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.warp import warp
from realtime.frame import Image, Layer, Occluder, Points
from realtime.geometry import Matrix, apply, compose, fit_head, invert
from realtime.small_copy import placed

_SIDE, _DOWN = 3.8, 0.6
"""Side of the crop, and how far its middle lies below that of the head's rigid points, in radii
of the head (the unit of ``geometry.fit_head``). Landmarks of open mouths and turned heads reach
from 1.0 above to 2.3 below those points and 1.7 to a side, so a face about 100 of 160 pixels wide
lies inside with some of its surroundings."""

_STEADY = 1 / 256
"""A crop whose corners would move by less than this share of its side stays where it was."""

_CELL_PX = 8
"""Pixels over which the target is averaged where its own face must not show."""

SPREAD = 0.075
"""Standard deviation of the low-pass, in sides of the crop: an eighth of a face's width."""

_GROUND = np.float32(1e-3)
"""Weight of what is no skin in the low-pass, so that it is defined where there is none at all."""

_SOLID = 8.0
"""The render is there in full where it covers an eighth or more."""


@dataclass(frozen=True, slots=True)
class FusenetInputs:
    """The four pictures that describe one face in one frame; C-contiguous, all of one side S.

    Attributes:
        render: ``(1, 3, S, S) f32 RGB`` 0..1, the drawn face, in the colours it was drawn with up
            to its rim; 0 where there is none.
        validity: ``(1, 1, S, S) f32`` 0..1, how far it covers the target: soft at the rim, 0 in
            openings. What stands in front makes no difference to it.
        context: ``(1, 3, S, S) f32 RGB`` 0..1, the target: sharp where ``keep`` is 1; where it is
            0 only the low-pass of the skin that is seen under the drawn face, which says light
            and tone, and nothing of whose face it is.
        keep: ``(1, 1, S, S) f32`` 0..1, where the target stays: outside of the drawn face, in its
            openings, and where something stands in front; ``max(1 - validity, occluder)``.
    """

    render: NDArray[np.float32]
    validity: NDArray[np.float32]
    context: NDArray[np.float32]
    keep: NDArray[np.float32]

    @classmethod
    def empty(cls, side_px: int) -> Self:
        """Buffers for a network of this side, without meaningful contents.

        Args:
            side_px: a multiple of eight.

        Raises:
            ValueError: it is none.
        """
        if side_px <= 0 or side_px % _CELL_PX:
            raise ValueError(
                f"FusenetInputs: the side must be a multiple of {_CELL_PX} pixels, got {side_px}."
            )
        square = (side_px, side_px)
        colours, planes = (1, 3, *square), (1, 1, *square)
        return cls(*(np.empty(shape, np.float32) for shape in (colours, planes) * 2))

    @property
    def side_px(self) -> int:
        """Side of the crop."""
        return int(self.render.shape[-1])

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """The four among a network's inputs, which are named as the attributes."""
        return cls(*(tensors[field.name] for field in fields(cls)))


def head_crop(landmarks: Points, side_px: int, before: Matrix | None = None) -> Matrix:
    """The square crop of a head, upright in it and always of the same size.

    It follows a similarity of the rigid points alone, so an open mouth does not change it, and
    stays exactly where it was while the head moves by less than half a pixel of it: what stands
    still is sampled alike in every frame.

    Args:
        landmarks: ``(468, 3) f32`` image pixels, of the target.
        side_px: side of the crop.
        before: the crop of the frame before, of the same side; None for a new face.

    Returns:
        ``(2, 3) f64`` crop_from_image.
    """
    head = fit_head(landmarks)
    # Where the head's own down and the middle of the crop are seen.
    down = head.rotation[:2, 1]
    down = down / max(math.hypot(*down.tolist()), 1e-6)
    scale = side_px / (_SIDE * head.scale)
    across = np.array([down[1], -down[0]])
    turn = scale * np.stack([across, down])
    middle = head.shift[:2] + _DOWN * head.scale * down
    crop_from_image = np.column_stack([turn, (side_px - 1) / 2 - turn @ middle])
    if before is not None:
        ends = (0.0, side_px - 1.0)
        corners = np.array([(x, y) for x in ends for y in ends])
        moved = apply(compose(before, invert(crop_from_image)), corners) - corners
        if np.hypot(*moved.T).max() < _STEADY * side_px:
            return before
    return crop_from_image


def fill_inputs(
    picture: Image,
    layer: Layer,
    occluder: Occluder | None,
    crop_from_image: Matrix,
    *,
    out: FusenetInputs,
) -> None:
    """Builds the network's inputs of one face.

    For training call it on a portrait and a mesh render of somebody on its landmarks:
    ``crop = head_crop(landmarks, side_px)``, then this with ``out = FusenetInputs.empty(side_px)``.
    The truth on the same crop is ``warp(portrait, crop, out=...)``.

    Args:
        picture: ``(H, W, 3) u8 BGR``, the target; beyond it its edge is repeated.
        layer: the drawn face, as the swap stage leaves it.
        occluder: what stands in front of the face; None for nothing.
        crop_from_image: ``(2, 3)``, from ``head_crop``.
        out: written.
    """
    side = out.side_px
    target = np.empty((side, side, 3), np.uint8)
    warp(picture, crop_from_image, out=target)
    drawn, covered = _drawn(layer, compose(crop_from_image, invert(layer.crop_from_image)), side)
    keep = cv2.bitwise_not(covered)
    if occluder is not None:
        keep = cv2.max(keep, placed(occluder, crop_from_image, (side, side)))
    kept = np.asarray(keep, np.uint8)
    low = _low_pass(target, np.asarray(cv2.bitwise_not(kept), np.uint8))
    np.multiply(covered, np.float32(1 / 255), out=out.validity[0, 0])
    np.multiply(kept, np.float32(1 / 255), out=out.keep[0, 0])
    to_planes(drawn, out=out.render[0])
    for number, (sharp, blurred) in enumerate(zip(cv2.split(target), low, strict=True)):
        shown = out.context[0, 2 - number]
        np.subtract(sharp, blurred, out=shown)
        shown *= out.keep[0, 0]
        shown += blurred
        shown *= np.float32(1 / 255)


def to_planes(picture: Image, *, out: NDArray[np.float32]) -> None:
    """Writes a picture ``(h, w, 3) u8 BGR`` as ``(3, h, w) f32 RGB`` 0..1."""
    for number, plane in enumerate(cv2.split(picture)):
        np.multiply(plane, np.float32(1 / 255), out=out[2 - number])


def _drawn(layer: Layer, crop_from_layer: Matrix, side_px: int) -> tuple[Image, NDArray[np.uint8]]:
    """A layer on the crop: its colours where there are any, and how far it covers.

    Returns:
        ``(S, S, 3) u8`` and ``(S, S) u8``, both 0 beside the layer.
    """
    height, width = layer.alpha.shape
    ends = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)]
    corners = apply(crop_from_layer, ends)
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, side_px - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 1, side_px).astype(int).tolist()
    drawn = np.zeros((side_px, side_px, 3), np.uint8)
    covered = np.zeros((side_px, side_px), np.uint8)
    # One sampling of four planes takes half the time of one of three and one of one.
    four = cv2.cvtColor(layer.face, cv2.COLOR_BGR2BGRA)
    cv2.insertChannel(layer.alpha, four, 3)
    part = np.empty((bottom - top, right - left, 4), np.uint8)
    part_from_layer = crop_from_layer - np.array([[0.0, 0.0, left], [0.0, 0.0, top]])
    warp(np.asarray(four, np.uint8), part_from_layer, out=part)
    # The layer's edge is repeated around it, which is not to be seen.
    inside = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners - (left, top)).astype(np.int32), (255,))
    alpha = cv2.min(cv2.extractChannel(part, 3), inside)
    solid = cv2.addWeighted(alpha, _SOLID, alpha, 0.0, 0.0)
    colours = cv2.cvtColor(part, cv2.COLOR_BGRA2BGR)
    region = (slice(top, bottom), slice(left, right))
    drawn[region] = cv2.multiply(colours, cv2.merge([solid] * 3), scale=1 / 255)
    covered[region] = alpha
    return drawn, covered


def _low_pass(target: Image, weight: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The target's colours where the weight is, smoothed so far that no face can be told.

    Normalised convolution (Knutsson and Westin 1993): hair and background beside the face, and
    what stands before it, do not run into it.

    Args:
        target: ``(S, S, 3) u8 BGR``.
        weight: ``(S, S) u8``.

    Returns:
        Blue, green and red, ``(S, S) f32`` levels.
    """
    side = target.shape[0]
    half, cells = (side // 2, side // 2), (side // _CELL_PX, side // _CELL_PX)
    inner = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    # At its rim a face is half hair.
    inner = cv2.addWeighted(inner, 4.0, inner, 0.0, -765.0)
    colours = cv2.resize(target, half, interpolation=cv2.INTER_AREA)
    skin = cv2.multiply(colours, cv2.merge([inner] * 3), scale=1 / 255, dtype=cv2.CV_32F)
    skin = cv2.resize(skin, cells, interpolation=cv2.INTER_AREA)
    count = cv2.resize(inner, cells, interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    ground = cv2.resize(colours, cells, interpolation=cv2.INTER_AREA) * _GROUND
    sigma = SPREAD * cells[0]
    above = cv2.GaussianBlur(skin + ground, (0, 0), sigma)
    below = cv2.GaussianBlur(count + _GROUND, (0, 0), sigma)
    levels = [cv2.divide(plane, below) for plane in cv2.split(above)]
    return [np.asarray(cv2.resize(level, (side, side)), np.float32) for level in levels]
