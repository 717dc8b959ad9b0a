import numpy as np
import pytest

from engines.profiles import Extents, Limits, profile_of, samples_of, within_memory
from engines.session import TensorSpec

FLOAT = np.dtype(np.float32)
LIMITS = Limits(batch=Extents(1, 2, 4), side_px=Extents(64, 96, 640))


def spec(name, *shape, dtype=FLOAT):
    return TensorSpec(name, shape, dtype)


def test_only_what_varies_has_a_profile_and_the_first_dimension_is_the_batch():
    inputs = [spec("picture", -1, 3, -1, -1), spec("face", -1, 3, 112, 112), spec("z", 1, 512)]
    assert profile_of(inputs, LIMITS) == {
        "picture": ((1, 3, 64, 64), (2, 3, 96, 96), (4, 3, 640, 640)),
        "face": ((1, 3, 112, 112), (2, 3, 112, 112), (4, 3, 112, 112)),
    }


@pytest.fixture
def crop():
    return np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)


def test_pictures_come_in_both_usual_ranges_and_vectors_with_length_one(crop):
    inputs = [spec("target", 1, 3, 32, 32), spec("source", 1, 512)]
    small, signed = samples_of(inputs, [crop], LIMITS)
    assert small["target"].shape == (1, 3, 32, 32)
    assert small["target"].min() >= 0
    assert small["target"].max() > 0.8
    np.testing.assert_allclose(signed["target"], 2 * small["target"] - 1, atol=1e-6)
    for sample in (small, signed):
        assert np.linalg.norm(sample["source"]) == pytest.approx(1, abs=1e-5)
        assert all(array.dtype == FLOAT for array in sample.values())
        assert all(array.flags.c_contiguous for array in sample.values())
        assert all(array.flags.writeable for array in sample.values())


def test_the_layout_with_colours_last_and_whole_numbers_are_understood(crop):
    inputs = [spec("picture", 1, 50, 40, 3, dtype=np.dtype(np.uint8))]
    sample = samples_of(inputs, [crop], LIMITS)[0]
    np.testing.assert_array_equal(sample["picture"][0], crop)


def test_several_crops_take_turns_with_the_ranges(crop):
    spec_of_picture = [spec("picture", 1, 3, 50, 40)]
    samples = samples_of(spec_of_picture, [crop, crop // 2, crop // 4], LIMITS)
    lows = [sample["picture"].min() for sample in samples]
    assert len(samples) == 3
    assert [low < -0.5 for low in lows] == [False, True, False]
    assert samples[2]["picture"].max() < 0.3


def test_another_range_can_be_asked_for(crop):
    wanted = [spec("picture", 1, 3, 50, 40)]
    for sample in samples_of(wanted, [crop], LIMITS, ranges=[(0, 255)]):
        np.testing.assert_allclose(sample["picture"][0], crop.transpose(2, 0, 1), atol=1e-3)


def test_several_pictures_are_shifted_against_each_other(crop):
    inputs = [spec("first", 1, 3, 50, 40), spec("second", 1, 3, 50, 40)]
    sample = samples_of(inputs, [crop], LIMITS)[0]
    np.testing.assert_array_equal(
        sample["first"][..., :-3], np.roll(sample["second"], -3, axis=-1)[..., :-3]
    )


def test_open_dimensions_take_their_usual_size_and_the_batch_asked_for(crop):
    sample = samples_of([spec("picture", -1, 3, -1, -1)], [crop], LIMITS, batch=3)[0]
    assert sample["picture"].shape == (3, 3, 96, 96)


@pytest.mark.parametrize(("times", "most"), [(1, 640), (2, 640), (4, 320)])
def test_a_network_that_enlarges_a_lot_takes_smaller_pictures(times, most):
    given = {"x": np.zeros((1, 3, 64, 64), np.float32)}
    made = {"y": np.zeros((1, 3, 64 * times, 64 * times), np.float32)}
    assert within_memory(Limits(), given, made).side_px.most == most
    assert within_memory(Limits(), {"x": np.zeros((1, 9), np.float32)}, made) == Limits()
