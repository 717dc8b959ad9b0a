import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tools.fusenet_memory import Steadiness, deviation, gradient_energy  # noqa: E402
from tools.fusenet_sheet import draw, hardness  # noqa: E402
from tools.fusenet_view import View  # noqa: E402
from tools.realism import PATCH_PX, auc, middle, told_apart  # noqa: E402

SIDE = 160


def view(number, seam):
    """A picture of noise, a composite with a bright rim, and one like the picture."""
    random = np.random.default_rng(number)
    truth = random.random((3, SIDE, SIDE), np.float32) * np.float32(0.5)
    other = random.random((3, SIDE, SIDE), np.float32) * np.float32(0.5)
    other[:, 60:100, 60:100] += np.float32(seam)
    again = truth + random.normal(0, 1e-3, truth.shape).astype(np.float32)
    return View(number, number + 1, truth, other, again)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert auc(np.array([0.0]), np.array([1.0])) == 0
    assert auc(np.array([1.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(0.625)


def test_the_critic_sees_the_middle_and_its_surroundings():
    picture = np.arange(SIDE * SIDE, dtype=np.float32).reshape(1, SIDE, SIDE)
    start = (SIDE - PATCH_PX) // 2
    assert middle(picture)[0, 0, 0] == start * SIDE + start
    assert middle(picture, (2, -3))[0, 0, 0] == (start + 2) * SIDE + start - 3
    assert middle(picture).shape == (1, PATCH_PX, PATCH_PX)


def test_a_critic_tells_composites_that_show_from_those_that_do_not():
    torch.set_num_threads(1)
    seen, asked = [view(n, 0.4) for n in range(8)], [view(n, 0.4) for n in range(20, 30)]
    assert told_apart(seen, asked, "mesh", 1, 25) > 0.95
    assert 0.1 < told_apart(seen, asked, "fusenet", 1, 25) < 0.9


def test_the_deviation_over_time_leaves_out_what_is_not_drawn():
    frames = np.zeros((2, 3, 8, 8), np.float32)
    frames[:, :, :4] = 100
    assert deviation(frames) == 0
    frames[1, :, :4] = 104
    assert deviation(frames) == pytest.approx(2)
    assert Steadiness(1.5, 2.0, 1.0).falls_by == pytest.approx(0.25)


def test_the_gradient_energy_is_that_of_the_inside():
    frames = np.full((2, 3, 16, 16), 100, np.float32)
    frames[..., 0] = 0
    assert gradient_energy(frames) == pytest.approx(0)
    frames[..., 5::2] = 110
    assert gradient_energy(frames) > 20


def test_the_hardest_cases_are_drawn_in_rows_of_three_pictures_each():
    views = [view(n, 0.1 * n) for n in range(5)]
    assert hardness(views[4]) > hardness(views[0])
    sheet = draw(views)
    assert sheet.shape == (2 * 200, 4 * 608, 3)
