"""Networks whose buffers lie on the device, and what their tensors mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.session import Session, TensorSpec

Scale = NDArray[np.float32]
"""``(2, 3) f32``: gain and offset of each plane, red first."""

Triple = tuple[float, float, float]

_CAPTURABLE = ("tensorrt", "tensorrt_rtx")
"""Runtimes that queue all their work on the stream they are given and wait for nothing."""


def scale_in(mean: Triple, std: Triple) -> Scale:
    """What makes levels 0..255 a network's values ``(x / 255 - mean) / std``."""
    gain = 1.0 / (255.0 * np.array(std))
    return np.array([gain, -np.array(mean) / np.array(std)], np.float32)


def scale_out(mean: Triple, std: Triple) -> Scale:
    """What makes a network's values levels: ``255 (x std + mean)``."""
    return 255.0 * np.array([std, mean], np.float32)


@dataclass(frozen=True, slots=True)
class SwapNetwork:
    """A network that redraws a crop as another person's.

    Attributes:
        session: runs on the device.
        target, source, picture: its two inputs and its output.
        size_px: side of the crop.
        scale_in, scale_out: of the crop and of the picture.
        points: ``(5, 2) f32``, where eyes, nose and corners of the mouth lie in the crop; None
            where the pipeline never places a face by itself.
    """

    session: Session
    target: TensorSpec
    source: TensorSpec
    picture: TensorSpec
    size_px: int
    scale_in: Scale
    scale_out: Scale
    points: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class DetectNetwork:
    """A detector of the SCRFD kind.

    Attributes:
        session: runs on the device.
        picture: its input.
        size_px: side of its square input.
        levels: for each stride the names of scores, boxes and points.
        anchors: boxes for each cell.
        scale_in: of the picture.
        is_rgb: order of the input's planes.
        least_score: faces below this probability do not count.
    """

    session: Session
    picture: TensorSpec
    size_px: int
    levels: Mapping[int, tuple[str, str, str]]
    anchors: int
    scale_in: Scale
    is_rgb: bool = True
    least_score: float = 0.5


@dataclass(frozen=True, slots=True)
class EnlargeNetwork:
    """A network that makes faces larger.

    Attributes:
        session: runs on the device.
        picture, enlarged: its input and its output.
        size_px: side of the input; smaller faces are enlarged to it linearly first.
        times: how much larger the output is.
        scale_in, scale_out: of both.
    """

    session: Session
    picture: TensorSpec
    enlarged: TensorSpec
    size_px: int
    times: int
    scale_in: Scale
    scale_out: Scale


@dataclass(frozen=True, slots=True)
class DeviceNetworks:
    """What a device pipeline runs.

    Attributes:
        swap: puts faces in.
        edge: ``(P, P) u8``, how far a crop covers the picture, P being ``drawn_px``.
        detect: finds the face of the whole picture; None where others say where faces are.
        enlarge: gives faces more pixels; None to leave it out.
        triangles: ``(T, 3) i32``, of the mesh over which heads are turned to the camera; None
            where none is.
    """

    swap: SwapNetwork
    edge: NDArray[np.uint8]
    detect: DetectNetwork | None = None
    enlarge: EnlargeNetwork | None = None
    triangles: NDArray[np.int32] | None = None

    @property
    def num_corners(self) -> int:
        """How many that mesh has."""
        return 0 if self.triangles is None else int(self.triangles.max()) + 1

    @property
    def sessions(self) -> Sequence[Session]:
        """All of them."""
        others = (self.detect, self.enlarge)
        return (self.swap.session, *(other.session for other in others if other is not None))

    @property
    def can_follow(self) -> bool:
        """Whether a face can be placed where the detector sees it."""
        return self.detect is not None and self.swap.points is not None

    @property
    def drawn_px(self) -> int:
        """Side of the face that is laid over the picture."""
        if self.enlarge is None:
            return self.swap.size_px
        return self.enlarge.size_px * self.enlarge.times


def is_capturable(session: Session) -> bool:
    """Whether runs of a network may be captured into a CUDA graph."""
    return session.provider.partition(":")[0] in _CAPTURABLE
