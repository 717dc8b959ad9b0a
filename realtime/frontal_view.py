"""The crop of a turned head as seen more from the front, and the way back, on the processor."""

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.frontal import cut_turned, put_back
from cuda_kernels.rasterize import rasterize
from engines.families.crops import cut_crop
from realtime.face_mesh import FaceMesh
from realtime.frame import Image, Points
from realtime.frontal_mesh import DENSITY, FrontalMesh, Turn, dense_from_image
from realtime.geometry import Matrix
from realtime.memory import Memory


class FrontalView:
    """Holds the tables and scratch for one size of crop; belongs to one thread."""

    def __init__(self, mesh: FaceMesh, crop_px: int, memory: Memory) -> None:
        """Takes its scratch.

        Args:
            mesh: of the landmarks.
            crop_px: side of the network's crop.
            memory: gives out the scratch.
        """
        self._mesh = FrontalMesh(mesh)
        side = (crop_px, crop_px)
        self._back, self._there, self._mirrored = (
            memory.host((*side, 3), np.float32) for _ in range(3)
        )
        self._depth, self._seen = (memory.host(side, np.float32) for _ in range(2))
        self._plain: Image = memory.host((*side, 3), np.uint8)
        dense_px = DENSITY * crop_px
        self._dense: Image = memory.host((dense_px, dense_px, 3), np.uint8)

    def cut(
        self, image: Image, landmarks: Points, turn: Turn, turned_from_image: Matrix, *, out: Image
    ) -> Matrix:
        """Writes the crop of the turned head, and prepares the way back.

        What the turn brings into view is taken from the other side of the face.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            landmarks: ``(468, 3) f32`` image pixels as they are in the picture.
            turn: how the head is turned.
            turned_from_image: ``(2, 3) f64``, the network's crop for the turned landmarks.
            out: ``(C, C, 3) u8 BGR`` is written.

        Returns:
            ``(2, 3) f64`` the crop of the picture that ``put_back`` writes.
        """
        views = self._mesh.views(landmarks, turn, turned_from_image)
        self._draw(views.direct_px, views.direct_depth, views.back, self._back)
        self._draw(views.turned_px, views.turned_depth, views.there, self._there)
        self._draw(views.turned_px, views.turned_depth, views.mirrored, self._mirrored)
        cut_crop(image, dense_from_image(views.crop_from_image), out=self._dense)
        if turn.share < 1.0:
            cut_crop(image, turned_from_image, out=self._plain)
        cut_turned(
            self._dense,
            self._plain,
            self._back,
            self._there,
            self._mirrored,
            np.array([turn.share, views.tolerance_px], np.float32),
            seen=self._seen,
            out=out,
        )
        return views.crop_from_image

    def put_back(
        self,
        picture: NDArray[np.uint8],
        turn: Turn,
        *,
        border: int,
        out: NDArray[np.uint8],
    ) -> None:
        """Turns a crop back to where the head looks in the picture.

        Args:
            picture: ``(C, C)`` or ``(C, C, 3) u8``, in the crop that ``cut`` wrote.
            turn: as given to ``cut``.
            border: what lies beyond the crop, one of OpenCV's border modes.
            out: of the same shape, in the crop that ``cut`` returned; is written.
        """
        put_back(picture, self._back, turn.share, border=border, out=out)

    def _draw(
        self,
        corners_px: NDArray[np.float32],
        depth_px: NDArray[np.float32],
        values: NDArray[np.float32],
        out: NDArray[np.float32],
    ) -> None:
        rasterize(corners_px, depth_px, self._mesh.triangles, values, out=out, depth=self._depth)
