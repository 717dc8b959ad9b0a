"""Super-resolution networks: small pictures go in, the same ones with more pixels come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.signature import ANY, expect_count, find, shown
from engines.families.specs import EnlargerFamily
from engines.families.tensors import Picture
from engines.session import Session, TensorSpec

GRID_PX = 16
"""Sides are filled up to multiples of this, as runtimes prepare themselves for each new size."""

LEAST_PX = 64
"""And to this much, the least that plans for GPUs are built for."""


_STRIP_PX = 128
"""Lines of a large picture that are enlarged at once; all of them would take gigabytes."""

_OVERLAP_PX = 24
"""Further lines above and below, as far as our networks look."""


@dataclass(frozen=True, slots=True)
class EnlargerTensors:
    """The network's tensors by what they are."""

    small: TensorSpec
    large: TensorSpec


def bind_enlarger(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> EnlargerTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of such a network, or its size is fixed.
    """
    expect_count(inputs, (1,), where=where, role="inputs")
    expect_count(outputs, (1,), where=where, role="outputs")
    picture = (ANY, 3, ANY, ANY)
    small = find(inputs, picture, where=where, role="an input")
    large = find(outputs, picture, where=where, role="an output")
    if small.shape[2:] != (ANY, ANY):
        raise ModelError(
            f"{where}: the network must take pictures of any size, got {shown(small.shape)}. "
            "Export it with open height and width."
        )
    return EnlargerTensors(small, large)


class Enlarger:
    """One super-resolution network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: EnlargerFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        self._tensors = bind_enlarger(session.inputs, session.outputs, family.role)
        self._session = session
        self._scale = family.scale
        self._takes_many = self._tensors.small.shape[0] == ANY
        self._small = np.zeros((0, 3, 0, 0), self._tensors.small.dtype)
        self._large = np.zeros((0, 3, 0, 0), self._tensors.large.dtype)

    @property
    def scale(self) -> int:
        """How many times as many pixels along each side come out."""
        return self._scale

    def enlarge(self, pictures: Sequence[Picture], *, out: Sequence[Picture]) -> None:
        """Enlarges pictures of one size, all at once where the network takes several.

        Args:
            pictures: ``(h, w, 3) u8 BGR`` each; at least one.
            out: as many of ``(scale h, scale w, 3) u8 BGR``, written.

        Raises:
            ModelError: the network fails or gives no picture.
        """
        step = len(pictures) if self._takes_many else 1
        for first in range(0, len(pictures), step):
            self._run(pictures[first : first + step], out[first : first + step])

    def enlarge_in_strips(self, picture: Picture, *, out: Picture) -> None:
        """Enlarges a picture that may be large, some lines at a time.

        Args:
            picture: ``(h, w, 3) u8 BGR``.
            out: ``(scale h, scale w, 3) u8 BGR``, written; the same as in one piece for networks
                that look no more than 24 pixels far.

        Raises:
            ModelError: the network fails or gives no picture.
        """
        scale, height = self._scale, picture.shape[0]
        shown = min(height, _STRIP_PX + 2 * _OVERLAP_PX)
        strip = np.empty((scale * shown, scale * picture.shape[1], 3), np.uint8)
        for top in range(0, height, _STRIP_PX):
            bottom = min(top + _STRIP_PX, height)
            begin = min(max(top - _OVERLAP_PX, 0), height - shown)
            self.enlarge([picture[begin : begin + shown]], out=[strip])
            part = strip[scale * (top - begin) : scale * (bottom - begin)]
            out[scale * top : scale * bottom] = part

    def _run(self, pictures: Sequence[Picture], out: Sequence[Picture]) -> None:
        height, width = pictures[0].shape[:2]
        self._fit(len(pictures), _filled_up(height), _filled_up(width))
        for picture, planes in zip(pictures, self._small, strict=True):
            _write(picture, planes)
        inputs, outputs = (
            {self._tensors.small.name: self._small},
            {self._tensors.large.name: self._large},
        )
        self._session.enqueue(inputs, out=outputs, stream=0)
        for planes, picture in zip(self._large, out, strict=True):
            _read(planes[:, : picture.shape[0], : picture.shape[1]], picture)

    def _fit(self, count: int, height: int, width: int) -> None:
        """Takes other buffers where the last ones were of another size."""
        if self._small.shape == (count, 3, height, width):
            return
        self._small = np.zeros((count, 3, height, width), self._small.dtype)
        large = (count, 3, height * self._scale, width * self._scale)
        self._large = np.zeros(large, self._large.dtype)


def _filled_up(side_px: int) -> int:
    return max(-(-side_px // GRID_PX) * GRID_PX, LEAST_PX)


def _write(picture: Picture, planes: NDArray[Any]) -> None:
    """Fills the corner of a tensor, and repeats the picture's edge in what is left of it."""
    height, width = picture.shape[:2]
    for plane, channel in zip(planes, (2, 1, 0), strict=True):
        part = plane[:height, :width]
        np.multiply(picture[..., channel], np.float32(1 / 255), out=part, casting="same_kind")
        plane[:height, width:] = plane[:height, width - 1 : width]
        plane[height:] = plane[height - 1]


def _read(planes: NDArray[Any], picture: Picture) -> None:
    """Rounds a tensor to a picture.

    Raises:
        ModelError: the network gave values that are no numbers.
    """
    levels = []
    for plane in planes[::-1]:
        floats = np.ascontiguousarray(plane, np.float32)
        # NaN would become black; to paint it would be to paint anything.
        if not np.isfinite(cv2.sumElems(floats)[0]):
            raise ModelError(
                "network: the picture it gives must consist of numbers, got NaN. "
                "Use its fp32 version."
            )
        levels.append(cv2.addWeighted(floats, 255.0, floats, 0.0, 0.0, dtype=cv2.CV_8U))
    cv2.merge(levels, dst=picture)
