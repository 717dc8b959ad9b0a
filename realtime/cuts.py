"""Tells a cut to another scene from movement, light and noise."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

_CELLS = 16
_SAMPLES_PER_CELL = 4
_MAX_SHIFT = 2
# Measured: within a scene, heavy noise and camera flashes included, neighbours correlate by 0.5
# and more; hard cuts by 0.3 and less. A shaken camera falls below that too, but not when the
# pictures may slide over each other; hard cuts then stay at 0.53 and less.
_SAME_SCENE = 0.4
_SAME_SCENE_SHIFTED = 0.6

_Thumbnail = NDArray[np.float32]
"""``(16, 16) f32`` mean green of each cell of the picture."""


class CutDetector:
    """Compares each picture of a stream with the one before it."""

    def __init__(self) -> None:
        self._last: _Thumbnail | None = None

    def is_cut(self, image: Image) -> bool:
        """Whether this picture shows another scene than the one of the call before.

        Args:
            image: ``(H, W, 3) u8 BGR``; only 4096 of its pixels are read.

        Returns:
            False for the first picture and for one without any structure.
        """
        last, self._last = self._last, _thumbnail(image)
        if last is None or _correlation(last, self._last) >= _SAME_SCENE:
            return False
        return _best_correlation(last, self._last) < _SAME_SCENE_SHIFTED

    def reset(self) -> None:
        """Forgets the last picture."""
        self._last = None


def _thumbnail(image: Image) -> _Thumbnail:
    """The picture's coarse structure, from a regular grid of its pixels."""
    count = _CELLS * _SAMPLES_PER_CELL
    # The nearest pixel is the one at the corner of its part, so the corner is moved to the middle.
    inner = image[image.shape[0] // (2 * count) :, image.shape[1] // (2 * count) :]
    samples = cv2.extractChannel(
        cv2.resize(inner, (count, count), interpolation=cv2.INTER_NEAREST), 1
    ).astype(np.float32)
    mean = cv2.resize(samples, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(mean, np.float32)


def _correlation(a: _Thumbnail, b: _Thumbnail) -> float:
    """Normalised correlation -1..1; 1 where one of them is flat, for nothing can be said then."""
    a, b = (values - np.float32(values.sum() / values.size) for values in (a, b))
    norm = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return float(np.vdot(a, b)) / norm if norm > 1e-3 else 1.0


def _best_correlation(a: _Thumbnail, b: _Thumbnail) -> float:
    """The largest correlation of the parts in common as one slides over the other."""
    shifts = range(-_MAX_SHIFT, _MAX_SHIFT + 1)
    return max(
        _correlation(a[_kept(dy), _kept(dx)], b[_kept(-dy), _kept(-dx)])
        for dy in shifts
        for dx in shifts
    )


def _kept(shift: int) -> slice:
    """What remains of an axis when its start moves by ``shift`` cells."""
    return slice(max(shift, 0), _CELLS + min(shift, 0))
