"""Two clips side by side: the pictures of one and the same moment."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.errors import MediaError
from realtime.frame import Image, PictureSpec
from realtime.sources.video import VideoFile

Timed = tuple[int, Image]
"""Presentation time in ns from the clip's first picture, and the picture."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What two clips show at one time.

    Attributes:
        media_ns: presentation time from the start.
        before, after: ``(H, W, 3) u8 BGR`` of the first and second clip, valid until the next
            moment is asked for; None where that clip has no picture of this time.
    """

    media_ns: int
    before: Image | None
    after: Image | None


def pair_up(before: Iterable[Timed], after: Iterable[Timed], tolerance_ns: int) -> Iterator[Moment]:
    """Joins two clips by presentation time, in one pass and in order of time.

    Args:
        before, after: pictures in order of time; one may be overwritten once the next is asked
            for.
        tolerance_ns: times up to this far apart are the same moment.
    """
    firsts, seconds = iter(before), iter(after)
    first, second = next(firsts, None), next(seconds, None)
    while first is not None or second is not None:
        if second is not None and (first is None or second[0] < first[0] - tolerance_ns):
            yield Moment(second[0], None, second[1])
            second = next(seconds, None)
        elif first is not None and (second is None or first[0] < second[0] - tolerance_ns):
            yield Moment(first[0], first[1], None)
            first = next(firsts, None)
        elif first is not None and second is not None:
            yield Moment(first[0], first[1], second[1])
            first, second = next(firsts, None), next(seconds, None)


def clip_moments(before: Path, after: Path) -> Iterator[Moment]:
    """Reads two video files side by side; times count from the first picture of each.

    Raises:
        MediaError: a file cannot be used, or their pictures differ in size.
    """
    with ExitStack() as stack:
        sources = [VideoFile(path) for path in (before, after)]
        specs = []
        for source in sources:
            specs.append(source.open())
            stack.callback(source.close)
        sizes = [f"{spec.width}×{spec.height}" for spec in specs]
        if sizes[0] != sizes[1]:
            raise MediaError(
                f"{after}: pictures must be of the input's size {sizes[0]}, got {sizes[1]}. "
                "Swap without --size."
            )
        clips = [_pictures(*pair) for pair in zip(sources, specs, strict=True)]
        yield from pair_up(clips[0], clips[1], specs[0].period_ns // 2)


def _pictures(source: VideoFile, spec: PictureSpec) -> Iterator[Timed]:
    image = np.empty((spec.height, spec.width, 3), np.uint8)
    while (media_ns := source.fill(image)) is not None:
        yield media_ns, image
