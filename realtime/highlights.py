"""What shines on skin, brought from one skin to another.

The surface of skin throws the lamp's light back as it is, about equally much on dark and on fair
skin; it adds to what the skin's own colour sends back (dichromatic reflection, Shafer 1985). A
texture holds what is seen over the plain skin. So a shine that doubles the brightness of dark skin
would blow fair skin out, though there it adds only a part of that.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_texture import DETAIL_ONE, FaceTexture

_PLAIN = 0.1
"""Up to this much over the light the skin is its own shading, which goes with its colour."""

_STEP = 0.25
"""Textures are prepared for shares of the shine in such steps."""

_STAY = 0.2
"""A share that is off by less stays, so that none changes back and forth."""

_NOISE_LUMA = 8.0
"""Added to both skins before they are compared, grey levels."""


class Highlights:
    """The textures of one person for skins of other brightness; belongs to one thread."""

    def __init__(self, texture: FaceTexture) -> None:
        """Takes the person's texture; others are prepared when they are first asked for."""
        self._by_steps = {round(1.0 / _STEP): texture}
        self._skin_luma = texture.skin_luma

    def on_skin(self, luma: float, before: FaceTexture | None) -> FaceTexture:
        """The texture for a target.

        Args:
            luma: brightness of the target's skin, 0..255.
            before: what the target was drawn with last; None: it is new.
        """
        share = min((self._skin_luma + _NOISE_LUMA) / (luma + _NOISE_LUMA), 1.0)
        for steps, texture in self._by_steps.items():
            if texture is before and abs(share - steps * _STEP) < _STAY:
                return texture
        steps = max(round(share / _STEP), 1)
        if steps not in self._by_steps:
            whole = self._by_steps[round(1.0 / _STEP)]
            levels = tuple(_dulled(level, steps * _STEP) for level in whole.detail)
            self._by_steps[steps] = replace(whole, detail=levels)
        return self._by_steps[steps]


def _dulled(level: NDArray[np.uint16], share: float) -> NDArray[np.uint16]:
    """A texture of which only a share of the shine is left."""
    plain = np.full_like(level, round((1.0 + _PLAIN) * DETAIL_ONE))
    shine = cv2.subtract(level, plain)
    return np.asarray(cv2.addWeighted(level, 1.0, shine, share - 1.0, 0.0), np.uint16)
