"""The many channels of a feature map laid side by side, as a picture that a memory can take."""

import math

import numpy as np
from numpy.typing import NDArray

from realtime.feature_flow import feature_flow
from realtime.frame import Motion
from realtime.geometry import Matrix

_CHANNELS = 4
"""Channels of the sheet; a picture for OpenCV has no more."""

_MARGIN = 4
"""Pixels around each tile that repeat its edge, so that filters do not see the next tile."""

_MULTIPLE = 4
"""Tiles and what is in them begin on multiples of this, so that a quarter of the size mixes no two
of them, and is that of each map."""

IDENTITY: Matrix = np.eye(2, 3)
IDENTITY.flags.writeable = False


class FeatureSheet:
    """Feature maps of one size, four channels to a tile, the tiles in rows.

    Buffers belong to the object; what it gives out is written again with the next call.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        """Takes the buffers.

        Args:
            channels, height, width: of the feature maps.
        """
        self._size = (channels, height, width)
        groups = math.ceil(channels / _CHANNELS)
        columns = math.ceil(math.sqrt(groups))
        rows = math.ceil(groups / columns)
        tall, wide = (
            _MULTIPLE * math.ceil((extent + 2 * _MARGIN) / _MULTIPLE) for extent in (height, width)
        )
        self._tiles = (rows, tall, columns, wide)
        shape = (rows * tall, columns * wide)
        self._sheet = np.zeros((*shape, _CHANNELS), np.float32)
        self._flow = np.zeros((*shape, 2), np.float32)
        self._confidence = np.zeros(shape, np.float32)
        self._planes = np.zeros((rows * columns * _CHANNELS, height, width), np.float32)

    def lay(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Lays feature maps out.

        Args:
            maps: ``(C, h, w)``.

        Returns:
            ``(H, W, 4) f32``.
        """
        rows, _, columns, _ = self._tiles
        channels, height, width = self._size
        self._planes[:channels] = maps
        tiles = self._planes.reshape(rows, columns, _CHANNELS, height, width)
        sheet = self._sheet.reshape(*self._tiles, _CHANNELS)
        sheet[self._inner()] = tiles.transpose(0, 3, 1, 4, 2)
        self._repeat_edges(sheet)
        return self._sheet

    def take(self, sheet: NDArray[np.float32], *, out: NDArray[np.float32]) -> None:
        """Takes feature maps from a sheet.

        Args:
            sheet: ``(H, W, 4)`` as ``lay`` makes it.
            out: ``(C, h, w)`` is written.
        """
        channels, height, width = self._size
        tiles = sheet.reshape(*self._tiles, _CHANNELS)[self._inner()]
        planes = tiles.transpose(0, 2, 4, 1, 3).reshape(-1, height, width)
        out[...] = planes[:channels]

    def motion(
        self, motion: Motion, crop_from_image: Matrix, before_from_image: Matrix, crop_px: int
    ) -> Motion:
        """A face's motion as that of every tile.

        Args:
            motion: of the face in the picture.
            crop_from_image: ``(2, 3)``, the network's crop of this frame.
            before_from_image: ``(2, 3)``, that of the frame before.
            crop_px: side of these crops.

        Returns:
            The motion of a sheet that fills its crop, in both frames.
        """
        flow, confidence = feature_flow(
            motion, crop_from_image, before_from_image, crop_px, self._size[1:]
        )
        for target, tile in (
            (self._flow.reshape(*self._tiles, 2), flow[None, :, None]),
            (self._confidence.reshape(*self._tiles, 1), confidence[None, :, None, :, None]),
        ):
            target[self._inner()] = tile
            self._repeat_edges(target)
        return Motion(IDENTITY, IDENTITY, self._flow, self._confidence)

    def _inner(self) -> tuple[slice, slice, slice, slice]:
        """Where the contents of all tiles lie in a sheet that is cut into them."""
        _, height, width = self._size
        return (
            slice(None),
            slice(_MARGIN, _MARGIN + height),
            slice(None),
            slice(_MARGIN, _MARGIN + width),
        )

    def _repeat_edges(self, tiles: NDArray[np.float32]) -> None:
        _, height, width = self._size
        top, left = _MARGIN, _MARGIN
        bottom, right = top + height, left + width
        tiles[:, :top] = tiles[:, top : top + 1]
        tiles[:, bottom:] = tiles[:, bottom - 1 : bottom]
        tiles[:, :, :, :left] = tiles[:, :, :, left : left + 1]
        tiles[:, :, :, right:] = tiles[:, :, :, right - 1 : right]
