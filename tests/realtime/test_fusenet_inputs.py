"""What FuseNet is shown; no network is needed."""

from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuda_kernels.warp import warp
from realtime.frame import Layer, Occluder
from realtime.fusenet_inputs import FusenetInputs, fill_inputs, head_crop
from realtime.geometry import apply, compose, invert

SIDE = 64
ONE_LEVEL = 1.001 / 255


_SPEC = util.spec_from_file_location("portrait", Path(__file__).with_name("portrait.py"))
portrait = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(portrait)

HEAD = portrait.neutral_landmarks()


def turned(landmarks, degrees, *, scale=1.0, shift=(0.0, 0.0)):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = landmarks.copy()
    middle = landmarks[:, :2].mean(axis=0)
    moved[:, :2] = scale * (landmarks[:, :2] - middle) @ rotation.T + middle + shift
    moved[:, 2] *= scale
    return moved


def smooth(height=320, width=320):
    rows, columns = np.indices((height, width))
    waves = [np.sin(columns / 41 + n) + np.cos(rows / (37 + 4 * n)) for n in range(3)]
    return np.asarray(np.rint(127 + 50 * np.stack(waves, axis=-1)), np.uint8)


def oval(landmarks=HEAD):
    """255 inside the outline of the landmarks, with soft edges."""
    mask = np.zeros((320, 320), np.uint8)
    hull = cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (255,))
    return cv2.blur(mask, (9, 9))


def drawn(colour=(40, 80, 200), alpha=None, landmarks=HEAD):
    """A face of one colour that fills the landmarks' outline, in the picture's own pixels."""
    alpha = oval(landmarks) if alpha is None else alpha
    region = np.s_[64:272, 72:248]
    crop_from_image = np.array([[1.0, 0.0, -72.0], [0.0, 1.0, -64.0]])
    face = np.full((208, 176, 3), colour, np.uint8)
    return Layer(face, np.ascontiguousarray(alpha[region]), crop_from_image, lit=True)


def poisoned(side=SIDE):
    inputs = FusenetInputs.empty(side)
    for values in (inputs.render, inputs.validity, inputs.context, inputs.keep):
        values.fill(np.nan)
    return inputs


def shown(picture=None, layer=None, occluder=None, landmarks=HEAD, side=SIDE):
    inputs, crop = poisoned(side), head_crop(landmarks, side)
    picture = smooth() if picture is None else picture
    fill_inputs(picture, drawn() if layer is None else layer, occluder, crop, out=inputs)
    return inputs, crop


def cut(picture, crop, side=SIDE):
    """A picture on the crop, ``(3, S, S)`` RGB 0..1."""
    out = np.empty((side, side, 3), np.uint8)
    warp(picture, crop, out=out)
    return out[..., ::-1].transpose(2, 0, 1) / 255


def on_crop(mask, crop, side=SIDE):
    out = np.empty((side, side, 1), np.uint8)
    warp(mask[..., None], crop, out=out)
    return out[..., 0] / 255


@pytest.mark.parametrize("side", [0, -8, 60, 161])
def test_a_side_that_does_not_halve_three_times_is_refused(side):
    with pytest.raises(ValueError, match=f"multiple of 8 pixels, got {side}"):
        FusenetInputs.empty(side)


def test_every_value_is_written_and_lies_between_black_and_white():
    inputs, _ = shown()
    for values in (inputs.render, inputs.validity, inputs.context, inputs.keep):
        assert np.isfinite(values).all()
        assert values.min() >= 0.0
        assert values.max() <= 1.0 + 1e-6


def test_the_render_keeps_its_colours_up_to_its_rim_and_is_nothing_beyond_it():
    inputs, crop = shown()
    covered = on_crop(oval(), crop)
    np.testing.assert_allclose(inputs.validity[0, 0], covered, atol=2 * ONE_LEVEL)
    inside, outside = covered > 0.15, covered == 0.0
    assert 0.1 < inside.mean() < 0.6
    for plane, level in zip(inputs.render[0], (200, 80, 40), strict=True):
        np.testing.assert_allclose(plane[inside], level / 255, atol=ONE_LEVEL)
        assert not plane[outside].any()


def test_the_target_is_sharp_where_it_stays():
    noisy = np.random.default_rng(1).integers(0, 256, (320, 320, 3)).astype(np.uint8)
    inputs, crop = shown(noisy)
    stays = on_crop(oval(), crop) == 0.0
    np.testing.assert_allclose(inputs.keep[0, 0], 1 - inputs.validity[0, 0], atol=1e-6)
    apart = np.abs(inputs.context[0] - cut(noisy, crop))
    assert apart[:, stays].max() <= ONE_LEVEL


def test_whose_face_the_target_has_is_not_to_be_seen():
    """Two faces of the same light and tone, one plain, one with strong features."""
    plain, face = smooth(), smooth()
    pattern = np.random.default_rng(2).normal(0, 30, (320 // 5, 320 // 5, 1))
    pattern = cv2.resize(pattern, (320, 320), interpolation=cv2.INTER_NEAREST)
    pattern -= cv2.GaussianBlur(pattern, (0, 0), 8)
    face = np.clip(plain + pattern[..., None], 0, 255).astype(np.uint8)
    within = shown(plain)[0].validity[0, 0] == 1.0
    (one, crop), (other, _) = shown(plain), shown(face)
    truth = np.abs(cut(face, crop) - cut(plain, crop))[:, within].std()
    leaked = np.abs(one.context - other.context)[0][:, within].std()
    assert truth > 7 * ONE_LEVEL
    assert leaked < 0.1 * truth


def test_light_and_tone_of_the_target_are_to_be_seen():
    inputs, crop = shown()
    within = inputs.validity[0, 0] == 1.0
    apart = np.abs(inputs.context[0] - cut(smooth(), crop))[:, within]
    assert apart.mean() < 8 * ONE_LEVEL


def test_what_lies_beside_the_face_does_not_run_into_its_light():
    """Red hair around a grey face: the low-pass is of the face alone."""
    picture = np.full((320, 320, 3), 128, np.uint8)
    picture[oval() < 10] = (0, 0, 255)
    inputs, _ = shown(picture)
    within = cv2.erode(inputs.validity[0, 0], np.ones((5, 5))) == 1.0
    red, green, blue = inputs.context[0][:, within] * 255
    assert red.max() < 136
    assert min(green.min(), blue.min()) > 120


def test_an_opening_shows_the_target_and_no_render():
    noisy = np.random.default_rng(3).integers(0, 256, (320, 320, 3)).astype(np.uint8)
    alpha, hole = oval(), np.s_[170:200, 140:185]
    alpha[hole] = 0
    inputs, crop = shown(noisy, drawn(alpha=alpha))
    inner = np.zeros((320, 320), np.uint8)
    inner[172:198, 142:183] = 255
    inside = on_crop(inner, crop) == 1.0
    assert inside.sum() > 20
    assert (inputs.keep[0, 0][inside] == 1.0).all()
    assert not inputs.render[0][:, inside].any()
    assert np.abs(inputs.context[0] - cut(noisy, crop))[:, inside].max() <= ONE_LEVEL


def test_what_stands_in_front_is_kept_and_tells_nothing_of_the_skin():
    picture = np.full((320, 320, 3), 128, np.uint8)
    hand = np.zeros((320, 320), np.uint8)
    hand[150:260, 150:240] = 255
    picture[hand > 0] = (0, 255, 0)
    occluder = Occluder(hand[100:300, 100:300], np.array([[1.0, 0, -100], [0, 1.0, -100]]))
    (inputs, crop), (free, _) = shown(picture, occluder=occluder), shown(picture)
    hidden = on_crop(hand, crop) == 1.0
    assert (inputs.keep[0, 0][hidden] == 1.0).all()
    np.testing.assert_allclose(
        inputs.context[0][:, hidden], cut(picture, crop)[:, hidden], atol=ONE_LEVEL
    )
    # The drawn face is there all the same, and what is seen of it is as grey as before.
    np.testing.assert_array_equal(inputs.validity, free.validity)
    np.testing.assert_array_equal(inputs.render, free.render)
    seen = (inputs.keep[0, 0] == 0.0) & (on_crop(hand, crop) == 0.0)
    assert np.abs(inputs.context[0][:, seen] - 128 / 255).max() < 12 * ONE_LEVEL


def test_a_face_at_the_edge_of_the_picture_is_not_drawn_beyond_it():
    layer = drawn()
    left = Layer(
        np.ascontiguousarray(layer.face[:, 88:]),
        np.ascontiguousarray(layer.alpha[:, 88:]),
        layer.crop_from_image - np.array([[0, 0, 88.0], [0, 0, 0]]),
    )
    inputs, crop = shown(layer=left)
    at_edge = apply(crop, [(160.0, 160.0)])[0, 0]
    columns = np.arange(SIDE)
    assert not inputs.validity[0, 0][:, columns < at_edge - 1.5].any()
    assert not inputs.render[0][:, :, columns < at_edge - 1.5].any()
    assert inputs.validity[0, 0][:, columns > at_edge + 1.5].max() == 1.0


def test_a_layer_at_half_the_size_shows_the_same():
    whole = drawn()
    half = Layer(
        cv2.resize(whole.face, (88, 104), interpolation=cv2.INTER_AREA),
        cv2.resize(whole.alpha, (88, 104), interpolation=cv2.INTER_AREA),
        compose(np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]]), whole.crop_from_image),
    )
    (one, _), (other, _) = shown(layer=whole), shown(layer=half)
    assert np.abs(one.validity - other.validity).mean() < 2 * ONE_LEVEL
    assert np.abs(one.context - other.context).mean() < 2 * ONE_LEVEL


def test_the_inputs_are_found_among_the_networks_by_their_names():
    tensors = {name: np.zeros(1) for name in ("keep", "render", "memory_4", "context", "validity")}
    inputs = FusenetInputs.of(tensors)
    assert inputs.render is tensors["render"]
    assert inputs.validity is tensors["validity"]
    assert inputs.context is tensors["context"]
    assert inputs.keep is tensors["keep"]


@pytest.mark.parametrize("degrees", [0, 25, -70, 180])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_a_head_lies_upright_and_at_the_same_size_however_it_is_turned(degrees, scale):
    upright = apply(head_crop(HEAD, SIDE), HEAD[:, :2])
    other = turned(HEAD, degrees, scale=scale, shift=(7.0, -3.0))
    np.testing.assert_allclose(apply(head_crop(other, SIDE), other[:, :2]), upright, atol=0.02)
    assert upright[10, 1] < upright[152, 1]
    assert np.abs(upright - (SIDE - 1) / 2).max() < SIDE / 2


def test_an_open_mouth_leaves_the_crop_where_it_is():
    spoken = HEAD.copy()
    spoken[[152, 148, 176, 17, 14], 1] += 25.0
    np.testing.assert_array_equal(head_crop(spoken, SIDE), head_crop(HEAD, SIDE))


def test_a_crop_stays_while_the_head_hardly_moves_and_goes_along_when_it_does():
    before = head_crop(HEAD, SIDE)
    px = 1 / np.hypot(*before[:, 0])
    near, far = (turned(HEAD, 0, shift=(share * px, 0)) for share in (0.2, 0.4))
    assert head_crop(near, SIDE, before) is before
    moved = head_crop(far, SIDE, before)
    assert moved is not before
    np.testing.assert_array_equal(moved, head_crop(far, SIDE))
    assert head_crop(turned(HEAD, 0.3), SIDE, before) is before
    assert head_crop(turned(HEAD, 1.5), SIDE, before) is not before
    assert np.abs(apply(compose(moved, invert(before)), [(32, 32)]) - 32).max() < 0.5
