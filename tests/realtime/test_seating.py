import numpy as np
import pytest

from engines.families.templates import fit_points, template_points, yaw_template_points
from realtime.face_parts import without_skin
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Motion, Occluder, Pose
from realtime.geometry import apply, bounding_box
from realtime.seating import Seating

FRAME_NS = 33_000_000
TEMPLATES = template_points("arcface_128", 128)[None]
MOTION = Motion(np.eye(2, 3), np.eye(2, 3), np.zeros((4, 4, 2), np.float32), np.ones((4, 4)))


def face(track_id, x=150.0, **how):
    around = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:, 0] = x + 40 * np.cos(around) + 3 * np.sin(5 * around)
    landmarks[:, 1] = 120 + 50 * np.sin(around)
    given = {"motion": MOTION} | how
    return Face(track_id, bounding_box(landmarks), landmarks, 0.9, Pose(0, 0, 0), **given)


@pytest.fixture
def seating():
    return Seating(2, TEMPLATES, 128, 128)


def placed(seating, number, *faces):
    return [there for _, there in seating.place(faces, number * FRAME_NS)]


def test_a_face_keeps_its_seat_and_is_new_once(seating):
    assert [(one.seat, one.is_new) for one in placed(seating, 0, face(7))] == [(0, True)]
    assert [(one.seat, one.is_new) for one in placed(seating, 1, face(7))] == [(0, False)]
    both = placed(seating, 2, face(9), face(7))
    assert [(one.seat, one.is_new) for one in both] == [(1, True), (0, False)]


def test_the_seat_of_a_face_that_is_gone_goes_to_the_next_as_new(seating):
    placed(seating, 0, face(1), face(2))
    placed(seating, 1, face(2))
    later = placed(seating, 2, face(3), face(2))
    assert [(one.seat, one.is_new) for one in later] == [(0, True), (1, False)]


def test_a_face_without_motion_or_after_a_while_is_new(seating):
    placed(seating, 0, face(1))
    assert placed(seating, 1, face(1, motion=None))[0].is_new
    assert not placed(seating, 2, face(1))[0].is_new
    assert placed(seating, 60, face(1))[0].is_new


def test_a_face_whose_motion_is_believed_nowhere_is_new(seating):
    unknown = Motion(*(np.eye(2, 3),) * 2, np.zeros((4, 4, 2), np.float32), np.zeros((4, 4)))
    placed(seating, 0, face(1))
    assert placed(seating, 1, face(1, motion=unknown))[0].is_new
    assert not placed(seating, 2, face(1))[0].is_new


def test_of_several_templates_a_head_is_laid_on_the_one_that_fits_best():
    templates = yaw_template_points(128)
    seating = Seating(1, templates, 128, 128)
    for number, template in enumerate(templates):
        one = face(number)
        # A head whose five points are those of the template, twice as large.
        given = fit_points(five_points(one.landmarks), 2.0 * template)
        turned = apply(given, one.landmarks[:, :2])
        one.landmarks[:, :2] = turned
        misfits = [
            np.abs(apply(fit_points(five_points(one.landmarks), t), five_points(one.landmarks)) - t)
            for t in templates
        ]
        best = templates[int(np.argmin([np.sqrt((m**2).sum(axis=1).mean()) for m in misfits]))]
        (there,) = placed(seating, 10 * number, one)
        wanted = fit_points(five_points(one.landmarks), best)
        np.testing.assert_allclose(there.crop_from_image, wanted)


def test_more_faces_than_seats_and_those_that_must_not_be_swapped_are_left_out(seating):
    hidden = Occluder(np.zeros((8, 8), np.uint8), np.eye(2, 3), share=0.8)
    faces = [
        face(1, state=FaceState.LOST),
        face(2, chosen=False),
        face(3, occluder=hidden),
        face(4),
        face(5),
        face(6),
    ]
    pairs = seating.place(faces, 0)
    assert [there.track_id for there, _ in pairs] == [4, 5]


def test_the_crop_is_fitted_to_five_points_and_only_the_face_is_seen(seating):
    one = face(1, person=3)
    there = placed(seating, 0, one)[0]
    assert there.person == 3
    laid = apply(there.crop_from_image, five_points(one.landmarks))
    assert np.abs(laid - TEMPLATES[0]).mean() < 20
    assert there.alpha.shape == (128, 128)
    assert there.alpha[0, 0] == 0
    assert there.alpha.max() == 255


def test_what_stands_in_front_of_a_face_is_taken_from_what_is_seen(seating):
    whole = placed(seating, 0, face(1))[0].alpha
    hand = Occluder(np.full((400, 400), 255, np.uint8), np.eye(2, 3), share=0.3)
    assert whole.any()
    assert not placed(seating, 1, face(1, occluder=hand))[0].alpha.any()


def test_a_larger_drawn_face_has_its_coverage_at_its_own_size():
    large = Seating(1, TEMPLATES, 128, 512)
    small = Seating(1, TEMPLATES, 128, 128)
    (_, there), (_, here) = large.place([face(1)], 0)[0], small.place([face(1)], 0)[0]
    assert there.alpha.shape == (512, 512)
    shrunk = there.alpha.reshape(128, 4, 128, 4).mean(axis=(1, 3))
    assert np.abs(shrunk - here.alpha).mean() < 4


def test_eyes_and_mouth_are_no_skin(seating):
    one = face(1)
    there = placed(seating, 0, one)[0]
    points = apply(there.crop_from_image, one.landmarks[:, :2]).astype(np.float32)
    wanted = 255 - without_skin(points, (128, 128))
    np.testing.assert_array_equal(there.bare, wanted)
    assert there.bare.min() < 128 < there.bare.max()


def test_what_is_to_stay_of_the_person_is_not_covered():
    one = face(1)

    def alpha(*keep):
        (pair,) = Seating(1, TEMPLATES, 128, 128, keep=keep).place([one], 0)
        return pair[1].alpha.astype(int)

    whole = alpha()
    for part in ("eyes", "mouth"):
        assert (alpha(part) <= whole).all()
        assert alpha(part).sum() < whole.sum()
