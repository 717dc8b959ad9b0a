"""The scratch on which faces are drawn, as pictures of the size that one crop has."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.crop import STEP_PX, Crop
from realtime.frame import Image
from realtime.memory import Memory
from realtime.texture_fill import Map

Plane = NDArray[np.uint8]
Four = NDArray[np.uint16]


class Canvas:
    """Pictures of half a crop's size, and of its own; belongs to one thread.

    They are valid from ``fit`` on, until it is called for a crop of another size.

    Attributes:
        half: ``(h/2, w/2, 3) u8 BGR``, what the crop shows.
        surface, depth: ``(h/2, w/2, 3)`` and ``(h/2, w/2) f32``, what the mesh is drawn into.
        across, down, seen: ``(h/2, w/2) f32``, the planes of ``surface``.
        at: two more such planes.
        tones, whole_tones: ``(h/2, w/2, 4) f32`` and ``u16``, the light.
        cover: ``(h/2, w/2, 4) u8``, of the texture.
        small: ``(h, w, 3) u8 BGR``, what the crop shows where that is not the picture itself.
        planes: three ``(h, w) f32``, the surface enlarged.
        detail, tone: ``(h, w, 4) u16``, the texture and the light.
        lit: ``(h, w, 4) u8``, both together.
    """

    half: Image
    surface: NDArray[np.float32]
    depth: Map
    across: Map
    down: Map
    seen: Map
    at: tuple[Map, Map]
    tones: NDArray[np.float32]
    whole_tones: Four
    cover: Plane
    small: Image
    planes: tuple[Map, Map, Map]
    detail: Four
    tone: Four
    lit: Plane

    def __init__(self, crop_px: int, memory: Memory) -> None:
        """Takes the memory.

        Args:
            crop_px: the largest side of a crop.
            memory: gives it out.
        """
        whole = (crop_px + STEP_PX) ** 2
        half = whole // 4

        def scratch(size: int, channels: int, dtype: type[np.generic]) -> NDArray[Any]:
            return memory.host((size * channels,), dtype)

        self._halves = [scratch(half, 1, np.float32) for _ in range(6)]
        self._surface, self._half = scratch(half, 3, np.float32), scratch(half, 3, np.uint8)
        self._tones, self._whole_tones = scratch(half, 4, np.float32), scratch(half, 4, np.uint16)
        self._cover = scratch(half, 4, np.uint8)
        self._wholes = [scratch(whole, 1, np.float32) for _ in range(3)]
        self._detail, self._tone = (scratch(whole, 4, np.uint16) for _ in range(2))
        self._small, self._lit = scratch(whole, 3, np.uint8), scratch(whole, 4, np.uint8)
        self._size = (0, 0)

    def fit(self, crop: Crop) -> None:
        """Gives the pictures a crop's size; what they show is arbitrary then."""
        if crop.size == self._size:
            return
        self._size = crop.size
        self.half, self.surface = (
            plane(self._half, crop.half, 3),
            plane(self._surface, crop.half, 3),
        )
        self.depth, self.across, self.down, self.seen, *at = (
            plane(scratch, crop.half) for scratch in self._halves
        )
        self.at = (at[0], at[1])
        self.tones = plane(self._tones, crop.half, 4)
        self.whole_tones = plane(self._whole_tones, crop.half, 4)
        self.cover = plane(self._cover, crop.half, 4)
        across, down, weight = (plane(scratch, crop.size) for scratch in self._wholes)
        self.planes = (across, down, weight)
        self.detail, self.tone = (plane(s, crop.size, 4) for s in (self._detail, self._tone))
        self.small, self.lit = plane(self._small, crop.size, 3), plane(self._lit, crop.size, 4)


def plane(scratch: NDArray[Any], size: tuple[int, int], channels: int = 1) -> NDArray[Any]:
    """A picture of a width and a height in a flat piece of scratch."""
    width, height = size
    shape = (height, width, channels) if channels > 1 else (height, width)
    return scratch[: width * height * channels].reshape(shape)
