"""What sizes a network is built for, and inputs of such a size to try it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from engines.session import Array, TensorSpec

Shape = tuple[int, ...]

Range = tuple[float, float]
"""What a network takes black and white as."""

USUAL_RANGES: tuple[Range, ...] = ((0.0, 1.0), (-1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Extents:
    """Bounds of a dimension that may vary: the least, the usual and the greatest."""

    least: int
    usual: int
    most: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for the dimensions a network leaves open.

    Attributes:
        batch: how many faces or pictures at once.
        side_px: height and width of pictures.
    """

    batch: Extents = Extents(1, 1, 4)
    side_px: Extents = Extents(64, 256, 640)


Profile = Mapping[str, tuple[Shape, Shape, Shape]]
"""For each input that varies its least, usual and greatest shape."""


_LARGEST_TIMES = 2.0
"""A network that makes pictures larger by more than this takes smaller ones, for its memory's
sake: what it holds grows with what it makes."""


def within_memory(limits: Limits, given: Mapping[str, Array], made: Mapping[str, Array]) -> Limits:
    """The limits of a network, its largest pictures smaller where it enlarges them a lot.

    Args:
        limits: of any network.
        given: a sample of its inputs.
        made: what it made of it.
    """
    sides = [[one.shape[-1] for one in some.values() if one.ndim == 4] for some in (given, made)]
    if not all(sides):
        return limits
    times = max(sides[1]) / max(sides[0])
    if times <= _LARGEST_TIMES:
        return limits
    side = limits.side_px
    most = max(side.usual, round(side.most * _LARGEST_TIMES / times))
    return replace(limits, side_px=replace(side, most=most))


def profile_of(inputs: Sequence[TensorSpec], limits: Limits) -> Profile:
    """The optimisation profile of a network; empty where no input varies."""
    return {
        spec.name: (
            shape_within(spec, limits.batch.least, limits.side_px.least),
            shape_within(spec, limits.batch.usual, limits.side_px.usual),
            shape_within(spec, limits.batch.most, limits.side_px.most),
        )
        for spec in inputs
        if -1 in spec.shape
    }


def shape_within(spec: TensorSpec, batch: int, side_px: int) -> Shape:
    """The tensor's shape with an open first dimension as the batch, other open ones as the side."""
    return tuple(
        extent if extent >= 0 else batch if axis == 0 else side_px
        for axis, extent in enumerate(spec.shape)
    )


def samples_of(
    inputs: Sequence[TensorSpec],
    crops: Sequence[Array],
    limits: Limits,
    *,
    ranges: Sequence[Range] = USUAL_RANGES,
    batch: int = 1,
) -> list[dict[str, Array]]:
    """Inputs as like real ones as can be made without knowing what the network is for.

    Pictures are the crops, in turn in each of the ranges and, for networks that take several,
    shifted against each other by a few pixels. Vectors have length one, as embeddings do.

    Args:
        inputs: of the network.
        crops: ``(h, w, 3) u8``, pictures of faces; at least one.
        limits: the usual sizes are taken from them.
        ranges: of pixels, at least one.
        batch: how many at once where the first dimension is open.

    Returns:
        Arrays by input name, at least two samples and as many as there are crops or ranges.
    """
    random = np.random.default_rng(0)
    return [
        {
            spec.name: _sample(
                spec,
                crops[turn % len(crops)],
                3 * index,
                ranges[turn % len(ranges)],
                random,
                limits,
                batch,
            )
            for index, spec in enumerate(inputs)
        }
        for turn in range(max(2, len(crops), len(ranges)))
    ]


def _sample(
    spec: TensorSpec,
    crop: Array,
    shift_px: int,
    pixels: Range,
    random: np.random.Generator,
    limits: Limits,
    batch: int,
) -> Array:
    shape = shape_within(spec, batch, limits.side_px.usual)
    if spec.layout in ("NCHW", "NHWC"):
        height, width = shape[2:] if spec.layout == "NCHW" else shape[1:3]
        channels = shape[1] if spec.layout == "NCHW" else shape[3]
        picture: Array = cv2.resize(np.roll(crop, shift_px, axis=1), (width, height))
        if np.issubdtype(spec.dtype, np.floating):
            picture = picture.astype(np.float32) / 255 * (pixels[1] - pixels[0]) + pixels[0]
        planes = np.resize(picture.transpose(2, 0, 1), (channels, height, width))
        if spec.layout == "NHWC":
            planes = planes.transpose(1, 2, 0)
        return np.array(np.broadcast_to(planes, shape), spec.dtype, order="C")
    values = random.standard_normal(shape)
    length = np.sqrt((values**2).sum(axis=-1, keepdims=True)) if len(shape) > 1 else 1.0
    return np.asarray(values / length, spec.dtype)
