"""A frame: one reused slot that carries a picture and what is known about it through the engine."""

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""``(H, W, 3) u8 BGR``, C-contiguous unless said otherwise."""

Points = NDArray[np.float32]
"""``(N, 2)`` or ``(N, 3) f32`` image pixels; the centre of the top-left pixel is (0, 0)."""


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What every picture of a stream looks like; fixed for the life of the stream.

    Attributes:
        width, height: pixels.
        rate_hz: nominal pictures per second; exact, as files state it.
        live: True where pictures come at their own pace and must never queue (a camera).
        num_frames: how many pictures will come, where that is known.
    """

    width: int
    height: int
    rate_hz: Fraction
    live: bool
    num_frames: int | None = None

    @property
    def period_ns(self) -> int:
        """Nominal time between two pictures."""
        return round(1_000_000_000 / self.rate_hz)


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees, in the picture's frame.

    Attributes:
        yaw: positive when the nose points to the right edge of the picture.
        pitch: positive when the nose points up.
        roll: positive when the head leans clockwise as seen in the picture.
    """

    yaw: float
    pitch: float
    roll: float


class FaceState(Enum):
    """Whether a tracked face was seen in this very frame."""

    SEEN = "seen"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Motion:
    """How the picture moved since the frame before, on the aligned crop of one face.

    The aligned crop is square and turns, grows and travels with the head. Crops of the frame
    before are addressed with the matrix of that frame.

    Attributes:
        crop_from_image: ``(2, 3) f64``, the aligned crop of this frame.
        before_from_image: ``(2, 3) f64``, that of the frame before.
        flow: ``(S, S, 2) f32`` crop pixels; what is seen at pixel ``p`` of this crop was seen at
            ``p + flow[p]`` of the crop before.
        confidence: ``(S, S) f32`` 0..1, how far that can be trusted; 0 where something came into
            view, blinked or changed its look.
    """

    crop_from_image: NDArray[np.float64]
    before_from_image: NDArray[np.float64]
    flow: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(slots=True)
class Layer:
    """A swapped face before it is laid over the picture.

    It is drawn in the frame's own ``room``, and is valid as long as the frame is.

    Attributes:
        face: ``(h, w, 3) u8 BGR``.
        alpha: ``(h, w) u8``, how far it covers the picture.
        crop_from_image: ``(2, 3) f64``, where it belongs.
        origin: counts the swappers and faces used in a run; of another one nothing is to be
            remembered.
        lit: whether it was drawn in the light of the picture already.
        joined: whether FuseNet made it a part of the picture, with a memory of its own.
    """

    face: Image
    alpha: NDArray[np.uint8]
    crop_from_image: NDArray[np.float64]
    origin: int = 0
    lit: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Occluder:
    """What stands in front of a face: a hand, a microphone, hair.

    Attributes:
        mask: ``(h, w) u8``, 255 where the face is hidden.
        crop_from_image: ``(2, 3) f64``, where it belongs.
        share: how much of the face inside its outline is hidden, 0..1.
    """

    mask: NDArray[np.uint8]
    crop_from_image: NDArray[np.float64]
    share: float = 0.0


@dataclass(slots=True)
class Face:
    """One tracked face in one frame.

    Attributes:
        track_id: stays with the same person from frame to frame; never reused in a run.
        box: ``(4,) f32`` left, top, right, bottom in image pixels, around the landmarks.
        landmarks: ``(468, 3) f32`` image pixels; z grows away from the camera, in the scale of x.
        score: probability 0..1 that the landmarks lie on a face.
        pose: head pose.
        state: ``LOST`` for a face that was tracked a moment ago and is not found now; box and
            landmarks are then those of ``lost_ns`` ago.
        lost_ns: time since the face was last seen; 0 while it is seen.
        chosen: whether the face may be swapped; one face too many, or a newcomer of whom it is not
            sure yet whether it is a face, is not, and so gets hidden.
        person: which of the people that are given the face becomes, from 0.
        swapped: set when this face has been replaced in the picture.
        motion: set by the align stage from the second frame of a track on.
        occluder: set by the occlude stage where something stands in front.
        glasses: set by the glasses stage where the person wears some that are to be kept.
        layer: set by the swap stage; laid over the picture by the composite stage.
        worked_px: set by the swap stage: longer side of the crop it was drawn in; 0 before.
    """

    track_id: int
    box: NDArray[np.float32]
    landmarks: Points
    score: float
    pose: Pose
    state: FaceState = FaceState.SEEN
    lost_ns: int = 0
    chosen: bool = True
    person: int = 0
    swapped: bool = False
    motion: Motion | None = None
    occluder: Occluder | None = None
    glasses: Occluder | None = None
    layer: Layer | None = None
    worked_px: int = 0


@dataclass(slots=True)
class Frame:
    """A picture on its way from the source to the sinks.

    The picture buffer is allocated once and belongs to the slot; stages write into it in place.

    Attributes:
        image: ``(H, W, 3) u8 BGR``.
        seq: 0, 1, 2 … in the order of capture; never repeats, so drops and repeats show.
        captured_ns: monotonic time at which the source handed the picture over.
        media_ns: presentation time inside the source's own timeline, from 0.
        faces: the faces found, largest first.
        failed: set when a stage raised or the fail-closed policy had to hide the picture because
            of an error; the frame then counts as failed, not as delivered.
        idle_ns: how long the lane that works on it had nothing to do before it came; None where
            nobody has said.
        rooms: the memory that ``room`` gives out.
    """

    image: Image
    seq: int = -1
    captured_ns: int = 0
    media_ns: int = 0
    faces: list[Face] = field(default_factory=list)
    failed: bool = False
    idle_ns: int | None = None
    rooms: list[NDArray[np.uint8]] = field(default_factory=list)

    def room(self, index: int, num_bytes: int) -> NDArray[np.uint8]:
        """Memory for what is drawn on this frame; it goes through the engine with the frame.

        So a stage may draw the next frame while this one's face is still being worked on.

        Args:
            index: which piece, from 0: the n-th face's.
            num_bytes: how much of it; it is taken the first time and kept.

        Returns:
            ``(num_bytes,) u8``, contents arbitrary.
        """
        while len(self.rooms) <= index:
            self.rooms.append(np.zeros(num_bytes, np.uint8))
        if self.rooms[index].size < num_bytes:
            self.rooms[index] = np.zeros(num_bytes, np.uint8)
        return self.rooms[index][:num_bytes]

    @classmethod
    def blank(cls, spec: PictureSpec) -> "Frame":
        """A new slot with its own black picture of the stream's size."""
        return cls(image=np.zeros((spec.height, spec.width, 3), np.uint8))

    def exchange(self, other: "Frame") -> None:
        """Swaps the whole contents of two slots without copying a pixel.

        The calling thread must own both slots. This is how a frame passes from one ring to the
        next: the buffers change places and both rings keep the same number of slots.
        """
        self.image, other.image = other.image, self.image
        self.seq, other.seq = other.seq, self.seq
        self.captured_ns, other.captured_ns = other.captured_ns, self.captured_ns
        self.media_ns, other.media_ns = other.media_ns, self.media_ns
        self.faces, other.faces = other.faces, self.faces
        self.failed, other.failed = other.failed, self.failed
        self.idle_ns, other.idle_ns = other.idle_ns, self.idle_ns
        self.rooms, other.rooms = other.rooms, self.rooms
