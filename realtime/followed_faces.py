"""The faces that are followed, and which of them a face found in a picture is. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.models.square_crop import CropSquare, settled
from realtime.geometry import box_area
from realtime.metrics import MS_NS
from realtime.sighting import Sighting, can_be_same, distance_px, is_same_place

_TIMES_TO_CONFIRM = 3
"""So many frames running make a newcomer beside known faces believed."""

_TURNED_SIZE = 0.03
"""By what share the square of a head turned far follows in size; in lean it does not. The landmark
network draws such a head into the crop it is shown, smaller and leaning as that does, so that a
square taken from the landmarks alone drifts off the head."""

_TURNS_BACK = 4.0
"""How much of its turn a head is taken to lose in a second at most. Of a profile the network says
in single pictures that it looks ahead, and draws it small; no head turns back so quickly."""


@dataclass(slots=True)
class FollowedFace:
    """One person's face over time.

    Attributes:
        track_id: its lasting number.
        last: how it was last seen.
        square: where it is looked for next.
        seen_ns: when that was.
        times_seen: in how many frames; a newcomer beside known faces is not reported before it has
            been seen in a few frames running, for a print on a shirt can look like a face in one.
        seen: whether it has been found in the present frame.
        turn: how far the head is turned to the side, 0..1, as its last pictures say together.
    """

    track_id: int
    last: Sighting
    square: CropSquare
    seen_ns: int
    times_seen: int
    seen: bool = True
    turn: float = 0.0

    @property
    def is_confirmed(self) -> bool:
        """Whether it has been seen often enough to be believed."""
        return self.times_seen >= _TIMES_TO_CONFIRM


class FollowedFaces:
    """Gives sightings to faces, and each new face a number that no other has had."""

    def __init__(self, *, reassociate_ms: float, lost_ms: float, most: int) -> None:
        """Begins without any.

        Args:
            reassociate_ms: a face that comes back within this time keeps its number.
            lost_ms: how long a face that is not found any more is kept.
            most: so many are kept.
        """
        self._reassociate_ns = reassociate_ms * MS_NS
        self._lost_ns = lost_ms * MS_NS
        self._most = most
        self._next_id = 0
        self._faces: list[FollowedFace] = []

    def __iter__(self) -> Iterator[FollowedFace]:
        """All of them, largest first as of the last ``tidy``."""
        return iter(self._faces)

    def forget(self) -> None:
        """Lets all of them go; their numbers are not used again."""
        self._faces = []

    def begin_frame(self) -> list[FollowedFace]:
        """None has been found in the new frame yet; returns those found in the one before."""
        followed = [face for face in self._faces if face.seen]
        for face in self._faces:
            face.seen = False
        return followed

    def see(self, face: FollowedFace, sighting: Sighting, now_ns: int) -> bool:
        """Moves a face to where one was found in this frame, if it can be the same one."""
        is_taken = any(
            other.seen and other is not face and is_same_place(sighting, other.last)
            for other in self._faces
        )
        if is_taken or not can_be_same(sighting, face.last):
            return False
        turned_back = _TURNS_BACK * (now_ns - face.seen_ns) / 1e9
        face.turn = max(sighting.turn, face.turn - turned_back)
        size = 1.0 - (1.0 - _TURNED_SIZE) * face.turn
        face.square = settled(face.square, sighting.square, size=size, lean=1.0 - face.turn)
        face.last, face.seen_ns, face.seen = sighting, now_ns, True
        face.times_seen += 1
        return True

    def missing(self, now_ns: int) -> list[FollowedFace]:
        """Faces not found in this frame, lost so lately that they may come back as themselves."""
        return [
            face
            for face in self._faces
            if not face.seen and now_ns - face.seen_ns <= self._reassociate_ns
        ]

    def boxes(self) -> NDArray[np.float32]:
        """``(N, 4)`` boxes of the faces seen in this frame."""
        boxes = [face.last.box for face in self._faces if face.seen]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def associate(self, sighting: Sighting, now_ns: int, *, alone: bool) -> None:
        """Gives a face found in the whole picture to the nearest missing one, or a number.

        Args:
            sighting: how it was found.
            now_ns: the frame's time.
            alone: no other face is in sight, so this one need not prove itself.
        """
        for face in sorted(self.missing(now_ns), key=lambda f: distance_px(sighting, f.last)):
            if self.see(face, sighting, now_ns):
                return
        times_seen = _TIMES_TO_CONFIRM if alone else 1
        self._faces.append(
            FollowedFace(self._next_id, sighting, sighting.square, now_ns, times_seen)
        )
        self._next_id += 1

    def tidy(self, now_ns: int) -> None:
        """Keeps the faces worth it, largest first.

        Let go are faces lost long ago, newcomers not seen again, the younger of two on one place,
        lost ones where another is seen, and the smallest of too many.
        """
        kept: list[FollowedFace] = []
        for face in sorted(self._faces, key=lambda f: (not f.seen, f.track_id)):
            alive = face.seen or (face.is_confirmed and now_ns - face.seen_ns <= self._lost_ns)
            if alive and not any(is_same_place(face.last, other.last) for other in kept):
                kept.append(face)
        kept.sort(key=lambda f: (not f.seen, -float(box_area(f.last.box))))
        del kept[self._most :]
        self._faces = sorted(kept, key=lambda f: -float(box_area(f.last.box)))
