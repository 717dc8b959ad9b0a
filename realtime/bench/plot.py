"""A measurement as a picture: how often each latency came, and when."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.errors import SinkError
from realtime.frame import Image

Json = dict[str, Any]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge in pixels."""

SIZE = (1200, 760)
_HISTOGRAM: Box = (90, 90, 1170, 370)
_TIMELINE: Box = (90, 440, 1170, 710)
_NUM_BINS = 60
_TOLD = ("emitted", "seen", "dropped", "repeated", "reordered")

_INK, _FAINT, _BAR, _DOT = (60, 56, 52), (215, 210, 205), (190, 140, 60), (60, 90, 200)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_plot(result: Json) -> Image:
    """Draws the distribution and the timeline of the latencies of a measurement.

    Args:
        result: of a run from stamp to stamp.

    Returns:
        ``(760, 1200, 3) u8 BGR``.
    """
    image: Image = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    points = np.array(result["timeline_ms"], np.float64).reshape(-1, 2)
    _write(image, _shortened(str(result["bench"]), 0.8, SIZE[0] - 120), (90, 32), 0.8)
    spread = result["latency_ms"]
    known = ((name, value) for name, value in spread.items() if value is not None)
    told = [f"{name} {value:.1f} ms" for name, value in known]
    pictures = [f"{result['pictures'][name]} {name}" for name in _TOLD]
    froze = f"{result['freezes']['count']} freezes"
    _write(image, "   ".join([*told, *pictures, froze]), (90, 58), 0.5)
    if len(points) == 0:
        _write(image, "no picture came whose stamp could be read", (330, 380), 0.9)
        return image
    top_ms = max(1.0, float(points[:, 1].max())) * 1.05
    _draw_histogram(image, points[:, 1], top_ms)
    _draw_timeline(image, points, top_ms)
    return image


def write_plot(path: Path, result: Json) -> None:
    """Writes the plot as a PNG.

    Raises:
        SinkError: the file cannot be written.
    """
    _, data = cv2.imencode(".png", draw_plot(result))
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{path}: must be writable, got: {error.strerror}. Name another place."
        ) from error


def _draw_histogram(image: Image, values: np.ndarray[Any, Any], top_ms: float) -> None:
    left, top, right, bottom = _HISTOGRAM
    counts, _ = np.histogram(values, _NUM_BINS, (0, top_ms))
    _draw_axes(image, _HISTOGRAM, "latency, ms", "pictures", (top_ms, float(counts.max())))
    step = (right - left) / _NUM_BINS
    for index, count in enumerate(counts):
        if count:
            x, height = left + index * step, (bottom - top) * count / counts.max()
            corner = (round(x) + 1, round(bottom - height))
            cv2.rectangle(image, corner, (round(x + step) - 1, bottom), _BAR, cv2.FILLED)


def _draw_timeline(image: Image, points: np.ndarray[Any, Any], top_ms: float) -> None:
    left, top, right, bottom = _TIMELINE
    last_s = max(1e-3, float(points[-1, 0]) / 1000)
    _draw_axes(image, _TIMELINE, "time, s", "latency, ms", (last_s, top_ms))
    xs = left + (right - left) * points[:, 0] / 1000 / last_s
    ys = bottom - (bottom - top) * points[:, 1] / top_ms
    for x, y in zip(xs, ys, strict=True):
        cv2.circle(image, (round(x), round(y)), 2, _DOT, cv2.FILLED, cv2.LINE_AA)


def _draw_axes(image: Image, box: Box, across: str, up: str, ends: tuple[float, float]) -> None:
    left, top, right, bottom = box
    for value in round_ticks(ends[0]):
        x = round(left + value / ends[0] * (right - left))
        cv2.line(image, (x, top), (x, bottom), _FAINT, 1)
        _write(image, f"{value:g}", (x - 5 * len(f"{value:g}"), bottom + 20), 0.45)
    for value in round_ticks(ends[1]):
        y = round(bottom - value / ends[1] * (bottom - top))
        cv2.line(image, (left, y), (right, y), _FAINT, 1)
        _write(image, f"{value:g}", (left - 52, y + 5), 0.45)
    cv2.rectangle(image, (left, top), (right, bottom), _FAINT, 1)
    _write(image, across, (right - 90, bottom + 42), 0.5)
    _write(image, up, (left - 60, top - 12), 0.5)


def round_ticks(end: float) -> list[float]:
    """Round numbers from 0 up to an end, eight at most."""
    raw = end / 7
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(part * size for part in (1, 2, 5, 10) if part * size >= raw)
    return [number * step for number in range(math.floor(end / step) + 1)]


def _shortened(text: str, scale: float, width: int) -> str:
    """As much of a text as fits."""
    length = len(text)
    while length and cv2.getTextSize(f"{text[:length]}...", _FONT, scale, 1)[0][0] > width:
        length -= 1
    return text if length == len(text) else f"{text[:length]}..."


def _write(image: Image, text: str, origin: Sequence[int], scale: float) -> None:
    cv2.putText(image, text, tuple(origin), _FONT, scale, _INK, 1, cv2.LINE_AA)
