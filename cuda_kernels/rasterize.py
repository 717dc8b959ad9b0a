"""Triangles with values at their corners, drawn into a picture with depth."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# The rasteriser only knows a perspective camera. One this far away, with the corners pushed out
# by their own distance, draws parallel rays and leaves enough of float32 for the depth.
_CAMERA_PX = 16384.0
_REACH_PX = 6144.0


def rasterize(
    points_px: NDArray[np.float32],
    depth_px: NDArray[np.float32],
    triangles: NDArray[np.int32],
    values: NDArray[np.float32],
    *,
    out: NDArray[np.float32],
    depth: NDArray[np.float32],
) -> None:
    """Draws a mesh; where two triangles meet in a pixel the nearer one is seen.

    A pixel is covered when its centre lies in a triangle. Values are interpolated linearly in the
    picture. Both sides of a triangle are drawn.

    Args:
        points_px: ``(N, 2) f32`` corners; the centre of the top-left pixel is (0, 0).
        depth_px: ``(N,) f32`` distance from the viewer in any origin, within ±6000.
        triangles: ``(M, 3) i32`` corners of each triangle.
        values: ``(N, 3) f32`` drawn quantity at each corner, 0..1.
        out: ``(H, W, 3) f32`` C-contiguous; 0 where nothing is drawn.
        depth: ``(H, W) f32`` C-contiguous scratch.
    """
    height, width = depth.shape
    out.fill(0.0)
    depth.fill(_CAMERA_PX + _REACH_PX)
    distance = depth_px + np.float32(_CAMERA_PX)
    push = distance / np.float32(_CAMERA_PX)
    vertices = np.empty((len(points_px), 3), np.float32)
    np.multiply(points_px[:, 0] + np.float32(0.5 - width / 2), push, out=vertices[:, 0])
    np.multiply(np.float32(height / 2 - 0.5) - points_px[:, 1], push, out=vertices[:, 1])
    np.negative(distance, out=vertices[:, 2])
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    # OpenCV's world looks along -z with y up; its pictures are y down again.
    world = np.eye(4, dtype=np.float32)
    field_of_view = 2.0 * math.atan(height / 2 / _CAMERA_PX)
    cv2.triangleRasterize(
        vertices,
        triangles,
        values,
        out,
        depth,
        world,
        field_of_view,
        _CAMERA_PX - _REACH_PX,
        _CAMERA_PX + _REACH_PX,
        settings,
    )
