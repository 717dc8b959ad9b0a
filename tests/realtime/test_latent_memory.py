import cv2
import numpy as np
import pytest

from realtime.frame import Motion
from realtime.geometry import compose, invert
from realtime.latent_memory import LatentMemory

SIDE, VIEW_PX = 64, 80
AT = np.float64([[0.8, 0.2, -20], [-0.2, 0.8, 9]])
SCALE = VIEW_PX / SIDE
VIEW_FROM_CROP = np.float64([[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2]])


def motion(flow=(0.0, 0.0), *, confidence=1.0, now=AT, before=AT):
    """One flow everywhere, in pixels of the crop, on a view that shows what the crop does."""
    size = (VIEW_PX, VIEW_PX)
    views = (compose(VIEW_FROM_CROP, crop) for crop in (now, before))
    pixels = np.float32(flow) * np.float32(SCALE)
    return Motion(*views, np.full((*size, 2), pixels, np.float32), np.full(size, confidence, "f4"))


def scene(channels, size, seed=0):
    """Smooth maps ``(1, C, h, w)``, as one function of the place in the crop."""
    y, x = np.indices((size, size)) * (SIDE / size)
    phases = np.random.default_rng(seed).uniform(0, 6, (channels, 1, 1))
    return np.asarray(np.sin(x / 9 + phases) + np.cos(y / 11 + 2 * phases), np.float32)[None]


def tensors(channels=(5, 70)):
    """What a network of these channels takes, poisoned, and what it gives."""
    shapes = {"memory_4": (1, channels[0], 16, 16), "memory_8": (1, channels[1], 8, 8)}
    inputs = {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}
    inputs["confidence"] = np.full((1, 1, 16, 16), np.nan, np.float32)
    outputs = {
        "next_memory_4": scene(channels[0], 16, 1),
        "next_memory_8": scene(channels[1], 8, 2),
    }
    return inputs, outputs


def test_without_a_memory_everything_is_zero():
    inputs, _ = tensors()
    memory = LatentMemory()
    assert memory.crop_from_image is None
    assert not memory.recall(motion(), AT, SIDE, out=inputs)
    assert not any(values.any() for values in inputs.values())


def test_without_a_motion_everything_is_zero():
    inputs, outputs = tensors()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    assert not memory.recall(None, AT, SIDE, out=inputs)
    assert not any(values.any() for values in inputs.values())


def test_what_stands_still_comes_back_bit_for_bit_and_is_trusted():
    inputs, outputs = tensors()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    assert memory.crop_from_image is AT
    assert memory.recall(motion(), AT, SIDE, out=inputs)
    np.testing.assert_array_equal(inputs["memory_4"], outputs["next_memory_4"])
    np.testing.assert_array_equal(inputs["memory_8"], outputs["next_memory_8"])
    assert (inputs["confidence"] == 1.0).all()


def test_what_is_kept_is_a_copy():
    inputs, outputs = tensors()
    wanted = outputs["next_memory_4"].copy()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    outputs["next_memory_4"].fill(0.0)
    memory.recall(motion(), AT, SIDE, out=inputs)
    np.testing.assert_array_equal(inputs["memory_4"], wanted)


def test_maps_go_along_with_what_they_show():
    """What is at pixel p now was at p + flow: on each map that is a part of it."""
    inputs, outputs = tensors()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    memory.recall(motion((8.0, -4.0)), AT, SIDE, out=inputs)
    np.testing.assert_allclose(
        inputs["memory_4"][:, :, 1:, :-2], outputs["next_memory_4"][:, :, :-1, 2:], atol=1e-6
    )
    halfway = (outputs["next_memory_8"][:, :, :-1, 1:] + outputs["next_memory_8"][:, :, 1:, 1:]) / 2
    np.testing.assert_allclose(inputs["memory_8"][:, :, 1:, :-1], halfway, atol=1e-5)
    confidence = inputs["confidence"][0, 0]
    assert (confidence[1:, :-2] == 1.0).all()
    assert not confidence[0].any()
    assert not confidence[:, -2:].any()


def test_maps_go_along_with_a_crop_that_turns_and_grows():
    """The picture stands still and the crop moves: the maps of the new crop show the same spots."""
    inputs, outputs = tensors()
    turned = compose(np.float64([[1.05, 0.1, -2.0], [-0.1, 1.05, 3.0]]), AT)
    memory = LatentMemory()
    memory.keep(outputs, AT)
    memory.recall(motion(now=AT, before=AT), turned, SIDE, out=inputs)
    map_from_crop = np.float64([[0.25, 0, -0.375], [0, 0.25, -0.375]])
    before_from_now = compose(compose(map_from_crop, AT), invert(compose(map_from_crop, turned)))
    y, x = np.indices((16, 16))
    at = np.stack([x, y], axis=-1).reshape(-1, 2) @ before_from_now[:, :2].T + before_from_now[:, 2]
    inside = ((at >= 0) & (at <= 15)).all(axis=1).reshape(16, 16)
    wanted = cv2.remap(
        np.ascontiguousarray(outputs["next_memory_4"][0, 0]),
        *at.astype(np.float32).T.reshape(2, 16, 16),
        cv2.INTER_LINEAR,
    )
    assert inside.sum() > 150
    np.testing.assert_allclose(inputs["memory_4"][0, 0][inside], wanted[inside], atol=0.02)
    np.testing.assert_array_equal(inputs["confidence"][0, 0] > 0, inside)


def test_how_far_the_flow_is_trusted_is_told():
    inputs, outputs = tensors()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    memory.recall(motion(confidence=0.4), AT, SIDE, out=inputs)
    np.testing.assert_allclose(inputs["confidence"], 0.4, atol=1e-6)


def test_after_a_reset_nothing_is_remembered():
    inputs, outputs = tensors()
    memory = LatentMemory()
    memory.keep(outputs, AT)
    memory.reset()
    assert not memory.recall(motion(), AT, SIDE, out=inputs)
    assert not inputs["memory_8"].any()


@pytest.mark.parametrize("channels", [1, 4, 128, 129, 300])
def test_any_number_of_channels_is_moved(channels):
    inputs, outputs = tensors((3, channels))
    memory = LatentMemory()
    memory.keep(outputs, AT)
    memory.recall(motion((8.0, 0.0)), AT, SIDE, out=inputs)
    np.testing.assert_allclose(
        inputs["memory_8"][..., :-1], outputs["next_memory_8"][..., 1:], atol=1e-6
    )


def test_a_memory_of_another_network_is_replaced():
    memory = LatentMemory()
    memory.keep(tensors((3, 6))[1], AT)
    inputs, outputs = tensors((7, 9))
    memory.keep(outputs, AT)
    memory.recall(motion(), AT, SIDE, out=inputs)
    np.testing.assert_array_equal(inputs["memory_4"], outputs["next_memory_4"])
