import cv2
import numpy as np
import pytest

from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from realtime.skin_light import GRID, LUMA, LightScale, SkinLight, coarse, weighted_blur

pytestmark = pytest.mark.models

SKIN = (110.0, 140.0, 190.0)
HAIR = (15.0, 15.0, 18.0)
GREEN = (40.0, 200.0, 60.0)

DOWN, ACROSS = ((np.mgrid[:GRID, :GRID] + 0.5) / GRID).astype(np.float32)


def plain(colour=SKIN):
    return np.full((GRID, GRID, 3), colour, np.float32)


def skin_ahead(light, mesh):
    """Skin in the middle of a frontal face that looks into the camera."""
    towards = light.spread(mesh.facing(mesh.neutral)[:, None])[..., 0] > 0.5
    return (light.skin > 0) & (light.core > 0.3) & towards


def facing_camera(mesh):
    return (100 * mesh.neutral).astype(np.float32)


def test_plain_skin_is_its_own_light(light):
    measured = light.measure(plain(), light.skin)
    np.testing.assert_allclose(measured, plain(), rtol=2e-3)


@pytest.mark.parametrize("colour", [(30, 45, 70), (200, 215, 240), (90, 90, 90), (5, 4, 6)])
def test_light_has_the_skins_colour_whatever_it_is(light, colour):
    weights = np.asarray(light.skin * 0.5, np.float32)
    np.testing.assert_allclose(light.measure(plain(colour), weights), plain(colour), rtol=5e-3)


def test_light_is_the_normalised_convolution_it_is_said_to_be(light):
    """On wide blurs whatever is left out as too little must not show, nor on fine ones."""
    rng = np.random.default_rng(7)
    colours = cv2.GaussianBlur(rng.uniform(20, 235, (GRID, GRID, 3)), (0, 0), 1.5)
    weights = light.skin * rng.uniform(0, 1, (GRID, GRID)) * (ACROSS < 0.7)
    to_ycc = np.array([[0.114, 0.587, 0.299], [0.5, -0.3313, -0.1687], [-0.0813, -0.4187, 0.5]])
    tones = colours @ to_ycc.T

    def mean(sigma, little, otherwise):
        size = (2 * min(round(4 * sigma * GRID), GRID - 1) + 1,) * 2
        above, below = (
            cv2.GaussianBlur(values, size, sigma * GRID, borderType=cv2.BORDER_CONSTANT)
            for values in (tones * weights[..., None], weights)
        )
        return (above + little * otherwise) / (below + little)[..., None]

    around = mean(0.26, 0.02, mean(0.3, 1e-6, 1.0))
    fine = mean(0.055, 0.08, around)
    fine[..., 0] = mean(0.03, 0.08, around)[..., 0]
    defined = (around + light.flat[..., None] * (fine - around)) @ np.linalg.inv(to_ycc).T
    measured = light.measure(colours.astype(np.float32), weights.astype(np.float32))
    np.testing.assert_allclose(measured, np.maximum(defined, 1.0), atol=0.02)


def test_light_from_one_side_is_followed(light, zones):
    ramp = (0.7 + 0.6 * ACROSS)[..., None]
    measured = light.measure(np.asarray(plain() * ramp, np.float32), light.skin)
    ratio = measured[..., 1] / SKIN[1]
    cheeks = coarse(zones.cheeks) > 0.5
    assert np.abs(ratio - ramp[..., 0])[cheeks].max() < 0.06
    along = ratio[:, 12:36].mean(axis=0)
    assert (np.diff(along) > 0).all()
    assert along[-1] - along[0] > 0.5 * (ramp[0, 35, 0] - ramp[0, 12, 0])


def test_the_colour_of_the_light_is_followed_where_it_changes(light):
    warm_to_cold = plain()
    warm_to_cold[..., 0] *= 0.8 + 0.4 * ACROSS
    measured = light.measure(warm_to_cold, light.skin)
    share = measured[..., 0] / measured[..., 2]
    middle = slice(20, 30)
    assert share[middle, 34].mean() / share[middle, 13].mean() == pytest.approx(
        warm_to_cold[0, 34, 0] / warm_to_cold[0, 13, 0], rel=0.06
    )


def test_what_has_no_weight_does_not_count(light):
    colours, weights = plain(), light.skin.copy()
    hidden = (DOWN < 0.3) | (ACROSS > 0.7)
    colours[hidden] = HAIR
    weights[hidden] = 0
    np.testing.assert_allclose(light.measure(colours, weights), plain(), rtol=5e-3)


def test_shading_of_features_is_coarser_than_shading_of_cheeks(mesh, zones):
    light = SkinLight(mesh, zones, LightScale(features=0.3, flat=0.03))
    fine = light.measure(_with_spot(0.72, 0.5), light.skin)
    coarse_only = SkinLight(mesh, zones, LightScale(features=0.3, flat=0.3))
    broad = coarse_only.measure(_with_spot(0.72, 0.5), light.skin)
    spot = (slice(22, 26), slice(33, 37))
    assert fine[spot].mean() < broad[spot].mean() - 8
    np.testing.assert_allclose(fine[:8, :8], broad[:8, :8], rtol=0.02)


def test_shading_that_is_not_taken_for_light_is_left_out_and_tint_is_not(light):
    spot = _with_spot(0.72, 0.5)
    tinted = np.asarray(spot * (plain((90, 140, 210)) / plain()), np.float32)
    tinted[:, : GRID // 2] = plain()[:, : GRID // 2]
    shares = {share: light.measure(tinted, light.skin, fine_shade=share) for share in (0, 0.5, 1)}
    there = (slice(22, 26), slice(33, 37))
    luma = {share: (values @ LUMA)[there].mean() for share, values in shares.items()}
    assert luma[1] < luma[0] - 5
    assert luma[0.5] == pytest.approx((luma[0] + luma[1]) / 2, abs=0.2)
    blue, red = (np.subtract(shares[0], shares[1])[there][..., at].mean() for at in (0, 2))
    assert blue == pytest.approx(red, abs=0.2)


def _with_spot(across, down):
    spot = np.exp(-(((ACROSS - across) / 0.06) ** 2) - ((DOWN - down) / 0.06) ** 2)
    return np.asarray(plain() * (1 - 0.3 * spot)[..., None], np.float32)


@pytest.mark.parametrize("level", [0.0, 255.0])
@pytest.mark.parametrize("weight", [0.0, 1e-8, 1.0])
def test_light_is_never_less_than_one_nor_undefined(light, level, weight):
    measured = light.measure(plain((level,) * 3), np.full((GRID, GRID), weight, np.float32))
    assert np.isfinite(measured).all()
    assert measured.min() >= 1
    assert measured.max() <= 256


def test_light_is_measured_alike_on_both_sides(light):
    random = np.random.default_rng(1).uniform(60, 200, (GRID, GRID, 3)).astype(np.float32)
    here = light.measure(random, light.skin)
    mirrored = light.measure(
        np.ascontiguousarray(random[:, ::-1]), np.ascontiguousarray(light.skin[:, ::-1])
    )
    # The weight of the cheeks itself is drawn, and a shape's edge may lie a pixel further out.
    assert np.abs(here - mirrored[:, ::-1]).mean() < 0.5


def test_the_brightness_of_skin_is_that_of_what_is_seen_in_the_middle(light):
    halves = np.where(ACROSS[..., None] < 0.5, SKIN, HAIR).astype(np.float32)
    left = np.where(ACROSS < 0.5, light.skin, 0.0).astype(np.float32)
    assert light.luma(halves, left) == pytest.approx(float(LUMA @ SKIN), rel=0.01)
    assert light.luma(plain(), np.zeros_like(left)) == pytest.approx(float(LUMA @ SKIN), rel=1e-3)


def test_all_skin_counts_on_a_plain_face(light, mesh):
    weights = light.visible_skin(plain(), facing_camera(mesh))
    assert weights[skin_ahead(light, mesh)].min() > 0.99
    assert not weights[light.skin == 0].any()


def test_bangs_over_the_forehead_are_not_skin(light, mesh):
    colours = plain()
    bangs = DOWN < 0.3
    colours[bangs] = HAIR
    weights = light.visible_skin(colours, facing_camera(mesh))
    assert weights[bangs].max() < 0.02
    assert weights[(DOWN > 0.32) & skin_ahead(light, mesh)].min() > 0.99


def test_green_glasses_are_not_skin(light, mesh):
    # As bright as the skin, so that the colour alone tells them.
    luma = np.dot(SKIN, (0.114, 0.587, 0.299)) / np.dot(GREEN, (0.114, 0.587, 0.299))
    colours = plain()
    glasses = (DOWN > 0.38) & (DOWN < 0.5) & (np.abs(ACROSS - 0.5) > 0.06)
    colours[glasses] = np.float32(GREEN) * luma
    weights = light.visible_skin(colours, facing_camera(mesh))
    assert weights[glasses].max() < 0.02
    assert weights[(DOWN > 0.55) & skin_ahead(light, mesh)].min() > 0.99


def test_skin_that_looks_away_does_not_count(light, sitter):
    # The nose points to the right of the picture, and the cheek there is hidden.
    weights = light.visible_skin(plain(), sitter.landmarks(yaw=50))
    hidden, shown = ACROSS > 0.8, ACROSS < 0.4
    assert weights[hidden].max() < 0.2
    assert weights[shown].max() > 0.9


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_grey_faces_and_faces_seen_from_behind_are_survived(light, mesh, colour):
    behind = facing_camera(mesh) * np.float32([-1, 1, 1])
    for landmarks in (facing_camera(mesh), behind, np.zeros((468, 3), np.float32)):
        weights = light.visible_skin(plain(colour), landmarks)
        assert np.isfinite(weights).all()
        assert weights.min() >= 0
        assert weights.max() <= 1
    assert not light.visible_skin(plain(colour), behind).any()


def test_values_at_landmarks_are_spread_linearly(light, mesh, zones):
    spread = light.spread(np.ascontiguousarray(mesh.layout))
    inside = coarse(zones.depth) > 0.02
    np.testing.assert_allclose(spread[..., 0][inside], ACROSS[inside], atol=1e-5)
    np.testing.assert_allclose(spread[..., 1][inside], DOWN[inside], atol=1e-5)
    assert np.isfinite(spread).all()


def test_colours_are_taken_from_where_the_landmarks_lie(light, mesh, zones):
    image = np.zeros((90, 140, 3), np.uint8)
    image[..., 2] = np.arange(140)
    image[..., 0] = np.arange(90)[:, None]
    points = (mesh.layout * (80, 60) + (30, 15)).astype(np.float32)
    colours = light.sample(image, points)
    inside = coarse(zones.depth) > 0.02
    np.testing.assert_allclose(colours[..., 2][inside], (ACROSS * 80 + 30)[inside], atol=0.55)
    np.testing.assert_allclose(colours[..., 0][inside], (DOWN * 60 + 15)[inside], atol=0.55)


def test_what_lies_outside_the_picture_takes_the_colour_of_its_edge(light, mesh):
    image = np.full((40, 40, 3), 77, np.uint8)
    colours = light.sample(image, (mesh.layout * 500 - 250).astype(np.float32))
    assert (colours == 77).all()


def test_eyes_and_what_is_not_face_are_no_skin(light, mesh):
    corners = mesh.layout[list(RIGHT_EYE + LEFT_EYE)]
    cells = (corners * GRID).astype(int)
    assert not light.skin[cells[:, 1], cells[:, 0]].any()
    assert not light.skin[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_a_blur_is_symmetrical_and_keeps_ratios():
    values, weights = np.zeros((GRID, GRID, 3), np.float32), np.zeros((GRID, GRID), np.float32)
    values[24, 24], weights[24, 24] = (10, 20, 30), 0.5
    above, below = weighted_blur(values, weights, 0.05)
    np.testing.assert_allclose(above, np.swapaxes(above, 0, 1), atol=1e-7)
    np.testing.assert_allclose(above[1:, 1:], above[1:, 1:][::-1, ::-1], atol=1e-7)
    seen = below > 1e-6
    assert seen.sum() > 20
    expected = np.broadcast_to(np.float32((10, 20, 30)), (seen.sum(), 3))
    np.testing.assert_allclose(above[seen] / below[seen][:, None], expected, rtol=1e-4)
    assert below.sum() == pytest.approx(0.5, rel=1e-3)


def test_nothing_comes_in_over_the_edge_of_the_map():
    ones = np.ones((GRID, GRID), np.float32)
    _, below = weighted_blur(np.ones((GRID, GRID, 3), np.float32), ones, 0.1)
    assert below[24, 24] == pytest.approx(1, abs=1e-3)
    assert below[0, 0] == pytest.approx(0.25, abs=0.06)


def test_shrinking_a_map_to_the_grid_averages_it():
    fine = np.random.default_rng(0).uniform(0, 1, (GRID * 4, GRID * 4)).astype(np.float32)
    np.testing.assert_allclose(
        coarse(fine), fine.reshape(GRID, 4, GRID, 4).mean(axis=(1, 3)), atol=1e-6
    )


def test_a_blurred_photograph_of_a_face_gives_its_skin_back(light, sitter):
    landmarks = sitter.landmarks(yaw=12, roll=-8)
    picture = sitter.picture(sitter.looks(skin=SKIN), landmarks)
    colours = light.sample(cv2.GaussianBlur(picture, (0, 0), 2), landmarks[:, :2])
    measured = light.measure(colours, light.visible_skin(colours, landmarks))
    assert np.abs(measured - SKIN)[light.core > 0.3].max() < 6
