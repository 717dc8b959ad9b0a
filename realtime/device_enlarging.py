"""More pixels for the faces of a frame on a device, and what was seen of them before."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cuda_kernels.carry import enlarge_places, hold_still
from cuda_kernels.device import Device
from cuda_kernels.launch import Stream
from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes, mix_levels, picture_from_levels
from cuda_kernels.memory_blend import blend_scratch_size, memory_blend
from realtime.device_networks import EnlargeNetwork
from realtime.device_settings import DeviceSettings
from realtime.device_slots import Slot
from realtime.graph_book import GraphBook, around_network, tensor_buffer
from realtime.memory_strength import STILL_PX


class Enlarge:
    """Gives each face more pixels, and blends it with what was seen of them before."""

    name = "enlarge"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        network: EnlargeNetwork,
        settings: DeviceSettings,
        crop_px: int,
    ) -> None:
        side, large = network.size_px, network.size_px * network.times
        self._device, self._slots, self._graphs, self._network = device, slots, graphs, network
        self._settings = settings
        self._small = device.zeros((crop_px, crop_px, 3), np.uint8)
        self._inputs = {
            network.picture.name: tensor_buffer(device, network.picture, (1, 3, side, side))
        }
        self._outputs = {
            network.enlarged.name: tensor_buffer(device, network.enlarged, (1, 3, large, large))
        }
        self._scale_in = device.put(network.scale_in)
        self._scale_out = device.put(network.scale_out)
        self._still_px = STILL_PX * crop_px / large
        self._held = device.zeros((crop_px, crop_px), np.float32)
        self._fine = device.zeros((large, large, 3), np.float32)
        self._where = device.zeros((large, large, 2), np.float32)
        self._weight = device.zeros((large, large), np.float32)
        self._scratch = device.zeros((blend_scratch_size(large, large, 3),), np.float32)

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the network between its kernels, for each face."""
        frame = self._slots[slot]
        for face, is_steady in zip(frame.faces, frame.is_steady, strict=True):
            self._enlarge(frame, face.seat, stream, is_steady=is_steady)

    def _enlarge(self, frame: Slot, number: int, stream: Any, *, is_steady: bool) -> None:
        seat, network = frame.seats[number], self._network
        launcher, handle = self._device.launcher(stream), self._device.handle(stream)
        (small,), (large,) = self._inputs.values(), self._outputs.values()
        inner = (0, 0, network.size_px, network.size_px)
        strength = self._settings.restore_strength

        def before() -> None:
            picture_from_levels(seat.fused, out=self._small, stream=launcher)
            letterbox(self._small, inner, self._scale_in, out=small[0], stream=launcher)

        def run() -> None:
            network.session.enqueue(self._inputs, out=self._outputs, stream=handle)

        def after() -> None:
            levels_from_planes(
                large[0],
                self._scale_out,
                out=self._fine,
                num_bad=seat.there.num_bad,
                stream=launcher,
            )
            if strength < 1.0:
                mix_levels(self._fine, seat.fused, strength, out=self._fine, stream=launcher)
            if is_steady and self._settings.restore_weight > 0.0:
                self._blend(frame, number, launcher)
            else:
                self._device.copy(self._fine, out=seat.enlarged, stream=stream)

        key = ("enlarge", frame.index, number, is_steady)
        around_network(self._graphs, key, network.session, before, run, after, stream)

    def _blend(self, frame: Slot, number: int, launcher: Stream | None) -> None:
        """New detail would flicker with the noise it is made of."""
        seat, before = frame.seats[number], self._slots[frame.index - 1].seats[number]
        hold_still(
            seat.flow,
            seat.there.apart,
            seat.confidence,
            gain=self._settings.restore_gain,
            still_px=self._still_px,
            out=self._held,
            stream=launcher,
        )
        places = (self._where, self._weight)
        enlarge_places(seat.flow, self._held, out=places, stream=launcher)
        memory_blend(
            before.enlarged,
            self._fine,
            *places,
            self._settings.restore_strengths,
            limit=self._settings.fuse_limit,
            scratch=self._scratch,
            out=seat.enlarged,
            stream=launcher,
        )
