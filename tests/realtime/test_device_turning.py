"""Turned heads on the device way: what the network is shown, and what comes back of it."""

import sys
from dataclasses import replace
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice
from engines.families.templates import fit_points
from realtime.device_pipeline import DevicePipeline
from realtime.device_settings import DeviceSettings
from realtime.device_slots import DeviceFace
from realtime.five_points import five_points
from realtime.frame import Face, Motion, Pose
from realtime.frontal_mesh import FrontalMesh, turn_to_camera
from realtime.frontal_view import FrontalView
from realtime.geometry import bounding_box, fit_head
from realtime.head_motion import HeadState
from realtime.memory import Memory
from realtime.puppet_rig import rotation
from realtime.seating import Frontal, Seating

_SPEC = util.spec_from_file_location("parts", Path(__file__).with_name("device_parts.py"))
parts = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(parts)

pytestmark = pytest.mark.models

LIMIT = {"limit_deg": 25.0, "strength": 0.6}
TEMPLATE = parts.POINTS.astype(np.float64)
MOTION = Motion(np.eye(2, 3), np.eye(2, 3), np.zeros((4, 4, 2), np.float32), np.ones((4, 4)))
BARE = DeviceSettings(rim="feather", colours=None, light=False, fuse_weight=0.0, sharpness=False)


def head(mesh, yaw):
    points = mesh.neutral @ rotation(HeadState(yaw=yaw)).T * 26.0
    points[:, :2] += (80.3, 62.1)
    return points.astype(np.float32)


def face_of(mesh, yaw, track_id=1):
    landmarks = head(mesh, yaw)
    box = bounding_box(landmarks)
    return Face(track_id, box, landmarks, 0.9, Pose(0, 0, 0), motion=MOTION)


def seated(mesh, yaws, **how):
    """Places for the device: one face that turns its head from frame to frame."""
    frontal = Frontal(FrontalMesh(mesh), **(LIMIT | how))
    seating = Seating(1, TEMPLATE[None], parts.CROP_PX, parts.CROP_PX, frontal=frontal)
    return [
        seating.place([face_of(mesh, yaw)], number * 33_000_000)[0][1]
        for number, yaw in enumerate(yaws)
    ]


def networks(mesh, wrap=lambda session: session, compute=parts.redrawn):
    return replace(parts.networks(wrap, compute=compute), triangles=FrontalMesh(mesh).triangles)


def run(pipeline, faces, number=6):
    found = []
    for frame in range(number):
        if not pipeline.has_room:
            found.append(pipeline.wait_oldest())
        pipeline.enqueue(parts.picture(frame), [faces[frame]])
    while pipeline.num_in_flight:
        found.append(pipeline.wait_oldest())
    return found


def test_only_a_head_that_looks_past_the_camera_is_turned(mesh):
    away, towards = seated(mesh, [55.0, 5.0])
    assert away.turned is not None
    assert towards.turned is None
    assert seated(mesh, [55.0], strength=0.0)[0].turned is None


def test_the_network_is_shown_what_the_processors_stage_shows_it(mesh):
    shown = []

    def noting(arrays):
        shown.append(arrays["target"][0].copy())
        return parts.redrawn(arrays)

    yaw = 55.0
    (there,) = seated(mesh, [yaw])
    pipeline = DevicePipeline(
        CpuDevice(), networks(mesh, compute=noting), [parts.person()], parts.SIZE
    )
    run(pipeline, [there], 1)
    landmarks, image = head(mesh, yaw), parts.picture(0)
    turn = turn_to_camera(landmarks, fit_head(landmarks), **LIMIT)
    wanted = np.zeros((parts.CROP_PX, parts.CROP_PX, 3), np.uint8)
    view = FrontalView(mesh, parts.CROP_PX, Memory())
    turned_from_image = fit_points(five_points(turn.landmarks), TEMPLATE)
    crop_from_image = view.cut(image, landmarks, turn, turned_from_image, out=wanted)
    np.testing.assert_allclose(there.crop_from_image, crop_from_image)
    apart = np.abs(255 * shown[0][::-1].transpose(1, 2, 0) - wanted)
    assert apart.mean() < 0.5


def test_what_the_network_leaves_as_it_is_comes_back_to_where_it_was(mesh):
    def same(arrays):
        return {"output": arrays["target"]}

    (there,) = seated(mesh, [45.0])
    pipeline = DevicePipeline(
        CpuDevice(), networks(mesh, compute=same), [parts.person()], parts.SIZE, settings=BARE
    )
    soft = cv2.GaussianBlur(parts.picture(0), (0, 0), 3)
    pipeline.enqueue(soft.copy(), [there])
    result = pipeline.wait_oldest().image
    covered = np.zeros(parts.SIZE[::-1], np.uint8)
    inverse = cv2.invertAffineTransform(there.crop_from_image)
    cv2.warpAffine(there.alpha, inverse, parts.SIZE, dst=covered)
    apart = np.abs(result.astype(int) - soft).mean(axis=2)[covered > 128]
    assert np.median(apart) < 3.0


def test_of_a_turned_head_its_mesh_goes_up_beside_what_goes_up_of_any(mesh, monkeypatch):
    cupy = parts.fake_cupy.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    there = networks(mesh, lambda one: parts.GpuSession(one, cupy))
    pipeline = DevicePipeline(CudaDevice(), there, [parts.person()], parts.SIZE)
    bytes_up = []
    for number, face in enumerate(seated(mesh, [5.0, 55.0])):
        cupy.frame = number
        pipeline.enqueue(parts.picture(number), [face])
        copies = [s for s in cupy.steps if s.name == f"copy {parts.fake_cupy.H2D}"]
        bytes_up.append(sum(e - b for s in copies if s.frame == number for b, e in s.writes))
    plain, turned = bytes_up
    # Two views of each corner, three values of each for what is looked up, and two crops.
    assert 0 < turned - plain <= 4 * (15 * there.num_corners + 32)


@pytest.mark.parametrize("yaws", [[55.0] * 6, [10.0, 30.0, 50.0, 60.0, 20.0, 5.0]])
def test_the_kernels_give_what_the_processor_gives(mesh, monkeypatch, compiled, yaws):
    if not parts.host_stream.is_possible():
        pytest.skip("the kernels' sources run on the host with g++ on x86-64 only")
    cupy = parts.fake_cupy.FakeCupy(parts.host_stream.HostStream(compiled))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    faces = seated(mesh, yaws)
    gpu = networks(mesh, lambda one: parts.GpuSession(one, cupy))
    there = run(DevicePipeline(CudaDevice(), gpu, [parts.person()], parts.SIZE), faces)
    here = run(DevicePipeline(CpuDevice(), networks(mesh), [parts.person()], parts.SIZE), faces)
    for ours, theirs in zip(there, here, strict=True):
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 0.4


@pytest.mark.parametrize("num_slots", [2, 3])
def test_no_bytes_are_used_in_no_certain_order_while_a_head_turns(mesh, monkeypatch, num_slots):
    cupy = parts.fake_cupy.FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    gpu = networks(mesh, lambda one: parts.GpuSession(one, cupy))
    pipeline = DevicePipeline(CudaDevice(), gpu, [parts.person()], parts.SIZE, num_slots=num_slots)
    opened = len(cupy.steps)
    run(pipeline, seated(mesh, [50.0, 5.0, 55.0, 60.0, 50.0, 45.0, 40.0, 10.0]), 8)
    steps = cupy.steps[opened:]
    assert not parts.fake_cupy.races(steps)
    assert [step for step in steps if step.name == "cut_turned"]
    assert not [step for step in steps if step.name == "zeros"]


def test_without_a_mesh_a_turned_head_is_refused(mesh):
    (there,) = seated(mesh, [55.0])
    pipeline = DevicePipeline(CpuDevice(), parts.networks(), [parts.person()], parts.SIZE)
    with pytest.raises(ValueError, match="no face may be turned without a mesh"):
        pipeline.enqueue(parts.picture(0), [there])
    pipeline.enqueue(parts.picture(0), [DeviceFace(0, there.crop_from_image)])
