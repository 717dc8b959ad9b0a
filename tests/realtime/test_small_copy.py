import cv2
import numpy as np
import pytest

from realtime.frame import Face, Layer, Occluder, Pose
from realtime.geometry import compose
from realtime.layer_pixels import same_pixels
from realtime.seam_fit import SMALL_PX
from realtime.small_copy import small_copy

TURNED = cv2.getRotationMatrix2D((200, 150), 20, 1.1)


def picture(height=300, width=400):
    noise = np.random.default_rng(1).normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 9)
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def face_with(layer, occluder=None):
    return Face(
        track_id=1,
        box=np.zeros(4, np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=0.9,
        pose=Pose(0, 0, 0),
        layer=layer,
        occluder=occluder,
    )


def layer_over(image, crop_from_image, size):
    """A layer that shows just what it lies over."""
    face = cv2.warpAffine(image, crop_from_image, size, flags=cv2.INTER_LINEAR)
    return Layer(face, np.full(size[::-1], 255, np.uint8), crop_from_image)


@pytest.mark.parametrize(
    ("crop_from_image", "size"),
    [
        (np.float64([[1, 0, -60], [0, 1, -40]]), (240, 200)),
        (np.float64([[1, 0, -60], [0, 1, -40]]), (88, 60)),
        (np.float64([[0.8, 0, -30.3], [0, 0.8, -20.6]]), (256, 200)),
        (compose(np.float64([[1, 0, -136], [0, 1, -86]]), TURNED), (128, 128)),
        (np.float64([[1, 0, 20], [0, 1, -30]]), (240, 240)),
    ],
    ids=["same pixels", "small already", "scaled", "turned", "half outside"],
)
def test_face_and_picture_lie_on_one_another(crop_from_image, size):
    image = picture()
    layer = layer_over(image, crop_from_image, size)
    small = small_copy(image, face_with(layer), layer)
    assert max(small.size) <= SMALL_PX
    inside = np.s_[3:-3, 8:-3]
    away = np.abs(small.difference())[inside]
    # What lies outside of the picture is black in the layer and repeated in the small copy.
    assert np.median(away) <= 1.0
    assert np.quantile(away, 0.7) <= 3.0


def test_what_stands_in_front_lies_where_it_belongs():
    image = picture()
    layer = layer_over(image, np.float64([[1, 0, -100], [0, 1, -50]]), (200, 200))
    mask = np.zeros((300, 400), np.uint8)
    mask[:, 200:] = 255
    face = face_with(layer, Occluder(mask, np.eye(2, 3), 0.4))
    hidden = small_copy(image, face, layer).hidden
    middle = hidden.shape[1] // 2
    assert hidden[:, : middle - 1].max() == 0
    assert hidden[:, middle + 1 : -1].min() == 255
    assert small_copy(image, face_with(layer), layer).hidden is None


def test_pixels_are_shared_only_by_layers_on_whole_pixels_inside_the_picture():
    image = picture()
    whole, half = np.float64([[1, 0, -10], [0, 1, -20]]), np.float64([[1, 0, -10.5], [0, 1, -20]])
    size = (64, 48)
    part = same_pixels(layer_over(image, whole, size), image)
    np.testing.assert_array_equal(part, image[20:68, 10:74])
    assert same_pixels(layer_over(image, half, size), image) is None
    assert same_pixels(layer_over(image, whole, (400, 48)), image) is None
