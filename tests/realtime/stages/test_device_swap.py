"""The swap on a device, with the processor as the device, and what happens when that fails."""

import sys
import threading
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice
from cuda_kernels.errors import GpuError
from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.templates import template_points
from engines.models.catalogue import bundled_catalogue
from engines.session import TensorSpec
from realtime.config import load_config
from realtime.device_opening import open_pipeline
from realtime.frame import Face, Frame, Motion, PictureSpec, Pose
from realtime.geometry import bounding_box
from realtime.memory import Memory
from realtime.pipeline import Pipeline, Plan
from realtime.stage import InFlight, OnDevice
from realtime.stages.device_swap import DeviceSwap
from realtime.stages.guard import Guard
from realtime.stages.neural_swap import NeuralSwap


def load(name):
    spec = util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fakes, parts = load("fakes"), load("device_parts")

FAMILY = bundled_catalogue().families["inswapper"]
SPEC = PictureSpec(320, 240, Fraction(30), live=False)
PEOPLE = (np.full(512, 0.001, np.float32),)
EYES = ((33, 133), (362, 263))
MOTION = Motion(np.eye(2, 3), np.eye(2, 3), np.zeros((4, 4, 2), np.float32), np.ones((4, 4)))


def face_at(centre=(160, 120), width_px=90.0, track_id=1, **how):
    """A face whose five points are those of the template, in an oval of all the others."""
    points = (template_points("arcface_128", 128) - 64) * (width_px / 60) + centre
    around = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:, 0] = centre[0] + 0.9 * width_px * np.cos(around)
    landmarks[:, 1] = centre[1] + 1.2 * width_px * np.sin(around)
    for indices, point in zip((*EYES, (1, 4), (61,), (291,)), points, strict=True):
        landmarks[list(indices), :2] = point
    given = {"motion": MOTION} | how
    return Face(track_id, bounding_box(landmarks), landmarks, 0.99, Pose(0, 0, 0), **given)


def frame_of(*faces, number=0):
    image = np.zeros((240, 320, 3), np.uint8)
    image[:] = np.resize(fakes.RAW, 320)[:, None]
    return Frame(image=image, media_ns=number * 33_000_000, faces=list(faces))


def shows_stripes(image, centre=(160, 120)):
    """Whether the raw picture is to be seen in the middle of a face."""
    x, y = centre
    part = image[y - 12 : y + 12, x - 12 : x + 12].astype(int)
    return np.abs(np.diff(part, axis=1)).max() > 100


class Failing:
    """The processor as a device of which an upload fails whenever the script says so."""

    def __init__(self, script):
        self._inner, self._script = CpuDevice(), script

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def upload(self, source, *, out, stream):
        if next(self._script, False):
            raise RuntimeError("cudaErrorUnknown:\n the device is lost")
        self._inner.upload(source, out=out, stream=stream)


class Processor:
    """A stage of the processor."""

    name = "swap"

    def __init__(self, *, error=None):
        self.num_opened = self.num_closed = 0
        self.numbers = []
        self._error = error

    def open(self, spec, memory):
        if self._error:
            raise self._error
        self.num_opened += 1

    def process(self, frame):
        self.numbers.append(frame.media_ns)
        frame.image[:] = 77
        for face in frame.faces:
            face.swapped = True

    def close(self):
        self.num_closed += 1


class Rig:
    """A stage whose device fails by script, and what it said and did.

    Args:
        script: for each upload of the run whether it fails.
        value: of the network's picture.
        opens: for each opening of the device whether it fails.
        on_processor: the stage of the processor.
    """

    def __init__(self, script=(), *, value=0.5, opens=(), on_processor=None):
        self._script, self._opens = iter(script), iter(opens)
        self.said, self.retreats, self.opened, self.sources = [], [], [], []
        self.value = value
        self.on_processor = on_processor or Processor()
        self.new_device = lambda: Failing(self._script)
        self.swapper = NeuralSwap(lambda: None, PEOPLE, max_faces=2)
        self.stage = DeviceSwap(
            self._open,
            lambda: self.swapper,
            (self.on_processor,),
            lambda: self.retreats.append(1),
            self.said.append,
        )

    def session(self, stream):
        f32 = np.dtype(np.float32)
        picture = (1, 3, 128, 128)

        def compute(arrays):
            self.sources.append(arrays["source"][0].copy())
            return {"output": np.full(picture, self.value, np.float32)}

        return FakeSession(
            (TensorSpec("target", picture, f32), TensorSpec("source", (1, 512), f32)),
            (TensorSpec("output", picture, f32),),
            compute,
        )

    @contextmanager
    def _open(self, spec, people):
        if next(self._opens, False):
            raise GpuError("GPU: CuPy must find one with its driver, got none.")
        device = self.new_device()
        config = load_config(settings=["track.max_faces=2"])
        with ExitStack() as stack:
            self.opened.append(device)
            yield open_pipeline(device, FAMILY, self.session, people, spec, config, stack)

    def __enter__(self):
        self.stage.open(SPEC, Memory())
        return self

    def __exit__(self, *_):
        self.stage.close()


def begin(rig, *frames):
    for frame in frames:
        rig.stage.begin(frame)


def test_it_keeps_several_frames_in_hand_and_tells_of_the_devices_memory():
    with Rig() as rig:
        assert isinstance(rig.stage, InFlight)
        assert isinstance(rig.stage, OnDevice)
        assert rig.stage.capacity == 3
        assert rig.stage.device_peak_bytes > 128 * 128 * 3
        assert rig.stage.counts == {"device": "cuda", "rebuilt": 0}


def test_faces_are_swapped_and_frames_end_in_order():
    with Rig() as rig:
        frames = [frame_of(face_at(), number=n) for n in range(3)]
        begin(rig, *frames)
        for frame in frames:
            rig.stage.end(frame)
            assert (frame.faces[0].swapped, frame.faces[0].worked_px) == (True, 128)
            assert not shows_stripes(frame.image)
            # Beside the face the picture is the camera's.
            np.testing.assert_array_equal(frame.image[:, :30], frame_of().image[:, :30])


def test_another_frame_than_the_oldest_is_refused():
    with Rig() as rig:
        first, second = frame_of(face_at()), frame_of(face_at(), number=1)
        begin(rig, first, second)
        with pytest.raises(RuntimeError, match="it must be the oldest frame"):
            rig.stage.end(second)
        rig.stage.end(first)
        rig.stage.end(second)


def test_faces_that_may_not_be_swapped_are_left_to_the_guard():
    with Rig() as rig:
        seen = face_at(centre=(100, 120), width_px=60, track_id=1)
        other = face_at(centre=(240, 120), width_px=60, track_id=2, chosen=False)
        frame = frame_of(seen, other)
        rig.stage.process(frame)
        assert [face.swapped for face in frame.faces] == [True, False]
        assert not shows_stripes(frame.image, (100, 120))
        assert shows_stripes(frame.image, (240, 120))


def test_a_frame_without_a_face_stays_where_it_is_and_keeps_its_place():
    with Rig([False, False, True]) as rig:
        first, empty = frame_of(face_at()), frame_of(number=1)
        begin(rig, first, empty)
        rig.stage.end(first)
        assert rig.stage.is_done
        rig.stage.end(empty)
        np.testing.assert_array_equal(empty.image, frame_of().image)
        # The third upload would have failed.
        assert not rig.said
        later = frame_of(face_at(), number=2)
        rig.stage.begin(later)
        assert rig.said


def test_a_network_that_gives_no_numbers_hides_the_picture():
    with Rig(value=np.nan) as rig:
        frame = frame_of(face_at())
        rig.stage.begin(frame)
        with pytest.raises(ModelError, match="must consist of numbers, got NaN"):
            rig.stage.end(frame)
        assert not frame.faces[0].swapped


def test_other_people_come_with_the_next_frame():
    with Rig() as rig:
        first, second = frame_of(face_at()), frame_of(face_at(), number=1)
        rig.stage.begin(first)
        rig.swapper.give((np.full(512, 0.5, np.float32),))
        rig.stage.begin(second)
        rig.stage.end(first)
        rig.stage.end(second)
        assert [source[0] for source in rig.sources] == [np.float32(0.001), np.float32(0.5)]


def test_a_face_that_cannot_be_placed_costs_its_own_frame_only():
    with Rig() as rig:
        first, third = frame_of(face_at()), frame_of(face_at(), number=2)
        broken = frame_of(face_at(), number=1)
        broken.faces[0].landmarks[:] = 100.0
        rig.stage.begin(first)
        with pytest.raises(ValueError, match="the points must not all coincide"):
            rig.stage.begin(broken)
        rig.stage.begin(third)
        rig.stage.end(first)
        rig.stage.end(third)
        assert third.faces[0].swapped
        assert not broken.faces[0].swapped
        assert not rig.said


def test_of_each_frame_the_picture_crosses_once_each_way_and_little_else_does(monkeypatch):
    cupy = parts.fake_cupy.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    rig = Rig()
    plain = rig.session
    rig.session = lambda stream: parts.GpuSession(plain(stream), cupy)
    rig.new_device = CudaDevice
    nobody, one = (), (face_at(),)
    two = (face_at((90, 120), 60.0, 1), face_at((230, 120), 60.0, 2))
    script = [one, one, two, nobody, two, one, nobody, one, two, two]
    with rig:
        for number, faces in enumerate(script):
            cupy.frame = number
            frame = frame_of(*faces, number=number)
            rig.stage.begin(frame)
            rig.stage.end(frame)
    picture, masks = 240 * 320 * 3, 4 * 128 * 128
    for number, faces in enumerate(script):
        up, down = (
            [
                e - b
                for s in cupy.steps
                if (s.name, s.frame) == (f"copy {kind}", number)
                for b, e in s.writes
            ]
            for kind in (parts.fake_cupy.H2D, parts.fake_cupy.D2H)
        )
        assert up.count(picture) == down.count(picture) == bool(faces)
        beside = [sum(sizes) - picture * bool(faces) for sizes in (up, down)]
        # Where each face is, its coverage and its skin; what there was of a detector and of faults.
        assert 0 <= beside[0] - masks * len(faces) <= 128 * len(faces)
        assert 0 <= beside[1] <= 100 * len(faces)


# Two uploads a frame: the picture, and what is known of its face.
FIFTH = [False] * 4 + [True]


def test_after_a_failure_the_pipeline_is_built_anew_and_what_was_in_flight_is_lost():
    with Rig(FIFTH) as rig:
        frames = [frame_of(face_at(), number=n) for n in range(3)]
        begin(rig, *frames)
        for frame in frames:
            with pytest.raises(RuntimeError, match="the device is lost"):
                rig.stage.end(frame)
            assert not frame.faces[0].swapped
        assert len(rig.opened) == 2
        assert rig.said == [
            "Warning: the GPU failed, its pipeline is built anew: cudaErrorUnknown: the device is "
            "lost"
        ]
        later = frame_of(face_at(), number=4)
        rig.stage.process(later)
        assert later.faces[0].swapped
        assert rig.stage.counts == {"device": "cuda", "rebuilt": 1}
        assert not rig.retreats


def test_after_a_second_failure_the_processor_works_with_a_visible_warning():
    with Rig([True, False, False, True]) as rig:
        for number in range(2):
            frame = frame_of(face_at(), number=number)
            rig.stage.begin(frame)
            if number:
                rig.stage.end(frame)
                frame = frame_of(face_at(), number=number)
                rig.stage.begin(frame)
            with pytest.raises(RuntimeError, match="the device is lost"):
                rig.stage.end(frame)
        later = frame_of(face_at(), number=5)
        rig.stage.process(later)
        assert (later.image == 77).all()
        assert rig.stage.capacity == 1
        assert rig.retreats == [1]
        assert rig.said[-1].startswith("Warning: swaps on the processor from now on, which is slow")
        assert rig.stage.counts == {"device": "cpu", "rebuilt": 1}
    assert rig.on_processor.num_opened == rig.on_processor.num_closed == 1


def test_a_pipeline_that_cannot_be_built_anew_gives_way_to_the_processor():
    with Rig([True], opens=[False, True]) as rig:
        frame = frame_of(face_at())
        rig.stage.begin(frame)
        with pytest.raises(RuntimeError, match="the device is lost"):
            rig.stage.end(frame)
        rig.stage.process(frame_of(face_at(), number=1))
        assert rig.on_processor.numbers == [33_000_000]
        assert rig.retreats == [1]


def test_without_a_device_the_processor_works_from_the_beginning():
    with Rig(opens=[True]) as rig:
        rig.stage.process(frame_of(face_at()))
        assert rig.on_processor.numbers == [0]
        assert rig.said == [
            "Warning: swaps on the processor from now on, which is slow: GPU: CuPy must find one "
            "with its driver, got none."
        ]
        # The card may be there for other libraries: their networks are not told to leave it.
        assert not rig.retreats


def test_if_the_processor_cannot_do_it_either_the_run_does_not_begin():
    with (
        pytest.raises(ModelError, match="missing"),
        Rig(opens=[True], on_processor=Processor(error=ModelError("missing"))),
    ):
        pytest.fail("it must not open")


def test_if_nothing_is_left_every_frame_is_hidden_and_frames_still_end_in_order():
    rig = Rig([False, False, True], opens=[False, True])
    rig.on_processor._error = ModelError("no room")
    with rig:
        frames = [frame_of(face_at(), number=n) for n in range(2)]
        begin(rig, *frames)
        for frame in frames:
            with pytest.raises(RuntimeError, match="the device is lost"):
                rig.stage.end(frame)
        with pytest.raises(ModelError, match="no room"):
            rig.stage.begin(frame_of(face_at(), number=3))


def test_another_swapper_is_drawn_by_the_processor_and_nothing_is_lost():
    with Rig() as rig:
        first, second = frame_of(face_at()), frame_of(face_at(), number=1)
        rig.stage.begin(first)
        rig.swapper = NeuralSwap(lambda: None, PEOPLE, max_faces=2)
        rig.stage.begin(second)
        rig.stage.end(first)
        rig.stage.end(second)
        assert first.faces[0].swapped
        assert (second.image == 77).all()
        assert "another swapper was chosen" in rig.said[0]


class Find:
    """Puts a face into the middle of each picture."""

    name = "track"

    def open(self, spec, memory):
        pass

    def process(self, frame):
        frame.faces = [face_at()]

    def close(self):
        pass


@pytest.mark.parametrize(
    "script",
    [(), (False,) * 7 + (True,), (False,) * 7 + (True,) + (False,) * 9 + (True,)],
    ids=["never", "once", "twice"],
)
def test_whatever_fails_the_raw_face_is_never_shown_and_every_frame_is_accounted_for(script):
    rig, sink = Rig(script), fakes.RecordingSink()
    source = fakes.ScriptedSource(30, size=(320, 240), rate_hz=30)
    plan = Plan(source, ((Find(),), (rig.stage,)), Guard(), (sink,), paced=False)
    report = Pipeline(plan).run(stop=threading.Event())
    frames = report.stats["frames"]
    assert frames["captured"] == 30 == frames["delivered"] + frames["failed"]
    assert len(sink.pictures) == 30
    assert not any(shows_stripes(picture) for picture in sink.pictures)
    num_failed = {0: 0, 8: range(1, 4), 18: range(2, 7)}[len(script)]
    assert frames["failed"] in (num_failed if script else [0])
    assert report.stats["stages"]["swap"]["counts"]["rebuilt"] == bool(script)
    assert report.stats["memory_mb"]["device_peak"] > 0
    assert bool(rig.on_processor.num_opened) == (len(script) == 18)
