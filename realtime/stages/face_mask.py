"""Asks a network now and then which pixels are face, and keeps all others in front of it."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.families.crops import cut_crop
from engines.families.mask import MaskNetwork
from engines.families.templates import TemplateName, fit_template
from realtime.afterwards import Afterwards
from realtime.carried_mask import Mask, blend_in_time, carry, square_of
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Frame, Image, Occluder, PictureSpec, Points
from realtime.geometry import Matrix, apply, compose, fit_similarity, invert
from realtime.memory import Memory
from realtime.metrics import MS_NS
from realtime.occluder_finder import hidden_share
from realtime.tracks import of_recent

_CROP_PX = 256
_TEMPLATE: TemplateName = "ffhq_512"
"""What the network is shown: all of the face and some of what is around."""

_HALF_LIVES_MS = (40.0, 60.0)
"""With which a mask comes and goes."""

_WAIT = 0.6
"""The answer is taken after this share of the time between two questions."""

OpenMask = Callable[[], AbstractContextManager[MaskNetwork]]


@dataclass(frozen=True, slots=True)
class _Question:
    """What the network was asked.

    Attributes:
        asked_ns: when.
        crop_from_image: ``(2, 3) f64``, what it was shown.
        landmarks: ``(468, 3) f32`` image pixels, where the face was.
        answer: ``(C, C) u8``, 255 on the face.
    """

    asked_ns: int
    crop_from_image: Matrix
    landmarks: Points
    answer: Future[NDArray[np.uint8]]


@dataclass(slots=True)
class _Track:
    """What is remembered of one face; the mask is that of the frame before."""

    seen_ns: int
    asked_ns: int | None = None
    question: _Question | None = None
    mask: Mask | None = None
    crop_from_image: Matrix = field(default_factory=lambda: np.eye(2, 3))


class FaceMask:
    """Adds to ``Face.occluder`` what a network says is no face.

    The network works beside the frames. Its answer is put where the head has moved to meanwhile,
    and then goes with the picture until the next one.
    """

    def __init__(self, open_network: OpenMask, *, mask_px: int, every_ms: float) -> None:
        """Takes its settings; the network is loaded by ``open``.

        Args:
            open_network: loads the network for as long as the context lasts.
            mask_px: side of the masks, which span one and a half times the face.
            every_ms: how often it is asked.
        """
        self._open_network = open_network
        self._mask_px = mask_px
        self._every_ns = round(every_ms * MS_NS)
        self._opened = ExitStack()
        self._network: MaskNetwork | None = None
        self._aside: Afterwards | None = None
        self._tracks: Mapping[int, _Track] = {}

    @property
    def name(self) -> str:
        """``mask``."""
        return "mask"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the network.

        Raises:
            ModelError: it is missing or unusable.
        """
        self._tracks = {}
        self._network = self._opened.enter_context(self._open_network())
        self._aside = self._opened.enter_context(Afterwards("mask"))

    def process(self, frame: Frame) -> None:
        """Asks, takes answers and carries masks along.

        Raises:
            ModelError: the network fails.
        """
        # Where nobody lets the stage rest the network begins now.
        self.rest()
        now_ns = frame.media_ns
        tracks = of_recent(self._tracks, now_ns)
        for face in frame.faces:
            if face.state is FaceState.SEEN and face.chosen:
                track = tracks.setdefault(face.track_id, _Track(now_ns))
                self._follow(track, face, now_ns)
                if track.question is None and self._is_due(track, now_ns):
                    self._ask(track, frame.image, face, now_ns)
                if track.mask is not None:
                    face.occluder = _joined(face, track.mask, track.crop_from_image)
        self._tracks = tracks

    def rest(self) -> None:
        """Has the network begin, where a frame asked it."""
        if self._aside is not None:
            self._aside.begin()

    def close(self) -> None:
        """Lets the network go and forgets all faces."""
        self._tracks = {}
        self._network = self._aside = None
        self._opened.close()

    def _is_due(self, track: _Track, now_ns: int) -> bool:
        return track.asked_ns is None or not 0 <= now_ns - track.asked_ns < self._every_ns

    def _ask(self, track: _Track, image: Image, face: Face, now_ns: int) -> None:
        network, aside = self._network, self._aside
        if network is None or aside is None:
            raise RuntimeError("FaceMask.process: the stage must be open, got a closed one.")
        crop_from_image = fit_template(five_points(face.landmarks), _TEMPLATE, _CROP_PX)
        crop = np.empty((_CROP_PX, _CROP_PX, 3), np.uint8)
        cut_crop(image, crop_from_image, out=crop)
        answer = aside.submit(_answer, network, crop)
        track.asked_ns = now_ns
        track.question = _Question(now_ns, crop_from_image, face.landmarks.copy(), answer)

    def _follow(self, track: _Track, face: Face, now_ns: int) -> None:
        """Brings the mask of the frame before to this one, with the answer where it is due."""
        size = (self._mask_px, self._mask_px)
        crop_from_image = square_of(face).crop_from_image(self._mask_px)
        elapsed_ms = max(now_ns - track.seen_ns, 0) / MS_NS
        question, before = track.question, track.mask
        if question is not None and abs(now_ns - question.asked_ns) >= _WAIT * self._every_ns:
            moved = fit_similarity(question.landmarks[:, :2], face.landmarks[:, :2]).b_from_a
            image_from_answer = compose(moved, invert(question.crop_from_image))
            flipped = cv2.bitwise_not(question.answer.result())
            now = cv2.warpAffine(flipped, compose(crop_from_image, image_from_answer), size)
            track.question = None
            # The answer stands until the next one, so it comes and goes as fast as it can.
            elapsed_ms = max(elapsed_ms, self._every_ns / MS_NS / 2)
            track.mask = blend_in_time(
                np.asarray(now, np.uint8),
                before,
                track.crop_from_image,
                crop_from_image,
                face.motion,
                elapsed_ms,
                _HALF_LIVES_MS,
            )
        elif before is not None:
            track.mask = carry(before, track.crop_from_image, crop_from_image, face.motion)
        track.seen_ns, track.crop_from_image = now_ns, crop_from_image


def _answer(network: MaskNetwork, crop: Image) -> NDArray[np.uint8]:
    said = np.empty(crop.shape[:2], np.uint8)
    network.mask(crop, out=said)
    return said


def _joined(face: Face, mask: Mask, crop_from_image: Matrix) -> Occluder | None:
    """What stands in front of a face, with what the network has found."""
    if face.occluder is not None:
        moved = compose(crop_from_image, invert(face.occluder.crop_from_image))
        other = cv2.warpAffine(face.occluder.mask, moved, mask.shape[::-1])
        mask = np.maximum(mask, np.asarray(other, np.uint8))
    points = np.asarray(apply(crop_from_image, face.landmarks[:, :2]), np.float32)
    share = hidden_share(mask, points)
    return Occluder(mask, crop_from_image, share) if share > 0.0 else None
