"""Pictures of a run before and after the swap, side by side on one sheet."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import SinkError
from realtime.frame import FaceState, Frame, Image, PictureSpec
from realtime.memory import Memory

_GAP_PX = 8
_BAR_PX = 40
_CELL_WIDTH_PX = 480
_GROUND_BGR = (38, 32, 28)
_TEXT_BGR = (235, 235, 235)
_JPEG_SUFFIXES = (".jpg", ".jpeg")

Pair = tuple[Image, Image]
"""A picture before and after the swap."""


class Tap:
    """A stage that shows each frame to a function and changes nothing.

    Args:
        name: unique in its pipeline.
        look: called with each frame, in frame order; the frame is the engine's again on return.
    """

    def __init__(self, name: str, look: Callable[[Frame], None]) -> None:
        self._name = name
        self._look = look

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Needs nothing."""

    def process(self, frame: Frame) -> None:
        """Shows the frame."""
        self._look(frame)

    def close(self) -> None:
        """Has nothing to give back."""


class Moments:
    """Keeps copies of the same frames before and after the stages between its two taps.

    The taps may run in different threads: a frame's first copy is stored before the frame is
    handed on and looked up after that.

    Attributes:
        before, after: stages for the two places.

    Args:
        times_ns: media times; for each the first frame from then on is kept whose faces were all
            swapped.
    """

    def __init__(self, times_ns: Sequence[int]) -> None:
        self._times_ns = sorted(times_ns)
        self._raw: dict[int, Image] = {}
        self._pairs: list[Pair] = []
        self.before = Tap("before", self._keep_raw)
        self.after = Tap("after", self._keep_pair)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """What was kept, in the order of time."""
        return tuple(self._pairs)

    def _is_due(self, frame: Frame) -> bool:
        num_kept = len(self._pairs)
        return num_kept < len(self._times_ns) and frame.media_ns >= self._times_ns[num_kept]

    def _keep_raw(self, frame: Frame) -> None:
        if self._is_due(frame):
            self._raw[frame.seq] = frame.image.copy()

    def _keep_pair(self, frame: Frame) -> None:
        raw = self._raw.pop(frame.seq, None)
        # Frames that were dropped between the taps never come here.
        for seq in [seq for seq in tuple(self._raw) if seq < frame.seq]:
            del self._raw[seq]
        seen = [face for face in frame.faces if face.state is FaceState.SEEN]
        swapped = not frame.failed and bool(seen) and all(face.swapped for face in seen)
        if raw is not None and swapped and self._is_due(frame):
            self._pairs.append((raw, frame.image.copy()))


def draw_sheet(pairs: Sequence[Pair]) -> Image:
    """One column for each pair, the picture before above the one after.

    Args:
        pairs: at least one; pictures ``(H, W, 3) u8 BGR`` of one size.

    Returns:
        ``(H', W', 3) u8 BGR``.
    """
    height, width = pairs[0][0].shape[:2]
    cell_width = min(_CELL_WIDTH_PX, width)
    cell_height = max(1, round(height * cell_width / width))
    step_x, step_y = cell_width + _GAP_PX, cell_height + _BAR_PX
    sheet = np.empty((2 * step_y + _GAP_PX, len(pairs) * step_x + _GAP_PX, 3), np.uint8)
    sheet[:] = _GROUND_BGR
    for row, caption in enumerate(("camera", "rt-swap")):
        top = row * step_y + _BAR_PX
        _write(sheet, caption, x=_GAP_PX, y=top - _BAR_PX // 3)
        for column, pair in enumerate(pairs):
            left = column * step_x + _GAP_PX
            cv2.resize(
                pair[row],
                (cell_width, cell_height),
                dst=sheet[top : top + cell_height, left : left + cell_width],
                interpolation=cv2.INTER_AREA,
            )
    return sheet


def write_picture(image: Image, path: Path, *, jpeg_quality: int = 95) -> None:
    """Writes a picture over what there was.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        path: its ending says the format.
        jpeg_quality: 0..100; other formats lose nothing.

    Raises:
        SinkError: the file cannot be written.
    """
    options = (cv2.IMWRITE_JPEG_QUALITY, jpeg_quality)
    _, data = cv2.imencode(path.suffix, image, options if path.suffix in _JPEG_SUFFIXES else ())
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{path}: must be writable, got: {error.strerror}. Name another place."
        ) from error


def _write(image: Image, text: str, *, x: int, y: int) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, _TEXT_BGR, 1, cv2.LINE_AA)
