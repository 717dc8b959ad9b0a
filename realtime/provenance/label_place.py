"""Where the label goes: a corner or an edge that no face is at, and no jumping about; pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SECOND_NS = 1_000_000_000

_MARGIN_PART = 0.02
"""Distance from the edges of the picture over its shorter side."""

_BERTH_PART = 0.25
"""How far from a face a new place is, over the side of the face's box, so that it will last."""

_RETURN_NS = SECOND_NS
"""How long a better place must have been free before the label goes there."""

_JUMP_PART = 0.5
"""Where a face is everywhere: how much less of it another place must cover, over the area of the
smallest form of the label."""

_ANCHORS = ((1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.5, 0.0), (0.5, 1.0))
"""Right to left and top to bottom as parts of the room there is; the best first."""

_EDGES = ((1.0, 0.5), (0.0, 0.5))
"""Further places for a label that has no other."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label is laid.

    Attributes:
        form: index of the form of the label, the best first.
        left, top: pixels.
    """

    form: int
    left: int
    top: int


class Placer:
    """Chooses a place for each picture of a stream.

    Args:
        picture: width and height in pixels.
        forms: width and height of each form the label may take, the best first.
    """

    def __init__(self, picture: tuple[int, int], forms: Sequence[tuple[int, int]]) -> None:
        self._forms = tuple(forms)
        self._places = tuple(
            place for form, size in enumerate(forms) for place in _anchored(picture, size, form)
        )
        self._worth_a_jump = _JUMP_PART * min(width * height for width, height in forms)
        self._now = 0
        self._better: int | None = None
        self._better_ns = 0

    def place(self, faces: Sequence[Box], media_ns: int) -> Place:
        """The place in the next picture.

        The label stays where it is as long as no face is there. It leaves at once for the best
        place that is free, and returns to a better one when that has been free for a second. If a
        face is everywhere it is where it covers about the least of one.

        Args:
            faces: where faces are; boxes with numbers that are not finite are left out.
            media_ns: time of the picture.
        """
        boxes = [box for box in faces if all(map(math.isfinite, box))]
        wide = [_widened(box) for box in boxes]
        if self._overlap(self._now, boxes):
            free = self._first_free(range(len(self._places)), wide)
            self._now = self._least_covering(boxes, wide) if free is None else free
            self._better = None
        else:
            self._consider(self._first_free(range(self._now), wide), media_ns)
        return self._places[self._now]

    def _first_free(self, places: Iterable[int], boxes: Sequence[Box]) -> int | None:
        return next((index for index in places if not self._overlap(index, boxes)), None)

    def _least_covering(self, boxes: Sequence[Box], wide: Sequence[Box]) -> int:
        """The place that covers least of the faces, and of what is beside them where it is none.

        Where every place covers some of a face, a little less is not worth a jump.
        """
        best = min(
            range(len(self._places)),
            key=lambda index: (self._overlap(index, boxes), self._overlap(index, wide)),
        )
        least = self._overlap(best, boxes)
        spared = self._overlap(self._now, boxes) - least
        return self._now if least and spared <= self._worth_a_jump else best

    def _consider(self, better: int | None, media_ns: int) -> None:
        """Moves to a better place once that has been free for long enough."""
        if better is None or better != self._better or media_ns < self._better_ns:
            self._better, self._better_ns = better, media_ns
        elif media_ns - self._better_ns >= _RETURN_NS:
            self._now, self._better = better, None

    def _overlap(self, index: int, boxes: Sequence[Box]) -> float:
        """Area in pixels of the boxes under the label at a place."""
        place = self._places[index]
        width, height = self._forms[place.form]
        area = 0.0
        for left, top, right, bottom in boxes:
            across = min(right, place.left + width) - max(left, place.left)
            down = min(bottom, place.top + height) - max(top, place.top)
            if across > 0 and down > 0:
                area += across * down
        return area


def _widened(box: Box) -> Box:
    left, top, right, bottom = box
    across, down = _BERTH_PART * (right - left), _BERTH_PART * (bottom - top)
    return left - across, top - down, right + across, bottom + down


def _anchored(picture: tuple[int, int], size: tuple[int, int], form: int) -> list[Place]:
    margin = round(_MARGIN_PART * min(picture))
    rooms = [max(0, whole - part - 2 * margin) for whole, part in zip(picture, size, strict=True)]
    anchors = _ANCHORS if form == 0 else (*_ANCHORS, *_EDGES)
    return [
        Place(form, margin + round(x * rooms[0]), margin + round(y * rooms[1])) for x, y in anchors
    ]
