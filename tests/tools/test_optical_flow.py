import math

import cv2
import numpy as np
import pytest

from tools.optical_flow import FlowFinder, flow_distance_px, visible, warp, warp_error

HEIGHT, WIDTH = 97, 131


def texture(seed=0, sigma=2.0):
    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH, 3))
    soft = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def shifted(image, dx, dy):
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    return cv2.warpAffine(
        image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def constant(dx, dy):
    return np.tile(np.array([dx, dy], np.float32), (HEIGHT, WIDTH, 1))


def away_from_the_edge(pixels=12):
    seen = np.zeros((HEIGHT, WIDTH), bool)
    seen[pixels:-pixels, pixels:-pixels] = True
    return seen


ALL = np.ones((HEIGHT, WIDTH), bool)


def test_a_texture_that_moves_as_the_flow_says_has_no_error():
    image = texture()
    moved = shifted(image, 5, -3)
    assert warp_error(image, moved, constant(5, -3), away_from_the_edge()) == 0


def test_a_shift_of_half_a_pixel_costs_little_and_not_knowing_it_much():
    image = texture()
    moved = shifted(image, 0.5, 0)
    seen = away_from_the_edge()
    known = warp_error(image, moved, constant(0.5, 0), seen)
    unknown = warp_error(image, moved, constant(0, 0), seen)
    assert known < unknown / 20


@pytest.mark.parametrize("levels", [1, 2, 8])
def test_flicker_of_some_levels_is_their_square(levels):
    image = np.clip(texture(), 20, 235)
    error = warp_error(image, image + np.uint8(levels), constant(0, 0), ALL)
    assert error == pytest.approx((levels / 255) ** 2)


def test_flicker_on_a_part_of_what_is_seen_counts_by_its_share():
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    other = image.copy()
    seen = np.zeros((HEIGHT, WIDTH), bool)
    seen[:40] = True
    other[:10] += 6
    other[50:] += 90
    assert warp_error(image, other, constant(0, 0), seen) == pytest.approx((6 / 255) ** 2 / 4)


def test_noise_adds_the_variance_of_both_pictures():
    random = np.random.default_rng(1)
    pictures = [
        np.clip(np.rint(128 + random.normal(0, 4, (HEIGHT, WIDTH, 3))), 0, 255).astype(np.uint8)
        for _ in range(2)
    ]
    error = warp_error(pictures[0], pictures[1], constant(0, 0), ALL)
    assert error == pytest.approx(2 * (16 + 1 / 12) / 255**2, rel=0.03)


def test_an_error_where_nothing_is_seen_cannot_be_measured():
    image = texture()
    assert math.isnan(warp_error(image, image, constant(0, 0), ~ALL))
    assert math.isnan(flow_distance_px(constant(0, 0), constant(1, 1), ~ALL))


def test_a_part_is_looked_up_in_the_whole_picture():
    image = texture()
    moved = shifted(image, 4, 2)
    part = image[30:60, 40:90]
    flow = constant(4, 2)[30:60, 40:90]
    assert warp_error(part, moved, flow, ALL[30:60, 40:90], left=40, top=30) == 0
    assert warp_error(part, moved, flow, ALL[30:60, 40:90]) > 1e-3


def test_warping_reads_between_pixels_and_repeats_the_edge():
    ramp = np.tile(np.arange(WIDTH, dtype=np.float32)[None, :, None], (HEIGHT, 1, 3))
    assert warp(ramp, constant(0.25, 0))[5, 10, 0] == pytest.approx(10.25)
    assert warp(ramp, constant(50, 0))[5, -1, 0] == WIDTH - 1


def test_the_finder_sees_how_a_texture_moved():
    image = texture(sigma=5.0)
    flow = FlowFinder().find(image, shifted(image, 3, -2))
    assert np.median(flow[away_from_the_edge()], axis=0) == pytest.approx([3, -2], abs=0.25)
    assert flow_distance_px(flow, constant(3, -2), away_from_the_edge(20)) < 0.3


def test_the_distance_of_flows_is_the_length_of_their_difference():
    assert flow_distance_px(constant(1, 1), constant(4, 5), ALL) == pytest.approx(5)


def test_flows_that_cancel_are_visible_except_where_they_leave_the_picture():
    seen = visible(constant(10, 0), constant(-10, 0))
    assert seen[:, :-10].all()
    assert not seen[:, -10:].any()


def test_what_gets_covered_is_not_visible():
    # A square that moves right by 8 over a still ground: the ground it covers is gone.
    forward, backward = constant(0, 0), constant(0, 0)
    forward[30:60, 40:60, 0] = 8
    backward[30:60, 48:68, 0] = -8
    seen = visible(forward, backward)
    assert not seen[30:60, 60:68].any()
    assert seen[35:55, 45:55].all()
    assert seen[70:, 80:].all()


def test_a_motion_boundary_is_not_visible():
    forward, backward = constant(0, 0), constant(0, 0)
    forward[:, 50:, 0] = 0.3
    backward[:, 50:, 0] = -0.3
    seen = visible(forward, backward)
    assert not seen[:, 49].any()
    assert seen[:, :49].all()
    assert seen[:, 51:-1].all()
