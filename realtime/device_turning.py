"""Turned heads on a device: shown to the network more from the front, and turned back after it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.device import Device
from cuda_kernels.frontal import NUMBERS, cut_turned, turn_back
from cuda_kernels.launch import Array, Stream
from cuda_kernels.rasterize import rasterize
from cuda_kernels.warp import CROP_PLACE, crop_place, warp_placed
from realtime.frontal_mesh import DENSITY, MeshViews, dense_from_image
from realtime.geometry import Matrix


@dataclass(frozen=True, slots=True)
class TurnedFace:
    """How one face of one frame is turned to the camera.

    Attributes:
        views: its mesh in the picture's crop and in the turned one.
        turned_from_image: ``(2, 3) f64``, the network's crop for the turned landmarks.
        share: how much of the picture comes over the mesh, 0..1.
    """

    views: MeshViews
    turned_from_image: Matrix
    share: float


class TurnBlock:
    """What goes up with a turned face, as pieces of one array.

    Args:
        block: ``(TurnBlock.size(num_corners),) f32``.
        num_corners: of the mesh.
    """

    def __init__(self, block: Array, num_corners: int) -> None:
        ends = np.cumsum([0, *_sizes(num_corners)])
        pieces = [block[begin:end] for begin, end in pairwise(ends)]
        self.whole = block
        self.direct_px, self.turned_px = (one.reshape(num_corners, 2) for one in pieces[:2])
        self.direct_depth, self.turned_depth = pieces[2:4]
        self.back, self.there, self.mirrored = (one.reshape(num_corners, 3) for one in pieces[4:7])
        self.dense_place, self.plain_place, self.numbers = pieces[7:]

    @staticmethod
    def size(num_corners: int) -> int:
        """Elements of the array."""
        return sum(_sizes(num_corners))

    def write(self, face: TurnedFace, size: tuple[int, int]) -> None:
        """Writes down how a face is turned.

        Args:
            face: of the frame.
            size: width and height of the picture.
        """
        views = face.views
        for name in (
            "direct_px",
            "turned_px",
            "direct_depth",
            "turned_depth",
            "back",
            "there",
            "mirrored",
        ):
            getattr(self, name)[:] = getattr(views, name)
        self.dense_place[:] = crop_place(dense_from_image(views.crop_from_image), *size)
        self.plain_place[:] = crop_place(face.turned_from_image, *size)
        self.numbers[:] = face.share, views.tolerance_px


class Turning:
    """Scratch for one face at a time; belongs to one stage and its stream.

    Args:
        device: has the arrays.
        triangles: ``(T, 3) i32`` of the mesh.
        crop_px: side of the network's crop.
    """

    def __init__(self, device: Device, triangles: NDArray[np.int32], crop_px: int) -> None:
        side = (crop_px, crop_px)
        self._triangles = device.put(triangles)
        self._back, self._there, self._mirrored, self.levels = (
            device.zeros((*side, 3), np.float32) for _ in range(4)
        )
        self._depth = device.zeros(side, np.float32 if device.place == "cpu" else np.uint64)
        self._seen = device.zeros(side, np.float32)
        self._plain, self.crop = (device.zeros((*side, 3), np.uint8) for _ in range(2))
        dense_px = DENSITY * crop_px
        self._dense = device.zeros((dense_px, dense_px, 3), np.uint8)

    def cut(self, image: Array, there: TurnBlock, stream: Stream | None) -> None:
        """Queues drawing the crop of the turned head into ``crop``."""
        for corners, depth, values, out in (
            (there.direct_px, there.direct_depth, there.back, self._back),
            (there.turned_px, there.turned_depth, there.there, self._there),
            (there.turned_px, there.turned_depth, there.mirrored, self._mirrored),
        ):
            rasterize(
                corners,
                depth,
                self._triangles,
                values,
                out=out,
                depth=self._depth,
                stream=stream,
            )
        warp_placed(image, there.dense_place, out=self._dense, stream=stream)
        warp_placed(image, there.plain_place, out=self._plain, stream=stream)
        cut_turned(
            self._dense,
            self._plain,
            self._back,
            self._there,
            self._mirrored,
            there.numbers,
            seen=self._seen,
            out=self.crop,
            stream=stream,
        )

    def put_back(self, there: TurnBlock, *, out: Array, stream: Stream | None) -> None:
        """Queues turning ``levels`` back to where the head looks in the picture."""
        turn_back(self.levels, self._back, there.numbers, out=out, stream=stream)


def _sizes(num_corners: int) -> tuple[int, ...]:
    wide = tuple(width * num_corners for width in (2, 2, 1, 1, 3, 3, 3))
    return (*wide, CROP_PLACE, CROP_PLACE, NUMBERS)
