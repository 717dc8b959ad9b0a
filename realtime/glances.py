"""Looks at copies of frames beside the frames: for newcomers far away, and for turned heads."""

from concurrent.futures import Future
from dataclasses import dataclass

from engines.models.face_candidates import Candidate
from engines.models.face_finder import FaceFinder
from realtime.afterwards import Afterwards
from realtime.frame import Image

# Heads on their side and upside down are rare, and things that look like them are not.
TURNS = (1, 3, 2)
_MIN_TURNED_DETECTION = 0.6


@dataclass(frozen=True, slots=True)
class _Glance:
    """One look.

    Attributes:
        found: what the detectors found.
        is_turned: whether it was for turned heads.
    """

    found: Future[list[Candidate]]
    is_turned: bool


class Glances:
    """One look at a time, on a thread of its own; what it found is taken with the next frame.

    A look uses detectors of the finder while the caller works on: between ``begin`` or
    ``begin_turned`` and ``take`` the caller must leave the full-range detector, or both, alone.
    """

    def __init__(
        self, finder: FaceFinder, *, min_detection: float, turned_interval_ns: float
    ) -> None:
        """Starts the thread.

        Args:
            finder: the networks; they stay the caller's.
            min_detection: what the detector must say at least of a newcomer.
            turned_interval_ns: so often turned heads are looked for, one quarter turn at a time.
        """
        self._finder = finder
        self._min_detection = min_detection
        self._turned_interval_ns = turned_interval_ns
        self._thread = Afterwards("glance")
        self._glance: _Glance | None = None
        self._turned_ns: int | None = None
        self._num_turns = 0

    def begin(self, image: Image) -> None:
        """Has the slow detector look for newcomers in a copy of a picture."""
        found = self._thread.submit(
            self._finder.glance, image.copy(), min_detection=self._min_detection, near=False
        )
        self._glance = _Glance(found, is_turned=False)

    def begin_turned(self, image: Image, now_ns: int) -> None:
        """Has both detectors look for heads at the next quarter turn, where it is time for that."""
        if self._turned_ns is not None and now_ns - self._turned_ns < self._turned_interval_ns:
            return
        self._turned_ns = now_ns
        self._num_turns += 1
        turns = TURNS[self._num_turns % len(TURNS)]
        found = self._thread.submit(self._look_turned, image.copy(), turns)
        self._glance = _Glance(found, is_turned=True)

    def look_all_round(self, image: Image) -> list[Candidate]:
        """Looks for turned heads at all quarter turns, and waits for it; the surest come first."""
        found = [candidate for turns in TURNS for candidate in self._look_turned(image, turns)]
        return sorted(found, key=lambda item: -float(item[0].scores[item[1]]))

    def rest(self) -> None:
        """Has the look begin that a frame asked for, once that frame is on its way."""
        self._thread.begin()

    def take(self) -> tuple[list[Candidate], list[Candidate]]:
        """Newcomers and turned heads of the frame before; waits for them where it must."""
        glance, self._glance = self._glance, None
        if glance is None:
            return [], []
        # Where nobody let it begin between the frames it begins now.
        self.rest()
        found = glance.found.result()
        return ([], found) if glance.is_turned else (found, [])

    def reset(self) -> None:
        """Looks for turned heads with the next frame again: it shows something else."""
        self._turned_ns = None

    def close(self) -> None:
        """Waits for the last look and ends the thread."""
        self._thread.shutdown()

    def _look_turned(self, image: Image, quarter_turns: int) -> list[Candidate]:
        return self._finder.glance(
            image, min_detection=_MIN_TURNED_DETECTION, quarter_turns=quarter_turns
        )
