"""Triangles with values at their corners, drawn into a picture with depth."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.launch import LINE, Argument, Array, Stream, dense

# The rasteriser only knows a perspective camera. One this far away, with the corners pushed out
# by their own distance, draws parallel rays and leaves enough of float32 for the depth.
_CAMERA_PX = 16384.0
_REACH_PX = 6144.0

_WORLD = np.eye(4, dtype=np.float32)
"""OpenCV's world looks along -z with y up; its pictures are y down again."""

_THREADS = (64, 1, 1)
"""Of the block that draws a triangle; those of a face mesh cover about as many pixels."""


def rasterize(
    points_px: NDArray[np.float32],
    depth_px: NDArray[np.float32],
    triangles: NDArray[np.int32],
    values: NDArray[np.float32],
    *,
    out: NDArray[np.float32],
    depth: NDArray[np.float32] | NDArray[np.uint64],
    stream: Stream | None = None,
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
        depth: ``(H, W)`` C-contiguous scratch, f32 on the processor and u64 on a GPU.
        stream: the GPU's; None computes on the processor.

    Raises:
        ValueError: the arrays do not fit each other, on a GPU.
    """
    height, width = depth.shape
    if stream is not None:
        _on_gpu(points_px, depth_px, triangles, values, out, depth, stream)
        return
    out.fill(0.0)
    depth.fill(1.0)
    distance = depth_px + np.float32(_CAMERA_PX)
    push = distance * np.float32(1 / _CAMERA_PX)
    # Column by column: rows of two or three are worked on several times as slowly.
    vertices = np.empty((len(points_px), 3), np.float32)
    np.multiply(points_px[:, 0] + np.float32(0.5 - width / 2), push, out=vertices[:, 0])
    np.multiply(np.float32(height / 2 - 0.5) - points_px[:, 1], push, out=vertices[:, 1])
    np.negative(distance, out=vertices[:, 2])
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    # Otherwise the whole scratch is turned into this kind of depth, 0..1, and back.
    settings.setGlCompatibleMode(cv2.RASTERIZE_COMPAT_INVDEPTH)
    cv2.triangleRasterize(
        vertices,
        triangles,
        values,
        out,
        depth,
        _WORLD,
        2.0 * math.atan(height / 2 / _CAMERA_PX),
        _CAMERA_PX - _REACH_PX,
        _CAMERA_PX + _REACH_PX,
        settings,
    )


def _on_gpu(
    points_px: Array,
    depth_px: Array,
    triangles: Array,
    values: Array,
    out: Array,
    keys: Array,
    stream: Stream,
) -> None:
    height, width = keys.shape
    num_points, num_triangles = len(points_px), len(triangles)
    points = dense("rasterize: points_px", points_px, (num_points, 2))
    corners = dense("rasterize: triangles", triangles, (num_triangles, 3))
    size: list[Argument] = [np.int32(width), np.int32(height)]
    stream.launch(
        "rasterize",
        "clear_keys",
        [dense("rasterize: depth", keys, keys.shape), np.int32(keys.size)],
        extent=(keys.size, 1, 1),
        block=LINE,
    )
    if num_triangles:
        far = dense("rasterize: depth_px", depth_px, (num_points,))
        stream.launch(
            "rasterize",
            "draw_depth",
            [points, far, corners, keys, *size],
            extent=(_THREADS[0] * num_triangles, 1, 1),
            block=_THREADS,
        )
    drawn = dense("rasterize: values", values, (num_points, 3))
    target = dense("rasterize: out", out, (height, width, 3))
    stream.launch(
        "rasterize",
        "draw_values",
        [points, corners, drawn, keys, target, *size],
        extent=(width, height, 1),
    )
