"""Hands made of numbers, and a finder that sees those it is told of."""

from concurrent.futures import Executor, Future

import cv2
import numpy as np

from engines.models.hand_finder import LocatedHand
from engines.models.hand_landmark import square_from_hand


def flat_hand(x, y, palm_px, angle_rad=0.0):
    """``(21, 3) f32`` of a flat hand whose wrist is at a point and whose fingers point up."""
    points = np.zeros((21, 2))
    points[1:5] = [(0.25, -0.2), (0.45, -0.45), (0.6, -0.65), (0.7, -0.85)]
    for finger in range(4):
        root = (0.3 - 0.22 * finger, -1.0 + 0.05 * finger)
        points[5 + 4 * finger : 9 + 4 * finger] = [
            (root[0] * (1 + 0.1 * step), root[1] - 0.28 * step) for step in range(4)
        ]
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    points = palm_px * points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return np.hstack([points, np.zeros((21, 1))]).astype(np.float32)


class AtOnce(Executor):
    """Runs what it is given in the thread that gives it."""

    def submit(self, work, /, *args, **kwargs):
        done = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class ScriptedFinder:
    """Sees the hands in ``self.hands``: lists of points, each with a score.

    Attributes:
        hands: what is in the picture now.
        searches, looks: how often each network ran.
    """

    def __init__(self, *hands):
        self.hands = list(hands)
        self.searches = 0
        self.looks = 0

    def detect(self, image, region, *, min_score):
        self.searches += 1
        left, top, right, bottom = region
        return [
            square_from_hand(points)
            for points, _ in self.hands
            if left <= points[:, 0].mean() <= right and top <= points[:, 1].mean() <= bottom
        ]

    def locate(self, image, square, *, min_score):
        self.looks += 1
        for points, score in self.hands:
            middle = points[:, :2].mean(axis=0)
            near = np.abs(middle - (square.x_px, square.y_px)).max() < square.side_px / 2
            if near and score >= min_score:
                return LocatedHand(points.copy(), score)
        return None


def draw_flat_hand(mask, points):
    """Paints palm and fingers of a hand, independently of how the engine draws one."""
    palm_px = np.linalg.norm(points[9, :2] - points[0, :2])
    corners = np.round(points[[0, 1, 2, 5, 9, 13, 17], :2]).astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(corners), 255)
    for finger in range(5):
        joints = np.round(points[1 + 4 * finger : 5 + 4 * finger, :2]).astype(np.int32)
        cv2.polylines(mask, [joints], False, 255, max(1, round(0.2 * palm_px)))
    return mask
