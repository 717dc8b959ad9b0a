"""When each stage worked on each frame, by the GPU's own clock: how busy it was, and a picture."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from cuda_kernels.device import Device
from realtime.frame import Image

_SIZE = (1400, 480)
_LEFT, _RIGHT, _TOP, _ROW = 120, 1370, 70, 46
_INK, _FAINT = (60, 56, 52), (220, 216, 212)
_COLOURS = ((190, 140, 60), (90, 160, 80), (70, 110, 210), (170, 90, 160))
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class Span:
    """One stage's work on one frame.

    Attributes:
        stage: its name.
        frame: the how manieth of that stage.
        begin_ms, end_ms: since the timeline began.
    """

    stage: str
    frame: int
    begin_ms: float
    end_ms: float


class Timeline:
    """Marks where stages begin and end on their streams; ``watch`` is for a ``StreamLane``.

    Args:
        device: gives and compares the events.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._marks: list[tuple[str, Any, Any]] = []
        self.is_on = False

    @contextmanager
    def watch(self, name: str, stream: Any) -> Iterator[None]:
        """Marks the beginning and the end of what is queued in the block."""
        if not self.is_on:
            yield
            return
        begin, end = (self._device.new_event(timed=True) for _ in range(2))
        begin.record(stream)
        yield
        end.record(stream)
        self._marks.append((name, begin, end))

    def spans(self) -> list[Span]:
        """What was marked; all of it must be done."""
        if not self._marks:
            return []
        first, counts, found = self._marks[0][1], dict[str, int](), []
        for name, begin, end in self._marks:
            counts[name] = counts.get(name, -1) + 1
            times = (self._device.elapsed_ms(first, mark) for mark in (begin, end))
            found.append(Span(name, counts[name], *times))
        return found


def busy_share(spans: Sequence[Span]) -> float:
    """The share of the time in which any stage but the copies worked, 0..1."""
    ordered = sorted(
        (span.begin_ms, span.end_ms) for span in spans if span.stage not in ("up", "down")
    )
    if not ordered:
        return 0.0
    busy_ms, until_ms = 0.0, ordered[0][0]
    for begin_ms, end_ms in ordered:
        busy_ms += max(end_ms - max(begin_ms, until_ms), 0.0)
        until_ms = max(until_ms, end_ms)
    return busy_ms / max(until_ms - ordered[0][0], 1e-9)


def overlap_share(spans: Sequence[Span]) -> float:
    """The share of the time in which two frames or more were worked on, 0..1."""
    steps = sorted(step for span in spans for step in ((span.begin_ms, 1), (span.end_ms, -1)))
    if not steps:
        return 0.0
    several_ms, depth = 0.0, 0
    for (at_ms, change), (next_ms, _) in pairwise(steps):
        depth += change
        several_ms += (next_ms - at_ms) if depth > 1 else 0.0
    return several_ms / max(steps[-1][0] - steps[0][0], 1e-9)


def draw_timeline(spans: Sequence[Span], stages: Sequence[str], title: str) -> Image:
    """Draws a row for each stage and a bar for each frame in it.

    Args:
        spans: a handful of frames.
        stages: in order.
        title: above it.

    Returns:
        ``(480, 1400, 3) u8 BGR``.
    """
    image: Image = np.full((_SIZE[1], _SIZE[0], 3), 255, np.uint8)
    cv2.putText(image, title, (_LEFT, 36), _FONT, 0.6, _INK, 1, cv2.LINE_AA)
    first_ms = min((span.begin_ms for span in spans), default=0.0)
    last_ms = max((span.end_ms for span in spans), default=1.0)
    per_ms = (_RIGHT - _LEFT) / max(last_ms - first_ms, 1e-6)
    for row, stage in enumerate(stages):
        y = _TOP + row * _ROW
        cv2.line(image, (_LEFT, y + _ROW - 4), (_RIGHT, y + _ROW - 4), _FAINT, 1)
        cv2.putText(image, stage, (14, y + 26), _FONT, 0.6, _INK, 1, cv2.LINE_AA)
        for span in spans:
            if span.stage != stage:
                continue
            left, right = (
                round(_LEFT + (at_ms - first_ms) * per_ms) for at_ms in (span.begin_ms, span.end_ms)
            )
            colour = _COLOURS[span.frame % len(_COLOURS)]
            cv2.rectangle(image, (left, y + 4), (max(right, left + 1), y + _ROW - 8), colour, -1)
    bottom = _TOP + len(stages) * _ROW + 24
    for part in range(6):
        at_ms = (last_ms - first_ms) * part / 5
        x = round(_LEFT + at_ms * per_ms)
        cv2.putText(image, f"{at_ms:.2f} ms", (x - 30, bottom), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
    return image
