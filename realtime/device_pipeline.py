"""Frames on a device: up once, down once, several in flight, and everything between stays there.

The picture that is enqueued is the caller's memory, pinned here, or an array of any library that
lies on the device; the device reads it and writes the result into the same place. Until
``wait_oldest`` returns it, the picture is the device's.

In the product faces are found and followed on the processor, in the captured picture, which lies in
main memory anyway: who is chosen, what stands in front of a face and what the guard must hide are
known from the landmarks of this very frame before any of it may be shown, and a frame's late
landmarks would be the last frame's. So for each face its place and its masks go up beside the
picture, and a few dozen bytes come down. Where nobody has to be told apart the pipeline's own
detector places a face on the device, and the machine reads box and points a frame later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuda_kernels.device import Device
from cuda_kernels.launch import Array
from realtime.device_enlarging import Enlarge
from realtime.device_finishing import Finish, Fuse
from realtime.device_networks import DeviceNetworks
from realtime.device_settings import DeviceSettings
from realtime.device_slots import DeviceFace, Slot
from realtime.device_stages import Detect, Download, Swap, Upload
from realtime.frame import Image
from realtime.geometry import Matrix
from realtime.graph_book import GraphBook
from realtime.stream_lane import MAX_SLOTS, StreamLane, StreamStage, Watch, unwatched

MIN_SLOTS = 2
"""What is remembered of a frame lies in its slot, so the next frame needs another one."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What lay in a seat last.

    Attributes:
        number: of the frame, as they were enqueued.
        person: whom it became.
        crop_from_image: the crop; None where the detector had placed it.
    """

    number: int
    person: int
    crop_from_image: Matrix | None


@dataclass(frozen=True, slots=True)
class DeviceResult:
    """What came back with a frame.

    Attributes:
        image: the picture that was enqueued, written.
        faces: those that were laid over it.
        num_bad: for each of them, how many values of the networks were no numbers; with any, the
            face must not be shown.
        found: ``(15,) f32``, what the detector saw before anything was laid over it: score, box
            and five points in image pixels; zeros without a detector or a face.
    """

    image: Image
    faces: tuple[DeviceFace, ...]
    num_bad: tuple[int, ...]
    found: NDArray[np.float32]


class DevicePipeline:
    """Keeps up to so many frames in flight on one device. Used by one thread.

    Args:
        device: closed by its owner, after this.
        networks: their sessions, one for each stage; closed by their owner, after this.
        people: what the swapper is told about each person.
        size: width and height of the pictures.
        num_slots: frames in flight at most, 2..``MAX_SLOTS``.
        max_faces: so many faces of a frame at most.
        settings: how faces become part of the picture.
        streams: those that networks were opened on, by stage; the others are made here.
        watch: put around what each stage queues, for measuring.

    Raises:
        ValueError: a number is out of its range, or a network's tensors do not fit.
    """

    def __init__(
        self,
        device: Device,
        networks: DeviceNetworks,
        people: Sequence[Array],
        size: tuple[int, int],
        *,
        num_slots: int = MIN_SLOTS,
        max_faces: int = 1,
        settings: DeviceSettings | None = None,
        streams: Mapping[str, Any] = MappingProxyType({}),
        watch: Watch = unwatched,
    ) -> None:
        if not MIN_SLOTS <= num_slots <= MAX_SLOTS or max_faces < 1:
            raise ValueError(
                f"DevicePipeline: there must be {MIN_SLOTS} to {MAX_SLOTS} slots and room for a "
                f"face, got {num_slots} slots and {max_faces} faces. Give others."
            )
        crop_px, drawn_px = networks.swap.size_px, networks.drawn_px
        self._device = device
        self._networks = networks
        self._size = size
        self._graphs = GraphBook(device)
        self._slots = tuple(
            Slot.new(device, index, size, crop_px, drawn_px, max_faces, networks.num_corners)
            for index in range(num_slots)
        )
        settings = settings or DeviceSettings()
        self._swap = Swap(device, self._slots, self._graphs, networks, people, settings)
        stages: list[StreamStage] = [Upload(device, self._slots)]
        if networks.detect is not None:
            stages.append(Detect(device, self._slots, self._graphs, networks.detect, networks))
        stages += [self._swap, Fuse(device, self._slots, self._graphs, settings, crop_px)]
        if networks.enlarge is not None:
            grow = networks.enlarge
            stages.append(Enlarge(device, self._slots, self._graphs, grow, settings, crop_px))
        stages.append(Finish(device, self._slots, self._graphs, settings, drawn_px))
        stages.append(Download(device, self._slots))
        self._stage_names = tuple(stage.name for stage in stages)
        self._lane = StreamLane(stages, device, num_slots, streams, watch)
        self._last: dict[int, _Seen] = {}
        self._num_enqueued = 0
        device.settle()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages in order."""
        return self._stage_names

    @property
    def num_in_flight(self) -> int:
        """Frames enqueued that have not been waited for."""
        return self._lane.num_in_flight

    @property
    def has_room(self) -> bool:
        """Whether another frame can be enqueued."""
        return self._lane.free_slot is not None

    @property
    def is_oldest_done(self) -> bool:
        """Whether ``wait_oldest`` would return at once with a frame."""
        return self._lane.is_oldest_done

    @property
    def crop_px(self) -> int:
        """Side of the crops that the swapper works on."""
        return self._networks.swap.size_px

    @property
    def num_slots(self) -> int:
        """Frames in flight at most."""
        return len(self._slots)

    @property
    def num_graphs(self) -> int:
        """How many pieces of the work have been captured so far."""
        return self._graphs.num_graphs

    def give(self, person: int, source: Array) -> None:
        """Makes another person of one, from the next frame on.

        Args:
            person: which.
            source: what the swapper is told of them.
        """
        self.wait_all()
        self._swap.give(person, source)

    def enqueue(self, image: Any, faces: Sequence[DeviceFace]) -> None:
        """Queues all the work on a frame and returns.

        Args:
            image: ``(H, W, 3) u8 BGR`` C-contiguous, in main memory, where it is pinned the first
                time it comes or else copied, or on the device with ``__cuda_array_interface__``,
                where what writes it must be done, or DLPack.
            faces: largest first, each in a seat of its own; one may be where the detector sees it.

        Raises:
            RuntimeError: every slot is in flight, or the device fails.
            ValueError: the picture has another size, a face has no seat, or nothing can place it.
        """
        index = self._lane.free_slot
        if index is None:
            raise RuntimeError("DevicePipeline.enqueue: a slot must be free, got none.")
        slot = self._slots[index]
        is_there = not isinstance(image, np.ndarray) or hasattr(image, "__cuda_array_interface__")
        given = self._device.adopt(image, stream=self._lane.first_stream) if is_there else image
        if (given.shape, given.dtype) != (slot.image.shape, np.uint8) or (
            not given.flags.c_contiguous
        ):
            raise ValueError(
                "DevicePipeline.enqueue: the picture must be uint8, C-contiguous "
                f"{slot.image.shape}, got {given.dtype} {given.shape} with strides "
                f"{given.strides}. Resize the pipeline first."
            )
        seats = [face.seat for face in faces]
        if len(set(seats)) < len(seats) or not set(seats) <= set(range(len(slot.seats))):
            raise ValueError(
                f"DevicePipeline.enqueue: faces must have seats of their own below "
                f"{len(slot.seats)}, got {seats}. Leave some out."
            )
        num_followed = sum(face.crop_from_image is None for face in faces)
        if num_followed > self._networks.can_follow:
            raise ValueError(
                f"DevicePipeline.enqueue: {int(self._networks.can_follow)} faces may be placed by "
                f"the detector, got {num_followed}. Say where they are."
            )
        if self._networks.triangles is None and any(face.turned is not None for face in faces):
            raise ValueError(
                "DevicePipeline.enqueue: no face may be turned without a mesh, got one. "
                "Open the pipeline with its triangles."
            )
        slot.given, slot.is_outside_there, slot.faces = given, is_there, tuple(faces)
        slot.outside = given if is_there or self._device.pin(given) else self._staged(slot, given)
        slot.is_steady = tuple(self._is_steady(face) for face in faces)
        for face in faces:
            before = self._last.get(face.seat)
            seen_from_image = None if before is None else before.crop_from_image
            slot.seats[face.seat].place(face, self._networks.edge, self._size, seen_from_image)
            self._last[face.seat] = _Seen(self._num_enqueued, face.person, face.crop_from_image)
        self._num_enqueued += 1
        self._lane.enqueue()

    def wait_oldest(self) -> DeviceResult:
        """Blocks until the oldest frame in flight is done.

        Raises:
            RuntimeError: no frame is in flight, or the device fails.
        """
        slot = self._slots[self._lane.wait_oldest()]
        image, outside, slot.given, slot.outside = slot.given, slot.outside, None, None
        if image is None or outside is None:
            raise RuntimeError("DevicePipeline.wait_oldest: the slot must have a picture.")
        if outside is not image:
            np.copyto(image, outside)
        num_bad = tuple(int(slot.seats[face.seat].num_bad[0]) for face in slot.faces)
        return DeviceResult(image, slot.faces, num_bad, self._in_image(slot.host_found))

    def wait_all(self) -> None:
        """Blocks until nothing is in flight; what came back is lost to those who did not ask."""
        self._lane.wait_all()

    def resize(self, size: tuple[int, int]) -> None:
        """Goes on with pictures of another size; the work is captured anew.

        Args:
            size: width and height.
        """
        self.wait_all()
        self._graphs.forget()
        self._last.clear()
        self._size = size
        self._device.unsettle()
        for slot in self._slots:
            slot.image = self._device.zeros((size[1], size[0], 3), np.uint8)
            slot.staging = None
        self._device.settle()

    def _staged(self, slot: Slot, image: Image) -> Array:
        """A copy of a picture that the device can read and write by itself."""
        if slot.staging is None:
            slot.staging = self._device.pinned(image.shape, image.dtype)
        np.copyto(slot.staging, image)
        return slot.staging

    def _is_steady(self, face: DeviceFace) -> bool:
        """Whether what lies in the slot before is of the same face."""
        before = self._last.get(face.seat)
        return (
            not face.is_new
            and before is not None
            and (before.number, before.person) == (self._num_enqueued - 1, face.person)
        )

    def _in_image(self, found: Any) -> NDArray[np.float32]:
        """What the detector saw, in pixels of the picture, the middle of the first being 0."""
        seen = np.array(found, np.float32)
        if self._networks.detect is not None and seen[0] > 0.0:
            per_px = max(self._size) / self._networks.detect.size_px
            seen[1:] = seen[1:] * per_px - 0.5
        return seen
