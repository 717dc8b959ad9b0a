"""Decides which faces of the frame are swapped, and which of the given people each becomes."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from engines.families.recogniser import Recogniser, unit
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Frame, PictureSpec
from realtime.geometry import box_area
from realtime.memory import Memory
from realtime.tracks import of_present

Identity = NDArray[np.float32]
"""``(D,) f32`` of length 1."""

OpenRecogniser = Callable[[], AbstractContextManager[Recogniser]]

_MAX_YAW = 50.0
"""Degrees beyond which a face does not say who it is."""

_KEPT = 0.7
"""Share of what was known of a face that a new look leaves."""

_TIE = 0.04
"""What being where the person was last seen is worth, in cosines: it decides between alike faces
and never between different ones."""


class ChooseConfig(BaseModel, frozen=True, extra="forbid"):
    """Which faces are swapped.

    Attributes:
        faces: ``all``; ``one``: the largest, and the same one for as long as it is there;
            ``mapped``: those of the people that were named. The others are hidden.
        recogniser: the network that tells people apart.
        min_cosine: likeness from which a face is that of a person, -1..1.
        margin: how much more like another person a face must look before it changes.
        interval_ms: how often a face is looked at again.
    """

    faces: Literal["one", "all", "mapped"] = "all"
    recogniser: str = "mobilefacenet"
    min_cosine: float = Field(0.35, ge=-1.0, le=1.0)
    margin: float = Field(0.1, ge=0.0, le=2.0)
    interval_ms: float = Field(500.0, ge=0.0)


@dataclass(slots=True)
class _Known:
    """What is known of one track.

    Attributes:
        looked_ns: when it was last looked at.
        likeness: mean of what was seen, not scaled; None before the first look.
        person: who it is, an index into the people; None for nobody.
    """

    looked_ns: int
    likeness: Identity | None = None
    person: int | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a person was last seen: middle and width of the box, image pixels."""

    x_px: float
    y_px: float
    width_px: float


class ChooseOne:
    """Leaves one face to be swapped: the largest, until it is gone for good."""

    def __init__(self) -> None:
        self._track_id: int | None = None

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "choose"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Forgets whom it chose."""
        self._track_id = None

    def process(self, frame: Frame) -> None:
        """Unchooses every face but one."""
        if all(face.track_id != self._track_id for face in frame.faces):
            seen = [face for face in frame.faces if face.state is FaceState.SEEN and face.chosen]
            largest = max(seen, key=lambda face: float(box_area(face.box)), default=None)
            self._track_id = None if largest is None else largest.track_id
        for face in frame.faces:
            face.chosen = face.chosen and face.track_id == self._track_id

    def close(self) -> None:
        """Forgets whom it chose."""
        self._track_id = None


class ChooseMapped:
    """Knows people by their faces and says whom each of them becomes.

    A face is looked at when it appears and then now and then, one face in a frame, so that no
    frame takes long. Who it is follows from the mean of its looks; between faces that are equally
    like a person the one nearer to where that person was decides, and a face that has been given
    to a person stays with them until another is clearly more alike.
    """

    def __init__(
        self,
        config: ChooseConfig,
        open_recogniser: OpenRecogniser,
        people: Sequence[Identity],
        *,
        default: int | None = None,
    ) -> None:
        """Takes the people; the network is loaded by ``open``.

        Args:
            config: settings.
            open_recogniser: loads the recogniser for as long as the context lasts.
            people: whom to look for, each of length 1; ``Face.person`` becomes their index.
            default: what a face of nobody becomes; None: it is not swapped.
        """
        self._config = config
        self._open_recogniser = open_recogniser
        self._people = np.stack(people)
        self._default = default
        self._opened = ExitStack()
        self._recogniser: Recogniser | None = None
        self._known: dict[int, _Known] = {}
        self._places: dict[int, _Place] = {}

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "choose"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the recogniser.

        Raises:
            ModelError: it is missing or unusable.
        """
        self._known.clear()
        self._places.clear()
        self._recogniser = self._opened.enter_context(self._open_recogniser())

    def process(self, frame: Frame) -> None:
        """Sets ``chosen`` and ``person`` of every face.

        Raises:
            ModelError: the network fails.
        """
        if self._recogniser is None:
            raise RuntimeError("ChooseMapped.process: the stage must be open, got a closed one.")
        self._known = of_present(self._known, frame.faces)
        self._look(self._recogniser, frame)
        self._assign(frame.faces)
        for face in frame.faces:
            known = self._known.get(face.track_id)
            person = self._default if known is None or known.person is None else known.person
            face.chosen = face.chosen and person is not None
            face.person = person or 0
            if known is not None and known.person is not None and face.state is FaceState.SEEN:
                self._places[known.person] = _place(face)

    def close(self) -> None:
        """Lets the network go and forgets everybody."""
        self._recogniser = None
        self._known.clear()
        self._places.clear()
        self._opened.close()

    def _look(self, recogniser: Recogniser, frame: Frame) -> None:
        """Looks at the one face that has waited longest.

        Newcomers come first, and of them the one nearest to where somebody was.
        """
        due = [face for face in frame.faces if self._is_due(face, frame.media_ns)]
        if not due:
            return
        face = min(due, key=lambda face: (self._looked_ns(face), -self._nearness_to_any(face)))
        seen = unit(recogniser.embed(frame.image, five_points(face.landmarks)))
        known = self._known.setdefault(face.track_id, _Known(frame.media_ns))
        known.looked_ns = frame.media_ns
        known.likeness = (
            seen
            if known.likeness is None
            else np.asarray(_KEPT * known.likeness + (1 - _KEPT) * seen, np.float32)
        )

    def _is_due(self, face: Face, now_ns: int) -> bool:
        if face.state is not FaceState.SEEN or abs(face.pose.yaw) > _MAX_YAW:
            return False
        known = self._known.get(face.track_id)
        return known is None or now_ns - known.looked_ns >= self._config.interval_ms * 1e6

    def _looked_ns(self, face: Face) -> float:
        known = self._known.get(face.track_id)
        return -math.inf if known is None else known.looked_ns

    def _assign(self, faces: Sequence[Face]) -> None:
        """Gives each person to one face at most, the surest pair first."""
        claims = sorted(self._claims(faces), reverse=True)
        for known in self._known.values():
            known.person = None
        taken: set[int] = set()
        for _, track_id, person in claims:
            known = self._known[track_id]
            if known.person is None and person not in taken:
                known.person = person
                taken.add(person)

    def _claims(self, faces: Sequence[Face]) -> list[tuple[float, int, int]]:
        """How strongly each face can be each person: score, track, person."""
        claims = []
        for face in faces:
            known = self._known.get(face.track_id)
            if known is None or known.likeness is None:
                continue
            for person, cosine in enumerate(self._people @ unit(known.likeness)):
                score = float(cosine)
                if known.person == person:
                    score += self._config.margin
                if score < self._config.min_cosine:
                    continue
                claims.append((score + self._nearness(face, person), face.track_id, person))
        return claims

    def _nearness(self, face: Face, person: int) -> float:
        """What the face's place is worth: most where the person was, nothing far away."""
        last, here = self._places.get(person), _place(face)
        if last is None:
            return 0.0
        away = math.hypot(here.x_px - last.x_px, here.y_px - last.y_px) / max(last.width_px, 1.0)
        return _TIE * math.exp(-away)

    def _nearness_to_any(self, face: Face) -> float:
        return max((self._nearness(face, person) for person in self._places), default=0.0)


def _place(face: Face) -> _Place:
    left, top, right, bottom = (float(value) for value in face.box)
    return _Place((left + right) / 2, (top + bottom) / 2, right - left)
