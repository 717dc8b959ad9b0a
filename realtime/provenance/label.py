"""The visible label: an "AI" badge and a word beside it, drawn once and laid over every picture."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.mark import lay_label
from realtime.frame import Image

Preset = Literal["eu", "gb45438", "minimal"]

WORDS: dict[Preset, str] = {"eu": "face swap", "gb45438": "合成", "minimal": ""}
"""What stands beside the badge. GB 45438-2025, 5.2 asks for "AI" and for 生成 or 合成 (generated,
composed)."""

MIN_CAP_PX = 24
CAP_PART = 0.05
"""Height of a capital letter over the shorter side of the picture (GB 45438-2025, 5.4)."""

SMALL_CAP_PART, MIN_SMALL_CAP_PX = 0.03, 16
"""The same where the standard allows a smaller label, after its first seconds."""

Levels = NDArray[np.floating]

_INK = 28
_PAPER = 255
_GROUND = 24
_GROUND_ALPHA = 190
_WEIGHT = 600
_OVERSAMPLING = 4
_REFERENCE_PX = 256


@dataclass(frozen=True, slots=True)
class Label:
    """A drawn label, ready to be laid over pictures.

    Attributes:
        keep: ``(h, w, 3) u8``, how much of the picture stays.
        light: ``(h, w, 3) u8``, what is added to that.
    """

    keep: Image
    light: Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.keep.shape[1], self.keep.shape[0]

    def lay_over(self, image: Image, left: int, top: int) -> None:
        """Lays the label over a picture in place; what reaches beyond the picture is left out.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            left, top: where the label begins, in pixels, at least 0.
        """
        lay_label(image, self.keep, self.light, left, top)


def cap_height_px(width: int, height: int) -> int:
    """Height of a capital letter of the label in a picture of this size."""
    return max(MIN_CAP_PX, _ceil(CAP_PART * min(width, height)))


def small_cap_height_px(width: int, height: int) -> int:
    """The same where a smaller label will do."""
    return max(MIN_SMALL_CAP_PX, _ceil(SMALL_CAP_PART * min(width, height)))


def draw_label(preset: Preset, cap_px: float) -> Label:
    """Draws the badge and its word on a dark, slightly transparent ground.

    Args:
        preset: what is said.
        cap_px: height of a capital letter in pixels.
    """
    cap = cap_px * _OVERSAMPLING
    word = WORDS[preset]
    rim, gap = 0.28 * cap, 0.5 * cap
    badge = (_width("AI", cap) + 0.7 * cap, 1.45 * cap)
    width = badge[0] + 2 * rim + (_width(word, cap) + 1.7 * gap if word else 0)
    height = badge[1] + 2 * rim
    shape = (_whole(height), _whole(width))
    ground, paper, ink, text = (np.zeros(shape, np.uint8) for _ in range(4))
    _round_box(ground, (0, 0), (shape[1], shape[0]), 0.45 * cap)
    _round_box(paper, (rim, rim), (rim + badge[0], rim + badge[1]), 0.3 * cap)
    baseline = rim + (badge[1] + cap) / 2
    _write(ink, "AI", (rim + 0.35 * cap, baseline), cap)
    if word:
        _write(text, word, (rim + badge[0] + gap, baseline), cap)
    small = [_reduced(mask) for mask in (ground, paper, ink, text)]
    return _compose(*small)


def _compose(ground: Image, paper: Image, ink: Image, text: Image) -> Label:
    """Lays the masks over each other: ground, badge, its letters, the word."""
    light: Levels = np.zeros(ground.shape, np.float32)
    cover: Levels = np.zeros(ground.shape, np.float32)
    layers = ((ground, _GROUND, _GROUND_ALPHA), (paper, _PAPER, 255), (ink, _INK, 255))
    for mask, level, opacity in (*layers, (text, _PAPER, 255)):
        alpha = mask.astype(np.float32) / 255 * (opacity / 255)
        light = light * (1 - alpha) + level * alpha
        cover = cover * (1 - alpha) + alpha
    return Label(_three(255 * (1 - cover)), _three(light))


def _three(levels: Levels) -> Image:
    return np.repeat(np.rint(levels).astype(np.uint8)[:, :, None], 3, axis=2)


def _reduced(mask: Image) -> Image:
    size = (mask.shape[1] // _OVERSAMPLING, mask.shape[0] // _OVERSAMPLING)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


def _round_box(
    mask: Image, first: tuple[float, float], last: tuple[float, float], radius: float
) -> None:
    """Fills a box with round corners."""
    (left, top), (right, bottom) = first, last
    corners = [
        (x, y) for x in (left + radius, right - radius) for y in (top + radius, bottom - radius)
    ]
    for x, y in corners:
        cv2.circle(mask, (round(x), round(y)), round(radius), 255, cv2.FILLED)
    # The first and the last pixel of each row span the same hull as all of them.
    rows = np.flatnonzero(mask.any(axis=1))
    painted = mask[rows] != 0
    lefts, rights = painted.argmax(axis=1), mask.shape[1] - 1 - painted[:, ::-1].argmax(axis=1)
    ends = np.stack([np.append(lefts, rights), np.append(rows, rows)], axis=1)
    cv2.fillConvexPoly(mask, cv2.convexHull(ends.astype(np.int32)), 255)


def _write(mask: Image, text: str, origin: tuple[float, float], cap_px: float) -> None:
    font, size = _font(cap_px)
    cv2.putText(mask, text, (round(origin[0]), round(origin[1])), 255, font, size, _WEIGHT)


def _width(text: str, cap_px: float) -> int:
    if not text:
        return 0
    font, size = _font(cap_px)
    return int(cv2.getTextSize((0, 0), text, (0, 0), font, size, _WEIGHT)[2])


def _font(cap_px: float) -> tuple[cv2.FontFace, int]:
    """OpenCV's own sans-serif (with Chinese from its universal font) at a height of capitals."""
    font = cv2.FontFace("sans")
    sample = np.zeros((2 * _REFERENCE_PX, 2 * _REFERENCE_PX), np.uint8)
    at = (_REFERENCE_PX // 2, 3 * _REFERENCE_PX // 2)
    cv2.putText(sample, "I", at, 255, font, _REFERENCE_PX, _WEIGHT)
    rows = np.flatnonzero(sample.max(axis=1) > 127)
    return font, round(cap_px * _REFERENCE_PX / (rows[-1] - rows[0] + 1))


def _whole(length_px: float) -> int:
    """The next multiple of the oversampling."""
    return _ceil(length_px / _OVERSAMPLING) * _OVERSAMPLING


def _ceil(value: float) -> int:
    return int(np.ceil(value))
