"""Every picture that goes out says that it is artificial: to the eye and to a reader of marks.

The mark comes after everything else, at the size the outputs get, and so also on pictures that are
held, blurred or replaced by a slate. First the invisible mark, then the label over it.
"""

from typing import Literal

from pydantic import BaseModel, Field

from realtime.frame import Face, Frame, PictureSpec
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.provenance.aigc import PRODUCER_PATTERN
from realtime.provenance.label import (
    Label,
    Preset,
    cap_height_px,
    draw_label,
    small_cap_height_px,
)
from realtime.provenance.label_place import Placer
from realtime.provenance.mark_strength import Liveliness, MarkStrength
from realtime.provenance.run_record import PROGRAM
from realtime.provenance.watermark import Payload, Watermark, chip_amplitude, nearest_grid

AMPLITUDES = {"subtle": 2.3, "standard": 3.25, "robust": 4.6}
"""Levels of each chip of the invisible mark in pictures of 360 lines or less."""

_LARGE_NS = 2500 * MS_NS
"""GB 45438-2025, 5.4 asks for two seconds; half a second more for what a player skips."""

_FOREHEAD, _TEMPLES = 0.25, 0.05
"""How far a face goes on above and beside its landmarks, in heights and widths of their box."""

_WIDEST = 0.95
"""Share of a picture's width that a label may take."""


class MarkConfig(BaseModel, frozen=True, extra="forbid"):
    """How pictures are marked.

    Attributes:
        label: ``eu`` says "AI face swap"; ``gb45438`` "AI 合成", large for the first seconds as
            GB 45438-2025 asks and smaller after them; ``minimal`` shows the badge "AI" only.
        strength: of the invisible mark: what it survives against how faint it is.
        producer: who answers for the content, as GB 45438-2025 wants it in a file's metadata.
    """

    label: Preset = "eu"
    strength: Literal["subtle", "standard", "robust"] = "standard"
    producer: str = Field(PROGRAM, pattern=PRODUCER_PATTERN)


class Mark:
    """Marks finished pictures.

    Args:
        config: how.
        session: what the invisible mark says, 0 up to 2**32 - 1.
        show_label: False leaves the visible label out.
    """

    def __init__(self, config: MarkConfig, session: int, *, show_label: bool = True) -> None:
        self._config = config
        self._payload = Payload(session)
        self._show_label = show_label
        self._watermark: Watermark | None = None
        self._strength: MarkStrength | None = None
        self._liveliness = Liveliness()
        self._labels: tuple[Labels, ...] = ()
        self._began_ns: int | None = None

    @property
    def name(self) -> str:
        """Name in the statistics."""
        return "mark"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Draws the pattern and the label for pictures of this size."""
        size = (spec.width, spec.height)
        amplitude = chip_amplitude(size, AMPLITUDES[self._config.strength])
        self._watermark = Watermark(self._payload, size, amplitude)
        self._strength = MarkStrength(size, nearest_grid(*size))
        self._liveliness = Liveliness()
        self._began_ns = None
        if self._show_label:
            caps = [cap_height_px(*size)]
            if self._config.label == "gb45438":
                caps.append(small_cap_height_px(*size))
            self._labels = tuple(Labels(self._config.label, cap, size) for cap in caps)

    def process(self, frame: Frame) -> None:
        """Marks one picture in place; one that is marked already must not come again.

        Raises:
            RuntimeError: the stage is not open.
        """
        if self._watermark is None or self._strength is None:
            raise RuntimeError("Mark.process: the stage must be open, got a closed one.")
        boxes = [tuple(face.box.tolist()) for face in frame.faces]
        most = self._liveliness.strength
        strengths = self._strength.choose(boxes, frame.media_ns, most=most)
        if self._began_ns is None:
            self._began_ns = frame.media_ns
            self._watermark.begin(strengths)
        self._watermark.add(frame.image, strengths)
        # Looked at only now, as the picture is in the caches.
        self._liveliness.see(frame.image)
        if self._labels:
            is_early = frame.media_ns - self._began_ns < _LARGE_NS
            self._labels[0 if is_early else -1].lay_over(frame)

    def close(self) -> None:
        """Forgets pattern and label."""
        self._watermark, self._strength = None, None
        self._labels = ()


def head_box(face: Face) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a face with its forehead, which has no landmarks."""
    left, top, right, bottom = face.box.tolist()
    aside, above = _TEMPLES * (right - left), _FOREHEAD * (bottom - top)
    return left - aside, top - above, right + aside, bottom


class Labels:
    """One label in the forms it may take, and its place.

    Args:
        preset: what it says.
        cap_px: height of its capitals.
        size: width and height of the pictures.
    """

    def __init__(self, preset: Preset, cap_px: int, size: tuple[int, int]) -> None:
        # The badge alone goes where the whole label would cover a face.
        presets: tuple[Preset, ...] = (preset, "minimal") if preset == "eu" else (preset,)
        forms = tuple(draw_label(form, cap_px) for form in presets)
        # A narrow picture gets the badge alone, whole, rather than a part of the words.
        fitting = tuple(form for form in forms if form.size[0] <= _WIDEST * size[0])
        self._forms: tuple[Label, ...] = fitting or forms[-1:]
        self._placer = Placer(size, [form.size for form in self._forms])

    def lay_over(self, frame: Frame) -> tuple[int, int, int, int]:
        """Lays the label over a picture, beside its faces.

        Returns:
            Left, top, right and bottom of the label in pixels.
        """
        boxes = [head_box(face) for face in frame.faces]
        place = self._placer.place(boxes, frame.media_ns)
        form = self._forms[place.form]
        form.lay_over(frame.image, place.left, place.top)
        return place.left, place.top, place.left + form.size[0], place.top + form.size[1]
