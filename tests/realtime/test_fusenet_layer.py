import cv2
import numpy as np
import pytest

from realtime.frame import Layer, Occluder
from realtime.fusenet_inputs import FusenetInputs, fill_inputs
from realtime.fusenet_layer import refined

SIDE = 64
LAYER = (150, 130)
"""Height and width: more than twice the pixels of the crop."""

MIDDLE = np.s_[45:105, 40:90]
HOLE = np.s_[60:80, 50:80]


def turn(degrees, scale, shift):
    angle = np.radians(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, shift])


CROP = turn(8, 0.36, (4.0, -2.0))
AT = np.array([[1.0, 0, -20], [0, 1.0, -10]])


def layer(seed=0, *, hole=False, scale=1.0):
    """A face of fine noise, on an oval with soft edges."""
    height, width = (round(extent * scale) for extent in LAYER)
    face = np.random.default_rng(seed).integers(60, 180, (height, width, 3)).astype(np.uint8)
    alpha = np.zeros(LAYER, np.uint8)
    cv2.ellipse(alpha, (65, 75), (50, 60), 0, 0, 360, (255,), -1)
    if hole:
        alpha[HOLE] = 0
    alpha = cv2.resize(cv2.blur(alpha, (7, 7)), (width, height), interpolation=cv2.INTER_AREA)
    middle = (scale - 1) / 2
    at = np.array([[scale, 0, scale * AT[0, 2] + middle], [0, scale, scale * AT[1, 2] + middle]])
    return Layer(face, alpha, at, origin=3, lit=True)


def inputs_of(drawn, occluder=None):
    inputs = FusenetInputs.empty(SIDE)
    picture = np.full((200, 180, 3), 128, np.uint8)
    fill_inputs(picture, drawn, occluder, CROP, out=inputs)
    return inputs


def after(drawn, *, added=0.0, share=1.0, occluder=None, image=None):
    inputs = inputs_of(drawn, occluder)
    image = inputs.render + np.float32(added) if image is None else image(inputs)
    blend = np.float32(share) * (1 - inputs.keep)
    return refined(drawn, inputs, image, blend, CROP)


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0])
def test_what_the_network_leaves_as_it_is_stays_bit_for_bit(hole, scale):
    drawn = layer(hole=hole, scale=scale)
    result = after(drawn)
    np.testing.assert_array_equal(result.face, drawn.face)
    np.testing.assert_array_equal(result.alpha, drawn.alpha)
    assert result.crop_from_image is drawn.crop_from_image
    assert (result.origin, result.lit, result.joined) == (3, True, True)
    assert not drawn.joined


def test_a_colour_that_is_added_is_added_to_every_covered_pixel_and_no_detail_is_lost():
    drawn = layer()
    shift = np.reshape([10, -20, 30], (1, 3, 1, 1)) / 255
    result = after(drawn, added=shift)
    covered = drawn.alpha > 0
    apart = result.face[covered].astype(int) - drawn.face[covered]
    # Channels of the network are red first, those of the layer blue.
    np.testing.assert_array_equal(apart, np.broadcast_to([30, -20, 10], apart.shape))


def test_levels_beyond_black_and_white_are_cut():
    drawn = layer()
    covered = drawn.alpha > 128
    assert (after(drawn, added=0.9).face[covered] == 255).all()
    assert (after(drawn, added=-0.9).face[covered] == 0).all()


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_the_coverage_is_the_layers_times_what_the_network_leaves_of_it(share):
    drawn = layer(hole=True)
    result = after(drawn, share=share)
    wanted = drawn.alpha.astype(float) * share
    np.testing.assert_allclose(result.alpha, wanted, atol=0.51)


def test_more_than_all_of_it_cannot_be_covered():
    drawn = layer(hole=True)
    np.testing.assert_array_equal(after(drawn, share=3.0).alpha, drawn.alpha)


def test_an_opening_stays_one_whatever_the_network_says_of_it():
    """It calls for white teeth in the mouth: they must not run over the lips either."""
    drawn = layer(hole=True)

    def with_teeth(inputs):
        image = inputs.render.copy()
        image[:, :, inputs.validity[0, 0] < 0.2] = 1.0
        return image

    result = after(drawn, image=with_teeth)
    assert not result.alpha[65:75, 55:75].any()
    around = drawn.alpha > 200
    np.testing.assert_array_equal(result.face[around], drawn.face[around])
    assert np.abs(result.alpha.astype(int) - drawn.alpha).max() <= 1


def test_what_stands_in_front_does_not_run_into_the_face():
    """Where a hand is the network shows the hand and covers nothing; around it stays the face."""
    drawn = layer()
    hand = np.zeros((200, 180), np.uint8)
    hand[75:150, 80:150] = 255
    occluder = Occluder(cv2.blur(hand, (5, 5)), np.eye(2, 3))

    def with_hand(inputs):
        image = inputs.render.copy()
        image[:, :, inputs.keep[0, 0] > 0.8] = 1.0
        return image

    result = after(drawn, occluder=occluder, image=with_hand)
    # The hand itself is left out of the alpha by the composite stage, not here.
    np.testing.assert_allclose(result.alpha[MIDDLE], drawn.alpha[MIDDLE], atol=1)
    beside = cv2.erode((drawn.alpha == 255).astype(np.uint8), np.ones((9, 9))) > 0
    beside[55:150, 50:] = False
    np.testing.assert_array_equal(result.face[beside], drawn.face[beside])


def test_what_is_changed_in_one_place_is_changed_there():
    """A stain of 8 network pixels in the middle of the crop, turned with it."""
    drawn = layer()

    def stained(inputs):
        image = inputs.render.copy()
        image[:, :, 28:36, 28:36] += 40 / 255
        return image

    result = after(drawn, image=stained)
    apart = cv2.blur((result.face.astype(np.float32) - drawn.face)[..., 0], (3, 3))
    inverse = cv2.invertAffineTransform(CROP)
    at = inverse @ (31.5, 31.5, 1.0) + AT[:, 2]
    rows, columns = np.nonzero(apart > 20)
    np.testing.assert_allclose((columns.mean(), rows.mean()), at, atol=1.0)
    assert 0.8 < len(rows) / (8 / 0.36) ** 2 < 1.2
    assert (
        np.abs(apart[rows.min() + 8 : rows.max() - 8, columns.min() + 8 : columns.max() - 8]).max()
        < 41
    )
    far = np.hypot(*(np.indices(LAYER).transpose(1, 2, 0) - at[::-1]).transpose(2, 0, 1)) > 25
    assert not apart[far].any()


def test_a_layer_with_fewer_pixels_than_the_network_gets_their_mean():
    """Rows of the crop in turn lighter and darker cancel out on a layer a third as fine."""
    drawn = layer(scale=0.12)

    def striped(inputs):
        stripes = np.where(np.arange(SIDE) % 2, 60 / 255, -60 / 255)
        return np.asarray(inputs.render + stripes[:, None], np.float32)

    result = after(drawn, image=striped)
    covered = drawn.alpha == 255
    apart = np.abs(result.face.astype(int) - drawn.face)[covered]
    assert apart.mean() < 8
