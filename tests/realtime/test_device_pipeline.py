"""Frames on a device: what comes out, and on a pretended GPU who waits for whom."""

import sys
from importlib import util
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice
from engines.fake import FakeSession
from realtime.device_pipeline import DevicePipeline
from realtime.device_settings import DeviceSettings
from realtime.device_slots import DeviceFace, Seat
from realtime.stream_lane import MAX_SLOTS

_SPEC = util.spec_from_file_location("parts", Path(__file__).with_name("device_parts.py"))
parts = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(parts)
befores, races = parts.fake_cupy.befores, parts.fake_cupy.races

ALL = ("up", "detect", "swap", "fuse", "enlarge", "finish", "down")


@pytest.fixture
def cupy(monkeypatch):
    fake = parts.fake_cupy.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


@pytest.fixture(scope="module")
def host(compiled):
    if not parts.host_stream.is_possible():
        pytest.skip("the kernels' sources run on the host with g++ on x86-64 only")
    return parts.host_stream.HostStream(compiled)


def on_gpu(cupy, *, provider="tensorrt:CUDA", num_slots=2, max_faces=1, settings=None, **kinds):
    networks = parts.networks(lambda one: parts.GpuSession(one, cupy, provider), **kinds)
    return DevicePipeline(
        CudaDevice(),
        networks,
        [parts.person()],
        parts.SIZE,
        num_slots=num_slots,
        max_faces=max_faces,
        settings=settings,
    )


def run(pipeline, num_frames, *, faces=lambda t: [DeviceFace(0, parts.crop_at(t))], cupy=None):
    """All results; frames are filled and read as late as may be."""
    results, slots = [], pipeline._slots

    def finish():
        result = pipeline.wait_oldest()
        results.append(result)
        if cupy is not None:
            slot = pipeline._slots[(len(results) - 1) % len(slots)]
            numbers = [slot.host_found, *(seat.num_bad for seat in slot.seats)]
            cupy.host_step("read", reads=[result.image, *numbers])

    for frame in range(num_frames):
        if not pipeline.has_room:
            finish()
        image = parts.picture(frame)
        if cupy is not None:
            cupy.frame = frame
            cupy.host_step("fill", writes=[image])
        pipeline.enqueue(image, faces(frame))
    for _ in range(min(num_frames, len(slots))):
        finish()
    return results


def recorded(cupy, num_frames, **settings):
    """The record of some frames from their beginning on, and the pipeline."""
    place = Seat.place

    def noted(seat, *given):
        cupy.host_step("place", writes=[seat.block])
        place(seat, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seat, "place", noted)
        return _recorded(cupy, num_frames, **settings)


def _recorded(cupy, num_frames, **settings):
    faces = settings.pop("faces", lambda t: [DeviceFace(0, parts.crop_at(t))])
    pipeline = on_gpu(cupy, **settings)
    opened = len(cupy.steps)
    run(pipeline, num_frames, faces=faces, cupy=cupy)
    return cupy.steps[opened:], pipeline


def two_that_come_and_go(frame):
    """Faces of two seats, of which one is missing now and then, and one begins anew."""
    faces = [DeviceFace(0, parts.crop_at(frame), is_new=frame == 4)]
    if frame % 3:
        faces.append(DeviceFace(1, parts.crop_at(frame, 80.0)))
    return faces


def test_a_face_is_redrawn_where_it_is_and_nothing_else_changes():
    pipeline = DevicePipeline(CpuDevice(), parts.networks(), [parts.person(0.2)], parts.SIZE)
    (result,) = run(pipeline, 1)
    changed = np.abs(result.image.astype(int) - parts.picture(0)).max(axis=2) > 3
    rows, columns = np.nonzero(changed)
    # The crop spans 30..98 across and 21..90 down.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) >= (20, 60, 29, 70)
    assert rows.max() < 92
    assert columns.max() < 100
    assert changed[35:75, 45:85].mean() > 0.5
    assert result.num_bad == (0,)


def test_without_a_face_the_picture_comes_back_as_it_was():
    pipeline = DevicePipeline(CpuDevice(), parts.networks(), [parts.person()], parts.SIZE)
    for frame, result in enumerate(run(pipeline, 3, faces=lambda t: [])):
        np.testing.assert_array_equal(result.image, parts.picture(frame))
        assert (result.faces, result.num_bad) == ((), ())


@pytest.mark.parametrize("kinds", [{}, {"detect": True, "enlarge": True}], ids=["plain", "all"])
def test_the_kernels_give_what_the_processor_gives(host, monkeypatch, kinds):
    cupy = parts.fake_cupy.FakeCupy(host)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    there = run(on_gpu(cupy, max_faces=2, **kinds), 6, faces=two_that_come_and_go)
    here = run(
        DevicePipeline(
            CpuDevice(), parts.networks(**kinds), [parts.person()], parts.SIZE, max_faces=2
        ),
        6,
        faces=two_that_come_and_go,
    )
    for ours, theirs in zip(there, here, strict=True):
        apart = np.abs(ours.image.astype(int) - theirs.image)
        # The twins round differently on the way, and colours are matched by rank after that.
        assert apart.max() <= 14
        assert apart.mean() < 0.3
        np.testing.assert_allclose(ours.found, theirs.found, atol=1e-3)


@pytest.mark.parametrize("rim", ["feather", "poisson"])
def test_so_they_do_however_the_rim_is_joined(host, monkeypatch, rim):
    cupy, settings = parts.fake_cupy.FakeCupy(host), DeviceSettings(rim=rim)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    there = run(on_gpu(cupy, settings=settings), 5)
    here = run(
        DevicePipeline(
            CpuDevice(), parts.networks(), [parts.person()], parts.SIZE, settings=settings
        ),
        5,
    )
    for ours, theirs in zip(there, here, strict=True):
        apart = np.abs(ours.image.astype(int) - theirs.image)
        assert apart.max() <= 14
        assert apart.mean() < 0.3


def test_a_face_takes_the_light_of_the_picture_by_itself_or_with_poisson_around_it():
    def bright(arrays):
        return {"output": np.full((1, 3, parts.CROP_PX, parts.CROP_PX), 0.9, np.float32)}

    def middle(rim, *, light):
        pipeline = DevicePipeline(
            CpuDevice(),
            parts.networks(compute=bright),
            [parts.person()],
            parts.SIZE,
            settings=DeviceSettings(rim=rim, colours=None, light=light),
        )
        dark = np.full((parts.SIZE[1], parts.SIZE[0], 3), 40, np.uint8)
        for _ in range(3):
            pipeline.enqueue(dark.copy(), [DeviceFace(0, parts.crop_at(0))])
            image = pipeline.wait_oldest().image
        return int(image[55, 64, 1])

    assert middle("feather", light=False) > 200
    # A face without any detail of its own becomes what is around it, or under it.
    assert abs(middle("poisson", light=False) - 40) <= 2
    assert abs(middle("feather", light=True) - 40) <= 2


def test_eyes_and_mouth_keep_the_colours_they_were_drawn_with():
    def tinted(arrays):
        return {"output": arrays["target"] * np.float32([0.5, 0.8, 1.0]).reshape(1, 3, 1, 1)}

    bare = np.full((parts.CROP_PX, parts.CROP_PX), 255, np.uint8)
    bare[10:30] = 0

    def apart(**how):
        """How far the picture is from its own red, above in the crop and below."""
        pipeline = DevicePipeline(
            CpuDevice(),
            parts.networks(compute=tinted),
            [parts.person()],
            parts.SIZE,
            settings=DeviceSettings(rim="feather", sharpness=False),
        )
        pipeline.enqueue(parts.picture(0), [DeviceFace(0, parts.crop_at(0), **how)])
        image = pipeline.wait_oldest().image.astype(int)
        off = np.abs(image - parts.picture(0))[..., 2]
        return off[40:56, 50:75].mean(), off[70:78, 50:75].mean()

    (above, below), (all_above, all_below) = apart(bare=bare), apart()
    assert above > 3 * all_above
    assert below == pytest.approx(all_below, abs=4)


def test_what_was_seen_before_steadies_what_a_network_draws():
    flicker = iter(range(1000))

    def flickering(arrays):
        level = 0.45 if next(flicker) % 2 else 0.55
        return {"output": np.full((1, 3, parts.CROP_PX, parts.CROP_PX), level, np.float32)}

    def levels(**settings):
        pipeline = DevicePipeline(
            CpuDevice(), parts.networks(compute=flickering), [parts.person()], parts.SIZE
        )
        still = parts.picture(0)
        seen = []
        for _ in range(12):
            pipeline.enqueue(still.copy(), [DeviceFace(0, parts.crop_at(0), **settings)])
            pipeline.wait_oldest()
            seen.append(float(pipeline._slots[(len(seen)) % 2].seats[0].fused.mean()))
        return np.abs(np.diff(seen[6:])).mean()

    assert levels() < 0.4 * levels(is_new=True)


def grained(strength, seed=1):
    """A grey picture with a fine pattern."""
    pattern = np.random.default_rng(seed).normal(0, strength, (parts.SIZE[1], parts.SIZE[0], 1))
    return np.clip(np.rint(120 + pattern), 0, 255).astype(np.uint8).repeat(3, axis=2)


def detail(levels):
    grey = levels[..., 1].astype(np.float64)
    return float(np.abs(grey - cv2.GaussianBlur(grey, (5, 5), 1.0))[8:-8, 8:-8].mean())


def test_a_face_is_made_no_sharper_than_the_picture_and_follows_it_slowly():
    pattern = np.random.default_rng(4).normal(0.5, 0.04, (1, 1, parts.CROP_PX, parts.CROP_PX))

    def sharp(arrays):
        return {"output": np.clip(pattern, 0, 1).astype(np.float32).repeat(3, axis=1)}

    def details(pictures, **settings):
        pipeline = DevicePipeline(
            CpuDevice(),
            parts.networks(compute=sharp),
            [parts.person()],
            parts.SIZE,
            settings=DeviceSettings(**settings),
        )
        found = []
        for number, image in enumerate(pictures):
            pipeline.enqueue(image.copy(), [DeviceFace(0, np.eye(2, 3) * 1.0)])
            pipeline.wait_oldest()
            seat = pipeline._slots[number % 2].seats[0]
            found.append((detail(seat.levels), detail(seat.crop)))
        return found

    soft, hard = grained(4), grained(40)
    (left, _), *_ = details([soft], sharpness=False)
    (drawn, seen), *_ = details([soft])
    assert left > 2 * seen
    assert seen < drawn < 1.4 * seen
    follows = [own for own, _ in details([soft, hard, hard, hard], sharpness_ms=100.0)]
    assert drawn == follows[0] < follows[1] < follows[2] < follows[3] < left
    at_once, _ = details([soft, hard], sharpness_ms=0.001)[1]
    assert at_once == pytest.approx(left, rel=1e-3)


def test_what_stands_still_in_the_picture_is_remembered_for_longer():
    flicker = iter(range(1000))

    def flickering(arrays):
        level = 0.48 if next(flicker) % 2 else 0.52
        return {"output": np.full((1, 3, parts.CROP_PX, parts.CROP_PX), level, np.float32)}

    def trembling(slide_px, **settings):
        pipeline = DevicePipeline(
            CpuDevice(),
            parts.networks(compute=flickering),
            [parts.person()],
            parts.SIZE,
            settings=DeviceSettings(sharpness=False, **settings),
        )
        seen = []
        for number in range(20):
            image = np.roll(parts.picture(0), -slide_px * number, axis=1)
            crop = parts.crop_at(0)
            crop[:, 2] += crop[:, 0] * slide_px * number
            pipeline.enqueue(np.ascontiguousarray(image), [DeviceFace(0, crop)])
            pipeline.wait_oldest()
            seen.append(float(pipeline._slots[number % 2].seats[0].fused.mean()))
        return np.abs(np.diff(seen[12:])).mean()

    assert trembling(0) < 0.8 * trembling(0, still_weight=0.0)
    assert trembling(2) == pytest.approx(trembling(2, still_weight=0.0), rel=0.02)


def enlarged_levels(settings, compute=parts.redrawn, num_frames=1, wrap=lambda session: session):
    """What lies in the seat of a still face after it was enlarged, frame by frame."""
    networks = parts.networks(wrap, enlarge=True, compute=compute)
    pipeline = DevicePipeline(
        CpuDevice(), networks, [parts.person()], parts.SIZE, settings=DeviceSettings(**settings)
    )
    found = []
    for number in range(num_frames):
        pipeline.enqueue(parts.picture(0), [DeviceFace(0, parts.crop_at(0))])
        pipeline.wait_oldest()
        seat = pipeline._slots[number % 2].seats[0]
        found.append((seat.enlarged.copy(), seat.fused.copy()))
    return found


def test_an_enlarged_face_is_mixed_with_what_the_swapper_drew_as_its_strength_says():
    (full, plain), *_ = enlarged_levels({})
    (none, _), *_ = enlarged_levels({"restore_strength": 0.0})
    (part, _), *_ = enlarged_levels({"restore_strength": 0.3})
    size = full.shape[1::-1]
    np.testing.assert_allclose(none, cv2.resize(plain, size, interpolation=cv2.INTER_CUBIC))
    assert np.abs(full - none).mean() > 0.2
    np.testing.assert_allclose(part, none + 0.3 * (full - none), atol=1e-3)


def test_new_detail_of_an_enlarged_face_flickers_less_than_it_is_drawn():
    noise = np.random.default_rng(7)

    class Restless:
        """The enlarger, with detail of its own that is another one each time."""

        def __init__(self, inner):
            self._inner, self.inputs, self.outputs = inner, inner.inputs, inner.outputs
            self.provider, self.place = inner.provider, inner.place

        def enqueue(self, inputs, *, out, stream):
            self._inner.enqueue(inputs, out=out, stream=stream)
            if "enlarged" in out:
                out["enlarged"] += noise.normal(0, 0.02, out["enlarged"].shape).astype(np.float32)

    def flicker(**settings):
        seen = enlarged_levels(settings, num_frames=12, wrap=Restless)
        changes = [np.abs(a[0] - b[0]).mean() for a, b in pairwise(seen[6:])]
        return np.mean(changes)

    assert flicker() < 0.6 * flicker(restore_weight=0.0)


def test_a_network_that_gives_no_numbers_is_told():
    def broken(arrays):
        picture = arrays["target"].copy()
        picture[0, 1, 5, 6:9] = np.nan
        return {"output": picture}

    networks = parts.networks(compute=broken)
    pipeline = DevicePipeline(CpuDevice(), networks, [parts.person()], parts.SIZE)
    assert [result.num_bad for result in run(pipeline, 3)] == [(3,)] * 3


def test_what_a_swapper_gives_beside_its_picture_is_not_looked_at():
    mask = parts.spec("mask", -1, 1, parts.CROP_PX, -1)

    def with_mask(session):
        if session.inputs[0].name != "target":
            return session

        def compute(arrays):
            shape = (1, 1, parts.CROP_PX, parts.CROP_PX)
            return {"mask": np.zeros(shape, np.float32), **parts.redrawn(arrays)}

        return FakeSession(session.inputs, (mask, *session.outputs), compute)

    plain, masked = (
        run(DevicePipeline(CpuDevice(), networks, [parts.person()], parts.SIZE), 3)
        for networks in (parts.networks(), parts.networks(with_mask))
    )
    for one, other in zip(plain, masked, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_another_person_comes_with_the_next_frame():
    pipeline = DevicePipeline(CpuDevice(), parts.networks(), [parts.person(0.2)], parts.SIZE)
    pipeline.enqueue(parts.picture(0), [DeviceFace(0, parts.crop_at(0))])
    pipeline.give(0, parts.person(2.0))
    pipeline.enqueue(parts.picture(0), [DeviceFace(0, parts.crop_at(0), is_new=True)])
    pipeline.wait_oldest()
    # What the network has drawn; later its colours are those of the picture again.
    dark, bright = (slot.seats[0].levels.mean() for slot in pipeline._slots)
    assert bright > 3 * dark


def test_the_detector_is_read_back_in_pixels_of_the_picture():
    pipeline = DevicePipeline(
        CpuDevice(), parts.networks(detect=True), [parts.person()], parts.SIZE
    )
    image = np.zeros((120, 160, 3), np.uint8)
    # A cell of the detector is 20 pixels of the picture.
    image[60:80, 100:120, 2] = 255
    pipeline.enqueue(image, [])
    found = pipeline.wait_oldest().found
    assert found[0] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(found[1:5], [69.5, 29.5, 129.5, 89.5], atol=1e-3)
    np.testing.assert_allclose(found[9:11], [99.5, 59.5], atol=1e-3)


def lit_cell(column, row):
    """A picture that is dark but for one cell of the detector, 20 pixels wide."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[20 * row : 20 * row + 20, 20 * column : 20 * column + 20, 2] = 255
    return image


@pytest.mark.parametrize("enlarge", [False, True])
def test_a_face_is_swapped_where_the_devices_own_detector_sees_it(enlarge):
    def grey(arrays):
        return {"output": np.full((1, 3, parts.CROP_PX, parts.CROP_PX), 0.5, np.float32)}

    networks = parts.networks(detect=True, enlarge=enlarge, compute=grey)
    settings = DeviceSettings(rim="feather", colours=None, light=False)
    pipeline = DevicePipeline(
        CpuDevice(), networks, [parts.person()], parts.SIZE, settings=settings
    )
    for column in (2, 3, 5):
        pipeline.enqueue(lit_cell(column, 3), [DeviceFace(0, None, is_new=True)])
        result = pipeline.wait_oldest()
        # Its eyes are a cell to the left and right, a cell above the middle.
        eyes = result.found[5:9].reshape(2, 2)
        np.testing.assert_allclose(eyes[:, 0], [20 * column - 20.5, 20 * column + 19.5], atol=1e-3)
        rows, columns = np.nonzero((result.image == 128).all(axis=2))
        assert abs(columns.mean() - eyes[:, 0].mean()) < 2
        assert len(rows) > 600
    dark = np.zeros((120, 160, 3), np.uint8)
    pipeline.enqueue(dark, [DeviceFace(0, None)])
    result = pipeline.wait_oldest()
    assert result.found[0] == 0
    assert not result.image.any()


def test_the_kernels_do_so_as_the_processor_does(host, monkeypatch):
    cupy = parts.fake_cupy.FakeCupy(host)
    monkeypatch.setitem(sys.modules, "cupy", cupy)

    def faces(frame):
        return [DeviceFace(0, None), DeviceFace(1, parts.crop_at(frame, 80.0))]

    there = run(on_gpu(cupy, max_faces=2, detect=True), 6, faces=faces)
    here = run(
        DevicePipeline(
            CpuDevice(), parts.networks(detect=True), [parts.person()], parts.SIZE, max_faces=2
        ),
        6,
        faces=faces,
    )
    for ours, theirs in zip(there, here, strict=True):
        assert ours.found[0] > 0
        apart = np.abs(ours.image.astype(int) - theirs.image)
        assert apart.mean() < 0.3


def test_no_bytes_are_used_in_no_certain_order_where_the_detector_places_a_face(cupy):
    def faces(frame):
        return [DeviceFace(0, None)] if frame % 3 else [DeviceFace(0, parts.crop_at(frame))]

    steps, _ = recorded(cupy, 7, num_slots=3, detect=True, faces=faces)
    assert not races(steps)
    last = [s for s in steps if s.frame == 5 and s.name == "place_face"]
    assert len(last) == 1


@pytest.mark.parametrize(
    ("kinds", "num"), [({"detect": True}, 2), ({}, 1)], ids=["two of them", "no detector"]
)
def test_more_faces_than_the_detector_can_place_are_refused(kinds, num):
    pipeline = DevicePipeline(
        CpuDevice(), parts.networks(**kinds), [parts.person()], parts.SIZE, max_faces=2
    )
    with pytest.raises(ValueError, match="faces may be placed by the detector, got"):
        pipeline.enqueue(parts.picture(0), [DeviceFace(n, None) for n in range(num)])


@pytest.mark.parametrize("num_slots", [2, 3])
@pytest.mark.parametrize("provider", ["tensorrt:CUDA", "onnxruntime:CUDA"])
def test_no_bytes_are_used_by_two_steps_in_no_certain_order(cupy, provider, num_slots):
    steps, _ = recorded(
        cupy,
        7,
        provider=provider,
        num_slots=num_slots,
        max_faces=2,
        detect=True,
        enlarge=True,
        faces=two_that_come_and_go,
    )
    found = races(steps)
    assert not [(one.name, one.frame, two.name, two.frame) for one, two in found]


@pytest.mark.parametrize("num_slots", [2, 3])
def test_every_stage_waits_for_the_event_of_the_stage_before_it(cupy, num_slots):
    steps, pipeline = recorded(cupy, 5, num_slots=num_slots, detect=True, enlarge=True)
    assert pipeline.stage_names == ALL
    marks, streams = {}, []
    for step in steps:
        if step.what == "record":
            if step.where not in streams:
                streams.append(step.where)
            marks[streams.index(step.where), step.frame] = step.name
    assert len(streams) == len(ALL)
    for stage, stream in enumerate(streams):
        for frame in range(5):
            own = [s for s in steps if s.where == stream and s.frame == frame]
            assert own[-1].what == "record"
            if stage:
                wanted = ("wait", marks[stage - 1, frame])
                assert (own[0].what, own[0].name) == wanted
            assert all(step.what == "work" for step in own[1:-1])


def test_each_network_runs_on_one_stream_that_no_other_network_has(cupy):
    steps, _ = recorded(
        cupy, 6, num_slots=3, max_faces=2, detect=True, enlarge=True, faces=two_that_come_and_go
    )
    streams = {}
    for step in steps:
        if step.name == "network":
            # A network writes to the same arrays each time, and only it does.
            streams.setdefault(step.writes, set()).add(step.where)
    assert [len(places) for places in streams.values()] == [1, 1, 1]
    assert len(set().union(*streams.values())) == 3


@pytest.mark.parametrize("num_slots", [2, 3])
def test_stages_of_one_frame_overlap_with_those_of_the_next(cupy, num_slots):
    steps, _ = recorded(cupy, 6, num_slots=num_slots, detect=True, enlarge=True)
    known = befores(steps)
    streams = list(dict.fromkeys(s.where for s in steps if s.what == "record"))

    def first_work(stage, frame):
        return next(
            n
            for n, s in enumerate(steps)
            if (s.what, s.where, s.frame) == ("work", streams[stage], frame)
        )

    for stage in range(len(ALL) - 1):
        for frame in range(5):
            later, earlier = first_work(stage, frame + 1), first_work(stage + 1, frame)
            assert earlier not in known[later]
            assert later not in known[earlier]


def test_the_host_waits_for_the_end_of_frames_only_and_nothing_is_on_the_default_stream(cupy):
    steps, _ = recorded(cupy, 6, detect=True, enlarge=True)
    streams = list(dict.fromkeys(s.where for s in steps if s.what == "record"))
    ends = {s.name for s in steps if (s.what, s.where) == ("record", streams[-1])}
    waits = [s for s in steps if s.what == "synchronize"]
    assert len(waits) == 6
    assert {s.name for s in waits} == ends
    assert not [s for s in steps if s.what in ("settle", "synchronize device")]
    assert not [s for s in steps if s.where == "default"]


@pytest.mark.parametrize("kinds", [{}, {"detect": True, "enlarge": True}], ids=["plain", "all"])
def test_the_picture_goes_up_once_and_comes_down_once_and_little_goes_with_it(cupy, kinds):
    num_frames = 7
    steps, pipeline = recorded(
        cupy, num_frames, num_slots=3, max_faces=2, faces=two_that_come_and_go, **kinds
    )
    picture = parts.SIZE[0] * parts.SIZE[1] * 3
    masks = 4 * pipeline._networks.drawn_px**2
    for frame in range(num_frames):
        num_faces = len(two_that_come_and_go(frame))
        up, down = (
            sorted(e - b for s in copies_of(steps, kind, frame) for b, e in s.writes)
            for kind in (parts.fake_cupy.H2D, parts.fake_cupy.D2H)
        )
        assert up.count(picture) == down.count(picture) == 1
        assert len(up) == 1 + num_faces
        # Where the faces are, and how far each covers the picture and is skin.
        assert sum(up) - picture - num_faces * masks <= 128 * num_faces
        # Likeliest face and its points, and whether networks gave numbers.
        assert sum(down) - picture <= 64 + 4 * num_faces


def copies_of(steps, kind, frame):
    return [s for s in steps if s.name == f"copy {kind}" and s.frame == frame]


def test_a_picture_that_lies_on_the_gpu_never_leaves_it(cupy):
    pipeline = on_gpu(cupy)
    image = parts.picture(0).view(parts.fake_cupy.DeviceNdarray)
    opened = len(cupy.steps)
    pipeline.enqueue(image, [DeviceFace(0, parts.crop_at(0))])
    result = pipeline.wait_oldest()
    assert np.shares_memory(result.image, image)
    sizes = {
        kind: sum(e - b for s in cupy.steps[opened:] if s.name == kind for b, e in s.writes)
        for kind in ("copy 1", "copy 2", "copy 3")
    }
    of_the_face = pipeline._slots[0].seats[0].fused.nbytes + 4 * parts.PERSON
    assert sizes["copy 3"] == 2 * image.nbytes + of_the_face
    assert max(sizes["copy 1"], sizes["copy 2"]) < image.nbytes
    assert not cupy.registered


def test_a_picture_that_cannot_be_pinned_is_copied_and_comes_out_all_the_same(host, monkeypatch):
    cupy = parts.fake_cupy.FakeCupy(host)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    usual = run(on_gpu(cupy), 4)
    cupy.failures["register"] = 3
    staged = run(on_gpu(cupy), 4)
    for one, other in zip(usual, staged, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_nothing_is_allocated_once_it_is_open(cupy):
    steps, _ = recorded(cupy, 8, max_faces=2, enlarge=True, faces=two_that_come_and_go)
    assert not [s for s in steps if s.name == "zeros"]


def test_a_steady_frame_is_nothing_but_graphs_and_copies(cupy):
    steps, pipeline = recorded(cupy, 9, detect=True, enlarge=True)
    last = [s for s in steps if s.frame == 8 and s.what == "work"]
    loose = [s.name for s in last if not s.in_graph]
    assert loose == ["copy 1", "copy 1", "copy 2", "copy 2", "copy 2"]
    # Five stages, each for two slots.
    assert pipeline.num_graphs == len(cupy.graphs) == 10


def test_a_network_that_cannot_be_captured_stays_outside_of_the_graphs(cupy):
    steps, _ = recorded(cupy, 9, provider="onnxruntime:CUDA", detect=True)
    last = [s for s in steps if s.frame == 8 and s.what == "work"]
    loose = [s.name for s in last if not s.in_graph and not s.name.startswith("copy")]
    assert loose == ["network", "network"]


def test_networks_are_bound_to_the_same_arrays_whoever_is_put_in(cupy, monkeypatch):
    seen = []
    enqueue = parts.GpuSession.enqueue

    def noting(session, inputs, *, out, stream):
        seen.append(tuple(map(id, (*inputs.values(), *out.values()))))
        enqueue(session, inputs, out=out, stream=stream)

    monkeypatch.setattr(parts.GpuSession, "enqueue", noting)
    networks = parts.networks(lambda one: parts.GpuSession(one, cupy))
    people = [parts.person(0.5), parts.person(1.5)]
    pipeline = DevicePipeline(CudaDevice(), networks, people, parts.SIZE, max_faces=2)
    run(
        pipeline,
        7,
        faces=lambda t: [
            DeviceFace(0, parts.crop_at(t), person=0),
            DeviceFace(1, parts.crop_at(t, 80.0), person=1),
        ],
    )
    assert len(set(seen)) == 1


@pytest.mark.parametrize("rim", ["feather", "poisson"])
def test_no_bytes_are_used_in_no_certain_order_however_the_rim_is_joined(cupy, rim):
    steps, _ = recorded(cupy, 5, num_slots=3, settings=DeviceSettings(rim=rim))
    assert not races(steps)


def test_another_size_is_captured_anew(cupy):
    pipeline = on_gpu(cupy)
    run(pipeline, 7)
    assert pipeline.num_graphs == 6
    pipeline.resize((96, 88))
    assert pipeline.num_graphs == 0
    for frame in range(7):
        if not pipeline.has_room:
            pipeline.wait_oldest()
        pipeline.enqueue(parts.picture(frame, (96, 88)), [DeviceFace(0, parts.crop_at(frame, 20))])
    assert pipeline.num_graphs == 6
    pipeline.wait_all()
    with pytest.raises(ValueError, match=r"C-contiguous \(88, 96, 3\), got uint8 \(120, 160, 3\)"):
        pipeline.enqueue(parts.picture(0), [])


def test_a_network_that_goes_over_to_another_runtime_is_captured_anew(cupy):
    sessions = []

    def wrap(session):
        sessions.append(parts.GpuSession(session, cupy))
        return sessions[-1]

    pipeline = DevicePipeline(CudaDevice(), parts.networks(wrap), [parts.person()], parts.SIZE)
    run(pipeline, 6)
    before = pipeline.num_graphs
    sessions[0].provider = "tensorrt_rtx:CUDA"
    run(pipeline, 4)
    assert pipeline.num_graphs == before + 2


def without(steps, what, where):
    return [step for step in steps if (step.what, step.where) != (what, where)]


def test_the_proof_sees_a_wait_that_is_missing(cupy):
    steps, _ = recorded(cupy, 4)
    streams = list(dict.fromkeys(s.where for s in steps if s.what == "record"))
    for stream in streams[1:]:
        assert races(without(steps, "wait", stream))


def test_the_proof_sees_a_picture_that_is_read_too_early(cupy):
    steps, _ = recorded(cupy, 4)
    pairs = {(one.name, two.name) for one, two in races(without(steps, "synchronize", "host"))}
    assert ("copy 2", "read") in pairs
    assert ("copy 1", "place") in pairs


def test_the_proof_sees_stages_that_share_what_one_of_them_remembers(cupy):
    pipeline = on_gpu(cupy, num_slots=2)
    for slot in pipeline._slots:
        # As if all slots had one crop.
        slot.seats[0].crop = pipeline._slots[0].seats[0].crop
    opened = len(cupy.steps)
    run(pipeline, 4, cupy=cupy)
    pairs = {(one.name, two.name) for one, two in races(cupy.steps[opened:])}
    assert ("grey_from_bgr", "warp_placed") in pairs or ("warp_placed", "grey_from_bgr") in pairs


@pytest.mark.parametrize(("num_slots", "max_faces"), [(1, 1), (MAX_SLOTS + 1, 1), (2, 0)])
def test_other_numbers_of_slots_and_faces_are_refused(num_slots, max_faces):
    with pytest.raises(ValueError, match="there must be 2 to 3 slots and room for a face"):
        DevicePipeline(
            CpuDevice(),
            parts.networks(),
            [parts.person()],
            parts.SIZE,
            num_slots=num_slots,
            max_faces=max_faces,
        )


@pytest.mark.parametrize("seats", [(0, 0), (2,), (-1,)])
def test_faces_without_a_seat_of_their_own_are_refused(seats):
    pipeline = DevicePipeline(
        CpuDevice(), parts.networks(), [parts.person()], parts.SIZE, max_faces=2
    )
    with pytest.raises(ValueError, match="must have seats of their own below 2"):
        pipeline.enqueue(parts.picture(0), [DeviceFace(s, parts.crop_at(0)) for s in seats])


def test_more_frames_than_slots_are_refused():
    pipeline = DevicePipeline(CpuDevice(), parts.networks(), [parts.person()], parts.SIZE)
    images = [parts.picture(frame) for frame in range(3)]
    for image in images[:2]:
        pipeline.enqueue(image, [])
    assert pipeline.num_in_flight == 2
    with pytest.raises(RuntimeError, match="a slot must be free, got none"):
        pipeline.enqueue(images[2], [])
