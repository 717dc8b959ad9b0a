"""A measurement as a picture: how often each latency came, and when."""

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
_HISTOGRAM: Box = (90, 70, 1170, 360)
_TIMELINE: Box = (90, 440, 1170, 710)
_NUM_BINS = 60

_INK, _FAINT, _BAR, _DOT = (60, 56, 52), (215, 210, 205), (190, 140, 60), (60, 90, 200)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_plot(result: Json) -> Image:
    """Draws the distribution and the timeline of the latencies of a measurement.

    Args:
        result: with ``bench``, ``latency_ms`` and ``timeline_ms``.

    Returns:
        ``(760, 1200, 3) u8 BGR``.
    """
    image: Image = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    points = np.array(result["timeline_ms"], np.float64).reshape(-1, 2)
    _write(image, str(result["bench"]), (90, 40), 0.8)
    spread = result["latency_ms"]
    known = ((name, value) for name, value in spread.items() if value is not None)
    _write(image, "  ".join(f"{name} {value:.1f} ms" for name, value in known), (560, 40), 0.6)
    if len(points) == 0:
        _write(image, "no picture came", (500, 380), 1.0)
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


def _draw_axes(
    image: Image, box: Box, across: str, up: str, ends: tuple[float, float], num_ticks: int = 5
) -> None:
    left, top, right, bottom = box
    for tick in range(num_ticks + 1):
        part = tick / num_ticks
        x, y = round(left + part * (right - left)), round(bottom - part * (bottom - top))
        cv2.line(image, (x, top), (x, bottom), _FAINT, 1)
        cv2.line(image, (left, y), (right, y), _FAINT, 1)
        _write(image, f"{part * ends[0]:.4g}", (x - 14, bottom + 20), 0.45)
        _write(image, f"{part * ends[1]:.4g}", (left - 62, y + 5), 0.45)
    _write(image, across, (right - 90, bottom + 42), 0.5)
    _write(image, up, (left - 60, top - 12), 0.5)


def _write(image: Image, text: str, origin: Sequence[int], scale: float) -> None:
    cv2.putText(image, text, tuple(origin), _FONT, scale, _INK, 1, cv2.LINE_AA)
