"""The stage that finds the faces of a frame and knows which person is which from frame to frame."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from engines.models.close_search import search_parts
from engines.models.face_candidates import Candidate
from engines.models.face_finder import (
    CERTAIN_SCORE,
    FACE_NETWORKS,
    FaceFinder,
    LocatedFace,
    Wanted,
    open_face_finder,
)
from engines.session import Session
from realtime.cuts import CutDetector
from realtime.followed_faces import FollowedFace, FollowedFaces
from realtime.frame import Face, FaceState, Frame, Image, PictureSpec
from realtime.glances import TURNS, Glances
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.sighting import Sighting, is_steady, likelier, right_way_up, sighting_in
from realtime.turned_away import seen_wider, turned_away

BLAZEFACE = "blazeface"
"""The detectors that come with the program, of both ranges."""

_NUM_HIDDEN = 4
"""Faces beyond the limit that are tracked all the same."""

# After a loss the whole picture is searched in every frame for so long, then at the slow cadence.
_LOSING_MS = 100.0

_GOOD_MISFIT = 0.04
"""Misfit of a head up to which there is no doubt which way up it is."""

Doubtful = tuple[FollowedFace, Sighting]
"""A face and where it was followed to, which no detector has confirmed."""


class TrackConfig(BaseModel):
    """How faces are found and kept.

    Attributes:
        detector: what searches whole pictures: ``blazeface``, or a detector of the catalogue.
        landmarks: the network that places the 468 points.
        max_faces: so many faces are chosen for the swap, the largest first; a few more are
            tracked, so that they can be hidden.
        redetect_interval_ms: how often newcomers are looked for while every known face is seen;
            without a face, or after a loss, every frame is searched.
        min_detection: probability a detector must give a new face.
        min_score: probability the landmark network must give a new face.
        keep_score: probability it must give a face that was seen in the frame before.
        reassociate_ms: a face that comes back within this time keeps its identity.
        lost_ms: how long a face that is not found any more is still reported, as lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str = BLAZEFACE
    landmarks: str = FACE_NETWORKS[2]
    max_faces: int = Field(4, ge=1, le=16)
    redetect_interval_ms: float = Field(300.0, gt=0.0)
    min_detection: float = Field(0.3, gt=0.0, lt=1.0)
    min_score: float = Field(0.5, gt=0.0, lt=1.0)
    keep_score: float = Field(0.3, gt=0.0, lt=1.0)
    reassociate_ms: float = Field(1000.0, ge=0.0)
    lost_ms: float = Field(2500.0, ge=0.0)


class Track:
    """Finds faces, follows them and gives each a lasting number.

    A face that was seen is looked for where it was, by the landmark network alone. When that
    fails it is looked for around that place, then in the whole picture, all in the same frame, so
    a fast movement costs no frame. A face is reported as seen only if it was found in this very
    frame. Time is ``Frame.media_ns``.
    """

    def __init__(
        self,
        config: TrackConfig,
        open_session: Callable[[str], Session],
        open_finder: Callable[[], AbstractContextManager[FaceFinder]] | None = None,
    ) -> None:
        """Takes its settings; nothing is loaded before ``open``.

        Args:
            config: settings.
            open_session: loads a network of the catalogue by name; the stage closes it.
            open_finder: loads all the networks for as long as the context lasts; None for those
                that come with the program.
        """
        self._config = config
        self._open_finder = open_finder or partial(open_face_finder, open_session)
        self._opened = ExitStack()
        self._finder: FaceFinder | None = None
        self._is_far_turn = False
        self._tracks = FollowedFaces(
            reassociate_ms=config.reassociate_ms,
            lost_ms=config.lost_ms,
            most=config.max_faces + _NUM_HIDDEN,
        )
        self._last_ns: int | None = None
        self._searched_ns: int | None = None
        self._cuts = CutDetector()
        self._glances: Glances | None = None
        self._is_alone = False

    @property
    def name(self) -> str:
        """``track``."""
        return "track"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the three networks.

        A picture that comes alone is searched for turned heads at once, as no other follows.

        Raises:
            ModelError: one of them is missing or unusable.
        """
        self._tracks.forget()
        self._last_ns = self._searched_ns = None
        self._cuts.reset()
        self._is_alone = spec.num_frames == 1
        finder = self._opened.enter_context(self._open_finder())
        glances = Glances(
            finder,
            min_detection=self._config.min_detection,
            turned_interval_ns=self._config.redetect_interval_ms * MS_NS / len(TURNS),
        )
        self._glances = self._opened.enter_context(closing(glances))
        self._finder = finder

    def process(self, frame: Frame) -> None:
        """Sets ``frame.faces``, largest first."""
        finder, glances = self._finder, self._glances
        if finder is None or glances is None:
            raise RuntimeError("track: open must be called before process.")
        now_ns, image = frame.media_ns, frame.image
        newcomers, turned = glances.take()
        is_cut = self._cuts.is_cut(image)
        if is_cut or (self._last_ns is not None and now_ns < self._last_ns):
            self._tracks.forget()
            self._searched_ns = None
            glances.reset()
            newcomers, turned = [], []
        self._last_ns = now_ns
        followed = self._tracks.begin_frame()
        doubtful = self._follow(finder, image, now_ns, followed, thorough=True)
        if self._search_is_due(now_ns):
            missing = self._tracks.missing(now_ns)
            self._follow(
                finder, image, now_ns, [t for t in missing if t not in followed], thorough=False
            )
            if self._search(finder, glances, image, now_ns, turned, doubtful):
                # The face is there; what was left at its old place was a trace of it.
                doubtful = []
        elif newcomers:
            faces = self._confirmed(finder, image, newcomers, min_score=self._config.min_score)
            self._take_in(finder, faces, image, now_ns, doubtful, alone=False)
        for track, sighting in doubtful:
            self._tracks.see(track, sighting, now_ns)
        self._tracks.tidy(now_ns)
        frame.faces = self._report(now_ns)

    def _report(self, now_ns: int) -> list[Face]:
        """All faces; chosen are the largest of those that were seen often enough."""
        chosen = [track for track in self._tracks if track.seen and track.is_confirmed]
        del chosen[self._config.max_faces :]
        return [
            _face(track, now_ns, chosen=not track.seen or track in chosen)
            for track in self._tracks
            if track.seen or track.is_confirmed
        ]

    def rest(self) -> None:
        """Has the slow detector begin, where a frame asked for it."""
        if self._glances is not None:
            self._glances.rest()

    def close(self) -> None:
        """Lets the networks go."""
        self._finder = self._glances = None
        self._opened.close()

    def _follow(
        self,
        finder: FaceFinder,
        image: Image,
        now_ns: int,
        tracks: list[FollowedFace],
        *,
        thorough: bool,
    ) -> list[Doubtful]:
        """Looks for known faces where they were, then for the others around that place.

        Returns:
            Faces that may be there but that the detector does not confirm.
        """
        others: list[tuple[FollowedFace, Sighting | None]] = []
        for track in sorted(tracks, key=lambda t: t.track_id):
            face = finder.follow(
                image,
                track.square,
                min_score=self._config.keep_score,
                thorough=thorough,
            )
            sighting = sighting_in(image, face)
            if sighting is not None:
                sighting = seen_wider(
                    finder, image, track, sighting, min_score=self._config.keep_score
                )
            is_certain = (
                sighting is not None
                and sighting.score >= CERTAIN_SCORE
                and is_steady(sighting, track.last)
            )
            if sighting is None or not is_certain:
                others.append((track, sighting))
            elif not self._tracks.see(track, sighting, now_ns):
                others.append((track, None))
        doubtful: list[Doubtful] = []
        for track, sighting in others:
            confirmed = self._confirm(finder, image, track, sighting)
            if confirmed is not None:
                # A face hereabouts that is not this one means that this one is gone.
                self._tracks.see(track, confirmed, now_ns)
            elif sighting is not None:
                doubtful.append((track, sighting))
        return doubtful

    def _confirm(
        self, finder: FaceFinder, image: Image, track: FollowedFace, followed: Sighting | None
    ) -> Sighting | None:
        """A known face where a detector says that it is; None where none does.

        Args:
            finder, image: the networks and the picture.
            track: the face.
            followed: where it was followed to, if it was.
        """
        recovered = self._recover(finder, image, track)
        turned = turned_away(finder, image, track) if followed is None else None
        if recovered is None:
            return turned
        going_on = turned if followed is None else followed
        return recovered if going_on is None else likelier(going_on, recovered, track.last)

    def _recover(self, finder: FaceFinder, image: Image, track: FollowedFace) -> Sighting | None:
        """Looks for a face near where it was; newcomers must do without."""
        if not track.is_confirmed:
            return None
        face = finder.recover(
            image,
            track.last.landmarks,
            min_detection=self._config.min_detection,
            min_score=self._config.min_score,
        )
        return sighting_in(image, face)

    def _search_is_due(self, now_ns: int) -> bool:
        """Whether the whole picture is to be searched in this frame."""
        if self._searched_ns is None or not any(track.seen for track in self._tracks):
            return True
        losing_ns = _LOSING_MS * MS_NS
        if any(not t.seen and now_ns - t.seen_ns <= losing_ns for t in self._tracks):
            return True
        return now_ns - self._searched_ns >= self._config.redetect_interval_ms * MS_NS

    def _search(
        self,
        finder: FaceFinder,
        glances: Glances,
        image: Image,
        now_ns: int,
        turned: list[Candidate],
        doubtful: list[Doubtful],
    ) -> bool:
        """Looks for faces in the whole picture that are not followed already; True for any.

        Args:
            finder, glances: the networks, and their looks beside the frames.
            image: the picture.
            now_ns: its time.
            turned: turned heads that may have been in the picture before.
            doubtful: faces that may be where they were followed to.
        """
        self._searched_ns = now_ns
        known = self._tracks.boxes()
        num_known = len(known)
        # With every known face in sight the detectors take turns, so that no frame takes long.
        in_turn = num_known > 0 and all(track.seen for track in self._tracks)
        self._is_far_turn = not self._is_far_turn
        if in_turn and self._is_far_turn:
            glances.begin(image)
            return False
        wanted = Wanted(
            known,
            self._config.max_faces + _NUM_HIDDEN,
            self._config.min_detection,
            self._config.min_score,
        )
        faces = finder.search(image, wanted, far=self._is_alone or not in_turn)
        if self._is_alone:
            faces += search_parts(finder, image, wanted, found=faces)
        if not num_known and not faces:
            # The last use of the finder in this frame: the detectors are left to the glance.
            if self._is_alone:
                turned = glances.look_all_round(image)
            faces = self._confirmed(finder, image, turned, min_score=CERTAIN_SCORE)
            if not faces and not self._is_alone:
                glances.begin_turned(image, now_ns)
        return self._take_in(finder, faces, image, now_ns, doubtful, alone=not num_known)

    def _confirmed(
        self, finder: FaceFinder, image: Image, candidates: list[Candidate], *, min_score: float
    ) -> list[LocatedFace]:
        """Those candidates that are faces not seen already."""
        return finder.confirm(
            image,
            candidates,
            known=self._tracks.boxes(),
            max_faces=self._config.max_faces + _NUM_HIDDEN,
            min_score=min_score,
        )

    def _take_in(
        self,
        finder: FaceFinder,
        faces: list[LocatedFace],
        image: Image,
        now_ns: int,
        doubtful: list[Doubtful],
        *,
        alone: bool,
    ) -> bool:
        """Gives believable faces their tracks; True for any."""
        sightings = [found for face in faces if (found := sighting_in(image, face)) is not None]
        for sighting in sightings:
            right = self._right_way_up(finder, sighting, image)
            if not self._goes_on(right, doubtful, now_ns):
                self._tracks.associate(right, now_ns, alone=alone)
        return bool(sightings)

    def _goes_on(self, found: Sighting, doubtful: list[Doubtful], now_ns: int) -> bool:
        """Whether what was found only says that a followed face is where it was followed to."""
        return any(
            likelier(sighting, found, track.last) is sighting
            and self._tracks.see(track, sighting, now_ns)
            for track, sighting in doubtful
        )

    def _right_way_up(self, finder: FaceFinder, found: Sighting, image: Image) -> Sighting:
        """The face as it looks when it is taken to lean as it most likely does."""
        best = found
        if found.misfit > _GOOD_MISFIT:
            for turns in TURNS:
                turned = finder.look_turned(
                    image, found.landmarks, quarter_turns=turns, min_score=best.score
                )
                best = right_way_up(best, sighting_in(image, turned))
        return best


def _face(track: FollowedFace, now_ns: int, *, chosen: bool) -> Face:
    """What the stages to come are told about a track."""
    return Face(
        track_id=track.track_id,
        box=track.last.box.copy(),
        landmarks=track.last.landmarks.copy(),
        score=track.last.score,
        pose=track.last.pose,
        state=FaceState.SEEN if track.seen else FaceState.LOST,
        lost_ns=now_ns - track.seen_ns,
        chosen=chosen,
    )
