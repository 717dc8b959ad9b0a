"""Pictures to tensors and back, one table look-up or one multiplication for each value."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.specs import Colours

Picture = NDArray[np.uint8]
"""``(H, W, 3) u8 BGR``."""


class PictureWriter:
    """Writes pictures into a network's input as ``(x / 255 - mean) / std``.

    The 256 values a channel can take are computed once in double precision, so a tensor is as
    near to the definition as its type allows.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        colours: Colours,
        dtype: np.dtype[Any],
    ) -> None:
        """Makes the tables.

        Args:
            mean, std: three values each, in the order of ``colours``.
            colours: order of the tensor's channels.
            dtype: type of the tensor.
        """
        levels = np.arange(256) / 255
        self._tables = [((levels - m) / s).astype(dtype) for m, s in zip(mean, std, strict=True)]
        self._order = (2, 1, 0) if colours == "rgb" else (0, 1, 2)

    def write(self, picture: Picture, *, planes: NDArray[Any]) -> None:
        """Fills a tensor with channels first.

        Args:
            picture: ``(H, W, 3) u8 BGR``.
            planes: ``(3, H, W)`` of the writer's type is written.
        """
        for table, channel, plane in zip(self._tables, self._order, planes, strict=True):
            np.take(table, picture[..., channel], out=plane, mode="clip")

    def write_interleaved(self, picture: Picture, *, pixels: NDArray[Any]) -> None:
        """Fills a tensor with channels last.

        Args:
            picture: ``(H, W, 3) u8 BGR``.
            pixels: ``(H, W, 3)`` of the writer's type is written.
        """
        for index, (table, channel) in enumerate(zip(self._tables, self._order, strict=True)):
            pixels[..., index] = table[picture[..., channel]]


class PictureReader:
    """Reads a network's output as a picture: ``x * std + mean`` in 0..1, cut at both ends."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], size_px: int) -> None:
        """Takes the scratch.

        Args:
            mean, std: three values each, RGB.
            size_px: side of the square pictures.
        """
        self._scale = [np.float32(255 * value) for value in std]
        self._offset = [np.float32(255 * value) for value in mean]
        self._scratch = np.zeros((size_px, size_px), np.float32)

    def read(self, planes: NDArray[Any], *, out: Picture) -> None:
        """Rounds to whole levels.

        Args:
            planes: ``(3, S, S) f32`` or ``f16``, RGB.
            out: ``(S, S, 3) u8 BGR`` is written; may be a strided view.

        Raises:
            ModelError: the network gave values that are no numbers.
        """
        scratch = self._scratch
        for plane, scale, offset, channel in zip(
            planes, self._scale, self._offset, (2, 1, 0), strict=True
        ):
            np.multiply(plane, scale, out=scratch, dtype=np.float32, casting="same_kind")
            scratch += offset
            np.clip(scratch, 0.0, 255.0, out=scratch)
            # NaN survives the clip; to paint it would be to paint anything.
            if not math.isfinite(float(scratch.sum())):
                raise ModelError(
                    "network: the picture it gives must consist of numbers, got NaN. "
                    "Use its fp32 version."
                )
            np.rint(scratch, out=scratch)
            out[..., channel] = scratch
