"""The arrays that one frame in flight has to itself on the device."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.device import Device
from cuda_kernels.launch import Array
from cuda_kernels.paste import PASTE_PLACE, paste_place
from cuda_kernels.pick import FOUND_SIZE
from cuda_kernels.warp import CROP_PLACE, crop_place
from realtime.device_turning import TurnBlock, TurnedFace
from realtime.geometry import Matrix, apply, compose, invert

_FLOATS = (CROP_PLACE, CROP_PLACE, PASTE_PLACE, 2)
_HEAD_BYTES = 128
"""Room for the numbers of a block, and for the counter behind them, in whole lines of a cache."""

_NUM_PLANES = 4
"""How far the face covers the picture, how far it is laid on, where it is skin, and where skin of
it covers the picture."""

_FAR_PX = 1e4
"""Of a crop whose movement is not known: nothing in it stands still."""

_COVER_GAIN = 2
"""The blended face is the picture itself where it hardly covers, so it may be laid on thicker."""


@dataclass(frozen=True, slots=True)
class DeviceFace:
    """One face of one frame, for the device.

    Attributes:
        seat: 0 up to the pipeline's number of faces; stays with the face from frame to frame.
        crop_from_image: ``(2, 3)``, the network's crop; None for where the pipeline's own detector
            sees the likeliest face of this very frame, which the machine learns a frame later.
        person: whom it becomes.
        is_new: whether what is remembered of the seat is of another face, or of another scene.
        alpha: ``(P, P) u8``, how far the drawn face covers the picture, P being ``drawn_px``; None
            for all of the crop but its edge.
        bare: ``(P, P) u8``, 255 on skin and 0 on eyes, teeth and brows, which keep the colours they
            were drawn with; None for skin all over.
        turned: how the head is turned to the camera before the network and back after it; None
            where it is left as it is.
    """

    seat: int
    crop_from_image: Matrix | None
    person: int = 0
    is_new: bool = False
    alpha: NDArray[np.uint8] | None = None
    bare: NDArray[np.uint8] | None = None
    turned: TurnedFace | None = None


class _Block:
    """What goes up with a frame for one face, as pieces of one array."""

    def __init__(self, block: Array, drawn_px: int) -> None:
        ends = np.cumsum([0, *(4 * num for num in _FLOATS)])
        self.whole = block
        self.crop_place, self.under_place, self.paste_place, self.apart = (
            block[begin:end].view(np.float32) for begin, end in pairwise(ends)
        )
        self.num_bad = block[ends[-1] : ends[-1] + 4].view(np.uint32)
        area = drawn_px * drawn_px
        shape = (drawn_px, drawn_px)
        planes = block[_HEAD_BYTES : _HEAD_BYTES + _NUM_PLANES * area]
        self.alpha, self.cover, self.bare, self.skin = (
            planes[n * area : (n + 1) * area].reshape(shape) for n in range(_NUM_PLANES)
        )


class Seat:
    """Room for one face of one frame.

    Attributes:
        there: its block on the device.
        crop: ``(C, C, 3) u8`` what the network is shown.
        levels: ``(C, C, 3) f32`` what it gives.
        flow: ``(C, C, 2) f32`` pixels, where each of its pixels was in the crop before.
        confidence: ``(C, C) f32`` 0..1, how far that is to be believed.
        fused: ``(C, C, 3) f32`` that, together with what was seen before.
        enlarged: ``(P, P, 3) f32``; the same array as ``fused`` where nothing is enlarged.
        num_bad: ``(1,) u32`` in main memory: values of the network that were no numbers.
        turn, turn_here: how a turned head is turned, on the device and pinned; empty where no
            head is.
    """

    def __init__(self, device: Device, crop_px: int, drawn_px: int, num_corners: int = 0) -> None:
        num_bytes = _HEAD_BYTES + _NUM_PLANES * drawn_px * drawn_px
        self._here = _Block(device.pinned((num_bytes,), np.uint8), drawn_px)
        self.there = _Block(device.zeros((num_bytes,), np.uint8), drawn_px)
        self.crop = device.zeros((crop_px, crop_px, 3), np.uint8)
        self.levels = device.zeros((crop_px, crop_px, 3), np.float32)
        self.flow = device.zeros((crop_px, crop_px, 2), np.float32)
        self.confidence = device.zeros((crop_px, crop_px), np.float32)
        self.fused = device.zeros((crop_px, crop_px, 3), np.float32)
        self.enlarged = self.fused
        if drawn_px != crop_px:
            self.enlarged = device.zeros((drawn_px, drawn_px, 3), np.float32)
        self.num_bad = device.pinned((1,), np.uint32)
        self._crop_px, self._drawn_px = crop_px, drawn_px
        turn_size = (TurnBlock.size(num_corners),)
        self.turn = TurnBlock(device.zeros(turn_size, np.float32), num_corners)
        self.turn_here = TurnBlock(device.pinned(turn_size, np.float32), num_corners)

    @property
    def block(self) -> Array:
        """``(N,) u8`` pinned: what is to go up."""
        return self._here.whole

    def place(
        self,
        face: DeviceFace,
        edge: NDArray[np.uint8],
        size: tuple[int, int],
        before_from_image: Matrix | None = None,
    ) -> None:
        """Writes down where a face is.

        Args:
            face: of the frame.
            edge: ``(P, P) u8``, coverage where the face brings none.
            size: width and height of the picture.
            before_from_image: ``(2, 3)``, the crop of the frame before; None where it is not known.

        Raises:
            ValueError: the crop's map cannot be inverted, or the coverage has another size.
        """
        here = self._here
        if face.crop_from_image is not None:
            self._place(face.crop_from_image, size)
        here.apart[:] = self._apart(face.crop_from_image, before_from_image)
        if face.turned is not None:
            self.turn_here.write(face.turned, size)
        here.num_bad[:] = 0
        alpha = edge if face.alpha is None else np.minimum(face.alpha, edge)
        np.copyto(here.alpha, alpha)
        np.minimum(alpha, 255 // _COVER_GAIN, out=here.cover)
        here.cover *= _COVER_GAIN
        np.copyto(here.bare, 255 if face.bare is None else face.bare)
        np.minimum(alpha, here.bare, out=here.skin)

    def _apart(self, crop: Matrix | None, before: Matrix | None) -> NDArray[np.float64]:
        """How far the crop's own movement carries its middle away from what is under it."""
        if crop is None or before is None:
            return np.full(2, _FAR_PX)
        middle = np.full((1, 2), (self._crop_px - 1) / 2)
        return np.asarray((middle - apply(compose(before, invert(crop)), middle))[0])

    def _place(self, crop_from_image: Matrix, size: tuple[int, int]) -> None:
        here, times = self._here, self._drawn_px / self._crop_px
        # A pixel of the small crop is the middle of a block of the large one.
        drawn_from_image = times * crop_from_image
        drawn_from_image[:, 2] += (times - 1.0) / 2.0
        here.crop_place[:] = crop_place(crop_from_image, *size)
        here.under_place[:] = crop_place(drawn_from_image, *size)
        side = (self._drawn_px, self._drawn_px)
        here.paste_place[:] = paste_place(drawn_from_image, side, size)


@dataclass(slots=True)
class Slot:
    """One frame in flight.

    Attributes:
        index: number of the slot.
        image: ``(H, W, 3) u8`` on the device.
        seats: room for the faces.
        found: ``(FOUND_SIZE,) f32`` on the device, the detector's likeliest face.
        host_found: the same in main memory.
        outside: the picture that comes in and goes out again, pinned or on the device.
        is_outside_there: whether it lies on the device.
        given: the caller's picture; the same as ``outside`` where that could be pinned.
        staging: pinned room for a picture that could not be; None before there was one.
        faces: those of the frame.
        is_steady: for each of them whether its seat's memory is of the frame before.
    """

    index: int
    image: Array
    seats: tuple[Seat, ...]
    found: Array
    host_found: Array
    outside: Array | None = None
    is_outside_there: bool = False
    given: Array | None = None
    staging: Array | None = None
    faces: tuple[DeviceFace, ...] = ()
    is_steady: tuple[bool, ...] = field(default=())

    @classmethod
    def new(
        cls,
        device: Device,
        index: int,
        size: tuple[int, int],
        crop_px: int,
        drawn_px: int,
        max_faces: int,
        num_corners: int,
    ) -> "Slot":
        """Takes the arrays of one slot."""
        return cls(
            index,
            device.zeros((size[1], size[0], 3), np.uint8),
            tuple(Seat(device, crop_px, drawn_px, num_corners) for _ in range(max_faces)),
            device.zeros((FOUND_SIZE,), np.float32),
            device.pinned((FOUND_SIZE,), np.float32),
        )
