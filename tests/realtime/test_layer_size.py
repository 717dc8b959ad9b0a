import numpy as np
import pytest

from realtime.frame import Layer
from realtime.geometry import apply, invert
from realtime.layer_size import covering, scale_for, shown_factor, sized


def layer_of(height=90, width=130, *, ratio=2.0, box=None):
    """A layer of noise that covers a box ``left, top, right, bottom`` of its crop."""
    face = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box or (0, 0, width, height)
    alpha[top:bottom, left:right] = 200
    crop_from_image = np.array([[1 / ratio, 0.0, -7.5], [0.0, 1 / ratio, -3.25]])
    return Layer(face, alpha, crop_from_image, origin=4, lit=True)


@pytest.mark.parametrize(
    ("ratio", "scale"), [(0.6, 1), (1.0, 1), (1.2, 1), (1.5, 2), (2.5, 2), (3.0, 4), (8.0, 4)]
)
def test_the_scale_is_what_the_picture_can_show(ratio, scale):
    assert scale_for(layer_of(ratio=ratio), (2, 4)) == scale


def test_where_there_is_one_scale_only_it_is_taken():
    assert scale_for(layer_of(ratio=3.5), (2,)) == 2
    assert scale_for(layer_of(ratio=1.5), (4,)) == 4
    assert scale_for(layer_of(ratio=3.5), ()) == 1


def test_a_layer_that_covers_all_of_its_crop_stays_whole():
    layer = layer_of()
    (found,) = covering([layer])
    np.testing.assert_array_equal(found.face, layer.face)
    np.testing.assert_array_equal(found.crop_from_image, layer.crop_from_image)


@pytest.mark.parametrize("box", [(40, 30, 61, 52), (0, 0, 9, 9), (121, 83, 130, 90)])
def test_what_is_cut_keeps_its_place_its_margin_and_whose_it_is(box):
    layer = layer_of(box=box)
    (found,) = covering([layer])
    height, width = found.alpha.shape
    assert height % 16 == width % 16 == 0
    assert found.alpha.sum(dtype=int) == layer.alpha.sum(dtype=int)
    assert (found.origin, found.lit) == (4, True)
    corner = apply(invert(found.crop_from_image), np.zeros((1, 2)))
    x, y = np.rint(apply(layer.crop_from_image, corner)[0]).astype(int)
    np.testing.assert_array_equal(found.face, layer.face[y : y + height, x : x + width])
    left, top, right, bottom = box
    assert x <= max(left - 4, 0)
    assert y <= max(top - 4, 0)
    assert x + width >= min(right + 4, 130)
    assert y + height >= min(bottom + 4, 90)


def test_faces_of_one_group_keep_one_size():
    first, second = layer_of(box=(10, 10, 30, 70)), layer_of(box=(90, 50, 129, 60))
    found = covering([first, second])
    assert [layer.alpha.shape for layer in found] == [(80, 48)] * 2
    for layer, whole in zip(found, (first, second), strict=True):
        assert layer.alpha.sum(dtype=int) == whole.alpha.sum(dtype=int)


@pytest.mark.parametrize("factor", [1.25, 2.0, 4.0])
def test_the_pixels_of_a_larger_layer_lie_around_those_they_came_from(factor):
    layer = layer_of(88, 132)
    found = sized(layer, factor)
    assert found.face.shape == (88 * factor, 132 * factor, 3)
    assert found.alpha.shape == (88 * factor, 132 * factor)
    assert (found.origin, found.lit) == (4, True)
    pixels = np.array([[0.0, 0.0], [129.0, 31.0]])
    places = apply(invert(layer.crop_from_image), pixels)
    np.testing.assert_allclose(
        apply(found.crop_from_image, places), pixels * factor + (factor - 1) / 2, atol=1e-9
    )


def test_a_face_that_is_made_finer_than_it_is_asked_for_is_averaged():
    layer = layer_of(40, 60)
    fine = layer.face.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(sized(layer, 4.0, fine).face, fine)
    np.testing.assert_array_equal(sized(layer, 1.0, fine).face, layer.face)


@pytest.mark.parametrize(
    ("ratio", "scale", "factor"),
    [
        (0.6, 1, 1.0),
        (1.3, 2, 1.5),
        (1.65, 2, 1.75),
        (1.75, 2, 2.0),
        (2.6, 2, 2.0),
        (2.9, 4, 3.25),
        (9.0, 4, 4.0),
    ],
)
def test_no_more_pixels_are_kept_than_the_picture_can_show(ratio, scale, factor):
    assert shown_factor(layer_of(ratio=ratio), scale) == factor
