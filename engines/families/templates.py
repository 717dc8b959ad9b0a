"""Where five points of a face lie in the aligned crops that networks were trained on.

The points are the eyes, the tip of the nose and the corners of the mouth, from left to right as
seen in the picture. Coordinates are shares of the crop's side; times the side they are pixels,
the centre of the top-left one being (0, 0).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]
"""``(2, 3)`` affine map of the plane, ``b_from_a``."""

TemplateName = Literal[
    "arcface_112_v1",
    "arcface_112_v2",
    "arcface_128",
    "dfl_whole_face",
    "ffhq_512",
    "mtcnn_512",
]

Templates = NDArray[np.float64]
"""``(T, 5, 2)`` crop pixels: one template, or those for a head turned from the left of the
picture over the front, which lies in the middle, to the right."""

_Five = tuple[tuple[float, float], ...]

# arcface_112_v2 is InsightFace's ``arcface_dst`` over 112 pixels, arcface_128 the same moved by
# 8 of 128; the others as FaceFusion's published exports of the networks use them.
_TEMPLATES: Mapping[str, _Five] = MappingProxyType(
    {
        "arcface_112_v1": (
            (0.35473214, 0.45658929),
            (0.64526786, 0.45658929),
            (0.50000000, 0.61154464),
            (0.37913393, 0.77687500),
            (0.62086607, 0.77687500),
        ),
        "arcface_112_v2": (
            (0.34191607, 0.46157411),
            (0.65653393, 0.45983393),
            (0.50022500, 0.64050536),
            (0.37097589, 0.82469196),
            (0.63151696, 0.82325089),
        ),
        "arcface_128": (
            (0.36167656, 0.40387734),
            (0.63696719, 0.40235469),
            (0.50019687, 0.56044219),
            (0.38710391, 0.72160547),
            (0.61507734, 0.72034453),
        ),
        "dfl_whole_face": (
            (0.35342266, 0.39285716),
            (0.62797622, 0.39285716),
            (0.48660713, 0.54017860),
            (0.38839287, 0.68750011),
            (0.59821427, 0.68750011),
        ),
        "ffhq_512": (
            (0.37691676, 0.46864664),
            (0.62285697, 0.46912813),
            (0.50123859, 0.61331904),
            (0.39308822, 0.72541100),
            (0.61150205, 0.72490465),
        ),
        "mtcnn_512": (
            (0.36562865, 0.46733799),
            (0.63305391, 0.46585885),
            (0.50019127, 0.61942959),
            (0.39032951, 0.77598822),
            (0.61178945, 0.77476328),
        ),
    }
)

# InsightFace's early ``src_map`` in pixels of 112, from a head that looks to the left of the
# picture to one that looks to the right; the one in the middle is arcface_112_v1. SimSwap and
# Ghost were trained on crops that lie on whichever of these fits best.
_YAW_PX = 112
_YAW_TEMPLATES: tuple[_Five, ...] = (
    (
        (51.642, 50.115),
        (57.617, 49.990),
        (35.740, 69.007),
        (51.157, 89.050),
        (57.025, 89.702),
    ),
    (
        (45.031, 50.118),
        (65.568, 50.872),
        (39.677, 68.111),
        (45.177, 86.190),
        (64.246, 86.758),
    ),
    (
        (39.730, 51.138),
        (72.270, 51.138),
        (56.000, 68.493),
        (42.463, 87.010),
        (69.537, 87.010),
    ),
    (
        (46.845, 50.872),
        (67.382, 50.118),
        (72.737, 68.111),
        (48.167, 86.758),
        (67.236, 86.190),
    ),
    (
        (54.796, 49.990),
        (60.771, 50.115),
        (76.673, 69.007),
        (55.388, 89.702),
        (61.257, 89.050),
    ),
)


def template_points(name: TemplateName, size_px: int, *, boost: int = 1) -> NDArray[np.float64]:
    """The five points of a template in the pixels of a crop.

    Args:
        name: the template.
        size_px: side of the network's crop.
        boost: the crop has ``boost`` times as many pixels along each side; a pixel of the small
            crop is then the middle of a block of the large one.

    Returns:
        ``(5, 2) f64``.
    """
    points = np.array(_TEMPLATES[name]) * size_px
    return np.asarray((points + 0.5) * boost - 0.5)


def yaw_template_points(size_px: int, *, boost: int = 1) -> Templates:
    """The five templates for heads turned to the side, in the pixels of a crop.

    Args:
        size_px, boost: as for ``template_points``.

    Returns:
        ``(5, 5, 2) f64``, from looking to the left edge of the picture to looking to the right.
    """
    points = np.array(_YAW_TEMPLATES) / _YAW_PX * size_px
    return np.asarray((points + 0.5) * boost - 0.5)


def fit_template(points: ArrayLike, name: TemplateName, size_px: int, *, boost: int = 1) -> Matrix:
    """The similarity that lays a face onto a template with the least squared error.

    Args:
        points: ``(5, 2)`` image pixels.
        name, size_px, boost: as for ``template_points``.

    Returns:
        ``(2, 3) f64``, crop pixels from image pixels.

    Raises:
        ValueError: all points coincide.
    """
    return fit_points(points, template_points(name, size_px, boost=boost))


def fit_points(points: ArrayLike, wanted: NDArray[np.float64]) -> Matrix:
    """The similarity that lays five points onto five others with the least squared error.

    In complex numbers the template is ``turn * point + shift``, and least squares has a closed
    solution (Umeyama 1991, without reflection). It moves smoothly with the points, which an
    estimate that drops outliers does not.

    Args:
        points: ``(5, 2)`` image pixels.
        wanted: ``(5, 2) f64`` crop pixels.

    Returns:
        ``(2, 3) f64``, crop pixels from image pixels.

    Raises:
        ValueError: all points coincide.
    """
    given = np.asarray(points, np.float64)
    if given.shape != (5, 2):
        raise ValueError(f"fit_points: points must be (5, 2), got {given.shape}.")
    image = given[:, 0] + 1j * given[:, 1]
    target = wanted @ np.array([1.0, 1j])
    spread = image - image.mean()
    power = float(np.vdot(spread, spread).real)
    if not power > 0.0:
        raise ValueError("fit_points: the points must not all coincide.")
    turn = np.vdot(spread, target - target.mean()) / power
    shift = target.mean() - turn * image.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
