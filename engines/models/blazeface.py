"""BlazeFace: a detector of boxes with keypoints, over a loaded network for faces or for palms.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019), and
Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020). The anchors, the decoding
and the weighted suppression follow MediaPipe's published graphs.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.models.blaze_kinds import FACES, Kind, anchor_centres
from engines.models.halving import halve, num_halvings
from engines.models.point_tensors import crop_side
from engines.session import Array, HasTensors, Session, TensorSpec

_RAW_SCORE_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one picture, best first.

    Attributes:
        boxes: ``(N, 4) f32`` left, top, right, bottom in image pixels; may reach over the edges.
        keypoints: ``(N, K, 2) f32`` image pixels, K as the kind says.
        scores: ``(N,) f32`` probability 0..1.
    """

    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        """How many were found."""
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class _Letterbox:
    """Where a region of a picture lies in the square input, before the input is turned.

    A point of the input in 0..1 is ``(left + u * width, top + v * height)`` in image pixels.
    """

    left: float
    top: float
    width: float
    height: float


class BlazeFace:
    """Finds faces or palms with one network; the range is read off the network's input size.

    Not safe for use by two threads at once: the buffers belong to the object.
    """

    def __init__(self, session: Session, *, kind: Kind = FACES, max_iou: float = 0.3) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: ``(1, S, S, 3) f32`` in; ``(1, A, 4 + 2 K)`` and ``(1, A, 1) f32`` out, any
                order.
            kind: what the network finds.
            max_iou: boxes that overlap the best one by more are merged into it.

        Raises:
            ModelError: the network's tensors are not those of a BlazeFace.
        """
        self._session = session
        self._max_iou = max_iou
        self._kind = kind
        self._input_px = crop_side(session, kind.what, kind.cure)
        self._anchors = anchor_centres(self._input_px, kind)
        num, columns = len(self._anchors), 4 + 2 * kind.num_keypoints
        regressor, classifier = bind_blazeface(session, kind)
        self._canvas = np.zeros((self._input_px, self._input_px, 3), np.uint8)
        self._rgb = np.zeros_like(self._canvas)
        self._input = np.zeros((1, self._input_px, self._input_px, 3), np.float32)
        self._raw_boxes = np.zeros((1, num, columns), np.float32)
        self._raw_scores = np.zeros((1, num, 1), np.float32)
        self._inputs: dict[str, Array] = {session.inputs[0].name: self._input}
        self._outputs: dict[str, Array] = {
            regressor.name: self._raw_boxes,
            classifier.name: self._raw_scores,
        }

    @property
    def input_px(self) -> int:
        """Side of the network's square input: 128 for the short range of faces, else 192."""
        return self._input_px

    def detect(
        self,
        image: NDArray[np.uint8],
        *,
        min_score: float = 0.5,
        region: tuple[int, int, int, int] | None = None,
        quarter_turns: int = 0,
    ) -> Detections:
        """Finds the faces in a picture or in a part of it.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            min_score: faces below this probability are not reported.
            region: left, top, right, bottom in whole pixels; only this part is searched, at
                the network's full resolution. It is cut at the edges of the picture.
            quarter_turns: the picture is turned this many times 90 degrees counter-clockwise
                before the search, so 1 finds a head that leans clockwise onto its side.

        Returns:
            The faces in pixels of the whole, unturned picture.
        """
        box = self._fill(image, region, quarter_turns)
        if box is None:
            return _none(self._kind)
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        limit = _logit(min_score)
        chosen = np.flatnonzero(self._raw_scores[0, :, 0] >= limit)
        if not len(chosen):
            return _none(self._kind)
        raw = np.clip(self._raw_scores[0, chosen, 0], -_RAW_SCORE_LIMIT, _RAW_SCORE_LIMIT)
        scores = 1.0 / (1.0 + np.exp(-raw.astype(np.float64)))
        points = self._decode(chosen)
        points, scores = _suppress(points, scores, self._max_iou)
        return _in_image(points, scores, box, quarter_turns)

    def _fill(
        self, image: NDArray[np.uint8], region: tuple[int, int, int, int] | None, turns: int
    ) -> _Letterbox | None:
        """Writes the letterboxed, turned region into the network's input."""
        height, width = image.shape[:2]
        left, top, right, bottom = region or (0, 0, width, height)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if right - left < 2 or bottom - top < 2:
            return None
        halvings = num_halvings(max(right - left, bottom - top), self._input_px)
        # Whole blocks only: fewer pixels than one block at the far edges go unseen.
        block = 2 ** min(halvings, num_halvings(min(right - left, bottom - top), 1))
        right -= (right - left) % block
        bottom -= (bottom - top) % block
        scale = self._input_px / max(right - left, bottom - top)
        size = (
            max(1, round((right - left) * scale)),
            max(1, round((bottom - top) * scale)),
        )
        # Averaging over the covered pixels keeps small faces that point sampling would shred.
        small = halve(image[top:bottom, left:right], block.bit_length() - 1)
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
        pad_x, pad_y = (self._input_px - size[0]) // 2, (self._input_px - size[1]) // 2
        self._canvas.fill(0)
        self._canvas[pad_y : pad_y + size[1], pad_x : pad_x + size[0]] = small
        turned = np.ascontiguousarray(np.rot90(self._canvas, turns))
        cv2.cvtColor(turned, cv2.COLOR_BGR2RGB, dst=self._rgb)
        black = np.float32(self._kind.black)
        np.multiply(self._rgb, np.float32((1 - black) / 255), out=self._input[0])
        self._input += black
        per_px_x, per_px_y = (right - left) / size[0], (bottom - top) / size[1]
        return _Letterbox(
            left - pad_x * per_px_x - 0.5,
            top - pad_y * per_px_y - 0.5,
            self._input_px * per_px_x,
            self._input_px * per_px_y,
        )

    def _decode(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """Corners, then keypoints of the chosen anchors: ``(N, 2 + K, 2)`` in 0..1 of the input."""
        shape = (-1, 2 + self._kind.num_keypoints, 2)
        raw = self._raw_boxes[0, chosen].astype(np.float64).reshape(shape)
        raw /= self._input_px
        half = raw[:, 1:2] / 2
        points: NDArray[np.float64] = raw + self._anchors[chosen][:, None, :]
        middle = points[:, 0:1].copy()
        points[:, 0:1] = middle - half
        points[:, 1:2] = middle + half
        return points


def bind_blazeface(session: HasTensors, kind: Kind = FACES) -> tuple[TensorSpec, TensorSpec]:
    """Finds out which output holds the boxes with their points, and which the scores.

    Args:
        session: the network, or its tensors.
        kind: what it is to find.

    Raises:
        ModelError: the tensors are not those of a BlazeFace.
    """
    num = len(anchor_centres(crop_side(session, kind.what, kind.cure), kind))
    regressor = _output_with_columns(session, num, 4 + 2 * kind.num_keypoints, kind)
    return regressor, _output_with_columns(session, num, 1, kind)


def _suppress(
    points: NDArray[np.float64], scores: NDArray[np.float64], max_iou: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted suppression: each best box becomes the score-weighted mean of what overlaps it.

    The merged face keeps the best score of its group, as MediaPipe's does.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    merged, kept = [], []
    while len(scores):
        near = _overlap_with_first(points) > max_iou
        near[0] = True
        merged.append(np.average(points[near], axis=0, weights=scores[near]))
        kept.append(scores[0])
        points, scores = points[~near], scores[~near]
    return np.stack(merged), np.array(kept)


def _overlap_with_first(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every box with the first: ``(N,)``."""
    low, high = points[:, 0], points[:, 1]
    size = np.clip(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0, None)
    shared = size[:, 0] * size[:, 1]
    areas = np.prod(np.clip(high - low, 0, None), axis=1)
    ratio: NDArray[np.float64] = shared / np.maximum(areas + areas[0] - shared, 1e-12)
    return ratio


def _in_image(
    points: NDArray[np.float64], scores: NDArray[np.float64], box: _Letterbox, turns: int
) -> Detections:
    """Turns the points back and takes them from the input to the picture."""
    for _ in range(turns % 4):
        # One counter-clockwise turn took (x, y) to (y, 1 - x); this is its inverse.
        points = np.stack([1.0 - points[..., 1], points[..., 0]], axis=-1)
    pixels = points * (box.width, box.height) + (box.left, box.top)
    corners = pixels[:, :2]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Detections(
        boxes.astype(np.float32), pixels[:, 2:].astype(np.float32), scores.astype(np.float32)
    )


def _none(kind: Kind) -> Detections:
    """Nothing was found."""
    return Detections(
        np.zeros((0, 4), np.float32),
        np.zeros((0, kind.num_keypoints, 2), np.float32),
        np.zeros(0, np.float32),
    )


def _logit(probability: float) -> float:
    """The raw score of a probability; 0 and 1 give the ends of the raw scale."""
    if probability <= 0.0:
        return -math.inf
    if probability >= 1.0:
        return math.inf
    return math.log(probability / (1.0 - probability))


def _output_with_columns(
    session: HasTensors, num_anchors: int, columns: int, kind: Kind
) -> TensorSpec:
    """The output with one row per anchor and so many columns; names differ between converters."""
    for spec in session.outputs:
        if tuple(spec.shape[-2:]) == (num_anchors, columns):
            return spec
    raise ModelError(
        f"{kind.what}: the network must have an output (1, {num_anchors}, {columns}), "
        f"got {[spec.shape for spec in session.outputs]}. {kind.cure}"
    )
