"""Random weights in the places of the published ones."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.errors import ModelError  # noqa: E402
from tools.stlpips import ShiftTolerantLpips  # noqa: E402

SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))


@pytest.fixture
def state():
    """Weights by the names of the package stlpips-pytorch."""
    torch.manual_seed(3)
    found = {}
    for index, (wide, given, side) in enumerate(SHAPES):
        scale = (2 / (given * side * side)) ** 0.5
        found[f"net.slice{index + 1}.0.weight"] = scale * torch.randn(wide, given, side, side)
        found[f"net.slice{index + 1}.0.bias"] = torch.zeros(wide)
        found[f"net.slice{index + 1}.1.filt"] = torch.ones(wide, 1, 3, 3)
        found[f"lin{index}.model.1.weight"] = torch.rand(1, wide, 1, 1)
    return found


@pytest.fixture
def distance(state, tmp_path):
    torch.save(state, tmp_path / "weights.pth")
    return ShiftTolerantLpips(tmp_path / "weights.pth")


def picture(seed):
    smooth = np.random.default_rng(seed).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    return np.repeat(np.repeat(smooth, 4, axis=0), 4, axis=1)


def test_the_same_picture_is_at_no_distance_and_one_more_unlike_is_farther(distance):
    one, other = picture(1), picture(2)
    nearer = (0.8 * one + 0.2 * other).astype(np.uint8)
    assert distance(one, one) == 0.0
    assert 0 < distance(nearer, one) < distance(other, one)


def test_a_shift_by_a_pixel_is_a_small_change(distance):
    one = picture(1)
    assert distance(np.roll(one, 1, axis=1), one) < 0.5 * distance(picture(2), one)


def test_weights_of_another_network_are_refused(state, tmp_path):
    del state["net.slice5.0.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"must be alex_shift_tolerant\.pth"):
        ShiftTolerantLpips(tmp_path / "other.pth")
