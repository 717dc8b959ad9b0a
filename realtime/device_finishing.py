"""The later steps of the work on a frame on a device: faces made steady and part of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
    How,
    find_colour_shift,
    gentle_shift,
    shift_colours,
)
from cuda_kernels.device import Device
from cuda_kernels.flow import (
    flow_scratch_size,
    grey_pyramid,
    grey_pyramid_size,
    measure_flow,
    places_from_flow,
)
from cuda_kernels.flow_confidence import flow_confidence
from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes, picture_from_levels
from cuda_kernels.light import CELLS_SIZE, LIGHT_SHAPE, add_light, follow_light
from cuda_kernels.memory_blend import blend_scratch_size, memory_blend
from cuda_kernels.multiband import multiband_blend, multiband_scratch_size
from cuda_kernels.paste import paste_placed
from cuda_kernels.poisson import (
    COLD_CYCLES,
    WARM_CYCLES,
    poisson_blend,
    poisson_scratch_size,
)
from cuda_kernels.warp import warp_placed
from realtime.device_networks import EnlargeNetwork
from realtime.device_slots import Slot
from realtime.graph_book import GraphBook, around_network, tensor_buffer
from realtime.seam_fit import Rim

_TOLERANCE_PX, _NOISE, _CONTRAST = 1.0, 3.0, 16.0
"""When a flow is doubted, see ``flow_confidence``; the align stage lets there and back differ
more."""

_STRETCH = (1.0, 1.2, 1.4)
_REFERENCE_HZ = 30.0


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """How faces are made steady and part of the picture.

    Attributes:
        fuse_weight: what was seen before counts for, against the newest frame, at 30 Hz, 0..1.
        fuse_limit: grey levels by which the memory may leave the colours around a pixel now.
        settle_ms: half-life with which colours follow the picture.
        colours: how they are matched, see ``find_colour_shift``; None leaves them.
        light: whether the light of the picture is carried onto the face.
        rim: how it is joined to the picture: ``feather`` lets the coverage fall off softly,
            ``multiband`` blends band by band, ``poisson`` keeps the face's gradients and takes the
            picture's light.
        rate_hz: frames a second.
    """

    fuse_weight: float = 0.7
    fuse_limit: float = 40.0
    settle_ms: float = 150.0
    colours: How | None = "ranks"
    light: bool = True
    rim: Rim = "multiband"
    rate_hz: float = 30.0

    @property
    def strengths(self) -> tuple[float, float, float]:
        """What the memory counts for from frame to frame, at full, half and quarter size."""
        frames = _REFERENCE_HZ / self.rate_hz
        fine, middle, coarse = (self.fuse_weight ** (frames / stretch) for stretch in _STRETCH)
        return fine, middle, coarse

    @property
    def colour_rate(self) -> float:
        """How far colours follow each frame, 0..1."""
        if self.settle_ms <= 0.0:
            return 1.0
        return float(1.0 - 0.5 ** (1000.0 / (self.rate_hz * self.settle_ms)))


class Fuse:
    """Blends each face with what was seen of it in the frame before, moved along with the flow."""

    name = "fuse"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        settings: DeviceSettings,
        side: int,
    ) -> None:
        num_seats = len(slots[0].seats)
        self._device, self._slots, self._graphs, self._settings = device, slots, graphs, settings
        self._greys = [
            [device.zeros((grey_pyramid_size(side, side),), np.uint8) for _ in range(num_seats)]
            for _ in slots
        ]
        self._flow, self._opposite, self._where = (
            device.zeros((side, side, 2), np.float32) for _ in range(3)
        )
        self._weight = device.zeros((side, side), np.float32)
        num = max(flow_scratch_size(side, side), blend_scratch_size(side, side, 3))
        self._scratch = device.zeros((num,), np.float32)

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the flow and the blend; of a new face only what the next frame needs of it."""
        frame = self._slots[slot]
        before = self._slots[slot - 1]
        for face, is_steady in zip(frame.faces, frame.is_steady, strict=True):
            number = face.seat
            seat, launcher = frame.seats[number], self._device.launcher(stream)
            if is_steady:
                self._graphs.run(
                    ("fuse", slot, number),
                    lambda n=number: self._fuse(frame, before, n, stream),  # type: ignore[misc]
                    stream=stream,
                )
            else:
                grey_pyramid(seat.crop, out=self._greys[slot][number], stream=launcher)
                self._device.copy(seat.levels, out=seat.fused, stream=stream)

    def _fuse(self, frame: Slot, before: Slot, number: int, stream: Any) -> None:
        seat, launcher = frame.seats[number], self._device.launcher(stream)
        now, old = self._greys[frame.index][number], self._greys[before.index][number]
        side = len(self._weight)
        grey_pyramid(seat.crop, out=now, stream=launcher)
        measure_flow(old, now, scratch=self._scratch, out=self._flow, stream=launcher)
        measure_flow(now, old, scratch=self._scratch, out=self._opposite, stream=launcher)
        flow_confidence(
            old[: side * side].reshape(side, side),
            now[: side * side].reshape(side, side),
            self._flow,
            self._opposite,
            tolerance_px=_TOLERANCE_PX,
            noise=_NOISE,
            contrast=_CONTRAST,
            out=self._weight,
            stream=launcher,
        )
        places_from_flow(self._flow, out=self._where, stream=launcher)
        memory_blend(
            before.seats[number].fused,
            seat.levels,
            self._where,
            self._weight,
            self._settings.strengths,
            limit=self._settings.fuse_limit,
            scratch=self._scratch,
            out=seat.fused,
            stream=launcher,
        )


class Enlarge:
    """Gives each face more pixels."""

    name = "enlarge"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        network: EnlargeNetwork,
        crop_px: int,
    ) -> None:
        side, large = network.size_px, network.size_px * network.times
        self._device, self._slots, self._graphs, self._network = device, slots, graphs, network
        self._small = device.zeros((crop_px, crop_px, 3), np.uint8)
        self._inputs = {
            network.picture.name: tensor_buffer(device, network.picture, (1, 3, side, side))
        }
        self._outputs = {
            network.enlarged.name: tensor_buffer(device, network.enlarged, (1, 3, large, large))
        }
        self._scale_in = device.put(network.scale_in)
        self._scale_out = device.put(network.scale_out)

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues the network between its kernels, for each face."""
        for face in self._slots[slot].faces:
            self._enlarge(self._slots[slot], face.seat, stream)

    def _enlarge(self, frame: Slot, number: int, stream: Any) -> None:
        seat, network = frame.seats[number], self._network
        launcher, handle = self._device.launcher(stream), self._device.handle(stream)
        (small,), (large,) = self._inputs.values(), self._outputs.values()
        inner = (0, 0, network.size_px, network.size_px)

        def before() -> None:
            picture_from_levels(seat.fused, out=self._small, stream=launcher)
            letterbox(self._small, inner, self._scale_in, out=small[0], stream=launcher)

        def run() -> None:
            network.session.enqueue(self._inputs, out=self._outputs, stream=handle)

        def after() -> None:
            levels_from_planes(
                large[0],
                self._scale_out,
                out=seat.enlarged,
                num_bad=seat.there.num_bad,
                stream=launcher,
            )

        key = ("enlarge", frame.index, number)
        around_network(self._graphs, key, network.session, before, run, after, stream)


class Finish:
    """Makes each face part of the picture: its colours, its rim, its place."""

    name = "finish"

    def __init__(
        self,
        device: Device,
        slots: Sequence[Slot],
        graphs: GraphBook,
        settings: DeviceSettings,
        side: int,
    ) -> None:
        self._device, self._slots, self._graphs, self._settings = device, slots, graphs, settings
        self._drawn, self._under, self._blended = (
            device.zeros((side, side, 3), np.uint8) for _ in range(3)
        )
        self._counts = device.zeros(COUNTS_SHAPE, np.uint32)
        self._shifts = [device.zeros(SHIFT_SHAPE, np.float32) for _ in slots[0].seats]
        self._gentle = device.zeros(SHIFT_SHAPE, np.float32)
        self._cells = device.zeros((CELLS_SIZE,), np.float32)
        self._lights = [device.zeros(LIGHT_SHAPE, np.float32) for _ in slots[0].seats]
        num = {
            "feather": 0,
            "multiband": multiband_scratch_size(side, side),
            "poisson": poisson_scratch_size(side, side),
        }[settings.rim]
        self._scratch = device.zeros((num,), np.float32)
        has_membrane = settings.rim == "poisson"
        self._membranes = [
            device.zeros((side, side, 3) if has_membrane else (0,), np.float32)
            for _ in slots[0].seats
        ]

    def enqueue(self, slot: int, *, stream: Any) -> None:
        """Queues all of it, the last face first, so that the first one lies on top."""
        frame = self._slots[slot]
        for face, is_steady in reversed(list(zip(frame.faces, frame.is_steady, strict=True))):
            number = face.seat
            if is_steady:
                self._graphs.run(
                    ("finish", slot, number),
                    lambda n=number: self._finish(  # type: ignore[misc]
                        frame, n, stream, is_steady=True
                    ),
                    stream=stream,
                )
            else:
                self._finish(frame, number, stream, is_steady=False)

    def _finish(self, frame: Slot, number: int, stream: Any, *, is_steady: bool) -> None:
        seat, launcher = frame.seats[number], self._device.launcher(stream)
        there, drawn, under = seat.there, self._drawn, self._under
        picture_from_levels(seat.enlarged, out=drawn, stream=launcher)
        warp_placed(frame.image, there.under_place, out=under, stream=launcher)
        rate = self._settings.colour_rate if is_steady else 1.0
        if self._settings.colours is not None:
            shift = self._shifts[number]
            find_colour_shift(
                drawn,
                under,
                there.alpha,
                how=self._settings.colours,
                rate=rate,
                counts=self._counts,
                shift=shift,
                stream=launcher,
            )
            gentle_shift(shift, self._counts, out=self._gentle, stream=launcher)
            shift_colours(drawn, self._gentle, out=drawn, stream=launcher)
        if self._settings.light:
            light = self._lights[number]
            follow_light(
                drawn,
                under,
                there.alpha,
                rate=rate,
                cells=self._cells,
                light=light,
                stream=launcher,
            )
            add_light(drawn, light, out=drawn, stream=launcher)
        laid, cover = self._blended, there.cover
        if self._settings.rim == "feather":
            laid, cover = drawn, there.alpha
        elif self._settings.rim == "multiband":
            multiband_blend(
                drawn, under, there.alpha, scratch=self._scratch, out=laid, stream=launcher
            )
        else:
            poisson_blend(
                drawn,
                under,
                there.alpha,
                is_warm=is_steady,
                num_cycles=WARM_CYCLES if is_steady else COLD_CYCLES,
                scratch=self._scratch,
                membrane=self._membranes[number],
                out=laid,
                stream=launcher,
            )
        paste_placed(laid, cover, there.paste_place, out=frame.image, stream=launcher)
