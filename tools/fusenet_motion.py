"""Known motion of a face on its crop: to train a memory that is moved along a flow."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.geometry import Matrix, apply, invert
from tools.fusenet_disturb import Plane, Random, smooth

CELL_PX = 4
"""Side of a memory's cell in pixels."""


@dataclass(frozen=True, slots=True)
class Course:
    """How everything moves through a sequence, on the canvas.

    Attributes:
        shifts: ``(frames, C, C, 2)`` canvas pixels: at p of a frame is seen what the still picture
            has at p + shift.
        jitters: ``(frames, 2, 3)`` how the drawn face is off in a frame, as matrices.
        ways: ``(frames, 2)`` how far what stands in front has come.
        gains: ``(frames,)`` brightness of the picture.
    """

    shifts: Plane
    jitters: NDArray[np.float64]
    ways: NDArray[np.float64]
    gains: NDArray[np.float64]

    def moved(self, picture: Plane, number: int, *, jitter: bool = False) -> Plane:
        """The still picture in one frame."""
        side = picture.shape[0]
        y, x = np.mgrid[:side, :side].astype(np.float32)
        at = np.stack([x, y], axis=-1)
        if jitter:
            at = np.asarray(at @ self.jitters[number, :, :2].T + self.jitters[number, :, 2])
        elif len(self.shifts) == 1:
            return picture
        return _sampled(picture, at + self.shifts[number])

    def passed(self, picture: Plane, number: int) -> Plane:
        """What stands in front, in one frame."""
        way = np.column_stack([np.eye(2), self.ways[number]])
        return np.asarray(
            cv2.warpAffine(picture, way, picture.shape[1::-1], borderMode=cv2.BORDER_CONSTANT)
        )

    def gain(self, number: int) -> float:
        """Brightness of one frame's picture."""
        return float(self.gains[number])

    def lagging(self, number: int) -> float:
        """Brightness that the drawn face has in that frame: it follows with a delay."""
        before = self.gains[max(number - 1, 0)]
        return float(0.5 * (before + self.gains[number]))

    def shift_at(self, points: Plane, number: int) -> Plane:
        """``(N, 2)`` shifts of one frame at canvas pixels."""
        last = self.shifts.shape[1] - 1
        at = np.clip(np.rint(points), 0, last).astype(int)
        return np.asarray(self.shifts[number, at[:, 1], at[:, 0]])

    def flow(
        self, random: Random, number: int, crop: Matrix, side: int, hidden: Plane | None
    ) -> tuple[Plane, Plane]:
        """Where the pixels of the network's crop were in the frame before, and trust in that.

        Args:
            random: draws its errors.
            number: of the frame; nothing is known of the first.
            crop: crop_from_canvas.
            side: of the crop.
            hidden: ``(C, C)`` what stands in front of the face in this frame.

        Returns:
            ``(S, S, 2)`` pixels and ``(1, S/4, S/4)`` 0..1.
        """
        cells = side // CELL_PX
        if number == 0:
            return np.zeros((side, side, 2), np.float32), np.zeros((1, cells, cells), np.float32)
        y, x = np.mgrid[:side, :side].astype(np.float64)
        pixels = np.stack([x.ravel(), y.ravel()], axis=1)
        canvas = np.asarray(apply(invert(crop), pixels), np.float32)
        now, before = self.shifts[number], self.shifts[number - 1]
        content = canvas + _sampled(now, canvas[:, None])[:, 0]
        earlier = content - _sampled(before, content[:, None])[:, 0]
        earlier = content - _sampled(before, earlier[:, None])[:, 0]
        flow = (apply(crop, earlier) - pixels).reshape(side, side, 2).astype(np.float32)
        trust = np.full((cells, cells), random.uniform(0.6, 1.0), np.float32)
        if random.random() < 0.3:
            trust *= np.clip(1.5 + 1.5 * smooth(random, cells, 4, 1)[..., 0], 0, 1)
        if hidden is not None:
            shown = cv2.warpAffine(hidden, crop, (side, side))
            shown = cv2.dilate(shown, np.ones((9, 9), np.uint8))
            trust *= 1 - cv2.resize(shown, (cells, cells), interpolation=cv2.INTER_AREA)
        return flow, np.asarray(trust[None], np.float32)

    @classmethod
    def of(cls, random: Random, frames: int, side: int) -> Self:
        """A course through some frames; see ``wander``."""
        field = smooth(random, side, 5, 2) * np.float32(random.uniform(0, 2.5))
        drift = np.asarray(random.normal(0, 1.0, 2), np.float32)
        steps = np.cumsum(random.normal(0.4, 0.4, frames)).astype(np.float32)
        shifts = steps[:, None, None, None] * (field + drift)
        nervous = random.uniform(0, 0.5)
        turns, scales = random.normal(0, 0.004, frames) * nervous, random.normal(0, 0.004, frames)
        middle = side / 2
        jitters = np.zeros((frames, 2, 3))
        for number in range(frames):
            size, turn = 1 + scales[number] * nervous, turns[number]
            linear = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            shift = random.normal(0, nervous, 2) + (np.eye(2) - linear) @ np.full(2, middle)
            jitters[number] = np.column_stack([linear, shift])
        ways = np.arange(frames)[:, None] * random.normal(0, 4, 2)
        gains = np.ones(frames)
        if random.random() < 0.3:
            gains = np.exp(np.cumsum(random.normal(0, 0.04, frames)))
        return cls(shifts, jitters, ways, gains)


def still(side: int) -> Course:
    """One frame in which nothing has moved."""
    shifts = np.zeros((1, side, side, 2), np.float32)
    return Course(shifts, np.eye(2, 3)[None], np.zeros((1, 2)), np.ones(1))


def wander(random: Random, frames: int, side: int) -> Course:
    """A face that moves smoothly by up to some pixels, drawn with a little jitter.

    Args:
        random: decides.
        frames: how many.
        side: of the canvas.
    """
    return Course.of(random, frames, side)


def _sampled(picture: Plane, at: NDArray[np.floating]) -> Plane:
    """The values of ``(C, C, ...)`` at ``(h, w, 2)`` of its pixels."""
    x, y = (np.ascontiguousarray(at[..., axis], np.float32) for axis in (0, 1))
    values = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float32)
