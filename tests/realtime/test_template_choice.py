from itertools import pairwise

import numpy as np
import pytest

from engines.families.templates import fit_points, template_points, yaw_template_points
from realtime.geometry import apply
from realtime.template_choice import TemplateChoice, template_misfit

FRAME_NS = 33_000_000
YAWS = yaw_template_points(256)


def placed(template, lean=0.3, scale=1.7, shift=(200.0, 90.0)):
    """A template's points somewhere in a picture."""
    turn = scale * np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return (template @ turn.T + shift).astype(np.float32)


def between(first, second, share):
    return placed((1 - share) * YAWS[first] + share * YAWS[second])


def test_the_five_lie_in_order_and_the_middle_one_is_the_front():
    np.testing.assert_allclose(YAWS[2], template_points("arcface_112_v1", 256), atol=0.01)
    noses = YAWS[:, 2, 0] - YAWS[:, :2, 0].mean(axis=1)
    assert (np.diff(noses) > 0).all()
    # Those to the right are those to the left in a mirror.
    swap = [1, 0, 2, 4, 3]
    for left, right in ((0, 4), (1, 3)):
        mirrored = YAWS[left][swap] * (-1, 1) + (256, 0)
        np.testing.assert_allclose(mirrored, YAWS[right], atol=1.3)


@pytest.mark.parametrize("number", range(5))
def test_a_face_begins_on_the_template_it_fits(number):
    choice = TemplateChoice(YAWS)
    np.testing.assert_allclose(choice.follow(placed(YAWS[number]), 0), YAWS[number], atol=1e-9)
    assert choice.current == number


def test_the_misfit_is_free_of_place_turn_and_size():
    points = between(2, 3, 0.4)
    first = template_misfit(points, YAWS[2])
    other = template_misfit(3.0 * points[:, ::-1] * (1, -1) - 40, YAWS[2])
    assert first == pytest.approx(other, rel=1e-4)
    assert template_misfit(placed(YAWS[1]), YAWS[1]) < 1e-3


def test_a_head_held_between_two_templates_keeps_the_one_it_has():
    for start in (1, 2):
        choice = TemplateChoice(YAWS)
        choice.follow(placed(YAWS[start]), 0)
        for swing in (0.47, 0.53, 0.5, 0.54, 0.46) * 3:
            choice.follow(between(1, 2, swing), FRAME_NS)
            assert choice.current == start


def test_the_crop_glides_from_one_template_to_the_next():
    choice = TemplateChoice(YAWS)
    choice.follow(placed(YAWS[2]), 0)
    goal = placed(YAWS[3])
    path = [YAWS[2], *(choice.follow(goal, FRAME_NS) for _ in range(10))]
    steps = [float(np.abs(b - a).max()) for a, b in pairwise(path)]
    whole = float(np.abs(YAWS[3] - YAWS[2]).max())
    assert max(steps) < 0.2 * whole
    np.testing.assert_allclose(path[-1], YAWS[3], atol=1e-9)
    assert sum(steps) == pytest.approx(whole)


def test_crops_of_a_turning_head_never_jump():
    choice, corners = TemplateChoice(YAWS), np.array([[0.0, 0.0], [255, 0], [0, 255], [255, 255]])
    path = []
    for share in np.linspace(0, 1, 90):
        points = between(2, 4, share)
        crop_from_image = fit_points(points, choice.follow(points, FRAME_NS))
        path.append(apply(crop_from_image, placed(corners)))
    assert choice.current == 4
    jumps = [np.linalg.norm(b - a, axis=1).max() for a, b in pairwise(path)]
    # A change between neighbours at once moves a corner by more than 100 of 256 pixels.
    assert max(jumps) < 25


def test_with_one_template_there_is_nothing_to_choose():
    only = template_points("ffhq_512", 128)
    choice = TemplateChoice(only[None])
    np.testing.assert_array_equal(choice.follow(placed(YAWS[0]), FRAME_NS), only)
