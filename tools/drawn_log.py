"""What the swapper drew, kept on its way through the engine."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.paste import paste
from realtime.contact_sheet import Tap
from realtime.errors import EngineError
from realtime.face_parts import face_width_px
from realtime.frame import Face, FaceState, Frame, Image
from realtime.geometry import invert
from realtime.pipeline import Plan
from realtime.stage import Stage

Mask = NDArray[np.uint8]


@dataclass(slots=True)
class DrawnFace:
    """The largest face of a frame.

    Attributes:
        box: ``(4,) f32`` left, top, right, bottom, around its landmarks.
        width_px: of the face.
        drawn: ``(H, W, 3) u8 BGR``, the picture with the face in it as the swapper drew it,
            wherever it covers at all.
        mask: ``(H, W) u8``, how far the swapper covers the picture.
        shown: ``(H, W) u8``, the same without what is kept and what stands in front.
    """

    box: NDArray[np.float32]
    width_px: float
    drawn: Image
    mask: Mask
    shown: Mask


class DrawnLog:
    """Keeps the drawn face of some pictures, in front of the blend stage and behind it.

    Attributes:
        faces: by media time in ns.

    Args:
        times_ns: of the pictures that are wanted.
    """

    def __init__(self, times_ns: frozenset[int]) -> None:
        self._times_ns = times_ns
        self.faces: dict[int, DrawnFace] = {}

    def watching(self, plan: Plan) -> Plan:
        """The same plan with the log in it.

        Raises:
            EngineError: it has no blend stage.
        """
        if not any(stage.name == "blend" for lane in plan.lanes for stage in lane):
            raise EngineError("plan: must have a blend stage, got none. Build it with build_plan.")
        taps = (Tap("drawn", self._keep_drawn), Tap("shown", self._keep_shown))
        lanes = tuple(
            tuple(new for stage in lane for new in _between(stage, taps)) for lane in plan.lanes
        )
        return replace(plan, lanes=lanes)

    def _keep_drawn(self, frame: Frame) -> None:
        face = _largest(frame)
        if face is None or face.layer is None or frame.media_ns not in self._times_ns:
            return
        layer, drawn = face.layer, frame.image.copy()
        covered = np.where(layer.alpha > 0, np.uint8(255), np.uint8(0))
        paste(layer.face, covered, layer.crop_from_image, out=drawn)
        mask = _mask(face, frame.image)
        width_px = face_width_px(face.landmarks)
        self.faces[frame.media_ns] = DrawnFace(face.box.copy(), width_px, drawn, mask, mask)

    def _keep_shown(self, frame: Frame) -> None:
        face, kept = _largest(frame), self.faces.get(frame.media_ns)
        if face is None or kept is None:
            return
        kept.shown = _mask(face, frame.image)
        if face.occluder is not None:
            image_from_mask = invert(face.occluder.crop_from_image)
            size = (frame.image.shape[1], frame.image.shape[0])
            hidden = cv2.warpAffine(face.occluder.mask, image_from_mask, size)
            free = cv2.bitwise_not(hidden)
            kept.shown = np.asarray(cv2.multiply(kept.shown, free, scale=1 / 255), np.uint8)


def _between(stage: Stage, taps: tuple[Stage, Stage]) -> tuple[Stage, ...]:
    return (taps[0], stage, taps[1]) if stage.name == "blend" else (stage,)


def _largest(frame: Frame) -> Face | None:
    """The largest face that was drawn."""
    drawn = [f for f in frame.faces if f.state is FaceState.SEEN and f.layer is not None]
    return drawn[0] if drawn else None


def _mask(face: Face, image: Image) -> Mask:
    """How far a face's layer covers a picture."""
    covered = np.zeros_like(image)
    if face.layer is not None:
        white = np.full_like(face.layer.face, 255)
        paste(white, face.layer.alpha, face.layer.crop_from_image, out=covered)
    return np.ascontiguousarray(covered[..., 0])
