"""The stage that makes a swapped face steady: each track's layer passes through its memory."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.levels import picture_from_levels
from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.frame import (
    Face,
    FaceState,
    Frame,
    Image,
    Layer,
    Motion,
    PictureSpec,
    Points,
    Pose,
)
from realtime.geometry import apply, compose
from realtime.layer_pixels import same_pixels
from realtime.memory import Memory
from realtime.memory_strength import REFERENCE_HZ
from realtime.tracks import GAP_NS, of_present

_DOUBTFUL_SCORE, _SURE_SCORE = 0.3, 0.8
"""Landmark scores up to which a frame counts for nothing, and from which it counts in full."""

_MIN_TRUST = 0.25
"""Trust in a memory down to which it may stand for a frame that could not be drawn."""

_RIM, _MOST_RIM_PX = 0.015, 2
"""Half the width over which a face fades out around its outline: in face widths, and in pixels of
the crop at most, which hardly goes on beyond the outline."""

_BARE_GAIN = 4.0
"""Where half of a face is drawn it is not bare any more; near to nothing the most."""

_STEP_PX = 4 / 3
"""Distance in the picture at which bilinear sampling does not yet skip pixels to speak of."""

_TURNING = (5.0, 10.0)
"""How many degrees a head turns within a thirtieth of a second up to which its memory counts in
full, and from which on not at all: it then shows another view, and nobody sees it tremble."""

_MOST_SAMPLES = 4
"""Samples along each side of a crop's pixel, at most: enough for faces five times as large."""


@dataclass(slots=True)
class _Track:
    """What is remembered of one face, and whose it became."""

    seen_ns: int
    memory: FeatureMemory
    person: int
    pose: Pose
    origin: int = 0


class Fuse:
    """Blends every face's layer with what was seen of it before.

    Where a face could not be drawn for a moment the memory stands for it.
    """

    def __init__(self, config: MemoryConfig, *, joined_share: float = 1.0) -> None:
        """Takes its settings.

        Args:
            config: how long a face is remembered.
            joined_share: what the memory's weights are multiplied by for faces that FuseNet made,
                which carries its own features along, 0..1.
        """
        self._config = config
        weights = {"weight": config.weight, "still_weight": config.still_weight}
        self._joined = config.model_copy(
            update={name: joined_share * weight for name, weight in weights.items()}
        )
        self._tracks: dict[int, _Track] = {}

    @property
    def name(self) -> str:
        """``fuse``."""
        return "fuse"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Begins with nothing remembered."""
        self._tracks = {}

    def process(self, frame: Frame) -> None:
        """Replaces the layers of the frame's faces."""
        self._tracks = of_present(self._tracks, frame.faces)
        for face in frame.faces:
            if face.chosen and face.state is FaceState.SEEN and not face.swapped:
                self._fuse(face, frame)

    def close(self) -> None:
        """Forgets all faces."""
        self._tracks.clear()

    def _fuse(self, face: Face, frame: Frame) -> None:
        now_ns = frame.media_ns
        track = self._tracks.get(face.track_id)
        if track is None:
            track = self._tracks[face.track_id] = _Track(
                now_ns, FeatureMemory(self._config), face.person, face.pose
            )
        elapsed_ns = now_ns - track.seen_ns
        track.seen_ns = now_ns
        motion = face.motion
        # A face that could not be drawn does not say which swapper it would have been.
        origin = track.origin if face.layer is None else face.layer.origin
        is_another = (face.person, origin) != (track.person, track.origin)
        if motion is None or elapsed_ns > GAP_NS or is_another:
            track.memory.reset()
            motion = None
        if motion is not None:
            motion = _calmed(motion, _turned(track.pose, face.pose, elapsed_ns))
        track.person, track.origin, track.pose = face.person, origin, face.pose
        if face.layer is not None:
            track.memory.retune(self._joined if face.layer.joined else self._config)
            face.layer = _fused(face, frame.image, face.layer, track.memory, motion, elapsed_ns)
        elif motion is not None and track.memory.trust >= _MIN_TRUST:
            face.layer = _recalled(face, track.memory, motion, elapsed_ns)


def _turned(before: Pose, now: Pose, elapsed_ns: int) -> float:
    """How fast a head turns to the side or nods: degrees within a thirtieth of a second.

    That it leans is not counted: the picture does then what the flow says.
    """
    degrees = max(abs(now.yaw - before.yaw), abs(now.pitch - before.pitch))
    return degrees * 1e9 / (REFERENCE_HZ * max(elapsed_ns, 1))


def _calmed(motion: Motion, degrees: float) -> Motion:
    """The motion, trusted less where the head turns so fast."""
    most, none = _TURNING
    share = min(max((none - degrees) / (none - most), 0.0), 1.0)
    if share == 1.0:
        return motion
    return replace(motion, confidence=np.float32(share) * motion.confidence)


def _recalled(face: Face, memory: FeatureMemory, motion: Motion, elapsed_ns: int) -> Layer | None:
    """What is remembered of a face that could not be drawn now, moved to where it is."""
    recalled = memory.recall(motion, elapsed_ns=elapsed_ns)
    if recalled is None:
        return None
    features, crop_from_image = recalled
    blank = np.zeros(features.shape[:2], np.uint8)
    place = Layer(np.empty((0, 0, 3), np.uint8), blank, crop_from_image)
    return _layer(features, _outline(face.landmarks, place), place)


def _fused(
    face: Face,
    image: Image,
    layer: Layer,
    memory: FeatureMemory,
    motion: Motion | None,
    elapsed_ns: int,
) -> Layer:
    """The layer after the memory has taken it in.

    Remembered is how the whole face looks in the picture, with its eyes and its mouth, so that
    the noise of the camera in them does not stand out against a face that has none. But there the
    picture itself is seen, and what changes in it, a mouth that opens, is to be seen at once.
    """
    outline = _outline(face.landmarks, layer)
    sure = (face.score - _DOUBTFUL_SCORE) / (_SURE_SCORE - _DOUBTFUL_SCORE)
    fused = memory.fuse(
        _look(layer, image),
        layer.crop_from_image,
        motion,
        elapsed_ns=elapsed_ns,
        reliability=min(max(sure, 0.0), 1.0),
        fickle=_bare(outline, layer.alpha),
    )
    alpha = cv2.max(layer.alpha, outline)
    return _layer(fused, np.asarray(alpha, np.uint8), layer)


def _look(layer: Layer, image: Image) -> NDArray[np.float32]:
    """The part of the picture around a face, with the layer laid over it: ``(h, w, 3) f32``."""
    part = same_pixels(layer, image)
    if part is None:
        part = _sampled(layer, image)
    weight = np.multiply(layer.alpha, np.float32(1 / 255))
    rest = np.float32(1.0) - weight
    # Of floats it is three times as quick as of bytes.
    drawn, around = layer.face.astype(np.float32), part.astype(np.float32)
    return np.asarray(cv2.blendLinear(drawn, around, weight, rest, drawn), np.float32)


def _sampled(layer: Layer, image: Image) -> Image:
    """The part of the picture under a layer, at the layer's size."""
    height, width = layer.alpha.shape
    area = abs(float(np.linalg.det(layer.crop_from_image[:, :2])))
    # Of a larger face bilinear sampling alone would skip pixels and let their noise through, and
    # ``cuda_kernels.warp`` knows only sizes that are halved.
    times = min(max(math.ceil(1.0 / (_STEP_PX * math.sqrt(area))), 1), _MOST_SAMPLES)
    middle = (times - 1) / 2
    dense_from_crop = np.array([[times, 0.0, middle], [0.0, times, middle]])
    under = cv2.warpAffine(
        image,
        compose(dense_from_crop, layer.crop_from_image),
        (width * times, height * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        under = cv2.resize(under, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(under, np.uint8)


def _outline(landmarks: Points, layer: Layer) -> NDArray[np.uint8]:
    """255 inside the face, falling to 0 around its outline, ``(h, w) u8``.

    The rim of the face has its share of the camera's noise, so it is steadied up to its end.
    """
    points = apply(layer.crop_from_image, landmarks[:, :2])
    mask: NDArray[np.uint8] = np.zeros(layer.alpha.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), (255,))
    side = 2 * min(max(1, round(_RIM * float(np.ptp(points[:, 0])))), _MOST_RIM_PX) + 1
    # A box blur of the grown outline begins to fall where the outline ends.
    outer = cv2.dilate(mask, np.ones((side, side), np.uint8))
    return np.asarray(cv2.blur(outer, (side, side)), np.uint8)


def _bare(outline: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where a face has nothing drawn on it: in its eyes, in its mouth, ``(h, w) u8``."""
    drawn = cv2.multiply(alpha, alpha, scale=_BARE_GAIN / 255)
    return np.asarray(cv2.subtract(outline, drawn), np.uint8)


def _layer(features: NDArray[np.float32], alpha: NDArray[np.uint8], like: Layer) -> Layer:
    """The layer that colours and coverage make, in another one's place."""
    face = np.empty(features.shape, np.uint8)
    picture_from_levels(features, out=face)
    return replace(like, face=face, alpha=alpha)
