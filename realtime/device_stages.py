"""The steps of the work on a frame on a device; each one queues on a stream of its own.

A stage reads and writes the arrays of its frame's slot. What it alone needs, a network's input and
output, scratch, what it remembers from frame to frame, belongs to the stage and to its stream.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from cuda_kernels.device import Device
from cuda_kernels.launch import Array, Stream
from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes
from cuda_kernels.pick import DetectorLevel, pick_face
from cuda_kernels.place import place_face
from cuda_kernels.sharpness import NUM_SUMS, follow_detail, soften
from cuda_kernels.warp import warp_placed
from engines.families.signature import filled
from realtime.device_networks import DetectNetwork, DeviceNetworks
from realtime.device_settings import DeviceSettings
from realtime.device_slots import DeviceFace, Seat, Slot
from realtime.device_turning import Turning
from realtime.graph_book import GraphBook, around_network, tensor_buffer


class Upload:
    """Brings a frame's picture and what is known of its faces to the device."""

    name = "up"

    def __init__(self, device: Device, slots: Sequence[Slot]) -> None:
        self._device, self._slots = device, slots

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the copies."""
        frame = self._slots[slot]
        if frame.outside is None:
            raise RuntimeError("Upload.enqueue: the slot must have a picture, got none.")
        bring = self._device.copy if frame.is_outside_there else self._device.upload
        bring(frame.outside, out=frame.image, stream=stream)
        for face in frame.faces:
            seat = frame.seats[face.seat]
            self._device.upload(seat.block, out=seat.there.whole, stream=stream)
            if face.turned is not None:
                self._device.upload(seat.turn_here.whole, out=seat.turn.whole, stream=stream)


class Detect:
    """Looks for the likeliest face of the whole picture, and places one that is to be there."""

    name = "detect"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        network: DetectNetwork,
        networks: DeviceNetworks,
    ) -> None:
        side = network.size_px
        self._device, self._slots, self._graphs, self._network = device, slots, graphs, network
        self._inputs = {
            network.picture.name: tensor_buffer(device, network.picture, (1, 3, side, side))
        }
        self._outputs: dict[str, Array] = {}
        self._levels = []
        specs = {spec.name: spec for spec in network.session.outputs}
        for stride, names in network.levels.items():
            num = (side // stride) ** 2 * network.anchors
            for name, width in zip(names, (1, 4, 10), strict=True):
                rows = (1, num, width) if len(specs[name].shape) == 3 else (num, width)
                self._outputs[name] = tensor_buffer(device, specs[name], rows)
            scores, boxes, points = (self._outputs[name] for name in names)
            level = DetectorLevel(
                scores.reshape(num), boxes.reshape(num, 4), points.reshape(num, 10), stride
            )
            self._levels.append(level)
        self._crop_px, self._drawn_px = networks.swap.size_px, networks.drawn_px
        wanted = networks.swap.points
        self._wanted = None if wanted is None else device.put(wanted.astype(np.float32))
        self._scale = device.put(network.scale_in)
        self._key = device.zeros((1,), np.uint64)

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the network between its kernels."""
        frame, network = self._slots[slot], self._network
        launcher, handle = self._device.launcher(stream), self._device.handle(stream)
        height, width = frame.image.shape[:2]
        fit = network.size_px / max(height, width)
        inner = (0, 0, max(round(width * fit), 1), max(round(height * fit), 1))
        (target,) = self._inputs.values()
        followed = next((one.seat for one in frame.faces if one.crop_from_image is None), None)

        def before() -> None:
            letterbox(
                frame.image,
                inner,
                self._scale,
                is_rgb=network.is_rgb,
                out=target[0],
                stream=launcher,
            )

        def run() -> None:
            network.session.enqueue(self._inputs, out=self._outputs, stream=handle)

        def after() -> None:
            pick_face(
                self._levels,
                network.size_px,
                network.least_score,
                key=self._key,
                out=frame.found,
                stream=launcher,
            )
            if followed is not None and self._wanted is not None:
                there = frame.seats[followed].there
                place_face(
                    frame.found,
                    1.0 / fit,
                    self._wanted,
                    self._crop_px,
                    self._drawn_px,
                    (width, height),
                    crop=there.crop_place,
                    under=there.under_place,
                    paste=there.paste_place,
                    stream=launcher,
                )

        key = ("detect", slot, followed)
        around_network(self._graphs, key, network.session, before, run, after, stream)


class Swap:
    """Cuts each face out and has it redrawn, no sharper than it was."""

    name = "swap"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        networks: DeviceNetworks,
        people: Sequence[Array],
        settings: DeviceSettings,
    ) -> None:
        network = networks.swap
        self._settings = settings
        shape = (1, 3, network.size_px, network.size_px)
        self._device, self._slots, self._graphs, self._network = device, slots, graphs, network
        self._target = tensor_buffer(device, network.target, shape)
        self._picture = tensor_buffer(device, network.picture, shape)
        # What else it says, a mask of its own for instance, is not looked at.
        self._outputs = {
            spec.name: device.zeros(filled(spec, open_px=network.size_px), spec.dtype)
            for spec in network.session.outputs
            if spec.name != network.picture.name
        }
        self._outputs[network.picture.name] = self._picture
        self._people = [
            device.put(person[None].astype(network.source.dtype, copy=False)) for person in people
        ]
        # The network always reads here: a runtime that is bound to another array may have to
        # prepare itself, which is not allowed inside a capture.
        self._source = tensor_buffer(device, network.source, self._people[0].shape)
        self._given = [device.pinned(person.shape, person.dtype) for person in self._people]
        self._waiting: list[int] = []
        self._scale_in = device.put(network.scale_in)
        self._scale_out = device.put(network.scale_out)
        self._turning = None
        if networks.triangles is not None:
            self._turning = Turning(device, networks.triangles, network.size_px)
        side = (network.size_px, network.size_px)
        edge = cv2.resize(networks.edge, side, interpolation=cv2.INTER_AREA)
        self._edge = device.put(np.asarray(edge, np.uint8))
        self._drawn = device.zeros((*side, 3), np.float32)
        self._sums = device.zeros((NUM_SUMS,), np.uint64)
        self._gains = [device.zeros((1,), np.float32) for _ in slots[0].seats]

    def give(self, person: int, source: Array) -> None:
        """Makes another person of one, from the next frame on; nothing may be in flight."""
        self._given[person][0] = source
        self._waiting.append(person)

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the network between its kernels, for each face."""
        for person in self._waiting:
            self._device.upload(self._given[person], out=self._people[person], stream=stream)
        self._waiting.clear()
        frame = self._slots[slot]
        for face, is_steady in zip(frame.faces, frame.is_steady, strict=True):
            self._swap(frame, face, stream, is_steady=is_steady)

    def _swap(self, frame: Slot, face: DeviceFace, stream: Any, *, is_steady: bool) -> None:
        seat, network, person = frame.seats[face.seat], self._network, face.person
        turning = None if face.turned is None else self._turning
        launcher, handle = self._device.launcher(stream), self._device.handle(stream)
        inputs = {network.target.name: self._target, network.source.name: self._source}
        inner = (0, 0, network.size_px, network.size_px)
        drawn = self._drawn if self._settings.sharpness else seat.levels

        def before() -> None:
            self._device.copy(self._people[person], out=self._source, stream=stream)
            warp_placed(frame.image, seat.there.crop_place, out=seat.crop, stream=launcher)
            shown = seat.crop
            if turning is not None:
                turning.cut(frame.image, seat.turn, launcher)
                shown = turning.crop
            letterbox(shown, inner, self._scale_in, out=self._target[0], stream=launcher)

        def run() -> None:
            network.session.enqueue(inputs, out=self._outputs, stream=handle)

        def after() -> None:
            levels_from_planes(
                self._picture[0],
                self._scale_out,
                out=drawn if turning is None else turning.levels,
                num_bad=seat.there.num_bad,
                stream=launcher,
            )
            if turning is not None:
                turning.put_back(seat.turn, out=drawn, stream=launcher)
            if self._settings.sharpness:
                self._match(seat, self._gains[face.seat], launcher, is_steady=is_steady)

        key = ("swap", frame.index, face.seat, person, turning is not None, is_steady)
        around_network(self._graphs, key, network.session, before, run, after, stream)

    def _match(self, seat: Seat, gain: Array, launcher: Stream | None, *, is_steady: bool) -> None:
        """Makes what was drawn as sharp as the picture, and no sharper."""
        sigma_px = self._settings.sigma_px
        follow_detail(
            self._drawn,
            seat.crop,
            self._edge,
            sigma_px,
            rate=self._settings.sharpness_rate if is_steady else 1.0,
            sums=self._sums,
            gain=gain,
            stream=launcher,
        )
        soften(self._drawn, gain, sigma_px, out=seat.levels, stream=launcher)


class Download:
    """Takes the picture back into the memory it came from, and a few numbers with it."""

    name = "down"

    def __init__(self, device: Device, slots: Sequence[Slot]) -> None:
        self._device, self._slots = device, slots

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the copies."""
        frame = self._slots[slot]
        if frame.outside is None:
            raise RuntimeError("Download.enqueue: the slot must have a picture, got none.")
        take = self._device.copy if frame.is_outside_there else self._device.download
        take(frame.image, out=frame.outside, stream=stream)
        self._device.download(frame.found, out=frame.host_found, stream=stream)
        for face in frame.faces:
            seat = frame.seats[face.seat]
            self._device.download(seat.there.num_bad, out=seat.num_bad, stream=stream)
