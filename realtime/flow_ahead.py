"""Measures how faces moved before their landmarks are known, beside the stages that find them.

Where a face will be in the next frame is known well enough from where it was and how it moved.
So the view of it can be cut, and the flow measured, while the landmark network looks; a live
picture comes out earlier by about the time the flow takes.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from realtime.aligned_view import AlignedView, look
from realtime.frame import Image, Motion, Points


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a face is expected in the next frame.

    Attributes:
        landmarks: ``(468, 3) f32`` image pixels.
        before: its view in the frame before; the new one gets the same size and scale.
    """

    landmarks: Points
    before: AlignedView


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was measured where a face was expected.

    Attributes:
        view: the face's view in this frame; its points are the expected ones.
        motion: since the frame before.
    """

    view: AlignedView
    motion: Motion


class FlowAhead:
    """A thread that looks at one frame at a time; all calls come from its owner's thread."""

    def __init__(
        self, measure: Callable[[AlignedView, AlignedView], Motion], *, beside: bool = True
    ) -> None:
        """Starts nothing before ``begin``.

        Args:
            measure: gives the motion between two views; called on the thread, and never while the
                owner is between ``take`` and the next ``begin``.
            beside: False measures the same only when it is taken, on the owner's thread: where all
                cores are busy, one thread more takes turns with the others and gains nothing.
        """
        self._measure = measure
        self._thread = ThreadPoolExecutor(1, "flow") if beside else None
        self._pending: Callable[[], dict[int, Ahead]] | None = None

    def begin(self, image: Image, expected: Mapping[int, Expected]) -> None:
        """Begins on a frame and returns.

        Args:
            image: ``(H, W, 3) u8 BGR``, not to be written before ``take``.
            expected: by track.
        """
        look = partial(self._look, image, dict(expected))
        if self._thread is None:
            self._pending = look
            return
        # A frame that failed on the way was never asked for.
        self.take()
        if expected:
            self._pending = self._thread.submit(look).result

    def take(self) -> dict[int, Ahead]:
        """What was measured on the frame of the last ``begin``, by track; waits for it.

        Raises:
            ModelError: from the flow provider.
        """
        pending, self._pending = self._pending, None
        return pending() if pending is not None else {}

    def close(self) -> None:
        """Waits for what has begun and ends the thread."""
        self._pending = None
        if self._thread is not None:
            self._thread.shutdown()

    def _look(self, image: Image, expected: dict[int, Expected]) -> dict[int, Ahead]:
        found = {}
        for track_id, place in expected.items():
            before = place.before
            view = look(image, place.landmarks, len(before.grey), before.scale)
            found[track_id] = Ahead(view, self._measure(before, view))
        return found
