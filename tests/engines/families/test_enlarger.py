from importlib import resources

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.enlarger import GRID_PX, LEAST_PX, Enlarger
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

FAMILIES = bundled_catalogue().families


def picture(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def poisoned(image, scale):
    return np.full((image.shape[0] * scale, image.shape[1] * scale, 3), 77, np.uint8)


def in_squares(image, scale):
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(LEAST_PX, 3 * GRID_PX), (73, 97), (5, 70)])
def test_a_picture_of_any_size_comes_out_larger_to_the_level(twins, scale, size):
    enlarger = Enlarger(OnnxRuntimeSession(twins.enlarger(scale)), FAMILIES[f"enlarger_x{scale}"])
    small = picture(*size)
    out = poisoned(small, scale)
    enlarger.enlarge([small], out=[out])
    np.testing.assert_array_equal(out, in_squares(small, scale))
    assert enlarger.scale == scale


@pytest.mark.parametrize(("batch", "runs"), [("n", 1), (1, 3)])
def test_pictures_of_one_size_go_through_at_once_where_the_network_takes_several(
    twins, batch, runs
):
    class Counting(OnnxRuntimeSession):
        calls = 0

        def enqueue(self, inputs, *, out, stream):
            self.calls += 1
            super().enqueue(inputs, out=out, stream=stream)

    session = Counting(twins.enlarger(2, batch=batch))
    enlarger = Enlarger(session, FAMILIES["enlarger_x2"])
    smalls = [picture(20, 24, seed) for seed in range(3)]
    outs = [poisoned(small, 2) for small in smalls]
    enlarger.enlarge(smalls, out=outs)
    assert session.calls == runs
    for small, out in zip(smalls, outs, strict=True):
        np.testing.assert_array_equal(out, in_squares(small, 2))


def test_what_is_filled_up_repeats_the_edge_of_the_picture(twins):
    seen = {}

    def compute(inputs):
        seen.update({name: array.copy() for name, array in inputs.items()})
        return {
            "large": in_squares(inputs["small"][0].transpose(1, 2, 0), 2).transpose(2, 0, 1)[None]
        }

    shape = (-1, 3, -1, -1)
    dtype = np.dtype(np.float32)
    specs = [(TensorSpec(name, shape, dtype),) for name in ("small", "large")]
    enlarger = Enlarger(FakeSession(*specs, compute), FAMILIES["enlarger_x2"])
    small = picture(30, 20)
    enlarger.enlarge([small], out=[poisoned(small, 2)])
    planes = seen["small"][0]
    assert planes.shape == (3, LEAST_PX, LEAST_PX)
    np.testing.assert_array_equal(planes[:, -1], planes[:, 29])
    np.testing.assert_array_equal(planes[:, :, -1], planes[:, :, 19])
    np.testing.assert_allclose(planes[0, :30, :20] * 255, small[..., 2], atol=1e-4)


def test_values_outside_of_what_a_picture_can_show_are_cut():
    values = np.array([-0.5, 0.5, 1.5], np.float32)

    def compute(inputs):
        large = np.repeat(values, 4 * LEAST_PX * LEAST_PX).reshape(1, 3, 2 * LEAST_PX, 2 * LEAST_PX)
        return {"large": large}

    specs = [
        (TensorSpec(name, (-1, 3, -1, -1), np.dtype(np.float32)),) for name in ("small", "large")
    ]
    enlarger = Enlarger(FakeSession(*specs, compute), FAMILIES["enlarger_x2"])
    small = picture(8, 8)
    out = poisoned(small, 2)
    enlarger.enlarge([small], out=[out])
    assert out[0, 0].tolist() == [255, 128, 0]


def test_a_network_that_gives_no_numbers_is_no_picture():
    def compute(inputs):
        return {"large": np.full((1, 3, 2 * LEAST_PX, 2 * LEAST_PX), np.nan, np.float32)}

    specs = [
        (TensorSpec(name, (-1, 3, -1, -1), np.dtype(np.float32)),) for name in ("small", "large")
    ]
    enlarger = Enlarger(FakeSession(*specs, compute), FAMILIES["enlarger_x2"])
    small = picture(8, 8)
    with pytest.raises(ModelError, match="must consist of numbers"):
        enlarger.enlarge([small], out=[poisoned(small, 2)])


def test_a_network_of_one_size_is_refused(twins):
    with pytest.raises(ModelError, match=r"pictures of any size, got \?×3×64×64"):
        Enlarger(OnnxRuntimeSession(twins.enlarger(2, side=64)), FAMILIES["enlarger_x2"])


@pytest.mark.parametrize("height", [50, 128, 300, 401])
def test_in_strips_a_picture_becomes_what_it_becomes_in_one_piece(height):
    model = resources.files("engines.networks.srsn").joinpath("srsn_lite_x2_fidelity.onnx")
    enlarger = Enlarger(OnnxRuntimeSession(model.read_bytes()), FAMILIES["enlarger_x2"])
    small = picture(height, 70)
    whole, strips = (np.full((2 * height, 140, 3), seed, np.uint8) for seed in (1, 2))
    enlarger.enlarge([small], out=[whole])
    enlarger.enlarge_in_strips(small, out=strips)
    apart = np.abs(strips.astype(int) - whole)
    # What lies beyond the last line is guessed another way where sides were filled up.
    assert apart[:-40].max(initial=0) <= 1
    assert apart.mean() < 0.5
