"""The stage that measures how each face moved and keeps its landmarks steady."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from cuda_kernels.carry import settle_flow
from cuda_kernels.flow_confidence import flow_confidence
from realtime.aligned_view import AlignedView, look, rescaled, view_extent_px, view_scale
from realtime.flow import CONTRAST, NOISE, TOLERANCE, Flow, FlowProvider, calm_motion
from realtime.flow_ahead import Ahead, Expected, FlowAhead
from realtime.frame import Face, FaceState, Frame, Image, Motion, PictureSpec, Points
from realtime.geometry import (
    Box,
    bounding_box,
    fit_head,
    fit_similarity,
    head_pose,
)
from realtime.ladder import QualityLadder, ladder_for
from realtime.memory import Memory
from realtime.steady import SteadyConfig, SteadyLandmarks, carried_along, nearness
from realtime.tracks import GAP_NS, of_present
from realtime.work_size import RUNG_SHARES, STEPS_PX, WorkSize

_DOUBT_PX = 64
"""Side of the view on which a flow is doubted at least; larger ones are halved down to it."""

_CHANCE, _KNOWN = 0.3, 0.5
"""Mean confidence on a face up to which none of its flow is believed, for after a cut parts of it
fit by chance; and from which each part is believed for itself."""

_ENLARGED = 0.875
"""Pixels of a view for each pixel of the picture, with which the motion of small faces is still
measured as well as with more; with fewer, lids and lips trail behind."""

_EXPECTED = 0.05
"""Distance between where a face is and where it was expected, over the side of its view, up to
which the view cut there will do: its rim is three times as wide."""

_MIN_CARRIED = 0.35
"""A lost face is carried on while so much of the flow around its landmarks can be trusted."""


class AlignConfig(BaseModel, frozen=True, extra="forbid"):
    """How motion is measured.

    Attributes:
        flow: ``dis`` looks at the picture, ``mesh`` only at the landmarks, ``network`` asks one.
        network: file of a two-picture flow network in ONNX, for ``flow: network``.
        view_px: largest side of the square on which motion is measured; smaller faces take less,
            but not with a network, whose input is of one size: this should be its side.
        steady: how landmarks are kept steady.
        ladder: with live input the view is smaller while the machine cannot keep up; not with a
            network.
    """

    flow: Literal["dis", "mesh", "network"] = "dis"
    network: Path | None = None
    view_px: int = Field(160, ge=64, le=512)
    steady: SteadyConfig = SteadyConfig()
    ladder: bool = True

    @model_validator(mode="after")
    def _network_is_named(self) -> Self:
        if self.flow == "network" and self.network is None:
            raise ValueError("must be given where flow is network: set fuse.align.network too")
        return self


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        seen_ns: when it was last seen.
        view: its view then.
        steady: its landmarks.
        size: of its views.
        step: ``(2,) f32`` image pixels, how its middle moved between the last two frames.
    """

    seen_ns: int
    view: AlignedView
    steady: SteadyLandmarks
    size: WorkSize
    step: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))

    def expected(self) -> Expected:
        """Where the face will be when it goes on as it does."""
        landmarks = self.steady.landmarks.copy()
        landmarks[:, :2] += self.step
        return Expected(landmarks, self.view)


class Align:
    """Sets ``Face.motion`` and replaces landmarks, box and pose by steady ones.

    A face that is lost is carried on by the motion of the picture where it was, as long as that
    can be measured; its ``motion`` is None from when it cannot.
    """

    def __init__(
        self,
        config: AlignConfig,
        neutral: NDArray[np.float32],
        open_flow: Callable[[], FlowProvider],
        *,
        beside: bool = True,
    ) -> None:
        """Takes its settings; nothing is loaded before ``open``.

        Args:
            config: settings.
            neutral: ``(468, 3)``, the neutral head of the mesh.
            open_flow: makes the flow provider; the stage closes it.
            beside: the motion of known faces is measured while they are looked for.
        """
        self._config = config
        self._near = nearness(neutral)
        smaller = () if config.flow == "network" else STEPS_PX
        self._sizes_px = (*(step for step in smaller if step < config.view_px), config.view_px)
        self._open_flow = open_flow
        self._beside = beside
        self._flow: FlowProvider | None = None
        self._ahead: FlowAhead | None = None
        self._ladder: QualityLadder | None = None
        self._most_px = float(config.view_px)
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """``align``."""
        return "align"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the flow provider.

        Raises:
            ModelError: its network is missing or unusable.
        """
        self._tracks = {}
        self._ladder = ladder_for(spec, allowed=self._config.ladder, num_rungs=len(RUNG_SHARES))
        self._most_px = float(self._config.view_px)
        self._flow = self._open_flow()
        # Flow that is read off the landmarks cannot be measured before they are known.
        if self._config.flow != "mesh":
            self._ahead = FlowAhead(partial(_measure, self._flow), beside=self._beside)

    def look_ahead(self, frame: Frame) -> None:
        """Has the flow of known faces begin where they are expected."""
        if self._ahead is not None:
            expected = {number: track.expected() for number, track in self._tracks.items()}
            self._ahead.begin(frame.image, expected)

    def process(self, frame: Frame) -> None:
        """Writes into the frame's faces."""
        flow = self._flow
        if flow is None:
            raise RuntimeError("Align.process: the stage must be open, got a closed one.")
        if self._ladder is not None:
            rung = self._ladder.follow(frame)
            self._most_px = RUNG_SHARES[rung] * self._config.view_px
        self._tracks = of_present(self._tracks, frame.faces)
        ahead = self._ahead.take() if self._ahead is not None else {}
        for face in frame.faces:
            if face.state is FaceState.SEEN:
                found = ahead.get(face.track_id)
                self._follow(flow, face, frame.image, frame.media_ns, found)
            else:
                self._carry(flow, face, frame.image, frame.media_ns)

    def close(self) -> None:
        """Forgets all tracks and lets the flow provider go."""
        self._tracks.clear()
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
        if self._flow is not None:
            self._flow.close()
            self._flow = None

    def _follow(
        self, flow: FlowProvider, face: Face, image: Image, now_ns: int, ahead: Ahead | None
    ) -> None:
        """Moves a face's landmarks to where flow and measurement together say."""
        track = self._tracks.get(face.track_id)
        size = WorkSize(self._sizes_px) if track is None else track.size
        elapsed_ns = now_ns - track.seen_ns if track is not None else 0
        if track is None or not 0 < elapsed_ns <= GAP_NS:
            view = self._look(image, face.landmarks, track, size)
            steady = SteadyLandmarks(self._config.steady, self._near, face.landmarks)
            self._tracks[face.track_id] = _Track(now_ns, view, steady, size)
            return
        side_px, scale = self._view_size(face.landmarks, track, size)
        if ahead is None or not _is_usable(ahead.view, face.box, side_px, scale):
            view = look(image, face.landmarks, side_px, scale)
            ahead = Ahead(view, _measure(flow, track.view, view))
        face.motion = ahead.motion
        if self._config.steady.enabled:
            carried, trust = carried_along(face.motion, track.steady.landmarks)
            before = _middle(bounding_box(track.steady.landmarks))
            face.landmarks = track.steady.follow(face.landmarks, carried, trust, elapsed_ns).copy()
            face.box = bounding_box(face.landmarks)
            face.pose = head_pose(fit_head(face.landmarks))
            track.step = _middle(face.box) - before
        track.view, track.seen_ns = ahead.view, now_ns

    def _carry(self, flow: FlowProvider, face: Face, image: Image, now_ns: int) -> None:
        """Moves a lost face as a whole with the picture around it."""
        track = self._tracks.get(face.track_id)
        if track is None:
            return
        landmarks = track.steady.landmarks
        motion = _measure(flow, track.view, self._look(image, landmarks, track, track.size))
        carried, trust = carried_along(motion, landmarks)
        if float(trust.mean()) < _MIN_CARRIED:
            del self._tracks[face.track_id]
            return
        moved = _moved_as_a_whole(landmarks, carried, trust)
        face.motion = motion
        track.steady = SteadyLandmarks(self._config.steady, self._near, moved)
        track.view, track.seen_ns = self._look(image, moved, track, track.size), now_ns
        face.landmarks, face.box = moved, bounding_box(moved)

    def _look(
        self, image: Image, landmarks: Points, track: _Track | None, size: WorkSize
    ) -> AlignedView:
        """The view of a face, at the size and scale of its track as long as those fit."""
        return look(image, landmarks, *self._view_size(landmarks, track, size))

    def _view_size(
        self, landmarks: Points, track: _Track | None, size: WorkSize
    ) -> tuple[int, float]:
        """Side and scale of a face's view, those of its track as long as they fit."""
        extent_px = view_extent_px(landmarks)
        side_px = size.follow(_ENLARGED * extent_px, self._most_px)
        is_same = track is not None and len(track.view.grey) == side_px
        before = track.view.scale if track is not None and is_same else None
        return side_px, view_scale(extent_px, side_px, before)


def _is_usable(view: AlignedView, box: Box, side_px: int, scale: float) -> bool:
    """Whether a view that was cut before the face was found will do for it."""
    if (len(view.grey), view.scale) != (side_px, scale):
        return False
    across, down = (scale * _middle(box) + view.crop_from_image[:, 2]).tolist()
    away_px = max(abs(across - side_px / 2), abs(down - side_px / 2))
    return bool(away_px <= _EXPECTED * side_px)


def _middle(box: Box) -> NDArray[np.float32]:
    """``(2,) f32``, the middle of a box."""
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)


def _measure(flow: FlowProvider, before: AlignedView, now: AlignedView) -> Motion:
    """The motion between two views; its arrays go with the frame."""
    if (before.scale, before.grey.shape) != (now.scale, now.grey.shape):
        before = rescaled(before, now.scale, len(now.grey))
    backward, forward = flow.measure(before, now)
    calm_motion(before, now, backward, forward)
    confidence = _doubted(before.grey, now.grey, backward, forward)
    last = len(confidence) - 1
    left, top, right, bottom = (
        int(min(max(edge, 0.0), last)) for edge in bounding_box(now.points).tolist()
    )
    mean = float(confidence[top : bottom + 1, left : right + 1].mean())
    if mean < _KNOWN:
        confidence *= np.float32(max(mean - _CHANCE, 0.0) / (_KNOWN - _CHANCE))
    settled = np.empty_like(backward)
    settle_flow(backward, forward, out=settled)
    return Motion(now.crop_from_image, before.crop_from_image, settled, confidence)


def _doubted(
    before: NDArray[np.uint8], now: NDArray[np.uint8], backward: Flow, forward: Flow
) -> NDArray[np.float32]:
    """How far a flow can be trusted, ``(S, S) f32``; looked at on fewer pixels where S is large."""
    side_px = len(now)
    num = side_px
    while num >= 2 * _DOUBT_PX and num % 2 == 0:
        num //= 2
    if num < side_px:
        size, area = (num, num), cv2.INTER_AREA
        before, now = (
            np.asarray(cv2.resize(grey, size, interpolation=area), np.uint8)
            for grey in (before, now)
        )
        backward, forward = (
            np.asarray(cv2.resize(flow, size, interpolation=area) * np.float32(num / side_px))
            for flow in (backward, forward)
        )
    confidence = np.empty((num, num), np.float32)
    flow_confidence(
        before,
        now,
        backward,
        forward,
        tolerance_px=TOLERANCE * num,
        noise=NOISE,
        contrast=CONTRAST,
        out=confidence,
    )
    if num < side_px:
        confidence = np.asarray(cv2.resize(confidence, (side_px, side_px)), np.float32)
    return confidence


def _moved_as_a_whole(
    landmarks: Points, carried: NDArray[np.float64], trust: NDArray[np.float32]
) -> Points:
    """The landmarks under the one similarity that the better half of the flow agrees on."""
    sure = trust >= np.median(trust)
    fit = fit_similarity(landmarks[sure, :2], carried[sure])
    moved = landmarks.copy()
    moved[:, :2] = fit.scale * landmarks[:, :2] @ fit.rotation.T + fit.shift
    moved[:, 2] *= fit.scale
    return moved
