import numpy as np
import onnx
import pytest

from engines.graphs import inputs_of
from engines.onnxruntime import compute
from engines.profiles import Extents, Limits, samples_of
from engines.twins import TWINS, swapper

LIGHT = ("swapper_depthwise", "detector", "enlarger_small", "masker")
LIMITS = Limits(side_px=Extents(64, 96, 128))


@pytest.fixture
def crop():
    return np.random.default_rng(2).integers(0, 256, (96, 96, 3), np.uint8)


@pytest.mark.parametrize("name", LIGHT)
def test_a_twin_is_a_valid_network_whose_values_stay_small_and_vary(name, crop):
    model = TWINS[name].make()
    onnx.checker.check_model(model, full_check=True)
    (sample, _) = samples_of(inputs_of(model, name), [crop], LIMITS)
    (outputs,) = compute(model, [sample])
    for array in outputs.values():
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
        assert np.abs(array).max() < 100
        assert array.std() > 1e-4


def test_making_one_again_gives_the_same_bytes():
    assert TWINS["masker"].make() == TWINS["masker"].make()


def test_the_swapper_of_full_width_has_as_many_weights_as_the_public_one():
    # Counted at an eighth of the width, where all that grows with its square is a 64th.
    def num_weights(widths):
        graph = onnx.load_model_from_string(swapper(widths, 6)).graph
        return sum(int(np.prod(one.dims)) for one in graph.initializer)

    small, double = (num_weights(tuple(k * w for w in (16, 32, 64, 128))) for k in (1, 2))
    # a k² + b k: two measurements give both, and so the size at full width (k = 8).
    a = (double - 2 * small) / 2
    b = small - a
    assert 64 * a + 8 * b == pytest.approx(138.3e6, rel=0.01)


def test_every_twin_says_what_it_stands_for_under_a_name_of_its_own():
    assert all(twin.name == name and twin.likeness for name, twin in TWINS.items())
    assert len(TWINS) == 11
