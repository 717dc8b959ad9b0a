"""The stage that finds the faces of a frame and knows which person is which from frame to frame."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engines.models.blazeface import BlazeFace
from engines.models.face_finder import CERTAIN_SCORE, FaceFinder, LocatedFace
from engines.models.face_landmark import FaceLandmark
from engines.session import Session
from realtime.frame import Face, FaceState, Frame, Image, PictureSpec, Points, Pose
from realtime.geometry import (
    Box,
    bounding_box,
    box_area,
    box_overlap,
    clip_box,
    fit_head,
    head_misfit,
    head_pose,
)
from realtime.memory import Memory

_NS_PER_MS = 1_000_000
_MIN_FACE_PX = 12.0
_MIN_VISIBLE = 0.3
_MAX_GROWTH = 1.5
_MAX_MOVE = 0.8
_TIMES_TO_CONFIRM = 3
_MAX_MISFIT = 0.25
_TURNED_DETECTION = 0.6
_TURNS = (1, 3, 2)
_LOSING_MS = 100.0
_SAME_FACE_OVERLAP = 0.6
_THUMBNAIL_PX = 48
_CUT_CORRELATION = 0.4


class TrackConfig(BaseModel):
    """How faces are found and kept.

    Attributes:
        max_faces: so many faces are tracked at once, the largest first.
        redetect_interval_ms: how often newcomers are looked for while every known face is seen;
            without a face, or after a loss, every frame is searched.
        min_detection: probability a detector must give a new face.
        min_score: probability the landmark network must give a new face.
        keep_score: probability it must give a face that was seen in the frame before.
        reassociate_ms: a face that comes back within this time keeps its identity.
        lost_ms: how long a face that is not found any more is still reported, as lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_faces: int = Field(4, ge=1, le=16)
    redetect_interval_ms: float = Field(500.0, gt=0.0)
    min_detection: float = Field(0.3, gt=0.0, lt=1.0)
    min_score: float = Field(0.5, gt=0.0, lt=1.0)
    keep_score: float = Field(0.3, gt=0.0, lt=1.0)
    reassociate_ms: float = Field(1000.0, ge=0.0)
    lost_ms: float = Field(2500.0, ge=0.0)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A face found in one frame whose landmarks can be a face's."""

    landmarks: Points
    box: Box
    score: float
    pose: Pose

    @property
    def side_px(self) -> float:
        """Long side of the box."""
        return float((self.box[2:] - self.box[:2]).max())


@dataclass(slots=True)
class _Track:
    """One person's face over time.

    Attributes:
        track_id: its lasting number.
        last: how it was last seen.
        seen_ns: when that was.
        times_seen: in how many frames; a newcomer beside known faces is not reported before it has
            been seen in a few frames running, for a print on a shirt can look like a face in one.
    """

    track_id: int
    last: _Sighting
    seen_ns: int
    times_seen: int


class Track:
    """Finds faces, follows them and gives each a lasting number.

    A face that was seen is looked for where it was, by the landmark network alone. When that
    fails it is looked for around that place, then in the whole picture, all in the same frame, so
    a fast movement costs no frame. A face is reported as seen only if it was found in this very
    frame. Time is ``Frame.media_ns``.
    """

    def __init__(self, config: TrackConfig, open_session: Callable[[str], Session]) -> None:
        """Takes its settings; nothing is loaded before ``open``.

        Args:
            config: settings.
            open_session: loads a network of the catalogue by name; the stage closes it.
        """
        self._config = config
        self._open_session = open_session
        self._opened = ExitStack()
        self._finder: FaceFinder | None = None
        self._next_id = 0
        self._num_turns = 0
        self._tracks: list[_Track] = []
        self._last_ns: int | None = None
        self._searched_ns: int | None = None
        self._turned_ns: int | None = None
        self._thumbnail: NDArray[np.float32] | None = None

    @property
    def name(self) -> str:
        """``track``."""
        return "track"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the three networks.

        Raises:
            ModelError: one of them is missing or unusable.
        """
        self._tracks = []
        self._last_ns = self._searched_ns = self._turned_ns = self._thumbnail = None
        with ExitStack() as opened:
            short_range, full_range, landmark = (
                self._load(name, opened)
                for name in (
                    "face_detection_short_range",
                    "face_detection_full_range",
                    "face_landmark",
                )
            )
            self._finder = FaceFinder(
                BlazeFace(short_range), BlazeFace(full_range), FaceLandmark(landmark)
            )
            self._opened = opened.pop_all()

    def process(self, frame: Frame) -> None:
        """Sets ``frame.faces``, largest first."""
        finder = self._finder
        if finder is None:
            raise RuntimeError("track: open must be called before process.")
        now_ns, image = frame.media_ns, frame.image
        if self._is_cut(image):
            self._tracks.clear()
        self._follow(finder, image, now_ns, [t for t in self._tracks if t.seen_ns == self._last_ns])
        if self._search_is_due(now_ns):
            missing = [t for t in self._tracks if t.seen_ns != now_ns and self._is_fresh(t, now_ns)]
            self._follow(finder, image, now_ns, missing)
            self._search(finder, image, now_ns)
        self._tracks = self._kept(now_ns)
        self._last_ns = now_ns
        frame.faces = [_face(track, now_ns) for track in self._tracks if _is_confirmed(track)]

    def close(self) -> None:
        """Lets the networks go."""
        self._finder = None
        self._opened.close()

    def _load(self, name: str, opened: ExitStack) -> Session:
        """Opens a network and sees to its end."""
        session = self._open_session(name)
        opened.callback(session.close)
        return session

    def _is_cut(self, image: Image) -> bool:
        """Whether this picture shows another scene than the one before."""
        height, width = image.shape[:2]
        rows = np.linspace(0, height - 1, _THUMBNAIL_PX).astype(np.intp)
        columns = np.linspace(0, width - 1, _THUMBNAIL_PX).astype(np.intp)
        thumbnail = image[rows[:, None], columns, 1].astype(np.float32)
        thumbnail -= thumbnail.mean()
        last, self._thumbnail = self._thumbnail, thumbnail
        if last is None:
            return False
        norm = float(np.linalg.norm(last) * np.linalg.norm(thumbnail))
        return norm > 0.0 and float(np.vdot(last, thumbnail)) < _CUT_CORRELATION * norm

    def _follow(self, finder: FaceFinder, image: Image, now_ns: int, tracks: list[_Track]) -> None:
        """Looks for known faces where they were, then for the uncertain ones around that place."""
        uncertain: list[tuple[_Track, _Sighting | None]] = []
        for track in sorted(tracks, key=lambda t: t.track_id):
            face = finder.follow(
                image,
                track.last.landmarks,
                min_score=self._config.keep_score,
                thorough=track.seen_ns == self._last_ns,
            )
            sighting = _sighting(face, image)
            if sighting is None or sighting.score < CERTAIN_SCORE:
                uncertain.append((track, sighting))
            elif not self._see(track, sighting, now_ns):
                uncertain.append((track, None))
        for track, followed in uncertain:
            recovered = self._recover(finder, image, track)
            # Another face that is likelier hereabouts means that this one is gone.
            likeliest = max(
                (found for found in (followed, recovered) if found is not None),
                key=lambda found: found.score,
                default=None,
            )
            if likeliest is not None:
                self._see(track, likeliest, now_ns)

    def _recover(self, finder: FaceFinder, image: Image, track: _Track) -> _Sighting | None:
        """Looks for a face near where it was; newcomers must do without."""
        if not _is_confirmed(track):
            return None
        face = finder.recover(
            image,
            track.last.landmarks,
            min_detection=self._config.min_detection,
            min_score=self._config.min_score,
        )
        return _sighting(face, image)

    def _see(self, track: _Track, sighting: _Sighting, now_ns: int) -> bool:
        """Moves a track to a face found in this frame, if it can be the same one."""
        if not _can_be_same(sighting, track.last) or self._is_taken(sighting, track, now_ns):
            return False
        track.last, track.seen_ns = sighting, now_ns
        track.times_seen += 1
        return True

    def _is_taken(self, sighting: _Sighting, track: _Track, now_ns: int) -> bool:
        """Whether a face is where another track's face has been seen in this frame."""
        return any(
            _is_same_place(sighting.box, other.last.box)
            for other in self._tracks
            if other is not track and other.seen_ns == now_ns
        )

    def _search_is_due(self, now_ns: int) -> bool:
        """Whether the whole picture is to be searched in this frame."""
        if self._searched_ns is None or all(track.seen_ns != now_ns for track in self._tracks):
            return True
        losing_ns = _LOSING_MS * _NS_PER_MS
        if any(0 < now_ns - track.seen_ns <= losing_ns for track in self._tracks):
            return True
        return now_ns - self._searched_ns >= self._config.redetect_interval_ms * _NS_PER_MS

    def _search(self, finder: FaceFinder, image: Image, now_ns: int) -> None:
        """Looks for faces in the whole picture that are not followed already."""
        self._searched_ns = now_ns
        boxes = [track.last.box for track in self._tracks if track.seen_ns == now_ns]
        known = np.array(boxes, np.float32).reshape(-1, 4)
        faces = finder.search(
            image,
            known=known,
            max_faces=self._config.max_faces - len(boxes),
            min_detection=self._config.min_detection,
            min_score=self._config.min_score,
        )
        if not boxes and not faces and self._turn_is_due(now_ns):
            faces = finder.search(
                image,
                known=known,
                max_faces=self._config.max_faces,
                min_detection=_TURNED_DETECTION,
                min_score=CERTAIN_SCORE,
                quarter_turns=self._next_turn(now_ns),
            )
        for face in faces:
            sighting = _sighting(face, image)
            if sighting is not None:
                self._associate(sighting, now_ns)

    def _turn_is_due(self, now_ns: int) -> bool:
        """Whether heads on their side are to be looked for; dear, so not in every frame."""
        interval_ns = self._config.redetect_interval_ms * _NS_PER_MS / len(_TURNS)
        return self._turned_ns is None or now_ns - self._turned_ns >= interval_ns

    def _next_turn(self, now_ns: int) -> int:
        """The quarter turns to try now, one after the other so that no frame takes long."""
        self._turned_ns = now_ns
        self._num_turns += 1
        return _TURNS[self._num_turns % len(_TURNS)]

    def _associate(self, sighting: _Sighting, now_ns: int) -> None:
        """Gives a face found in the whole picture to the nearest missing track, or to a new one."""
        missing = [t for t in self._tracks if t.seen_ns != now_ns and self._is_fresh(t, now_ns)]
        for track in sorted(missing, key=lambda t: _distance_px(sighting, t.last)):
            if self._see(track, sighting, now_ns):
                return
        alone = all(track.seen_ns != now_ns for track in self._tracks)
        times_seen = _TIMES_TO_CONFIRM if alone else 1
        self._tracks.append(_Track(self._next_id, sighting, now_ns, times_seen))
        self._next_id += 1

    def _kept(self, now_ns: int) -> list[_Track]:
        """The tracks worth keeping, largest first.

        Let go are faces lost long ago, newcomers not seen again, the younger of two tracks on one
        face, lost ones where another is seen, and the smallest of too many.
        """
        limit_ns = self._config.lost_ms * _NS_PER_MS
        kept: list[_Track] = []
        for track in sorted(self._tracks, key=lambda t: (t.seen_ns != now_ns, t.track_id)):
            seen = track.seen_ns == now_ns
            alive = seen or (_is_confirmed(track) and now_ns - track.seen_ns <= limit_ns)
            if alive and not any(_is_same_place(track.last.box, other.last.box) for other in kept):
                kept.append(track)
        kept.sort(key=lambda t: (t.seen_ns != now_ns, -float(box_area(t.last.box))))
        kept = kept[: self._config.max_faces]
        return sorted(kept, key=lambda t: -float(box_area(t.last.box)))

    def _is_fresh(self, track: _Track, now_ns: int) -> bool:
        """Whether a face was seen so lately that one found now nearby is the same."""
        return now_ns - track.seen_ns <= self._config.reassociate_ms * _NS_PER_MS


def _face(track: _Track, now_ns: int) -> Face:
    """What the stages to come are told about a track."""
    return Face(
        track_id=track.track_id,
        box=track.last.box.copy(),
        landmarks=track.last.landmarks.copy(),
        score=track.last.score,
        pose=track.last.pose,
        state=FaceState.SEEN if track.seen_ns == now_ns else FaceState.LOST,
        lost_ns=now_ns - track.seen_ns,
    )


def _sighting(face: LocatedFace | None, image: Image) -> _Sighting | None:
    """The face, if its landmarks are finite, large enough, in view and shaped like a head."""
    if face is None or not np.isfinite(face.landmarks).all():
        return None
    box = bounding_box(face.landmarks)
    if float((box[2:] - box[:2]).max()) < _MIN_FACE_PX:
        return None
    height, width = image.shape[:2]
    if float(box_area(clip_box(box, width, height))) < _MIN_VISIBLE * float(box_area(box)):
        return None
    head = fit_head(face.landmarks)
    if head_misfit(face.landmarks, head) > _MAX_MISFIT:
        return None
    return _Sighting(face.landmarks, box, face.score, head_pose(head))


def _is_confirmed(track: _Track) -> bool:
    """Whether a track has been seen often enough to be believed."""
    return track.times_seen >= _TIMES_TO_CONFIRM


def _can_be_same(a: _Sighting, b: _Sighting) -> bool:
    """Whether one face can be the other a moment later, by size and place."""
    sides = sorted((a.side_px, b.side_px))
    return sides[1] <= _MAX_GROWTH * sides[0] and _distance_px(a, b) <= _MAX_MOVE * sides[1]


def _distance_px(a: _Sighting, b: _Sighting) -> float:
    """Distance between the middles of two faces."""
    return float(np.linalg.norm(a.box[:2] + a.box[2:] - b.box[:2] - b.box[2:])) / 2


def _is_same_place(a: Box, b: Box) -> bool:
    """Whether the smaller of two boxes lies mostly within the other."""
    shared = float(box_overlap(a[None], b[None])[0, 0])
    return shared > _SAME_FACE_OVERLAP * min(float(box_area(a)), float(box_area(b)))
