"""Windows of pictures that never were marked, and what the reader finds in them.

Two kinds: whole films, cut into windows that do not overlap, in four positions each; and still
pictures under a camera that pans, zooms and turns, with a sensor's noise, in every shape of picture
there is a grid for. Both are the same in every run.
"""

import math
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.pictures import load_picture
from realtime.provenance.watermark_reader import MIN_SCORE, Grey, MarkReader, shrink
from realtime.sources.samples import sample_windows

WINDOW = 30
NEAR_SCORE = 8.0
"""Readings from this score on are looked at, though they count as none; noise has 5.6 or so."""

_NUM_TURNS = 4
_LONGEST = 1_000_000
_REPORT_EVERY = 500
_SHAPES = ((320, 180), (320, 240), (240, 240), (240, 320), (180, 320))
_SHARES = (0.55, 0.95)
"""How much of a still picture is in view, at least and at most, of the side that fits closest."""

_TURN_RAD = 0.1
_NOISE_LEVELS = 4.0
_NOISE_ROOM_PX = 64


@dataclass(slots=True)
class CleanTally:
    """What was found where nothing is.

    Attributes:
        num_windows: that were read.
        num_distinct: of these, the ones that share no picture with an earlier one.
        num_found: in which a mark was found, though there is none.
        nearest: highest score in any view of any window; 0 where none came near the limit.
    """

    num_windows: int = 0
    num_distinct: int = 0
    num_found: int = 0
    nearest: float = 0.0
    _known: set[int] = field(default_factory=set)

    def add(self, window: Sequence[Grey], reader: MarkReader) -> None:
        """Reads a window in every view.

        Args:
            window: pictures of one size.
            reader: one that tells scores from ``NEAR_SCORE`` on.
        """
        scores = [reading.score for reading in reader.readings(window)]
        highest = max(scores, default=0.0)
        self.num_windows += 1
        self.num_found += highest >= MIN_SCORE
        self.nearest = max(self.nearest, highest)
        prints = {hash(picture.tobytes()) for picture in window}
        self.num_distinct += self._known.isdisjoint(prints)
        self._known |= prints


def read_clean(windows: Iterable[Sequence[Grey]]) -> CleanTally:
    """Reads windows without a mark, each in every view the reader knows."""
    tally = CleanTally()
    reader = MarkReader(min_score=NEAR_SCORE)
    for window in windows:
        tally.add(window, reader)
        if tally.num_windows % _REPORT_EVERY == 0:
            print(f"{tally.num_found} of {tally.num_windows} windows", file=sys.stderr, flush=True)
    return tally


def film_windows(path: Path) -> Iterator[list[Grey]]:
    """Every window of a film, upright and turned by one, two and three quarters."""
    films = sample_windows(path, num_windows=1, num_pictures=_LONGEST, keep=shrink)
    for window in windows_of(next(films, [])):
        for quarters in range(_NUM_TURNS):
            yield [np.ascontiguousarray(np.rot90(grey, quarters)) for grey in window]


def windows_of(greys: Sequence[Grey]) -> Iterator[Sequence[Grey]]:
    """Windows that do not overlap; a clip shorter than one is a window."""
    for start in range(0, max(1, len(greys) - WINDOW + 1), WINDOW):
        if greys:
            yield greys[start : start + WINDOW]


def still_windows(path: Path, num_moves: int) -> Iterator[list[Grey]]:
    """A still picture under so many moves of a camera, a window each.

    Raises:
        MediaError: it is no picture.
    """
    still = shrink(load_picture(path))
    for move in range(num_moves):
        rng = np.random.default_rng([zlib.crc32(path.name.encode()), move])
        size = _SHAPES[move % len(_SHAPES)]
        ends = [_draw_view(still.shape, size, rng) for _ in range(2)]
        room = (size[1] + _NOISE_ROOM_PX, size[0] + _NOISE_ROOM_PX)
        noise = np.rint(rng.normal(0, rng.uniform(0, _NOISE_LEVELS), room)).astype(np.int16)
        yield [
            _seen(still, ends[0] + (ends[1] - ends[0]) * (number / (WINDOW - 1)), size, noise, rng)
            for number in range(WINDOW)
        ]


def _draw_view(
    shape: tuple[int, ...], size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Where a camera may stand: ``(2, 3)``, from its picture to the still one."""
    height, width = shape
    scale = rng.uniform(*_SHARES) * min(width / size[0], height / size[1])
    angle = rng.uniform(-_TURN_RAD, _TURN_RAD)
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    room = np.array([width, height]) - scale * np.array(size)
    centre = (np.array([width, height]) + rng.uniform(-1, 1, 2) * room) / 2
    return np.column_stack([turn, centre - turn @ (np.array(size) / 2)])


def _seen(
    still: Grey,
    still_from_view: NDArray[np.float64],
    size: tuple[int, int],
    noise: NDArray[np.int16],
    rng: np.random.Generator,
) -> Grey:
    """What the camera sees, with another part of the noise in every picture."""
    seen = cv2.warpAffine(
        still,
        still_from_view,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    left, top = rng.integers(_NOISE_ROOM_PX, size=2)
    part = noise[top : top + size[1], left : left + size[0]]
    return np.asarray(cv2.add(seen, part, dtype=cv2.CV_8U), np.uint8)
