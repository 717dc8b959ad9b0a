"""Resizes as MATLAB's ``imresize`` does, which published super-resolution figures rest on.

When it shrinks, the cubic kernel is widened by the factor (antialiasing); borders are mirrored with
the border pixel repeated. OpenCV's ``INTER_CUBIC`` does neither and has another kernel, which moves
PSNR by more than 1 dB.
"""

import math

import numpy as np
from numpy.typing import NDArray

_A = -0.5
"""The free number of Keys' cubic kernel."""


def imresize(
    image: NDArray[np.uint8] | NDArray[np.float64], height: int, width: int
) -> NDArray[np.float64]:
    """Bicubic ``imresize`` with antialiasing.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any scale of values.
        height: wanted, pixels.
        width: wanted, pixels.

    Returns:
        f64 of the wanted size, neither rounded nor clipped.
    """
    return mixed(image, line_weights(image.shape[0], height), line_weights(image.shape[1], width))


def resized_u8(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """As ``imresize``, rounded to whole grey levels as MATLAB does for whole numbers."""
    return as_levels(imresize(image, height, width))


def mixed(
    image: NDArray[np.uint8] | NDArray[np.float64],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> NDArray[np.float64]:
    """A picture resized by weights that are already there, for many pictures of one size.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        rows: ``(height, H)`` of ``line_weights``.
        columns: ``(width, W)`` of ``line_weights``.
    """
    height, width = image.shape[:2]
    flat = image.astype(np.float64).reshape(height, -1)
    tall = (rows @ flat).reshape(len(rows), width, -1)
    wide: NDArray[np.float64] = columns @ tall
    return wide.reshape(len(rows), len(columns), *image.shape[2:])


def as_levels(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Rounded to whole grey levels, halves upwards, and cut at both ends."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel (1981)."""
    d = np.abs(distance)
    near = (_A + 2) * d**3 - (_A + 3) * d**2 + 1
    far = _A * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def line_weights(given: int, wanted: int) -> NDArray[np.float64]:
    """``(wanted, given) f64``: how each new pixel of a line mixes the old ones; rows sum to 1."""
    scale = wanted / given
    squeeze = min(scale, 1.0)
    reach = math.ceil(4 / squeeze) + 2
    places = (np.arange(wanted) + 0.5) / scale - 0.5
    first = np.floor(places - reach / 2).astype(int)
    taps = first[:, None] + np.arange(reach + 1)
    shares = _cubic((places[:, None] - taps) * squeeze)
    shares /= shares.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(given), np.arange(given)[::-1]])
    weights = np.zeros((wanted, given))
    np.add.at(weights, (np.arange(wanted)[:, None], mirrored[taps % (2 * given)]), shares)
    return weights
