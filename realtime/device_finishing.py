"""The later steps of the work on a frame on a device: faces made steady and part of the picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cuda_kernels.carry import hold_still, settle_flow
from cuda_kernels.colour_match import (
    COUNTS_SHAPE,
    SHIFT_SHAPE,
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
from cuda_kernels.layers import lay_over
from cuda_kernels.levels import picture_from_levels
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
from realtime.device_settings import DeviceSettings
from realtime.device_slots import Slot
from realtime.flow import CONTRAST, NOISE, TOLERANCE
from realtime.graph_book import GraphBook
from realtime.memory_strength import STILL_PX


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
        self._backward, self._forward, self._where = (
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
        for one, other, flow in ((old, now, self._backward), (now, old, self._forward)):
            measure_flow(one, other, scratch=self._scratch, out=flow, stream=launcher)
        flow_confidence(
            old[: side * side].reshape(side, side),
            now[: side * side].reshape(side, side),
            self._backward,
            self._forward,
            tolerance_px=TOLERANCE * side,
            noise=NOISE,
            contrast=CONTRAST,
            out=seat.confidence,
            stream=launcher,
        )
        settle_flow(self._backward, self._forward, out=seat.flow, stream=launcher)
        hold_still(
            seat.flow,
            seat.there.apart,
            seat.confidence,
            gain=self._settings.fuse_gain,
            still_px=STILL_PX,
            out=self._weight,
            stream=launcher,
        )
        places_from_flow(seat.flow, out=self._where, stream=launcher)
        memory_blend(
            before.seats[number].fused,
            seat.levels,
            self._where,
            self._weight,
            self._settings.fuse_strengths,
            limit=self._settings.fuse_limit,
            scratch=self._scratch,
            out=seat.fused,
            stream=launcher,
        )


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
        # It is written for good only later.
        lit = self._blended
        picture_from_levels(seat.enlarged, out=drawn, stream=launcher)
        warp_placed(frame.image, there.under_place, out=under, stream=launcher)
        rate = self._settings.colour_rate if is_steady else 1.0
        if self._settings.colours is not None:
            shift = self._shifts[number]
            find_colour_shift(
                drawn,
                under,
                there.skin,
                how=self._settings.colours,
                rate=rate,
                counts=self._counts,
                shift=shift,
                stream=launcher,
            )
            gentle_shift(shift, self._counts, out=self._gentle, stream=launcher)
            shift_colours(drawn, self._gentle, out=lit, stream=launcher)
            lay_over(lit, drawn, there.bare, out=drawn, stream=launcher)
        if self._settings.light:
            light = self._lights[number]
            follow_light(
                drawn,
                under,
                there.skin,
                rate=rate,
                cells=self._cells,
                light=light,
                stream=launcher,
            )
            add_light(drawn, light, out=lit, stream=launcher)
            lay_over(lit, drawn, there.bare, out=drawn, stream=launcher)
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
