"""How fast whole frames go through the device pipeline, and each network by itself."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from cuda_kernels.device import Device
from realtime.device_pipeline import DevicePipeline
from realtime.device_settings import DeviceSettings
from realtime.frame import Image
from realtime.graph_book import tensor_buffer
from tools.gpu_kernels import time_ms
from tools.gpu_networks import Runtime, Sizes, network_shapes, open_networks
from tools.gpu_scene import face_at, picture
from tools.gpu_timeline import Span, Timeline, busy_share, overlap_share

Json = dict[str, Any]

_WARM_UP = 12
"""Frames before it is measured: each slot's work is queued, then captured, then launched."""

_TRACED = 40
"""Frames of which the timeline is kept."""

_STAGES = ("detect", "swap", "enlarge")


class Measured:
    """A pipeline of the report, opened.

    Args:
        device: runs it.
        runtime: opens its networks.
        sizes: which networks.
        size: width and height of the pictures.
        num_slots: frames in flight at most.
        enlarge: whether faces get more pixels.
        stack: closes the networks.
    """

    def __init__(
        self,
        device: Device,
        runtime: Runtime,
        sizes: Sizes,
        size: tuple[int, int],
        num_slots: int,
        stack: ExitStack,
        *,
        enlarge: bool,
    ) -> None:
        self._device, self._size = device, size
        self._timeline = Timeline(device)
        streams = {stage: device.new_stream() for stage in _STAGES}
        networks = open_networks(runtime, device, sizes, streams, stack, enlarge=enlarge)
        self.pipeline = DevicePipeline(
            device,
            networks,
            [np.full(512, 0.04, np.float32)],
            size,
            num_slots=num_slots,
            settings=DeviceSettings(rate_hz=30.0),
            streams=streams,
            watch=self._timeline.watch,
        )
        stack.callback(self.pipeline.wait_all)
        self._images = [picture(size, seed) for seed in range(num_slots + 1)]
        self._num = 0
        self._began: deque[float] = deque()
        self._enqueue_ms: list[float] = []

    @property
    def enqueue_ms(self) -> float:
        """What queuing a frame took the machine's thread in the last run, the median."""
        return float(np.median(self._enqueue_ms))

    def run(self, seconds: float, in_flight: int, *, least_frames: int = 0) -> Json:
        """Sends frames through as fast as they go.

        Args:
            seconds: for so long.
            in_flight: frames in flight at most.
            least_frames: even if that takes longer.

        Returns:
            ``fps``, ``latency_ms_p50`` and ``latency_ms_p99`` from the call that enqueues a frame
            to the moment its picture is back in main memory, ``frames``.
        """
        times_ms: list[float] = []
        self._enqueue_ms.clear()
        began = time.perf_counter()
        while len(times_ms) < least_frames or time.perf_counter() - began < seconds:
            if self.pipeline.num_in_flight == in_flight:
                times_ms.append(self._finish())
            self._begin()
        while self.pipeline.num_in_flight:
            times_ms.append(self._finish())
        elapsed = time.perf_counter() - began
        return {
            "fps": len(times_ms) / elapsed,
            "latency_ms_p50": float(np.quantile(times_ms, 0.5)),
            "latency_ms_p99": float(np.quantile(times_ms, 0.99)),
            "frames": len(times_ms),
        }

    def trace(self, num_frames: int) -> list[Span]:
        """When each stage worked on each of some frames at full load."""
        self._timeline.is_on = True
        try:
            self.run(0.0, self.pipeline.num_slots, least_frames=num_frames)
        finally:
            self._timeline.is_on = False
        return self._timeline.spans()

    def _begin(self) -> None:
        image: Image = self._images[self._num % len(self._images)]
        began = time.perf_counter()
        self._began.append(began)
        self.pipeline.enqueue(image, [face_at(self._num, self._size, 128)])
        self._enqueue_ms.append((time.perf_counter() - began) * 1e3)
        self._num += 1

    def _finish(self) -> float:
        self.pipeline.wait_oldest()
        return (time.perf_counter() - self._began.popleft()) * 1e3


def measure_pipeline(
    device: Device,
    runtime: Runtime,
    sizes: Sizes,
    size: tuple[int, int],
    seconds: float,
    keep: Callable[[Json, Sequence[Span]], None],
    *,
    enlarge: bool,
    num_slots: int = 3,
) -> None:
    """Throughput with several frames in flight, delay with one, the timeline at full load.

    Args:
        device: runs it.
        runtime: opens the networks.
        sizes: which networks.
        size: width and height of the pictures.
        seconds: of each measurement.
        keep: handed the figures, and the spans of a few frames, whenever there are more.
        enlarge: whether faces get more pixels.
        num_slots: frames in flight at most.
    """
    is_gpu = device.place == "cuda"
    least = 100 if is_gpu else 3
    with ExitStack() as stack:
        measured = Measured(device, runtime, sizes, size, num_slots, stack, enlarge=enlarge)
        measured.run(0.0, num_slots, least_frames=_WARM_UP if is_gpu else num_slots)
        figures: Json = {"size": list(size), "enlarge": enlarge, "in_flight": num_slots}
        figures |= measured.run(seconds, num_slots, least_frames=least)
        figures |= {
            "enqueue_ms": measured.enqueue_ms,
            "graphs": measured.pipeline.num_graphs,
            "device_mb": device.used_bytes / 1e6,
        }
        keep(figures, ())
        figures["one_in_flight"] = measured.run(seconds / 2, 1, least_frames=least)
        keep(figures, ())
        spans = measured.trace(_TRACED if is_gpu else num_slots)
        shares = {"gpu_busy": busy_share(spans), "frames_overlap": overlap_share(spans)}
        keep(figures | shares, spans)


def measure_networks(device: Device, runtime: Runtime, sizes: Sizes, repeats: int) -> list[Json]:
    """The time of each network alone: queued run by run, and as a graph where it can be captured.

    Args:
        device: has the buffers.
        runtime: opens the networks.
        sizes: which networks.
        repeats: runs that are timed together.
    """
    found = []
    for name, shapes in network_shapes(sizes).items():
        stream = device.new_stream()
        handle = device.handle(stream)
        session = runtime.open(name, shapes, handle)
        device.unsettle()
        inputs = {
            spec.name: tensor_buffer(device, spec, shapes[spec.name]) for spec in session.inputs
        }
        out = {
            spec.name: tensor_buffer(device, spec, _output_shape(spec.name, spec.shape, sizes))
            for spec in session.outputs
        }
        device.settle()

        def run() -> None:
            session.enqueue(inputs, out=out, stream=handle)  # noqa: B023

        run()
        begin, end = (device.new_event(timed=True) for _ in range(2))
        begin.record(stream)
        for _ in range(repeats):
            run()
        end.record(stream)
        end.synchronize()
        figures: Json = {
            "name": name,
            "provider": session.provider,
            "ms_eager": device.elapsed_ms(begin, end) / repeats,
            "ms_graph": None,
        }
        if session.provider.startswith("tensorrt"):
            figures["ms_graph"] = time_ms(device, stream, run, repeats)
        elif session.provider == "torch:CUDA graph":
            # Each of its runs is a graph already; kernel by kernel it is not run here.
            figures |= {"ms_eager": None, "ms_graph": figures["ms_eager"]}
        found.append(figures)
        session.close()
    return found


def _output_shape(name: str, shape: tuple[int, ...], sizes: Sizes) -> tuple[int, ...]:
    if name == "enlarged":
        return (1, 3, 2 * sizes.enlarge_px, 2 * sizes.enlarge_px)
    stride = name.rpartition("_")[2]
    if stride.isdecimal():
        return (1, (sizes.detect_px // int(stride)) ** 2 * 2, shape[-1])
    return shape
