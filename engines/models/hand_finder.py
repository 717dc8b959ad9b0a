"""Finds hands in a picture and places their points: palm detector and landmark network together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.models.blaze_kinds import PALMS
from engines.models.blazeface import BlazeFace
from engines.models.hand_landmark import (
    NUM_HAND_POINTS,
    HandLandmark,
    square_from_palm,
)
from engines.models.square_crop import CropSquare
from engines.session import Session

HAND_NETWORKS = ("palm_detection_full", "hand_landmark_lite")
"""Names in the catalogue of the two networks a finder is made of."""

_SAME_HAND = 0.25
"""Hands whose points are closer in the mean than this share of the larger one's size are one."""


@dataclass(frozen=True, slots=True)
class LocatedHand:
    """A hand with its points.

    Attributes:
        points: ``(21, 3) f32`` image pixels; belongs to the receiver.
        score: probability 0..1 that the points lie on a hand.
    """

    points: NDArray[np.float32]
    score: float

    @property
    def middle(self) -> NDArray[np.float32]:
        """``(2,) f32`` image pixels, the mean of the points."""
        return np.asarray(self.points[:, :2].mean(axis=0), np.float32)

    @property
    def size_px(self) -> float:
        """The longer side of the upright box around the points."""
        return float(np.ptp(self.points[:, :2], axis=0).max())


class HandFinder:
    """The palm detector and the hand landmark network as one.

    One call runs one network, so that the caller decides how much work a frame gets. ``detect``
    and ``locate`` may run at the same time, but neither of them twice: each has one network and
    its buffers.
    """

    def __init__(self, palm: BlazeFace, landmark: HandLandmark) -> None:
        """Takes the two networks, which stay the caller's.

        Args:
            palm: a detector of kind ``PALMS``.
            landmark: places the points.
        """
        self._palm = palm
        self._landmark = landmark

    def detect(
        self, image: NDArray[np.uint8], region: tuple[int, int, int, int], *, min_score: float
    ) -> list[CropSquare]:
        """Looks for palms in a part of the picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            region: left, top, right, bottom in whole pixels.
            min_score: what the detector must say at least; doubtful palms are worth a look, for
                the landmark network tells hands from the rest.

        Returns:
            Where hands may be, for ``locate``; the surest first.
        """
        palms = self._palm.detect(image, min_score=min_score, region=region)
        found = zip(palms.boxes, palms.keypoints, strict=True)
        return [square_from_palm(box, keypoints) for box, keypoints in found]

    def locate(
        self, image: NDArray[np.uint8], square: CropSquare, *, min_score: float
    ) -> LocatedHand | None:
        """Places the points of a hand, found by ``detect`` or as ``square_from_hand`` has it.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            square: where the hand is; it may have moved a little since.
            min_score: what the landmark network must say at least.
        """
        points = np.empty((NUM_HAND_POINTS, 3), np.float32)
        score = self._landmark.locate(image, square, out=points)
        return LocatedHand(points, score) if score >= min_score else None


@contextmanager
def open_hand_finder(open_session: Callable[[str], Session]) -> Iterator[HandFinder]:
    """A finder whose networks are loaded for as long as the block lasts.

    Args:
        open_session: loads a network of the catalogue by name.

    Raises:
        ModelError: one of them is missing or unusable.
    """
    with ExitStack() as opened:
        palm, landmark = (
            opened.enter_context(closing(open_session(name))) for name in HAND_NETWORKS
        )
        yield HandFinder(BlazeFace(palm, kind=PALMS), HandLandmark(landmark))


def is_same_hand(one: LocatedHand, other: LocatedHand) -> bool:
    """Whether two findings lie on the same hand; the points of clasped hands lie apart."""
    apart_px = np.linalg.norm(one.points[:, :2] - other.points[:, :2], axis=1).mean()
    return float(apart_px) < _SAME_HAND * max(one.size_px, other.size_px)
