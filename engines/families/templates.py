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


def fit_template(points: ArrayLike, name: TemplateName, size_px: int, *, boost: int = 1) -> Matrix:
    """The similarity that lays a face onto a template with the least squared error.

    In complex numbers the template is ``turn * point + shift``, and least squares has a closed
    solution (Umeyama 1991, without reflection). It moves smoothly with the points, which an
    estimate that drops outliers does not.

    Args:
        points: ``(5, 2)`` image pixels.
        name, size_px, boost: as for ``template_points``.

    Returns:
        ``(2, 3) f64``, crop pixels from image pixels.

    Raises:
        ValueError: all points coincide.
    """
    given = np.asarray(points, np.float64)
    if given.shape != (5, 2):
        raise ValueError(f"fit_template: points must be (5, 2), got {given.shape}.")
    image = given[:, 0] + 1j * given[:, 1]
    wanted = template_points(name, size_px, boost=boost) @ np.array([1.0, 1j])
    spread = image - image.mean()
    power = float(np.vdot(spread, spread).real)
    if not power > 0.0:
        raise ValueError("fit_template: the points must not all coincide.")
    turn = np.vdot(spread, wanted - wanted.mean()) / power
    shift = wanted.mean() - turn * image.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
