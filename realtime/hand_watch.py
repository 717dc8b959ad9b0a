"""Keeps an eye on the hands around faces, with at most one run of a network in any frame."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.models.hand_finder import HandFinder, LocatedHand, is_same_hand
from engines.models.hand_landmark import square_from_hand
from engines.models.square_crop import CropSquare
from realtime.frame import Face, Image
from realtime.hand_mask import palm_length
from realtime.metrics import MS_NS
from realtime.skin_stir import SkinStir

_PERIODS_NS = ((0.8, 125 * MS_NS), (4.0, 50 * MS_NS))
"""How often a hand near a face is looked at while it is slower than so many palm lengths a second;
a faster one is in every frame."""

_LOOKS_FOR_SPEED = 3
"""So many looks are needed before a slow hand is believed to be slow."""

_FAR_NS = 150 * MS_NS
"""How often other hands are."""

_ALARMED_NS = 90 * MS_NS
"""How soon hands are searched for again when something foreign is seen on a face or skin comes
near; later the next time, and so on, for a camera that moves stirs everything."""

_HURRY_LESS = 1.5

_NEAR_MARGIN = 0.25
"""A hand this close to a face's box, in box sides, is near."""

_REGIONS = ((1.5, 0.3), (1.95, 0.45), (1.15, 0.25))
"""Half side of the square that is searched and how far its middle lies below the face's, in sides
of the face's box; by turns, for what one of them misses another may show."""

_PALM_SIZES = (0.22, 1.8)
"""Lengths a palm may have, in sides of the face's box; arms reach towards the camera."""

_MAX_AWAY = 2.5
"""Hands farther from a face's middle than so many sides of its box are of no concern."""

_MIN_PALM_SCORE = 0.35
_EAGER_SEARCHES = 3
"""Hands come in pairs: after a hand has been found so many searches follow closely."""

_KEEP_SCORE = 0.3
"""What the landmark network must say of a hand that was there a moment ago."""

_SURE_SCORE = 0.8
"""A new hand below this must be seen twice before it counts."""

_ON_FACE, _ON_FACE_SCORE = 0.6, 0.9
"""A hand with this share of its points inside the face's box must have this score: an ear, a
shadow and a jaw may look like a hand, and would let much of the face through."""

_SAME_SQUARE = 0.17
"""A palm this near to a hand's place, in sides of the square, is that hand's."""

_SEARCH_FRAMES = 2
"""A search is taken in so many frames after its own. One would do on most machines, but where it
does not the frame would have to wait."""

_MAX_PENDING = 3
_MAX_FAILURES = 2
_MAX_STEP = 1.0
"""A hand found farther off than this, in palm lengths, may be another one."""

_MAX_GUESS_NS = 80 * MS_NS
_GUESS = 0.7
"""Hands slow down more often than they speed up; a guess goes less far than the last movement."""


@dataclass(slots=True, eq=False)
class _Hand:
    """A hand that is followed.

    Attributes:
        found: how it was last seen.
        seen_ns: when.
        velocity: ``(2,) f32`` image pixels per ns; 0 unless it kept its direction.
        failures: looks that failed since.
        sure: whether it is believed to be a hand.
        looks: how often it was seen.
    """

    found: LocatedHand
    seen_ns: int
    velocity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))
    failures: int = 0
    sure: bool = False
    looks: int = 1

    def at(self, now_ns: int) -> NDArray[np.float32]:
        """``(21, 3) f32``, where the hand is thought to be."""
        points = self.found.points.copy()
        ahead_ns = min(now_ns - self.seen_ns, _MAX_GUESS_NS)
        points[:, :2] += np.float32(_GUESS * ahead_ns) * self.velocity
        return points

    @property
    def speed_per_s(self) -> float:
        """Palm lengths per second."""
        return float(np.hypot(*self.velocity)) * 1e9 / max(palm_length(self.found.points), 1.0)

    def see(self, found: LocatedHand, now_ns: int) -> None:
        """Takes in a new look."""
        moved = found.middle - self.found.middle
        velocity = moved / np.float32(max(now_ns - self.seen_ns, 1))
        is_jump = float(np.hypot(*moved)) > _MAX_STEP * palm_length(found.points)
        keeps_on = float(velocity @ self.velocity) > 0.0 or not self.velocity.any()
        goes_on = np.float32(0.0 if is_jump or not keeps_on else 0.5)
        self.velocity = np.asarray(goes_on * (velocity + self.velocity), np.float32)
        self.found, self.seen_ns, self.failures, self.sure = found, now_ns, 0, True
        self.looks += 1


@dataclass(slots=True)
class _Turns:
    """Whose turn it is."""

    searches: int = 0
    eager: int = 0
    searched_ns: int | None = None
    hurry_ns: int = _ALARMED_NS
    searching: Future[list[CropSquare]] | None = None
    frames_left: int = 0
    pending: list[CropSquare] = field(default_factory=list)
    stir: SkinStir = field(default_factory=SkinStir)


class HandWatch:
    """Finds and follows the hands that may come before a face; belongs to one thread."""

    def __init__(
        self, finder: HandFinder, *, search_ms: float, min_score: float, aside: Executor
    ) -> None:
        """Takes the networks, which stay the caller's.

        Args:
            finder: finds hands.
            search_ms: how often new hands are searched for.
            min_score: what the landmark network must say of a hand.
            aside: runs the searches; the caller's to shut down, before the networks are closed.
        """
        self._finder = finder
        self._aside = aside
        self._search_ns = round(search_ms * MS_NS)
        self._min_score = min_score
        self._hands: list[_Hand] = []
        self._turns = _Turns()

    def reset(self) -> None:
        """Forgets everything, as after a cut."""
        self._hands.clear()
        self._turns = _Turns()

    def update(
        self, image: Image, now_ns: int, faces: list[Face], *, alarmed: bool
    ) -> list[NDArray[np.float32]]:
        """Where the hands are in this frame.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            now_ns: time of the frame; must not run backwards without ``reset``.
            faces: those that matter.
            alarmed: whether something foreign was just seen on a face.

        Returns:
            ``(21, 3) f32`` image pixels for each hand.
        """
        if not faces:
            self.reset()
            return []
        self._take_search(now_ns)
        due = self._due_hand(now_ns, faces)
        if due is not None and (due.failures or not due.sure):
            self._follow(due, image, now_ns, faces)
        elif self._turns.pending:
            self._take_pending(image, now_ns, faces)
        elif self._search_is_due(image, now_ns, faces, alarmed=alarmed):
            self._search(image, now_ns, faces)
        elif due is not None:
            self._follow(due, image, now_ns, faces)
        # A hand that was just missed may have gone; its mask fades while it is looked for again.
        return [hand.at(now_ns) for hand in self._hands if hand.sure and not hand.failures]

    def _due_hand(self, now_ns: int, faces: list[Face]) -> _Hand | None:
        """The hand that most needs a look, if any does."""

        def late_ns(hand: _Hand) -> int:
            return now_ns - hand.seen_ns - _period_ns(hand, faces)

        late = max(self._hands, key=late_ns, default=None)
        return late if late is not None and late_ns(late) >= 0 else None

    def _search_is_due(
        self, image: Image, now_ns: int, faces: list[Face], *, alarmed: bool
    ) -> bool:
        """Whether it is time to look for more hands."""
        near = [hand for hand in self._hands if any(_is_near(hand.found, face) for face in faces)]
        if self._turns.searching is not None or len(near) >= 2 * len(faces):
            return False
        if self._turns.searched_ns is None:
            return True
        turns, since_ns = self._turns, now_ns - self._turns.searched_ns
        if since_ns >= self._search_ns:
            turns.hurry_ns = _ALARMED_NS
            return True
        if since_ns < turns.hurry_ns:
            return False
        if near:
            return turns.eager > 0
        if not (alarmed or turns.stir.has_come(image, [face.box for face in faces])):
            return False
        turns.hurry_ns = round(_HURRY_LESS * turns.hurry_ns)
        return True

    def _search(self, image: Image, now_ns: int, faces: list[Face]) -> None:
        """Looks around one face; what may be hands is looked at in the frames to come.

        A search takes longer than all the rest of a frame, so it goes on beside the frame.
        """
        turns = self._turns
        turn, which = divmod(turns.searches, len(faces))
        region = _region(faces[which], *_REGIONS[turn % len(_REGIONS)])
        turns.searches += 1
        turns.eager = max(turns.eager - 1, 0)
        turns.searched_ns = now_ns
        turns.stir.mark(image, region, [face.box for face in faces])
        turns.frames_left = _SEARCH_FRAMES
        # The frame goes on its way meanwhile, so the search needs a picture of its own.
        turns.searching = self._aside.submit(
            self._finder.detect, image.copy(), region, min_score=_MIN_PALM_SCORE
        )

    def _take_search(self, now_ns: int) -> None:
        """Takes what the search of a few frames ago has found; waits for it where it must."""
        turns = self._turns
        turns.frames_left -= 1
        if turns.searching is None or turns.frames_left > 0:
            return
        searching, turns.searching = turns.searching, None
        found = searching.result()
        known = [square_from_hand(hand.at(now_ns)) for hand in self._hands]
        new = [one for one in found if not any(_is_same_square(one, other) for other in known)]
        turns.pending = new[:_MAX_PENDING]

    def _take_pending(self, image: Image, now_ns: int, faces: list[Face]) -> None:
        square = self._turns.pending.pop(0)
        found = self._finder.locate(image, square, min_score=self._min_score)
        if found is None or not _is_plausible(found, faces):
            return
        if not any(is_same_hand(found, hand.found) for hand in self._hands):
            self._hands.append(_Hand(found, now_ns, sure=found.score >= _SURE_SCORE))
            self._turns.eager, self._turns.hurry_ns = _EAGER_SEARCHES, _ALARMED_NS

    def _follow(self, hand: _Hand, image: Image, now_ns: int, faces: list[Face]) -> None:
        """Looks at a hand again; one not found twice running, or found twice, is let go."""
        square = square_from_hand(hand.at(now_ns))
        min_score = _KEEP_SCORE if hand.sure else self._min_score
        found = self._finder.locate(image, square, min_score=min_score)
        others = [other.found for other in self._hands if other is not hand]
        if found is None or not _is_plausible(found, faces):
            hand.failures += 1
            if hand.failures >= _MAX_FAILURES or not hand.sure:
                self._hands.remove(hand)
                self._turns.searched_ns = None if hand.sure else self._turns.searched_ns
        elif any(is_same_hand(found, other) for other in others):
            self._hands.remove(hand)
        else:
            hand.see(found, now_ns)


def _period_ns(hand: _Hand, faces: list[Face]) -> int:
    """How long a hand may go without a look."""
    if hand.failures or not hand.sure:
        return 0
    if not any(_is_near(hand.found, face) for face in faces):
        return _FAR_NS
    if hand.looks < _LOOKS_FOR_SPEED:
        return _PERIODS_NS[-1][1]
    speed_per_s = hand.speed_per_s
    return next((period_ns for limit, period_ns in _PERIODS_NS if speed_per_s < limit), 0)


def _is_same_square(one: CropSquare, other: CropSquare) -> bool:
    """Whether two squares frame the same hand."""
    apart_px = max(abs(one.x_px - other.x_px), abs(one.y_px - other.y_px))
    return apart_px < _SAME_SQUARE * other.side_px


def _is_near(hand: LocatedHand, face: Face) -> bool:
    """Whether a hand's box meets the face's, grown by a margin."""
    margin = _NEAR_MARGIN * _side_px(face)
    low, high = hand.points[:, :2].min(axis=0), hand.points[:, :2].max(axis=0)
    return bool((low <= face.box[2:] + margin).all() and (high >= face.box[:2] - margin).all())


def _is_plausible(hand: LocatedHand, faces: list[Face]) -> bool:
    """Whether a hand has a hand's size and lies around one of the faces."""
    for face in faces:
        side_px = _side_px(face)
        least, most = (share * side_px for share in _PALM_SIZES)
        away = np.abs(hand.middle - (face.box[:2] + face.box[2:]) / 2).max()
        if least <= palm_length(hand.points) <= most and away < _MAX_AWAY * side_px:
            plane = hand.points[:, :2]
            inside = ((plane >= face.box[:2]) & (plane <= face.box[2:])).all(axis=1)
            return hand.score >= _ON_FACE_SCORE or float(inside.mean()) < _ON_FACE
    return False


def _region(face: Face, half: float, below: float) -> tuple[int, int, int, int]:
    """A square around and below a face, in whole pixels."""
    side_px = _side_px(face)
    x, y = (face.box[:2] + face.box[2:]) / 2
    y += below * side_px
    reach = half * side_px
    return int(x - reach), int(y - reach), int(x + reach), int(y + reach)


def _side_px(face: Face) -> float:
    """The longer side of a face's box."""
    return max(float((face.box[2:] - face.box[:2]).max()), 1.0)
