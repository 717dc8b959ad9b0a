"""The stage that does all of a swap on a GPU, several frames in flight, or else on the processor.

What fails is told once, in one line each: the pipeline on the GPU is built anew once; after that
the stages of the processor work for the rest of the run. Frames that were in flight are lost, which
hides them; the picture of the camera is never shown in their place.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from cuda_kernels.errors import GpuError
from engines.errors import ModelError, one_line
from realtime.device_pipeline import DevicePipeline
from realtime.frame import Face, Frame, PictureSpec
from realtime.memory import Memory
from realtime.seating import Seating
from realtime.stage import Stage
from realtime.stages.neural_swap import NeuralSwap, Source

FAULTS = (GpuError, ModelError, RuntimeError, MemoryError)
"""What a GPU that fails shows itself as; CuPy's errors are of the last two kinds."""

_REBUILDS = 1
_FRAMES_PER_SAMPLE = 64

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OpenedDevice:
    """A pipeline on a device, opened.

    Attributes:
        pipeline: does the work.
        seating: gives faces their places in it.
        used_bytes: asks how much of the device's memory is in use.
    """

    pipeline: DevicePipeline
    seating: Seating
    used_bytes: Callable[[], int]


OpenDevice = Callable[[PictureSpec, Sequence[Source]], AbstractContextManager[OpenedDevice]]
"""Opens a pipeline for pictures of a kind and some people, for as long as the context lasts."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A frame that was taken on.

    Attributes:
        frame: the lane's.
        faces: those that are being swapped.
        worked_px: side of their crops.
        fault: why it will not come back, or what the stages of the processor raised.
        is_on_device: whether the pipeline has it.
    """

    frame: Frame
    faces: tuple[Face, ...] = ()
    worked_px: int = 0
    fault: Exception | None = None
    is_on_device: bool = False


class DeviceSwap:
    """Swaps on a GPU; ``InFlight`` and ``OnDevice``.

    Args:
        open_device: opens the pipeline.
        swapper: knows the people now; whoever changes them while it runs changes them there.
        on_processor: the stages that do the same; opened when they are needed. Their networks may
            run on the GPU, unless it has failed.
        retreat: told that it has, before they are opened.
        say: told in one line when the work goes over to something else.
    """

    def __init__(
        self,
        open_device: OpenDevice,
        swapper: Callable[[], Stage],
        on_processor: Sequence[Stage],
        retreat: Callable[[], None],
        say: Say,
    ) -> None:
        self._open_device = open_device
        self._swapper = swapper
        self._on_processor = tuple(on_processor)
        self._retreat = retreat
        self._say = say
        self._opened, self._fallback = ExitStack(), ExitStack()
        self._device: OpenedDevice | None = None
        self._first: Stage | None = None
        self._people: tuple[Source, ...] = ()
        self._flights: deque[_Flight] = deque()
        self._spec: PictureSpec | None = None
        self._hopeless: Exception | None = None
        self._place = "cuda"
        self._num_rebuilt, self._num_frames, self._peak_bytes = 0, 0, 0

    @property
    def name(self) -> str:
        """``swap``: it is the whole of it."""
        return "swap"

    @property
    def capacity(self) -> int:
        """Frames in flight at most; on the processor one."""
        return 1 if self._device is None else self._device.pipeline.num_slots

    @property
    def is_done(self) -> bool:
        """Whether ``end`` would return at once."""
        if not self._flights or not self._flights[0].is_on_device or self._device is None:
            return True
        return self._device.pipeline.is_oldest_done

    @property
    def device_peak_bytes(self) -> int:
        """How much of the GPU's memory was in use at most."""
        return self._peak_bytes

    @property
    def counts(self) -> Mapping[str, Any]:
        """Where the work is done, and how often the pipeline was built anew."""
        return {"device": self._place, "rebuilt": self._num_rebuilt}

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Opens the pipeline, or where that fails the stages of the processor.

        Raises:
            ModelError: the processor cannot do it either.
        """
        self._spec = spec
        self._first = self._swapper()
        try:
            self._build(spec)
        except (GpuError, ModelError) as error:
            # It will not be there a moment later either.
            self._to_processor(error)
        except (RuntimeError, MemoryError) as error:
            self._recover(error)
        if self._hopeless is not None:
            raise self._hopeless

    def process(self, frame: Frame) -> None:
        """Does the work on one frame and waits for it."""
        self.begin(frame)
        self.end(frame)

    def begin(self, frame: Frame) -> None:
        """Queues the work on a frame; on the processor it is done on return.

        Raises:
            Exception: what a stage of the processor failed with.
        """
        if self._device is not None and self._swapper() is not self._first:
            self._leave("another swapper was chosen.")
        flight, device = _Flight(frame), self._device
        if self._hopeless is not None:
            raise self._hopeless
        if device is None:
            for stage in self._on_processor:
                stage.process(frame)
            self._flights.append(flight)
            return
        self._flights.append(flight)
        try:
            self._enqueue(device, flight)
        except FAULTS as error:
            flight.fault = error
            self._recover(error)
        except BaseException:
            # Of a face that cannot be placed, for instance: such a frame is not to be ended.
            self._flights.pop()
            raise

    def end(self, frame: Frame) -> None:
        """Waits for the oldest frame.

        Raises:
            Exception: what the device failed with; a network gave no picture.
        """
        flight, device = self._flights[0], self._device
        if flight.frame is not frame:
            raise RuntimeError("DeviceSwap.end: it must be the oldest frame, got another one.")
        if flight.is_on_device and device is not None:
            try:
                self._take(device, flight)
            except FAULTS as error:
                self._recover(error)
        self._flights.popleft()
        if flight.fault is not None:
            raise flight.fault
        for face in flight.faces:
            face.swapped, face.worked_px = True, flight.worked_px

    def close(self) -> None:
        """Waits for what is in flight, and lets everything go."""
        self._close_device()
        self._flights.clear()
        self._fallback.close()

    def _build(self, spec: PictureSpec) -> None:
        """Opens the pipeline on the device."""
        stage = self._first
        if not isinstance(stage, NeuralSwap):
            raise ModelError("swap: the swapper must be a network, got none. Use --device cpu.")
        self._people = stage.people
        with ExitStack() as opening:
            device = opening.enter_context(self._open_device(spec, self._people))
            self._opened = opening.pop_all()
        self._device = device
        self._sample(device)

    def _enqueue(self, device: OpenedDevice, flight: _Flight) -> None:
        frame = flight.frame
        self._follow_people(device)
        placed = device.seating.place(frame.faces, frame.media_ns)
        if not placed:
            # Nothing is to be done to it, so it need not go there and back.
            return
        device.pipeline.enqueue(frame.image, [there for _, there in placed])
        flight.faces = tuple(face for face, _ in placed)
        flight.worked_px = device.pipeline.crop_px
        flight.is_on_device = True
        self._num_frames += 1
        if self._num_frames % _FRAMES_PER_SAMPLE == 1:
            self._sample(device)

    def _follow_people(self, device: OpenedDevice) -> None:
        """Tells the network of the people who have changed."""
        stage = self._first
        if not isinstance(stage, NeuralSwap) or stage.people is self._people:
            return
        # What is in flight is of those before; the lane asks for it all the same.
        self._finish_flights(device)
        people = stage.people
        for number, source in enumerate(people):
            if source is not self._people[number]:
                device.pipeline.give(number, source)
        self._people = people

    def _finish_flights(self, device: OpenedDevice) -> None:
        for flight in self._flights:
            if flight.is_on_device:
                self._take(device, flight)

    def _take(self, device: OpenedDevice, flight: _Flight) -> None:
        result = device.pipeline.wait_oldest()
        flight.is_on_device = False
        if sum(result.num_bad):
            flight.fault = ModelError(
                "network: the picture it gives must consist of numbers, got NaN. "
                "Use its fp32 version."
            )

    def _recover(self, error: Exception) -> None:
        """Loses what is in flight; builds the pipeline anew, once, or goes to the processor."""
        self._lose(error)
        if self._num_rebuilt >= _REBUILDS:
            self._retreat()
        if self._num_rebuilt < _REBUILDS and self._spec is not None:
            self._num_rebuilt += 1
            self._tell(f"the GPU failed, its pipeline is built anew: {one_line(error)}")
            try:
                self._build(self._spec)
            except FAULTS as again:
                self._retreat()
                self._to_processor(again)
            return
        self._to_processor(error)

    def _leave(self, why: str) -> None:
        """Goes to the processor when nothing is in flight any more."""
        try:
            if self._device is not None:
                self._finish_flights(self._device)
        except FAULTS as error:
            self._lose(error)
        self._to_processor(ModelError(why))

    def _lose(self, error: Exception) -> None:
        """Closes the pipeline; frames that it had are lost."""
        for flight in self._flights:
            if flight.is_on_device:
                flight.fault, flight.is_on_device = error, False
        # A device that is lost complains of every call; what it held is gone either way.
        with suppress(*FAULTS):
            self._close_device()

    def _to_processor(self, error: Exception) -> None:
        """Lets the stages of the processor work from the next frame on."""
        with suppress(*FAULTS):
            self._close_device()
        self._place = "cpu"
        self._tell(f"swaps on the processor from now on, which is slow: {one_line(error)}")
        if self._spec is None:
            raise RuntimeError("DeviceSwap: the stage must be open, got a closed one.")
        try:
            with ExitStack() as opening:
                memory = opening.enter_context(Memory())
                for stage in self._on_processor:
                    stage.open(self._spec, memory)
                    opening.callback(stage.close)
                self._fallback = opening.pop_all()
        except FAULTS as again:
            # Frames that were begun must be ended in their order all the same; all are hidden.
            self._hopeless = again

    def _close_device(self) -> None:
        device, self._device = self._device, None
        opened, self._opened = self._opened, ExitStack()
        with opened:
            if device is not None:
                device.pipeline.wait_all()

    def _sample(self, device: OpenedDevice) -> None:
        self._peak_bytes = max(self._peak_bytes, device.used_bytes())

    def _tell(self, line: str) -> None:
        self._say(f"Warning: {line}")
