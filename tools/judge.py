"""Networks that judge a swap and that the engine does not use: a detector and a recogniser.

Both are ONNX files that a developer has beside the checkout; nothing of them is shipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import Session
from realtime.frame import Image

DETECTOR_FILE = "scrfd_2.5g_bnkps.onnx"
RECOGNISER_FILE = "mobilefacenet_foamliu.onnx"

DEFAULT_MODELS = Path(__file__).parents[2] / "shared" / "assets" / "models"
"""The folder beside the checkout."""

DETECTOR_PX = 384
"""Side of the detector's square input; at 640 it misses faces that fill the picture."""

MIN_SCORE = 0.5
"""Probability from which the detector has found a face."""

ARCFACE_PX = 112

_STRIDES = (8, 16, 32)
_ANCHORS_PER_CELL = 2
_MAX_OVERLAP = 0.4

# Eyes, tip of the nose and corners of the mouth, left to right in the picture, as ArcFace aligns
# them (Deng et al. 2019, the reference implementation's template).
_ARCFACE_POINTS = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_IMAGENET: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
)

Embedding = NDArray[np.float32]
"""``(128,) f32`` of length 1; the dot product of two is their cosine."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector sees it.

    Attributes:
        box: ``(4,) f32`` left, top, right, bottom in image pixels.
        points: ``(5, 2) f32`` image pixels: left eye, right eye, tip of the nose, left and right
            corner of the mouth; left as seen in the picture.
        score: probability 0..1.
    """

    box: NDArray[np.float32]
    points: NDArray[np.float32]
    score: float

    @property
    def area_px(self) -> float:
        """Of the box, in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


def iou(a: Detection, b: Detection) -> float:
    """Area of the boxes' intersection over that of their union, 0..1."""
    size = np.minimum(a.box[2:], b.box[2:]) - np.maximum(a.box[:2], b.box[:2])
    shared_px = float(np.prod(np.maximum(size, 0)))
    return shared_px / (a.area_px + b.area_px - shared_px)


class Detector:
    """SCRFD 2.5G with five points (Guo et al. 2021).

    Args:
        session: the network; dynamic height and width.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._canvas = np.zeros((DETECTOR_PX, DETECTOR_PX, 3), np.uint8)
        num_anchors = [(DETECTOR_PX // stride) ** 2 * _ANCHORS_PER_CELL for stride in _STRIDES]
        shapes = [(num, width) for width in (1, 4, 10) for num in num_anchors]
        names = [spec.name for spec in session.outputs]
        self._out = {
            name: np.empty(shape, np.float32) for name, shape in zip(names, shapes, strict=True)
        }
        self._priors = [_priors(stride) for stride in _STRIDES]

    def detect(self, image: Image) -> list[Detection]:
        """Finds the faces of a picture.

        Args:
            image: ``(H, W, 3) u8 BGR``.

        Returns:
            The faces of at least ``MIN_SCORE``, largest first.
        """
        height, width = image.shape[:2]
        scale = DETECTOR_PX / max(height, width)
        small = cv2.resize(
            image,
            (max(1, round(width * scale)), max(1, round(height * scale))),
            interpolation=cv2.INTER_AREA,
        )
        self._canvas[:] = 0
        self._canvas[: small.shape[0], : small.shape[1]] = small
        tensor = _nchw((self._canvas[..., ::-1].astype(np.float32) - 127.5) / 128)
        self._session.enqueue({self._session.inputs[0].name: tensor}, out=self._out, stream=0)
        return sorted(self._decode(scale), key=lambda face: -face.area_px)

    def _decode(self, scale: float) -> list[Detection]:
        """Reads the outputs: scores, then distances to the box's sides, then to the points."""
        out = list(self._out.values())
        scores, boxes, points = [], [], []
        for level, (stride, priors) in enumerate(zip(_STRIDES, self._priors, strict=True)):
            likely = out[level][:, 0] >= MIN_SCORE
            anchors = priors[likely]
            sides = out[3 + level][likely] * stride
            scores.append(out[level][likely, 0])
            boxes.append(np.hstack([anchors - sides[:, :2], anchors + sides[:, 2:]]) / scale)
            offsets = out[6 + level][likely].reshape(-1, 5, 2) * stride
            points.append((anchors[:, None] + offsets) / scale)
        score, box, point = (np.concatenate(parts) for parts in (scores, boxes, points))
        corner_and_size = np.hstack([box[:, :2], box[:, 2:] - box[:, :2]])
        kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), score.tolist(), MIN_SCORE, _MAX_OVERLAP)
        return [Detection(box[index], point[index], float(score[index])) for index in kept]


class Recogniser:
    """MobileFaceNet trained with ArcFace's loss; same person from a cosine of about 0.4.

    Args:
        session: the network, one face of 112 × 112 pixels to 128 numbers.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._out = {session.outputs[0].name: np.empty((1, 128), np.float32)}
        self._mean = np.array(_IMAGENET["mean"], np.float32)
        self._std = np.array(_IMAGENET["std"], np.float32)

    def embed(self, image: Image, points: NDArray[np.float32]) -> Embedding:
        """Turns a face into a direction that stands for its identity.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            points: ``(5, 2) f32`` image pixels, as in ``Detection``.
        """
        crop = cv2.warpAffine(image, arcface_from_image(points), (ARCFACE_PX, ARCFACE_PX))
        tensor = _nchw((crop[..., ::-1].astype(np.float32) / 255 - self._mean) / self._std)
        self._session.enqueue({self._session.inputs[0].name: tensor}, out=self._out, stream=0)
        (values,) = self._out.values()
        direction: Embedding = values[0] / np.linalg.norm(values[0])
        return direction


@dataclass(frozen=True, slots=True)
class Judge:
    """The two networks; for one thread at a time."""

    detector: Detector
    recogniser: Recogniser


def open_judge(models: Path = DEFAULT_MODELS) -> Judge:
    """Loads both networks from a folder.

    Raises:
        ModelError: a file is missing or cannot be loaded.
    """
    detector, recogniser = (_open_session(models / f) for f in (DETECTOR_FILE, RECOGNISER_FILE))
    return Judge(Detector(detector), Recogniser(recogniser))


def _open_session(path: Path) -> Session:
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: the judge's network must be readable, got: {error.strerror}. "
            "Name its folder with --models."
        ) from error
    return OnnxRuntimeSession(model, name=path.name)


def arcface_from_image(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The similarity that lays five points onto ArcFace's template with least squares.

    In complex numbers the template is ``turn * point + shift``, and least squares has a closed
    solution (Umeyama 1991, without reflection).

    Args:
        points: ``(5, 2) f32`` image pixels.

    Returns:
        ``(2, 3) f64``.
    """
    image = points[:, 0].astype(np.complex128) + 1j * points[:, 1]
    template = np.array([x + 1j * y for x, y in _ARCFACE_POINTS])
    spread = image - image.mean()
    turn = np.vdot(spread, template - template.mean()) / np.vdot(spread, spread)
    shift = template.mean() - turn * image.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _priors(stride: int) -> NDArray[np.float32]:
    """Where the anchors of one level lie: ``(N, 2) f32`` pixels of the network's input."""
    num_cells = DETECTOR_PX // stride
    rows, columns = np.indices((num_cells, num_cells), np.float32)
    cells = np.stack([columns, rows], axis=-1).reshape(-1, 2) * stride
    return np.repeat(cells, _ANCHORS_PER_CELL, axis=0)


def _nchw(image: NDArray[Any]) -> NDArray[np.float32]:
    """``(H, W, 3)`` as a contiguous batch of one, channels first."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
