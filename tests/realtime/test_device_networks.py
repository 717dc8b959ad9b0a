"""Networks on a device; what they are given and what is read of them is as the adapters have it."""

from types import SimpleNamespace

import numpy as np
import pytest

from cuda_kernels.letterbox import letterbox
from cuda_kernels.levels import levels_from_planes, picture_from_levels
from cuda_kernels.paste import PASTE_PLACE
from cuda_kernels.pick import FOUND_SIZE, DetectorLevel, pick_face
from cuda_kernels.place import place_face
from cuda_kernels.warp import CROP_PLACE, crop_place
from engines.fake import FakeSession
from engines.families.detector import STRIDES, Detector
from engines.families.templates import fit_points, template_points
from engines.families.tensors import PictureReader, PictureWriter
from engines.models.catalogue import bundled_catalogue
from engines.session import TensorSpec
from realtime.device_networks import (
    DeviceNetworks,
    EnlargeNetwork,
    SwapNetwork,
    is_capturable,
    scale_in,
    scale_out,
)

MEAN, STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)


def test_levels_become_a_networks_values_and_come_back():
    gain, offset = scale_in(MEAN, STD)
    levels = np.array([0.0, 100.0, 255.0])
    for channel in range(3):
        values = levels * gain[channel] + offset[channel]
        np.testing.assert_allclose(values, (levels / 255 - MEAN[channel]) / STD[channel], atol=1e-6)
        back = values * scale_out(MEAN, STD)[0, channel] + scale_out(MEAN, STD)[1, channel]
        np.testing.assert_allclose(back, levels, atol=1e-3)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("tensorrt_rtx:CUDA", True),
        ("tensorrt:CUDA", True),
        ("onnxruntime:CUDA", False),
        ("torch:CUDA graph", False),
    ],
)
def test_only_what_queues_all_its_work_may_be_captured(provider, expected):
    assert is_capturable(SimpleNamespace(provider=provider)) is expected


def test_the_drawn_face_is_as_large_as_the_last_network_makes_it():
    swap = SwapNetwork(None, None, None, None, 128, None, None)
    edge = np.zeros((128, 128), np.uint8)
    assert DeviceNetworks(swap, edge).drawn_px == 128
    enlarge = EnlargeNetwork(None, None, None, 256, 2, None, None)
    assert DeviceNetworks(swap, edge, enlarge=enlarge).drawn_px == 512


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("colours", ["rgb", "bgr"])
def test_a_network_is_given_what_the_adapters_of_the_processor_give_it(dtype, colours):
    picture = np.random.default_rng(1).integers(0, 256, (33, 33, 3), np.uint8)
    ours, theirs = (np.full((3, 33, 33), np.nan, dtype) for _ in range(2))
    PictureWriter(MEAN, STD, colours, np.dtype(dtype)).write(picture, planes=theirs)
    is_rgb, inner = colours == "rgb", (0, 0, 33, 33)
    letterbox(picture, inner, scale_in(MEAN, STD), is_rgb=is_rgb, out=ours)
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


def test_its_picture_is_read_as_the_adapters_of_the_processor_read_it():
    planes = np.random.default_rng(2).normal(0, 1, (3, 33, 33)).astype(np.float32)
    levels, num_bad = np.empty((33, 33, 3), np.float32), np.zeros(1, np.uint32)
    ours, theirs = (np.empty((33, 33, 3), np.uint8) for _ in range(2))
    levels_from_planes(planes, scale_out(MEAN, STD), out=levels, num_bad=num_bad)
    picture_from_levels(levels, out=ours)
    PictureReader(MEAN, STD, 33).read(planes, out=theirs)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(4))
def test_its_detectors_likeliest_face_and_crop_are_those_the_processor_finds(seed):
    side, anchors, random = 640, 2, np.random.default_rng(seed)
    family = bundled_catalogue().families["scrfd"]
    kinds, said = (("score", 1), ("box", 4), ("points", 10)), {}
    for name, width in kinds:
        for stride in STRIDES:
            shape = ((side // stride) ** 2 * anchors, width)
            low, high = {"score": (0.0, 1.0), "box": (1.0, 4.0), "points": (-2.0, 2.0)}[name]
            said[f"{name}_{stride}"] = random.uniform(low, high, shape).astype(np.float32)
    session = FakeSession(
        (TensorSpec("picture", (1, 3, side, side), np.dtype(np.float32)),),
        tuple(TensorSpec(name, array.shape, array.dtype) for name, array in said.items()),
        lambda arrays: said,
    )
    size = (960, 540)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    # Likely ones alone: among thirty thousand the others would take their time.
    faces = Detector(session, family).detect(image, min_score=0.999)
    levels = [
        DetectorLevel(said[f"score_{s}"][:, 0], said[f"box_{s}"], said[f"points_{s}"], s)
        for s in STRIDES
    ]
    found, key = np.full(FOUND_SIZE, np.nan, np.float32), np.zeros(1, np.uint64)
    pick_face(levels, side, 0.5, key=key, out=found)
    per_px = size[0] / side
    assert found[0] == faces.scores[0]
    np.testing.assert_allclose(found[1:5] * per_px - 0.5, faces.boxes[0], atol=1e-3)
    np.testing.assert_allclose(found[5:].reshape(5, 2) * per_px - 0.5, faces.points[0], atol=1e-3)
    wanted = template_points("arcface_128", 128)
    crop, under, paste = (
        np.full(n, np.nan, np.float32) for n in (CROP_PLACE, CROP_PLACE, PASTE_PLACE)
    )
    places = {"crop": crop, "under": under, "paste": paste}
    place_face(found, per_px, wanted.astype(np.float32), 128, 128, size, **places)
    fitted = crop_place(fit_points(faces.points[0], wanted), *size)
    np.testing.assert_allclose(crop, fitted, rtol=1e-4, atol=1e-3)
