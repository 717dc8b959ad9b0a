from fractions import Fraction

import cv2
import numpy as np
import pytest

from realtime.frame import Face, Frame, Layer, Occluder, PictureSpec, Pose
from realtime.geometry import compose, invert
from realtime.memory import Memory
from realtime.stages.composite import Composite, lay

SPEC = PictureSpec(96, 80, Fraction(30), live=False)


def shifted(dx, dy, scale=1.0):
    return np.float64([[scale, 0, dx], [0, scale, dy]])


def placed(left, top):
    """The crop whose first pixel lies at this pixel of the picture."""
    return shifted(-left, -top)


def noise(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height, width, seed=1):
    field = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(field, (0, 0), 4)
    return np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def whole(height, width, value=255):
    return np.full((height, width), value, np.uint8)


def laid(face, alpha, crop_from_image, under):
    out = under.copy()
    lay(face, alpha, crop_from_image, out=out)
    return out


def test_a_layer_on_whole_pixels_is_laid_as_it_is():
    under, face = noise(80, 96), noise(21, 33, seed=2)
    wanted = under.copy()
    wanted[13:34, 40:73] = face
    np.testing.assert_array_equal(laid(face, whole(21, 33), placed(40, 13), under), wanted)


@pytest.mark.parametrize("at", [(-11, 30), (80, 30), (40, -9), (40, 70), (-5, -7), (85, 66)])
def test_what_lies_outside_the_picture_is_cut_off(at):
    under, face = noise(80, 96), noise(21, 33, seed=2)
    left, top = at
    wide = np.pad(under, ((50, 50), (50, 50), (0, 0)))
    wide[50 + top : 71 + top, 50 + left : 83 + left] = face
    shown = laid(face, whole(21, 33), placed(left, top), under)
    np.testing.assert_array_equal(shown, wide[50:130, 50:146])
    assert (shown != under).any()


@pytest.mark.parametrize("at", [(-33, 30), (96, 30), (40, -21), (40, 80), (-900, 9000)])
def test_a_layer_beside_the_picture_changes_nothing(at):
    under, face = noise(80, 96), noise(21, 33, seed=2)
    np.testing.assert_array_equal(laid(face, whole(21, 33), placed(*at), under), under)


def test_coverage_says_how_much_of_the_layer_is_seen():
    under, face = noise(80, 96), noise(21, 33, seed=2)
    alpha = np.random.default_rng(3).integers(0, 256, (21, 33), np.uint8)
    share = alpha[..., None] / 255
    wanted = under.astype(np.float64)
    wanted[13:34, 40:73] = share * face + (1 - share) * wanted[13:34, 40:73]
    shown = laid(face, alpha, placed(40, 13), under)
    np.testing.assert_allclose(shown, wanted, atol=0.51)


def test_what_is_not_covered_keeps_every_bit():
    under = noise(80, 96)
    for at in (placed(40, 13), placed(40.3, 13.7), cv2.getRotationMatrix2D((9, 9), 25, 1.2)):
        shown = laid(noise(21, 33, seed=2), whole(21, 33, 0), at, under)
        np.testing.assert_array_equal(shown, under)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_layer_turned_by_a_right_angle_is_laid_turned(quarters):
    under, face = noise(80, 96), noise(21, 33, seed=2)
    image_from_crop = {
        1: np.float64([[0, 1, 40], [-1, 0, 13 + 32]]),
        2: np.float64([[-1, 0, 40 + 32], [0, -1, 13 + 20]]),
        3: np.float64([[0, -1, 40 + 20], [1, 0, 13]]),
    }[quarters]
    turned = np.rot90(face, quarters)
    wanted = under.copy()
    wanted[13 : 13 + turned.shape[0], 40 : 40 + turned.shape[1]] = turned
    shown = laid(face, whole(21, 33), invert(image_from_crop), under)
    np.testing.assert_array_equal(shown, wanted)


@pytest.mark.parametrize(
    "image_from_crop",
    [
        compose(shifted(20, 18), cv2.getRotationMatrix2D((24, 20), 17, 1.3)),
        compose(shifted(60, 40), cv2.getRotationMatrix2D((24, 20), -40, 0.8)),
        np.float64([[1.5, 0, 10.3], [0, 1.5, 5.6]]),
        np.float64([[1, 0, 30.5], [0, 1, -7.25]]),
        np.float64([[1, -0.75, 32.625], [0.75, 1, 2.375]]),
    ],
    ids=["turned", "half outside", "larger", "between pixels", "turned, corners on pixels"],
)
def test_a_layer_lies_where_its_matrix_says(image_from_crop):
    under, face = np.zeros((80, 96, 3), np.uint8), smooth(40, 48)
    shown = laid(face, whole(40, 48), invert(image_from_crop), under)
    crop_again = cv2.warpAffine(
        shown, image_from_crop, (48, 40), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    seen = cv2.warpAffine(whole(80, 96), image_from_crop, (48, 40), flags=cv2.WARP_INVERSE_MAP)
    inside = cv2.erode(seen, np.ones((7, 7))) == 255
    inside[:4] = inside[-4:] = inside[:, :4] = inside[:, -4:] = False
    assert inside.mean() > 0.25
    away = np.abs(crop_again.astype(int) - face)[inside]
    assert away.mean() < 1.5
    assert away.max() <= 8


@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_a_layer_of_another_size_on_whole_pixels_is_laid_like_any_other(scale):
    under, face = noise(80, 96), smooth(20, 32)
    # Pixel centres lie at whole numbers, so the middle of the first one moves with the scale.
    image_from_crop = shifted(20 + (scale - 1) / 2, 10 + (scale - 1) / 2, scale)
    alpha = cv2.GaussianBlur(whole(20, 32), (0, 0), 3)
    alpha[:3] = alpha[-3:] = alpha[:, :3] = alpha[:, -3:] = 0
    upright = laid(face, alpha, invert(image_from_crop), under)
    hair = compose(image_from_crop, cv2.getRotationMatrix2D((15.5, 9.5), 1e-5, 1.0))
    turned = laid(face, alpha, invert(hair), under)
    assert np.abs(upright.astype(int) - turned).mean() < 1.0
    assert np.abs(upright.astype(int) - turned).max() <= 12
    assert (upright != under).any(axis=-1).sum() > 100


@pytest.fixture
def stage():
    composite = Composite()
    composite.open(SPEC, Memory())
    yield composite
    composite.close()


def face_with(colour, at=(20, 15), size=(40, 48), *, track_id=1, occluder=None, alpha=None):
    """A face with a layer of one colour, or of a picture."""
    face = np.broadcast_to(np.asarray(colour, np.uint8), (*size, 3)).copy()
    layer = Layer(face, whole(*size) if alpha is None else alpha, placed(*at))
    left, top = at
    return Face(
        track_id=track_id,
        box=np.array([left, top, left + size[1], top + size[0]], np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=0.9,
        pose=Pose(0, 0, 0),
        layer=layer,
        occluder=occluder,
    )


def compose_frame(stage, *faces):
    frame = Frame(np.full((80, 96, 3), 90, np.uint8), faces=list(faces))
    stage.process(frame)
    return frame


def test_a_face_with_a_layer_is_swapped_and_said_to_be(stage):
    frame = compose_frame(stage, face_with(200))
    assert frame.faces[0].swapped
    assert (frame.image[15:55, 20:68] == 200).all()
    assert (frame.image == 200).all(axis=-1).sum() == 40 * 48
    assert stage.name == "composite"


def test_a_face_without_a_layer_is_not_said_to_be_swapped(stage):
    face = face_with(200)
    face.layer = None
    frame = compose_frame(stage, face)
    assert not face.swapped
    assert (frame.image == 90).all()


def test_of_several_faces_the_first_lies_over_the_others(stage):
    faces = [face_with(50 * n, at=(10 * n, 10), track_id=n) for n in (1, 2, 3)]
    image = compose_frame(stage, *faces).image
    assert (image[30, 10:58] == 50).all()
    assert (image[30, 58:68] == 100).all()
    assert (image[30, 68:78] == 150).all()
    assert all(face.swapped for face in faces)


def test_what_stands_in_front_of_a_face_stays_in_front(stage):
    mask = np.zeros((80, 96), np.uint8)
    mask[:, 40:] = 255
    mask[:, 38:40] = 128
    occluder = Occluder(mask, shifted(0, 0), share=0.5)
    face = face_with(200, occluder=occluder)
    image = compose_frame(stage, face).image
    assert (image[15:55, 20:38] == 200).all()
    assert (image[:, 40:] == 90).all()
    assert np.abs(image[15:55, 38:40].astype(int) - 145).max() <= 1
    assert face.swapped


def test_what_stands_in_front_lies_where_its_own_matrix_says(stage):
    mask = np.zeros((30, 30), np.uint8)
    mask[10:20, 10:20] = 255
    # Twice as large in the picture, from (30, 20) on.
    at = invert(shifted(30.5, 20.5, 2.0))
    image = compose_frame(stage, face_with(200, occluder=Occluder(mask, at, 0.2))).image
    free = (image == 90).all(axis=-1)
    assert free[42:54, 52:66].all()
    assert not free[15:38, 20:68].any()
    assert not free[15:55, 20:48].any()


def test_what_stands_before_one_face_does_not_hide_another(stage):
    hidden = Occluder(whole(80, 96), shifted(0, 0), share=0.4)
    one = face_with(200, at=(0, 0), occluder=hidden, track_id=1)
    two = face_with(150, at=(48, 30), track_id=2)
    image = compose_frame(stage, one, two).image
    assert (image[:30] == 90).all()
    assert (image[30:70, 48:] == 150).all()


@pytest.mark.parametrize(("share", "is_laid"), [(0.64, True), (0.66, False), (1.0, False)])
def test_a_face_most_of_which_is_hidden_is_left_to_the_guard(stage, share, is_laid):
    mask = np.zeros((80, 96), np.uint8)
    face = face_with(200, occluder=Occluder(mask, shifted(0, 0), share))
    image = compose_frame(stage, face).image
    assert face.swapped == is_laid
    assert (image == 200).any() == is_laid


def test_layers_are_left_as_the_stages_before_drew_them(stage):
    mask = np.zeros((80, 96), np.uint8)
    mask[:, 40:] = 255
    face = face_with(noise(40, 48), occluder=Occluder(mask, shifted(0, 0), 0.5))
    pixels, alpha = face.layer.face.copy(), face.layer.alpha.copy()
    compose_frame(stage, face)
    np.testing.assert_array_equal(face.layer.face, pixels)
    np.testing.assert_array_equal(face.layer.alpha, alpha)
