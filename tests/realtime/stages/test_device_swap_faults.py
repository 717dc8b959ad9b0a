"""A GPU without memory, or lost, by way of CuPy as it shows itself: what is said, what is shown."""

import sys
from contextlib import ExitStack, closing, contextmanager
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice
from realtime.config import load_config
from realtime.device_opening import open_pipeline
from realtime.memory import Memory
from realtime.stages.device_swap import DeviceSwap
from realtime.stages.neural_swap import NeuralSwap


def load(name, path):
    spec = util.spec_from_file_location(name, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


swap = load("test_device_swap", Path(__file__).with_name("test_device_swap.py"))
parts = load("parts", Path(__file__).parents[1] / "device_parts.py")

NO_ROOM = "Out of memory allocating 230400 bytes"


class Card:
    """A stage on a pretended GPU, what it said, and the stage of the processor behind it."""

    def __init__(self, cupy):
        self.cupy, self.said, self.retreats, self.num_opened = cupy, [], [], 0
        self.processor = swap.Processor()
        swapper = NeuralSwap(lambda: None, swap.PEOPLE, max_faces=2)
        self.stage = DeviceSwap(
            self._open,
            lambda: swapper,
            (self.processor,),
            lambda: self.retreats.append(1),
            self.said.append,
        )
        self._sessions = swap.Rig()

    @contextmanager
    def _open(self, spec, people):
        def session(stream):
            return parts.GpuSession(self._sessions.session(stream), self.cupy)

        with closing(CudaDevice()) as device, ExitStack() as stack:
            self.num_opened += 1
            config = load_config(settings=["track.max_faces=2"])
            yield open_pipeline(device, swap.FAMILY, session, people, spec, config, stack)

    def __enter__(self):
        self.stage.open(swap.SPEC, Memory())
        return self

    def __exit__(self, *_):
        self.stage.close()

    def swaps(self, number):
        """One frame through: whether its face was swapped; a fault is told by the frame."""
        frame = swap.frame_of(swap.face_at(), number=number)
        self.stage.begin(frame)
        try:
            self.stage.end(frame)
        except (RuntimeError, MemoryError):
            assert not frame.faces[0].swapped
            return False
        return frame.faces[0].swapped


@pytest.fixture
def cupy(monkeypatch):
    fake = parts.fake_cupy.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def on_processor(card):
    assert card.said[-1].startswith("Warning: swaps on the processor from now on, which is slow")
    assert card.retreats == [1]
    frame = swap.frame_of(swap.face_at(), number=90)
    card.stage.process(frame)
    return (frame.image == 77).all()


def test_without_memory_for_a_moment_the_pipeline_is_built_anew_at_the_start(cupy):
    cupy.failures["out of memory"] = 1
    with Card(cupy) as card:
        (line,) = card.said
        assert line.startswith("Warning: the GPU failed, its pipeline is built anew: Out of memory")
        assert card.swaps(0)
        assert card.stage.counts == {"device": "cuda", "rebuilt": 1}
        assert not card.retreats


def test_without_memory_at_the_start_the_processor_works(cupy):
    cupy.failures["out of memory"] = 99
    with Card(cupy) as card:
        assert card.num_opened == 2
        assert len(card.said) == 2
        assert on_processor(card)


@pytest.mark.parametrize("what", ["launch", "copy", "synchronize", "out of memory in a network"])
def test_what_fails_while_it_runs_costs_that_frame_and_the_pipeline_is_built_anew(cupy, what):
    with Card(cupy) as card:
        assert [card.swaps(number) for number in range(4)] == [True] * 4
        cupy.failures[what] = 1
        assert not card.swaps(4)
        assert [card.swaps(number) for number in range(5, 9)] == [True] * 4
        assert card.num_opened == 2
        assert len(card.said) == 1
        assert card.stage.counts == {"device": "cuda", "rebuilt": 1}


@pytest.mark.parametrize("what", ["launch", "copy", "synchronize", "out of memory in a network"])
def test_a_card_that_is_lost_gives_way_to_the_processor(cupy, what):
    with Card(cupy) as card:
        assert card.swaps(0)
        # From now on every call fails; the second pipeline too.
        cupy.failures[what] = 10**6
        tries = [card.swaps(number) for number in range(1, 4)]
        assert not tries[0]
        assert on_processor(card)
        assert card.stage.counts == {"device": "cpu", "rebuilt": 1}
    assert card.num_opened == 2
    assert len(card.said) == 2


def test_memory_that_cannot_be_unpinned_keeps_nothing_from_being_built_anew(cupy):
    with Card(cupy) as card:
        assert card.swaps(0)
        cupy.failures["unregister"] = 1
        cupy.failures["launch"] = 1
        assert not card.swaps(1)
        assert card.swaps(2)


def test_memory_for_all_frames_is_taken_before_the_first(cupy):
    with Card(cupy) as card:
        taken = cupy.taken_bytes
        for number in range(12):
            assert card.swaps(number)
        assert cupy.taken_bytes == taken
        assert card.stage.device_peak_bytes == taken


def test_frames_in_flight_when_the_card_is_lost_are_hidden(cupy):
    with Card(cupy) as card:
        frames = [swap.frame_of(swap.face_at(), number=n) for n in range(3)]
        for frame in frames:
            card.stage.begin(frame)
        cupy.failures["synchronize"] = 10**6
        for frame in frames:
            with pytest.raises(RuntimeError):
                card.stage.end(frame)
            assert not frame.faces[0].swapped
        np.testing.assert_array_equal(frames[0].image[:, :30], swap.frame_of().image[:, :30])
