"""Detectors of faces with five points: SCRFD and RetinaFace, YuNet, YOLO-face.

SCRFD: Guo et al. 2021, distances from anchor points in units of the stride. YuNet: Wu, Peng, Yu
2023, one prior to a cell. YOLO-face: YOLOv8 with a pose head, decoded inside the graph.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.boxes import CornerLetterbox, FaceBoxes, choose, grid
from engines.families.signature import ANY, buffer_for, expect_count, find, shown
from engines.families.specs import DetectorFamily
from engines.families.tensors import Picture, PictureWriter
from engines.session import Session, TensorSpec

STRIDES = (8, 16, 32)
_NUM_POINTS = 5
_SCRFD_ANCHORS = 2
_YOLO_ROWS = 4 + 1 + 3 * _NUM_POINTS

# Widths of the kinds of output, in the order in which the graphs list them.
_LEVELS: Mapping[str, tuple[int, ...]] = {"scrfd": (1, 4, 10), "yunet": (1, 1, 4, 10)}

Decoded = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Boxes ``(N, 4)``, points ``(N, 5, 2)`` and scores ``(N,)`` in pixels of the input."""


@dataclass(frozen=True, slots=True)
class DetectorTensors:
    """The network's tensors by what they are.

    Attributes:
        picture: the square input.
        size_px: its side.
        outputs: with their extents, by kind and then by stride; one for YOLO-face.
        anchors: boxes for each cell, the same at every stride.
    """

    picture: TensorSpec
    size_px: int
    outputs: tuple[tuple[TensorSpec, tuple[int, ...]], ...]
    anchors: int


def bind_detector(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], family: DetectorFamily, where: str
) -> DetectorTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1,), where=where, role="input")
    picture = find(inputs, (ANY, 3, ANY, ANY), where=where, role="an input")
    size_px = _square_px(picture, outputs, family, where)
    if family.layout == "yolo_face":
        cells = sum((size_px // stride) ** 2 for stride in STRIDES)
        output = find(outputs, (ANY, _YOLO_ROWS, cells), where=where, role="an output")
        return DetectorTensors(picture, size_px, ((output, (1, _YOLO_ROWS, cells)),), 1)
    widths = _LEVELS[family.layout]
    expect_count(outputs, (len(widths) * len(STRIDES),), where=where, role="outputs")
    anchors = _num_anchors(outputs, size_px, family)
    bound = []
    for index, spec in enumerate(outputs):
        stride = STRIDES[index % len(STRIDES)]
        count = (size_px // stride) ** 2 * anchors
        rows = (count, widths[index // len(STRIDES)])
        wanted = (1, *rows) if len(spec.shape) == len(rows) + 1 else rows
        bound.append((find([spec], wanted, where=where, role=f"output {index}"), wanted))
    return DetectorTensors(picture, size_px, tuple(bound), anchors)


class Detector:
    """One detecting network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: DetectorFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_detector(session.inputs, session.outputs, family, family.role)
        size_px = tensors.size_px
        self._session = session
        self._layout = family.layout
        self._anchors = tensors.anchors
        self._letterbox = CornerLetterbox(size_px)
        self._input = buffer_for(tensors.picture, (1, 3, size_px, size_px))
        self._inputs = {tensors.picture.name: self._input}
        buffers = [(spec.name, buffer_for(spec, shape)) for spec, shape in tensors.outputs]
        self._outputs: dict[str, NDArray[Any]] = dict(buffers)
        self._parts = [
            buffer if self._layout == "yolo_face" else buffer.reshape(-1, buffer.shape[-1])
            for _, buffer in buffers
        ]
        self._grids = [grid(size_px // s, size_px // s, s) for s in STRIDES]
        self._writer = PictureWriter(family.mean, family.std, family.colours, tensors.picture.dtype)
        self._size_px = size_px

    @property
    def input_px(self) -> int:
        """Side of the network's square input."""
        return self._size_px

    def detect(self, image: Picture, *, min_score: float = 0.5) -> FaceBoxes:
        """Finds the faces in a picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            min_score: faces below this probability are not reported.

        Raises:
            ModelError: the network fails.
        """
        square, per_px = self._letterbox.place(image)
        self._writer.write(square, planes=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        decode = {"scrfd": self._scrfd, "yunet": self._yunet, "yolo_face": self._yolo}
        return choose(*decode[self._layout](min_score), per_px)

    def _scrfd(self, min_score: float) -> Decoded:
        levels = []
        for level, stride in enumerate(STRIDES):
            scores, sides, offsets = (self._parts[kind * len(STRIDES) + level] for kind in range(3))
            likely = np.flatnonzero(scores[:, 0] >= min_score)
            anchors = self._grids[level][likely // self._anchors]
            reach = sides[likely].astype(np.float32) * stride
            boxes = np.hstack([anchors - reach[:, :2], anchors + reach[:, 2:]])
            shifts = offsets[likely].astype(np.float32).reshape(-1, _NUM_POINTS, 2) * stride
            levels.append((boxes, anchors[:, None] + shifts, scores[likely, 0].astype(np.float32)))
        return _joined(levels)

    def _yunet(self, min_score: float) -> Decoded:
        levels = []
        for level, stride in enumerate(STRIDES):
            kinds = (self._parts[kind * len(STRIDES) + level] for kind in range(4))
            classes, objects, sizes, offsets = kinds
            scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
            likely = np.flatnonzero(scores >= min_score)
            corners = self._grids[level][likely]
            middle = corners + sizes[likely, :2].astype(np.float32) * stride
            half = np.exp(sizes[likely, 2:].astype(np.float32)) * (stride / 2)
            shifts = offsets[likely].astype(np.float32).reshape(-1, _NUM_POINTS, 2) * stride
            boxes = np.hstack([middle - half, middle + half]).astype(np.float32)
            levels.append((boxes, corners[:, None] + shifts, scores[likely].astype(np.float32)))
        return _joined(levels)

    def _yolo(self, min_score: float) -> Decoded:
        rows = self._parts[0][0]
        found = rows[:, rows[4] >= min_score].T.astype(np.float32)
        half = found[:, 2:4] / 2
        boxes = np.hstack([found[:, :2] - half, found[:, :2] + half])
        points = found[:, 5:].reshape(-1, _NUM_POINTS, 3)[..., :2]
        return boxes, points, found[:, 4]


def _joined(levels: Sequence[Decoded]) -> Decoded:
    boxes, points, scores = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return boxes, points, scores


def _square_px(
    picture: TensorSpec, outputs: Sequence[TensorSpec], family: DetectorFamily, where: str
) -> int:
    """Side of the input: from the input, else from the outputs, else the family's usual one."""
    height, width = picture.shape[2:]
    rows = _num_rows(outputs)
    usual_px = family.size_px
    if rows != ANY and family.layout != "yolo_face":
        # Some graphs take any size and state the outputs of one: that size is meant.
        usual_px = STRIDES[0] * math.isqrt(rows // _usual_anchors(family))
    size_px = next((extent for extent in (height, width) if extent != ANY), usual_px)
    if {height, width} - {ANY, size_px} or size_px % STRIDES[-1] or not size_px:
        raise ModelError(
            f"{where}: the input must be a square whose side is a multiple of {STRIDES[-1]}, "
            f"got {shown(picture.shape)}. Use another export."
        )
    return size_px


def _num_anchors(outputs: Sequence[TensorSpec], size_px: int, family: DetectorFamily) -> int:
    """Boxes for each cell: read off the graph where it says, else the family's usual number."""
    rows = _num_rows(outputs)
    if rows == ANY:
        return _usual_anchors(family)
    return max(1, rows // (size_px // STRIDES[0]) ** 2)


def _num_rows(outputs: Sequence[TensorSpec]) -> int:
    """How many boxes the first output lists, those of the finest stride."""
    shape = outputs[0].shape if outputs else ()
    return shape[-2] if len(shape) > 1 else ANY


def _usual_anchors(family: DetectorFamily) -> int:
    return _SCRFD_ANCHORS if family.layout == "scrfd" else 1
