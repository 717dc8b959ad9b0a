from fractions import Fraction

import numpy as np
import pytest

from realtime.frame import Face, Frame, Layer, Occluder, PictureSpec, Pose
from realtime.geometry import invert
from realtime.memory import Memory
from realtime.stages.composite import Composite

SPEC = PictureSpec(96, 80, Fraction(30), live=False)


def shifted(dx, dy, scale=1.0):
    return np.float64([[scale, 0, dx], [0, scale, dy]])


def placed(left, top):
    """The crop whose first pixel lies at this pixel of the picture."""
    return shifted(-left, -top)


def noise(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def whole(height, width, value=255):
    return np.full((height, width), value, np.uint8)


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
