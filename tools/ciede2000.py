"""Colour difference after CIE 142-2001 (CIEDE2000).

Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary
test data, and mathematical observations" (2005); names of the quantities are theirs.
"""

import numpy as np
from numpy.typing import NDArray

Lab = NDArray[np.float64]
"""``(..., 3) f64``: L* 0..100, a* and b*."""

_POW7 = 25.0**7


def ciede2000(one: Lab, other: Lab) -> NDArray[np.float64]:
    """The difference of colours, all parametric factors 1.

    Args:
        one, other: of shapes that broadcast.

    Returns:
        ``(...,) f64``, 0 or more; about 1 can just be seen.
    """
    lightness = one[..., 0], other[..., 0]
    chroma_mean = (np.hypot(*_ab(one)) + np.hypot(*_ab(other))) / 2
    gain = 1.5 - 0.5 * np.sqrt(chroma_mean**7 / (chroma_mean**7 + _POW7))
    chromas, hues = zip(*(_polar(lab, gain) for lab in (one, other)), strict=True)
    chroma = (chromas[0] + chromas[1]) / 2
    colourless = chromas[0] * chromas[1] == 0.0
    turn = np.where(colourless, 0.0, (hues[1] - hues[0] + 180.0) % 360.0 - 180.0)
    hue = _mean_hue(hues, colourless)
    off = (lightness[0] + lightness[1]) / 2 - 50.0
    s_l = 1.0 + 0.015 * off**2 / np.sqrt(20.0 + off**2)
    s_c = 1.0 + 0.045 * chroma
    s_h = 1.0 + 0.015 * chroma * _hue_weight(hue)
    d_l = (lightness[1] - lightness[0]) / s_l
    d_c = (chromas[1] - chromas[0]) / s_c
    d_h = 2.0 * np.sqrt(chromas[0] * chromas[1]) * np.sin(np.radians(turn) / 2) / s_h
    squares = d_l**2 + d_c**2 + d_h**2 + _rotation(chroma, hue) * d_c * d_h
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)), np.float64)


def _ab(lab: Lab) -> tuple[Lab, Lab]:
    return lab[..., 1], lab[..., 2]


def _polar(lab: Lab, gain: Lab) -> tuple[Lab, Lab]:
    """Chroma and hue in degrees 0..360, with a* stretched."""
    a, b = _ab(lab)
    return np.hypot(gain * a, b), np.degrees(np.arctan2(b, gain * a)) % 360.0


def _mean_hue(hues: tuple[Lab, ...], colourless: NDArray[np.bool_]) -> Lab:
    total, apart = hues[0] + hues[1], np.abs(hues[0] - hues[1])
    around = np.where(total < 360.0, total + 360.0, total - 360.0)
    mean = np.where(apart <= 180.0, total, around) / 2
    return np.asarray(np.where(colourless, total, mean), np.float64)


def _hue_weight(hue: Lab) -> Lab:
    waves = ((1, -30.0, -0.17), (2, 0.0, 0.24), (3, 6.0, 0.32), (4, -63.0, -0.20))
    parts = [factor * np.cos(np.radians(times * hue + shift)) for times, shift, factor in waves]
    return np.asarray(1.0 + sum(parts), np.float64)


def _rotation(chroma: Lab, hue: Lab) -> Lab:
    angle = 30.0 * np.exp(-(((hue - 275.0) / 25.0) ** 2))
    strength = 2.0 * np.sqrt(chroma**7 / (chroma**7 + _POW7))
    return np.asarray(-np.sin(np.radians(2.0 * angle)) * strength, np.float64)
